/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
        "usage: podrail-guest SCENARIO [option...] --port PATH[,key[=value]...]...\n"
        "\n"
        "A vhost-user guest: serves the socket (or connects), and exchanges frames through the\n"
        "daemon as it should, or lies. One line of JSON at the end; status 0 when all went well.\n"
        "\n"
        "scenarios\n"
        "  exchange   two ports (or one, and a reflector: --peer) exchange numbered frames\n"
        "  reflect    one port sends back what comes\n"
        "  pump       one port broadcasts, --rate frames a second, until told to stop\n"
        "  tso        the first port sends the second TCP frames of up to 64 KiB (offload, "
        "frame=65054)\n"
        "  matrix     exchanges of two ports, over all kinds of rings and layouts\n"
        "  lie NAME   one port tells a lie and watches what becomes of it (--list)\n"
        "  latency    how long a connection, a memory table and a reconnection take\n"
        "  stress     two ports that change everything at random under traffic\n"
        "\n"
        "keys of --port\n"
        "  connect              connect to the socket instead of serving it\n"
        "  mac=M ip=A gw=M      own addresses; the gateway's MAC\n"
        "  packed inorder event indirect mrg offload   features to ask for\n"
        "  layout=L             one, two, many, split, three, straddle (descriptors of a buffer)\n"
        "  pairs=N size=N       queue pairs (1), entries of a ring (256)\n"
        "  regions=N gaps onefile memory=KiB    of the guest's memory (2 regions, 8192)\n"
        "  rxbuf=N frame=N      bytes of a mergeable receive buffer (1536), of a frame (1514)\n"
        "  noack                without REPLY_ACK\n"
        "\n"
        "options\n"
        "  --frames N     from each side (1000)     --duration S   instead of a number of frames\n"
        "  --sizes N,N    of frames (60,1514)       --window N     frames on their way of a side\n"
        "  --rate N       frames a second           --routed       through a gateway\n"
        "  --disturb N    change the memory table, stop and start queues every N frames\n"
        "  --peer MAC,IP  the reflector's           --seed N       (1)\n"
        "  --hold S       seconds that a lie lasts (0.2)\n"
        "  --tries N      of latency (20)           --first N --count N   of the matrix\n"
        "  --list         all lies, one a line      --help         this text\n";

void options_help(void)
{
	fputs(help, stdout);
}

bool options_mac(const char *text, uint8_t *mac)
{
	unsigned b[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
	            &end) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return text[end] == 0 || text[end] == ',';
}

static bool parse_ip(const char *text, uint32_t *ip)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		return false;
	*ip = ntohl(address.s_addr);
	return true;
}

static bool parse_number(const char *text, unsigned least, unsigned most, unsigned *value)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	*value = (unsigned)n;
	return *text && !*end && n >= least && n <= most;
}

static bool parse_layout(const char *value, enum layout *layout)
{
	for (unsigned i = 0; i < LAYOUT_N; i++)
		if (!strcmp(value, layout_names[i])) {
			*layout = (enum layout)i;
			return true;
		}
	return false;
}

static bool *flag_of(struct guest_options *port, const char *key)
{
	struct {
		const char *name;
		bool *flag;
	} flags[] = {
	        {"connect", &port->connect},
	        {"packed", &port->ring.packed},
	        {"inorder", &port->ring.in_order},
	        {"event", &port->ring.event_index},
	        {"indirect", &port->ring.indirect},
	        {"mrg", &port->mergeable},
	        {"offload", &port->offload},
	        {"noack", &port->no_ack},
	        {"gaps", &port->memory.gaps},
	        {"onefile", &port->memory.one_file},
	};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(key, flags[i].name))
			return flags[i].flag;
	return NULL;
}

static bool parse_key(struct guest_options *port, const char *key, const char *value)
{
	bool *flag = flag_of(port, key);
	unsigned n = 0;

	if (flag) {
		*flag = true;
		return !*value;
	}
	if (!strcmp(key, "mac"))
		return options_mac(value, port->mac);
	if (!strcmp(key, "gw"))
		return options_mac(value, port->gateway);
	if (!strcmp(key, "ip"))
		return parse_ip(value, &port->ip);
	if (!strcmp(key, "layout"))
		return parse_layout(value, &port->layout);
	if (!strcmp(key, "pairs") && parse_number(value, 1, PAIRS_MAX, &n))
		port->pairs = (uint16_t)n;
	else if (!strcmp(key, "size") && parse_number(value, 4, 32768, &n))
		port->ring.size = (uint16_t)n;
	else if (!strcmp(key, "regions") && parse_number(value, 1, REGIONS_MAX, &n))
		port->memory.regions = n;
	else if (!strcmp(key, "memory") && parse_number(value, 64, 1 << 20, &n))
		port->memory.size = (uint64_t)n << 10;
	else if (!strcmp(key, "rxbuf") && parse_number(value, 64, FRAME_MAX, &n))
		port->rx_buffer = n;
	else if (!strcmp(key, "frame") && parse_number(value, FRAME_MIN, FRAME_MAX, &n))
		port->frame_max = n;
	return n != 0;
}

static int parse_port(struct options *options, char *text, char *error, size_t size)
{
	struct guest_options *port = &options->ports[options->n_ports];
	char *saved, *key = strtok_r(text, ",", &saved);

	if (options->n_ports == PORTS_MAX || !key || strlen(key) >= sizeof(port->path)) {
		snprintf(error, size, "--port: too many, or no path that fits");
		return -1;
	}
	*port = (struct guest_options){
	        .ring.size = 256,
	        .memory = {.size = 8 << 20, .regions = 2},
	        .mac = {2, 0, 0, 0, 0, (uint8_t)(options->n_ports + 1)},
	        .gateway = {2, 0x70, 0x72, 0, 0, 1},
	        .ip = 0xc6120001 + options->n_ports,
	        .pairs = 1,
	        .frame_max = 1514,
	        .rx_buffer = 1536,
	};
	strcpy(port->path, key);
	while ((key = strtok_r(NULL, ",", &saved))) {
		char *value = strchr(key, '=');

		if (value)
			*value++ = 0;
		if (!parse_key(port, key, value ? value : "")) {
			snprintf(error, size, "--port: %s=%s is not understood", key,
			        value ? value : "");
			return -1;
		}
	}
	options->n_ports++;
	return 0;
}

static bool parse_sizes(struct exchange_options *exchange, char *text)
{
	char *saved, *part = strtok_r(text, ",", &saved);

	for (exchange->n_sizes = 0; part; part = strtok_r(NULL, ",", &saved)) {
		unsigned n;

		if (exchange->n_sizes == SIZES_MAX || !parse_number(part, FRAME_MIN, 65535, &n))
			return false;
		exchange->sizes[exchange->n_sizes++] = (uint16_t)n;
	}
	return exchange->n_sizes > 0;
}

static bool parse_peer(struct exchange_options *exchange, const char *text)
{
	const char *comma = strchr(text, ',');

	return comma && options_mac(text, exchange->peer_mac) &&
	       parse_ip(comma + 1, &exchange->peer_ip);
}

static bool parse_option(struct options *options, int c, char *value)
{
	struct exchange_options *exchange = &options->exchange;
	unsigned n = 0;

	switch (c) {
	case 's':
		return parse_sizes(exchange, value);
	case 'P':
		return parse_peer(exchange, value);
	case 'D':
		exchange->duration = atof(value);
		exchange->frames = 0;
		return exchange->duration > 0;
	case 'H':
		options->hold = atof(value);
		return options->hold >= 0;
	}
	if (!parse_number(value, 0, UINT32_MAX, &n))
		return false;
	if (c == 'f')
		exchange->frames = n;
	else if (c == 'w')
		exchange->window = n;
	else if (c == 'd')
		exchange->disturb = n;
	else if (c == 'r')
		exchange->rate = n;
	else if (c == 'S')
		exchange->seed = n;
	else if (c == 't')
		options->tries = n;
	else if (c == 'F')
		options->first = n;
	else if (c == 'C')
		options->count = n;
	return true;
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t size)
{
	static const struct option names[] = {
	        {"port", 1, NULL, 'p'},
	        {"frames", 1, NULL, 'f'},
	        {"duration", 1, NULL, 'D'},
	        {"sizes", 1, NULL, 's'},
	        {"window", 1, NULL, 'w'},
	        {"rate", 1, NULL, 'r'},
	        {"routed", 0, NULL, 'R'},
	        {"disturb", 1, NULL, 'd'},
	        {"peer", 1, NULL, 'P'},
	        {"seed", 1, NULL, 'S'},
	        {"hold", 1, NULL, 'H'},
	        {"tries", 1, NULL, 't'},
	        {"first", 1, NULL, 'F'},
	        {"count", 1, NULL, 'C'},
	        {"list", 0, NULL, 'l'},
	        {"help", 0, NULL, 'h'},
	        {0},
	};
	int c;

	*options = (struct options){.scenario = "exchange",
	        .exchange = {.frames = 1000, .sizes = {60, 1514}, .n_sizes = 2, .seed = 1},
	        .hold = 0.2,
	        .tries = 20,
	        .count = UINT32_MAX};
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'l')
			options->list = true;
		else if (c == 'h')
			options->help = true;
		else if (c == 'R')
			options->exchange.routed = true;
		else if (c == 'p' && parse_port(options, optarg, error, size))
			return -1;
		else if (c == '?' || (c != 'p' && !parse_option(options, c, optarg))) {
			snprintf(error, size, "%s is not understood (--help)", argv[optind - 1]);
			return -1;
		}
	}
	if (optind < argc)
		options->scenario = argv[optind++];
	if (optind < argc)
		options->lie = argv[optind];
	return 0;
}
