/* SPDX-License-Identifier: BSD-3-Clause */
/* Values and lists as people like to read them: aligned columns, human units. */
#include "control/ctl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CELL        512
#define COLUMNS_MAX 12

enum cell_kind { TEXT, NUMBER, BYTES, SECONDS, FLAG, RATIO, QUEUES, HOPS, BUSY, SUM };

struct column {
	const char *header;
	const char *member; /* of the row; "a|b": the first that the row has */
	enum cell_kind kind;
};

struct table {
	const char *name;
	struct column columns[COLUMNS_MAX];
};

static const struct table tables[] = {
        {"networks", {{"NAME", "name", TEXT}, {"MODE", "mode", TEXT}, {"MTU", "mtu", NUMBER},
                             {"SUBNETS", "subnets", TEXT}, {"GATEWAYS", "gateways", TEXT},
                             {"GATEWAY-MAC", "gatewayMac", TEXT}, {"UPLINKS", "uplinks", TEXT},
                             {"PORTS", "ports", NUMBER}, {"ROUTES", "routes", NUMBER}}},
        {"ports", {{"NAME", "name", TEXT}, {"KIND", "kind", TEXT}, {"NETWORK", "network", TEXT},
                          {"STATE", "state", TEXT}, {"MTU", "mtu", NUMBER}, {"MAC", "mac", TEXT},
                          {"VLAN", "vlan", NUMBER}, {"ADDRESSES", "addresses", TEXT},
                          {"SOCKET/DEVICE", "socket|device", TEXT}}},
        {"routes",
                {{"NETWORK", "network", TEXT}, {"PREFIX", "prefix", TEXT}, {"TYPE", "type", TEXT},
                        {"GATEWAY", "gateway", TEXT}, {"PORT", "port", TEXT},
                        {"OWNER", "owner", TEXT}, {"NEXT-HOPS", "nexthops", HOPS}}},
        {"neighbours",
                {{"NETWORK", "network", TEXT}, {"ADDRESS", "address", TEXT}, {"MAC", "mac", TEXT},
                        {"PORT", "port", TEXT}, {"STATE", "state", TEXT}, {"HELD", "held", NUMBER},
                        {"AGE", "age", SECONDS}}},
        {"entries", {{"NETWORK", "network", TEXT}, {"VLAN", "vlan", NUMBER}, {"MAC", "mac", TEXT},
                            {"PORT", "port", TEXT}, {"STATIC", "static", FLAG},
                            {"AGE", "age", SECONDS}}},
        {"groups", {{"NETWORK", "network", TEXT}, {"VLAN", "vlan", NUMBER},
                           {"GROUP", "group", TEXT}, {"PORT", "port", TEXT},
                           {"VERSION", "version", NUMBER}, {"EXPIRES", "expires", SECONDS}}},
        {"segments",
                {{"NETWORK", "network", TEXT}, {"VLAN", "vlan", NUMBER}, {"FAMILY", "family", TEXT},
                        {"STATE", "state", TEXT}, {"QUERIER", "querier", TEXT},
                        {"PORT", "querierPort", TEXT}, {"ROUTER-PORTS", "routerPorts", TEXT}}},
        {"workers",
                {{"WORKER", "index", NUMBER}, {"CPU", "cpu", NUMBER}, {"QUEUES", "queues", QUEUES},
                        {"BUSY", "busyCycles", BUSY}, {"PACKETS", "packets", NUMBER},
                        {"BATCHES", "batches", NUMBER}, {"PACKETS/POLL", "packetsPerPoll", RATIO},
                        {"CYCLES/PACKET", "cyclesPerPacket", RATIO},
                        {"SLEEPING", "sleeping", FLAG}}},
        {"moves", {{"PORT", "port", TEXT}, {"QUEUE", "queue", NUMBER}, {"FROM", "from", NUMBER},
                          {"TO", "to", NUMBER}, {"LOAD", "load", RATIO}}},
        {"stages", {{"STAGE", "name", TEXT}, {"SAMPLED", "packets", NUMBER},
                           {"CYCLES/PACKET", "cyclesPerPacket", RATIO}}},
        {"stats", {{"PORT", "name", TEXT}, {"RX-PACKETS", "rxPackets", NUMBER},
                          {"RX-BYTES", "rxBytes", BYTES}, {"TX-PACKETS", "txPackets", NUMBER},
                          {"TX-BYTES", "txBytes", BYTES}, {"DROPS", "drops", SUM}}},
        {"counts", {{"", "name", TEXT}, {"", "count", NUMBER}}},
};

const char *ctl_bytes(double bytes, char *text, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	unsigned unit = 0;

	while (bytes >= 1000 && unit < 6) {
		bytes /= 1000;
		unit++;
	}
	snprintf(text, size, unit ? "%.2f %s" : "%.0f %s", bytes, units[unit]);
	return text;
}

const char *ctl_seconds(double seconds, char *text, size_t size)
{
	if (!(seconds >= 0 && seconds < 1e12)) {
		snprintf(text, size, "-");
		return text;
	}
	long long s = (long long)seconds;

	if (s < 60)
		snprintf(text, size, "%llds", s);
	else if (s < 3600)
		snprintf(text, size, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(text, size, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return text;
}

static void number_text(double value, char *text, size_t size)
{
	if (value == floor(value) && fabs(value) < 1e18)
		snprintf(text, size, "%.0f", value);
	else
		snprintf(text, size, "%.2f", value);
}

const char *ctl_text(const cJSON *value, char *text, size_t size)
{
	const cJSON *child;
	size_t n = 0;

	text[0] = '\0';
	if (cJSON_IsString(value)) {
		snprintf(text, size, "%s", value->valuestring);
	} else if (cJSON_IsNumber(value)) {
		number_text(value->valuedouble, text, size);
	} else if (cJSON_IsBool(value)) {
		snprintf(text, size, "%s", cJSON_IsTrue(value) ? "true" : "false");
	} else if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
		cJSON_ArrayForEach (child, value) {
			char one[CELL];

			if (n >= size)
				break;
			n += (size_t)snprintf(text + n, size - n, "%s%s%s%s",
			        child->prev && child != value->child ? "," : "",
			        cJSON_IsObject(value) ? child->string : "",
			        cJSON_IsObject(value) ? "=" : "",
			        ctl_text(child, one, sizeof(one)));
		}
	}
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return text;
}

static const cJSON *cell_value(const cJSON *row, const char *members)
{
	char name[64];

	for (;;) {
		size_t n = strcspn(members, "|");
		const cJSON *value;

		snprintf(name, sizeof(name), "%.*s", (int)n, members);
		value = cJSON_GetObjectItemCaseSensitive(row, name);
		if (value || !members[n])
			return value;
		members += n + 1;
	}
}

static double member_number(const cJSON *row, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, name);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void queues_text(const cJSON *queues, char *text, size_t size)
{
	const cJSON *queue;
	size_t n = 0;

	cJSON_ArrayForEach (queue, queues) {
		char port[128];

		if (n >= size)
			break;
		ctl_text(cJSON_GetObjectItemCaseSensitive(queue, "port"), port, sizeof(port));
		n += (size_t)snprintf(text + n, size - n, "%s%s:%.0f", n ? "," : "", port,
		        member_number(queue, "queue"));
	}
}

/* "198.18.1.2%up0*2 198.18.1.3(silent)": weights of 1 and members that are up go without saying. */
static void hops_text(const cJSON *hops, char *text, size_t size)
{
	const cJSON *hop;
	size_t n = 0;

	cJSON_ArrayForEach (hop, hops) {
		char via[64], port[128], state[32], weight[16] = "";

		if (n >= size)
			break;
		ctl_text(cJSON_GetObjectItemCaseSensitive(hop, "via"), via, sizeof(via));
		ctl_text(cJSON_GetObjectItemCaseSensitive(hop, "port"), port, sizeof(port));
		ctl_text(cJSON_GetObjectItemCaseSensitive(hop, "state"), state, sizeof(state));
		if (member_number(hop, "weight") > 1)
			snprintf(weight, sizeof(weight), "*%.0f", member_number(hop, "weight"));
		if (!strcmp(state, "up"))
			state[0] = '\0';
		n += (size_t)snprintf(text + n, size - n, "%s%s%s%s%s%s%s%s", n ? " " : "", via,
		        *port ? "%" : "", port, weight, *state ? "(" : "", state,
		        *state ? ")" : "");
	}
}

static void cell_text(const cJSON *row, const struct column *column, char *text, size_t size)
{
	const cJSON *value = cell_value(row, column->member), *child;
	double number = cJSON_IsNumber(value) ? value->valuedouble : 0;
	double total;

	text[0] = '\0';
	switch (column->kind) {
	case BYTES:
		ctl_bytes(number, text, size);
		break;
	case SECONDS:
		if (value)
			ctl_seconds(number, text, size);
		break;
	case FLAG:
		if (value)
			snprintf(text, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
		break;
	case RATIO:
		if (value)
			snprintf(text, size, "%.1f", number);
		break;
	case QUEUES:
		queues_text(value, text, size);
		break;
	case HOPS:
		hops_text(value, text, size);
		break;
	case BUSY:
		total = number + member_number(row, "idleCycles");
		snprintf(text, size, "%.1f %%", total > 0 ? 100 * number / total : 0);
		break;
	case SUM:
		total = 0;
		cJSON_ArrayForEach (child, value)
			total += child->valuedouble;
		number_text(total, text, size);
		break;
	default:
		ctl_text(value, text, size);
	}
	if (!*text)
		snprintf(text, size, "-");
}

static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static bool is_right(enum cell_kind kind)
{
	return kind == NUMBER || kind == BYTES || kind == RATIO || kind == BUSY || kind == SUM;
}

/* Pads between columns, never behind the last one. */
static void print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
	int pad = (int)(width - width_of(text));

	if (right)
		fprintf(out, "%*s%s%s", pad, "", text, last ? "" : "  ");
	else
		fprintf(out, "%s%*s", text, last ? 0 : pad + 2, "");
}

static const struct table *find_table(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

/* Widths of the columns; 0 for one that no row has a value for. Returns the last one in use. */
static unsigned measure(const struct table *table, const cJSON *rows, size_t width[COLUMNS_MAX])
{
	char text[CELL];
	const cJSON *row;
	unsigned last = 0;

	for (unsigned i = 0; i < COLUMNS_MAX && table->columns[i].header; i++) {
		bool any = !rows->child;
		size_t widest = width_of(table->columns[i].header);

		cJSON_ArrayForEach (row, rows) {
			cell_text(row, &table->columns[i], text, sizeof(text));
			any |= strcmp(text, "-") != 0;
			if (width_of(text) > widest)
				widest = width_of(text);
		}
		width[i] = any ? widest : 0;
		if (any)
			last = i;
	}
	return last;
}

void ctl_table(FILE *out, const char *name, const cJSON *rows, bool header)
{
	const struct table *table = find_table(name);
	size_t width[COLUMNS_MAX] = {0};
	char text[CELL];
	const cJSON *row;
	unsigned last;

	if (!table || !cJSON_IsArray(rows)) {
		ctl_print_json(out, rows);
		return;
	}
	last = measure(table, rows, width);
	for (unsigned i = 0; header && i <= last; i++)
		if (width[i])
			print_cell(out, table->columns[i].header, width[i],
			        is_right(table->columns[i].kind), i == last);
	if (header)
		fputc('\n', out);
	cJSON_ArrayForEach (row, rows) {
		for (unsigned i = 0; i <= last; i++) {
			if (!width[i])
				continue;
			cell_text(row, &table->columns[i], text, sizeof(text));
			print_cell(
			        out, text, width[i], is_right(table->columns[i].kind), i == last);
		}
		fputc('\n', out);
	}
}
