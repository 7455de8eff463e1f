/* SPDX-License-Identifier: BSD-3-Clause */
#include "options_table.h"

/* The port or peer that options of a port are about: the last one named. */
static struct port_options *last(struct options *o)
{
	unsigned n = o->n_ports + o->n_peers;

	return n ? &o->ports[n - 1] : NULL;
}

static int add_port(struct options *o, const char *value)
{
	struct port_options *port = &o->ports[o->n_ports];

	if (o->n_peers || o->n_ports == OPTIONS_PORTS_MAX || !*value ||
	        strlen(value) >= sizeof(port->devargs))
		return -EINVAL;
	strcpy(port->devargs, value);
	o->n_ports++;
	return 0;
}

static int add_peer(struct options *o, const char *value)
{
	(void)value;
	if (o->n_ports + o->n_peers == OPTIONS_PORTS_MAX)
		return -EINVAL;
	o->n_peers++;
	return 0;
}

static int unicast_mac(const char *value, struct pr_mac *mac)
{
	if (pr_mac_parse(value, mac) || pr_mac_is_multicast(mac) || pr_mac_is_zero(mac))
		return -EINVAL;
	return 0;
}

static int set_mac(struct options *o, const char *value)
{
	return last(o) ? unicast_mac(value, &last(o)->mac) : -EINVAL;
}

static int set_gateway_mac(struct options *o, const char *value)
{
	return last(o) ? unicast_mac(value, &last(o)->gateway_mac) : -EINVAL;
}

static int set_address(struct options *o, const char *value)
{
	struct pr_prefix p;

	if (!last(o) || pr_prefix_parse(value, &p))
		return -EINVAL;
	*(p.addr.family == AF_INET ? &last(o)->ip4 : &last(o)->ip6) = p.addr;
	return 0;
}

static int set_gateway(struct options *o, const char *value)
{
	struct pr_ip ip;

	if (!last(o) || pr_ip_parse(value, &ip))
		return -EINVAL;
	*(ip.family == AF_INET ? &last(o)->gateway4 : &last(o)->gateway6) = ip;
	return 0;
}

static int set_prefix(struct options *o, const char *value)
{
	struct pr_prefix p;

	if (!last(o) || pr_prefix_parse(value, &p))
		return -EINVAL;
	*(p.addr.family == AF_INET ? &last(o)->prefix4 : &last(o)->prefix6) = p;
	return 0;
}

#define SET_NUMBER(function, target, type, min, max)                                               \
	static int function(struct options *o, const char *value)                                  \
	{                                                                                          \
		uint64_t n;                                                                        \
                                                                                                   \
		if (set_number(value, min, max, &n))                                               \
			return -EINVAL;                                                            \
		target = (type)n;                                                                  \
		return 0;                                                                          \
	}
#define SET_REAL(function, target, max)                                                            \
	static int function(struct options *o, const char *value)                                  \
	{                                                                                          \
		return set_real(value, max, &target);                                              \
	}
#define SET_FLAG(function, target, to)                                                             \
	static int function(struct options *o, const char *value)                                  \
	{                                                                                          \
		(void)value;                                                                       \
		target = to;                                                                       \
		return 0;                                                                          \
	}

static int set_vlan(struct options *o, const char *value)
{
	uint64_t n;

	if (!last(o) || set_number(value, 1, 4094, &n))
		return -EINVAL;
	last(o)->vlan = (uint16_t)n;
	return 0;
}

static int set_queues(struct options *o, const char *value)
{
	uint64_t n;

	if (!last(o) || set_number(value, 1, OPTIONS_QUEUES, &n))
		return -EINVAL;
	last(o)->queues = (uint16_t)n;
	return 0;
}

static int set_family(struct options *o, const char *value)
{
	o->ip4 = !strcmp(value, "4") || !strcmp(value, "both");
	o->ip6 = !strcmp(value, "6") || !strcmp(value, "both");
	return o->ip4 || o->ip6 ? 0 : -EINVAL;
}

static int set_proto(struct options *o, const char *value)
{
	o->udp = !strcmp(value, "udp") || !strcmp(value, "both");
	o->tcp = !strcmp(value, "tcp") || !strcmp(value, "both");
	return o->udp || o->tcp ? 0 : -EINVAL;
}

static int set_json(struct options *o, const char *value)
{
	if (!*value || strlen(value) >= sizeof(o->json))
		return -EINVAL;
	strcpy(o->json, value);
	return 0;
}

static int set_rate(struct options *o, const char *value)
{
	if (!strcmp(value, "max")) {
		o->rate = 0;
		return 0;
	}
	return set_real(value, 1e9, &o->rate) || o->rate <= 0 ? -EINVAL : 0;
}

SET_FLAG(set_reflect, o->mode, GEN_REFLECT)
SET_FLAG(set_sink, o->mode, GEN_SINK)
SET_FLAG(set_one_way, o->one_way, true)
SET_FLAG(set_no_huge, o->no_huge, true)
SET_FLAG(set_yield, o->yield, true)
SET_FLAG(set_whole_bursts, o->whole_bursts, true)
SET_FLAG(set_scatter, o->scatter, true)
SET_FLAG(set_control, o->control, true)
SET_FLAG(set_verbose, o->verbose, true)
SET_FLAG(set_quiet, o->quiet, true)
SET_NUMBER(set_flows, o->flows, uint32_t, 1, OPTIONS_FLOWS_MAX)
SET_NUMBER(set_ttl, o->ttl, unsigned, 1, 255)
SET_NUMBER(set_window, o->window, uint32_t, 1, 1u << 24)
SET_NUMBER(set_total, o->in_total, uint64_t, 1, 1u << 28)
SET_NUMBER(set_count, o->count, uint64_t, 1, UINT64_MAX / 2)
SET_NUMBER(set_burst, o->burst, unsigned, 1, 64)
SET_NUMBER(set_segments, o->segments, unsigned, 1, OPTIONS_SEGMENTS_MAX)
SET_NUMBER(set_rx_room, o->rx_room, uint16_t, 128, 16384)
SET_NUMBER(set_cpu, o->cpu, int, 0, 1023)
SET_NUMBER(set_main_cpu, o->main_cpu, int, 0, 1023)
SET_NUMBER(set_simd, o->simd, unsigned, 64, 512)
SET_NUMBER(set_memory, o->memory, unsigned, 16, 1u << 20)
SET_REAL(set_duration, o->duration, 1e8)
SET_REAL(set_warmup, o->warmup, 1e6)
SET_REAL(set_interval, o->interval, 1e6)
SET_REAL(set_wait, o->wait_link, 1e6)
SET_REAL(set_announce, o->announce, 1e6)
SET_REAL(set_settle, o->settle, 1e6)

static int set_timeout(struct options *o, const char *value)
{
	double ms;

	if (set_real(value, 1e6, &ms) || ms < 1)
		return -EINVAL;
	o->timeout = ms / 1e3;
	return 0;
}

const struct option_row option_rows[] = {
        {NULL, NULL, NULL, "Ports (what follows a port is about it)"},
        {"port", "DEVARGS", add_port, "a port of ours, e.g. net_virtio_user0,path=/x/s,server=1"},
        {"peer", NULL, add_peer, "a station that another process serves, behind all ports"},
        {"mac", "MAC", set_mac, "its MAC (the device's)"},
        {"ip", "ADDRESS", set_address, "its IPv4 or IPv6 address; once of each family"},
        {"gw-mac", "MAC", set_gateway_mac,
                "what it sends goes to this MAC: routed (peer's: bridged)"},
        {"gw", "ADDRESS", set_gateway, "its gateway; the MAC is asked for at start if not given"},
        {"vlan", "ID", set_vlan, "its frames carry this 802.1Q tag (none)"},
        {"prefix", "PREFIX", set_prefix, "flows to it are spread over this prefix"},
        {"queues", "N", set_queues, "queue pairs to use (those of the device)"},
        {NULL, NULL, NULL, "Role"},
        {"reflect", NULL, set_reflect, "send back what comes from another generator"},
        {"sink", NULL, set_sink, "only count what comes from another generator"},
        {"one-way", NULL, set_one_way, "peers do not reflect: send only"},
        {NULL, NULL, NULL, "Traffic"},
        {"pairs", "A>B,..", set_pairs,
                "who sends to whom: numbers of ports, rN for peers (all pairs)"},
        {"flows", "N", set_flows, "flows of each pair (64)"},
        {"scatter", NULL, set_scatter,
                "with --prefix: neighbouring flows go to distant destinations"},
        {"size", "N,..", set_sizes, "frame sizes without tag and FCS, or imix (64)"},
        {"family", "4|6|both", set_family, "(4)"},
        {"proto", "udp|tcp|both", set_proto, "(udp)"},
        {"rate", "PPS|max", set_rate, "packets a second of all pairs together (max)"},
        {"window", "N", set_window,
                "closed loop: at most N packets of a pair under way (open loop)"},
        {"window-total", "N", set_total, "likewise of all pairs together"},
        {"timeout", "MS", set_timeout, "a packet that has not come by then is missing (500)"},
        {"duration", "S", set_duration, "seconds to send (10; with --count: no limit)"},
        {"count", "N", set_count, "packets to send"},
        {"warmup", "S", set_warmup, "seconds before that, counted apart (0)"},
        {"burst", "N", set_burst, "packets to send at once, at most 64 (32)"},
        {"whole-bursts", NULL, set_whole_bursts,
                "closed loop: wait until the window allows a whole burst"},
        {"segments", "N", set_segments, "send each frame as a chain of N buffers (1)"},
        {"rx-room", "BYTES", set_rx_room,
                "receive buffers of that size: larger frames come in several (one)"},
        {"expect-ttl", "N", set_ttl, "arriving packets must have this TTL; they start with 64"},
        {NULL, NULL, NULL, "Start and end"},
        {"wait-link", "S", set_wait, "seconds to wait for all links (10)"},
        {"settle", "S", set_settle, "seconds between announcing addresses and sending (0.2)"},
        {"announce", "S", set_announce,
                "announce addresses again every S seconds (at link-up only)"},
        {"interval", "S", set_interval, "print a line every S seconds (never)"},
        {"control", NULL, set_control,
                "other traffic by lines on standard input: flows N size N family F …"},
        {"json", "FILE", set_json, "write the result as JSON to FILE, - for standard output"},
        {"tolerate", "WHAT=N,..", set_tolerate, "still succeed with N missing, duplicated, …"},
        {"quiet", NULL, set_quiet, "no summary for people"},
        {NULL, NULL, NULL, "Machine"},
        {"cpu", "N", set_cpu, "CPU of the thread that polls (the last we may use)"},
        {"main-cpu", "N", set_main_cpu, "CPU of everything else (the first we may use)"},
        {"memory", "MIB", set_memory, "packet memory (as needed)"},
        {"simd", "BITS", set_simd, "widest vectors that drivers may use (DPDK's: 256)"},
        {"no-huge", NULL, set_no_huge, "use memory without hugepages"},
        {"yield", NULL, set_yield, "with nothing to do, leave the CPU to others that share it"},
        {"verbose", NULL, set_verbose, "let DPDK say what it does"},
};
const unsigned option_rows_n = sizeof(option_rows) / sizeof(option_rows[0]);
