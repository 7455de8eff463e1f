/* SPDX-License-Identifier: BSD-3-Clause */
#include "options_table.h"

#include <getopt.h>

#include "frame.h"

int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno || *end || *value < min || *value > max ? -EINVAL : 0;
}

int set_real(const char *text, double max, double *value)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '.')
		return -EINVAL;
	*value = strtod(text, &end);
	return end == text || *end || !(*value >= 0 && *value <= max) ? -EINVAL : 0;
}

/* Calls `item` for each part between commas. */
static int split(struct options *o, const char *value, int (*item)(struct options *o, char *part))
{
	char copy[4096];
	char *rest = copy;

	if (!*value || strlen(value) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, value);
	while (rest) {
		if (item(o, strsep(&rest, ",")))
			return -EINVAL;
	}
	return 0;
}

/* "3" or "r0"; peers are numbered from 128 until all ports are known. */
static int station(const char *text, uint8_t *index)
{
	bool peer = *text == 'r';
	uint64_t n;

	if (set_number(text + peer, 0, OPTIONS_PORTS_MAX - 1, &n))
		return -EINVAL;
	*index = (uint8_t)(n | (peer ? 128 : 0));
	return 0;
}

static int add_pair(struct options *o, char *part)
{
	char *to = strchr(part, '>');
	struct pair_options *pair = &o->pairs[o->n_pairs];

	if (!to || o->n_pairs == OPTIONS_PAIRS_MAX)
		return -EINVAL;
	*to++ = '\0';
	if (station(part, &pair->from) || station(to, &pair->to))
		return -EINVAL;
	o->n_pairs++;
	return 0;
}

int set_pairs(struct options *o, const char *value)
{
	o->n_pairs = 0;
	return split(o, value, add_pair);
}

static int add_size(struct options *o, char *part)
{
	uint64_t n;

	if (o->n_sizes == OPTIONS_SIZES_MAX || set_number(part, 60, FRAME_SIZE_MAX, &n))
		return -EINVAL;
	o->sizes[o->n_sizes++] = (uint16_t)n;
	return 0;
}

int set_sizes(struct options *o, const char *value)
{
	/* 7 : 4 : 1 of 64, 594 and 1518 with FCS, mixed */
	static const uint16_t imix[12] = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590};

	o->imix = !strcmp(value, "imix");
	o->n_sizes = 0;
	if (!o->imix)
		return split(o, value, add_size);
	memcpy(o->sizes, imix, sizeof(imix));
	o->n_sizes = 12;
	return 0;
}

static int add_tolerance(struct options *o, char *part)
{
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = {{"missing", &o->tolerate.missing}, {"duplicated", &o->tolerate.duplicated},
	        {"reordered", &o->tolerate.reordered}, {"corrupted", &o->tolerate.corrupted},
	        {"unexpected", &o->tolerate.unexpected}};
	char *n = strchr(part, '=');

	if (!n)
		return -EINVAL;
	*n++ = '\0';
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(part, known[i].name))
			return set_number(n, 0, UINT64_MAX - 1, known[i].value);
	}
	return -EINVAL;
}

int set_tolerate(struct options *o, const char *value)
{
	return split(o, value, add_tolerance);
}

static int apply(struct options *o, const struct option_row *row, const char *value, char *error,
        size_t size)
{
	if (!row->set(o, value))
		return 0;
	snprintf(error, size, "--%s %s: not possible; see --help (%s)", row->name,
	        value ? value : "", row->help);
	return -EINVAL;
}

/* A file has one option a line, without the dashes: "mac 02:…". */
static int read_file(struct options *o, const char *path, char *error, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[4400];
	unsigned number = 0;
	int rc = 0;

	if (!file) {
		snprintf(error, size, "--file %s: %m", path);
		return -EINVAL;
	}
	while (!rc && fgets(line, sizeof(line), file)) {
		char *rest = line + strspn(line, " \t");
		char *name = strsep(&rest, " \t\r\n");
		const struct option_row *row = NULL;

		number++;
		if (!*name || *name == '#')
			continue;
		rest = rest ? rest + strspn(rest, " \t\r\n") : line + strlen(line);
		for (char *end = rest + strlen(rest); end > rest && strchr(" \t\r\n", end[-1]);)
			*--end = '\0';
		for (unsigned i = 0; i < option_rows_n; i++) {
			if (option_rows[i].name && !strcmp(option_rows[i].name, name))
				row = &option_rows[i];
		}
		if (!row || !row->value != !*rest) {
			snprintf(error, size, "%s:%u: %s: %s", path, number, name,
			        !row         ? "no such option"
			        : row->value ? "needs a value"
			                     : "takes no value");
			rc = -EINVAL;
		} else {
			rc = apply(o, row, row->value ? rest : NULL, error, size);
		}
	}
	fclose(file);
	return rc;
}

void options_help(FILE *out)
{
	fputs("podrail-gen: sends packets between ports and counts what becomes of them\n"
	      "usage: podrail-gen --port DEVARGS [--mac … --ip …] [--port …] [options]\n",
	        out);
	for (unsigned i = 0; i < option_rows_n; i++) {
		const struct option_row *row = &option_rows[i];
		char left[40];

		if (!row->name) {
			fprintf(out, "\n%s:\n", row->help);
			continue;
		}
		snprintf(left, sizeof(left), "--%s %s", row->name, row->value ? row->value : "");
		fprintf(out, "  %-22s %s\n", left, row->help);
	}
	fputs("\n  --file FILE            options from a file, one a line, without the dashes\n"
	      "  --help, --version\n\n"
	      "SIGUSR1 begins a new interval, SIGINT and SIGTERM end the run. Exit status: 0 "
	      "nothing\n"
	      "missing, duplicated, reordered, corrupted or unexpected; 1 something was, or it "
	      "could\n"
	      "not run; 2 usage.\n",
	        out);
}

static int check(struct options *o, char *error, size_t size);

enum { OPT_FILE = 1000, OPT_HELP, OPT_VERSION, OPT_ROW };

int options_parse(int argc, char **argv, struct options *o, char *error, size_t size)
{
	struct option longs[80] = {{"file", required_argument, NULL, OPT_FILE},
	        {"help", no_argument, NULL, OPT_HELP}, {"version", no_argument, NULL, OPT_VERSION}};
	unsigned n = 3;
	int rc = 0, c;

	memset(o, 0, sizeof(*o));
	o->flows = 64;
	o->ip4 = o->udp = true;
	o->duration = -1;
	o->timeout = 0.5;
	o->wait_link = 10;
	o->settle = 0.2;
	o->burst = 32;
	o->cpu = o->main_cpu = -1;
	for (unsigned i = 0; i < option_rows_n; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->name)
			longs[n++] = (struct option){row->name,
			        row->value ? required_argument : no_argument, NULL,
			        OPT_ROW + (int)i};
	}
	optind = 0;
	opterr = 0;
	while (!rc && (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == OPT_HELP || c == 'h') {
			options_help(stdout);
			return OPTIONS_EXIT;
		} else if (c == OPT_VERSION) {
			puts("podrail-gen " PODRAIL_VERSION);
			return OPTIONS_EXIT;
		} else if (c == OPT_FILE) {
			rc = read_file(o, optarg, error, size);
		} else if (c >= OPT_ROW) {
			rc = apply(o, &option_rows[c - OPT_ROW], optarg, error, size);
		} else {
			snprintf(error, size, "%s: %s", argv[optind - 1],
			        c == ':' ? "needs a value" : "no such option; see --help");
			rc = -EINVAL;
		}
	}
	if (!rc && optind < argc) {
		snprintf(error, size, "%s: not an option; see --help", argv[optind]);
		rc = -EINVAL;
	}
	return rc ? rc : check(o, error, size);
}

/* The rows that options_traffic may change. */
static const struct option_row *traffic_row(const char *name)
{
	static const char *const names[] = {"flows", "size", "family", "proto", "pairs"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (unsigned k = 0; !strcmp(name, names[i]) && k < option_rows_n; k++) {
			if (option_rows[k].name && !strcmp(name, option_rows[k].name))
				return &option_rows[k];
		}
	}
	return NULL;
}

static uint16_t largest_size(const struct options *o)
{
	uint16_t largest = 0;

	for (unsigned i = 0; i < o->n_sizes; i++)
		largest = o->sizes[i] > largest ? o->sizes[i] : largest;
	return largest;
}

int options_traffic(
        struct options *o, const struct options *first, char *line, char *error, size_t size)
{
	struct options new = *o;
	int rc = 0;

	for (char *name; !rc && (name = strsep(&line, " \t\r\n"));) {
		const struct option_row *row = traffic_row(name);
		char *value;

		if (!*name)
			continue;
		value = strsep(&line, " \t\r\n");
		if (!row || !value || !*value) {
			snprintf(error, size, "%s: %s", name,
			        row ? "needs a value"
			            : "can not be changed: flows, size, family, proto or pairs");
			return -EINVAL;
		}
		rc = apply(&new, row, value, error, size);
	}
	if (!rc)
		rc = check(&new, error, size);
	if (!rc && largest_size(&new) > largest_size(first)) {
		snprintf(error, size, "size: at most %u, the largest that it was started with",
		        largest_size(first));
		rc = -EINVAL;
	}
	if (!rc)
		*o = new;
	return rc;
}

static int all_pairs(struct options *o)
{
	unsigned n = o->n_ports + o->n_peers;

	for (unsigned from = 0; from < o->n_ports; from++) {
		for (unsigned to = o->n_peers ? o->n_ports : 0; to < n; to++) {
			if (from == to && o->n_ports > 1)
				continue;
			if (o->n_pairs == OPTIONS_PAIRS_MAX)
				return -EINVAL;
			o->pairs[o->n_pairs++] = (struct pair_options){(uint8_t)from, (uint8_t)to};
		}
	}
	return 0;
}

static int check(struct options *o, char *error, size_t size)
{
	const char *text = NULL;

	for (unsigned i = 0; i < o->n_pairs; i++) {
		struct pair_options *pair = &o->pairs[i];

		if (pair->to & 128)
			pair->to = (uint8_t)((pair->to & 127) + o->n_ports);
		else if (pair->to >= o->n_ports)
			text = "--pairs: there is no such port to send to";
		if (pair->from >= o->n_ports || pair->to >= o->n_ports + o->n_peers)
			text = "--pairs: there is no such port or peer (only ports can send)";
	}
	if (!o->n_ports)
		text = "at least one --port is needed; see --help";
	else if (o->mode == GEN_SEND && !o->n_pairs && all_pairs(o))
		text = "too many pairs: name those that you need with --pairs";
	else if (o->mode != GEN_SEND && (o->n_peers || o->n_pairs || o->window || o->count))
		text = "--reflect and --sink send nothing of their own: no --peer, --pairs, "
		       "--window "
		       "or --count";
	else if (o->mode != GEN_SEND && o->control)
		text = "--control changes what is sent: not with --reflect or --sink";
	else if (o->one_way && (o->window || o->in_total))
		text = "--window needs answers, which --one-way rules out";
	else if (o->flows < (1u + (o->ip4 && o->ip6)) * (1u + (o->udp && o->tcp)))
		text = "--flows: at least one for each family and protocol";
	if (text) {
		snprintf(error, size, "%s", text);
		return -EINVAL;
	}
	if (!o->n_sizes)
		o->sizes[o->n_sizes++] = 64;
	if (o->duration < 0)
		o->duration = o->count || o->mode != GEN_SEND ? 0 : 10;
	return 0;
}
