/* SPDX-License-Identifier: BSD-3-Clause */
/* What the user asks for. Written by options_parse, read-only afterwards. No EAL. */
#ifndef GEN_OPTIONS_H
#define GEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <podrail/addr.h>

#define OPTIONS_PORTS_MAX    32 /* ethdevs of Debian's DPDK */
#define OPTIONS_PAIRS_MAX    1024
#define OPTIONS_FLOWS_MAX    (1u << 20)
#define OPTIONS_SIZES_MAX    16
#define OPTIONS_QUEUES       8
#define OPTIONS_SEGMENTS_MAX 16

/* A port of this process, or (devargs empty) a peer that another process serves. */
struct port_options {
	char devargs[512];
	struct pr_mac mac, gateway_mac; /* zero: the device's own; none */
	struct pr_ip ip4, ip6;          /* family 0: not given */
	struct pr_ip gateway4, gateway6;
	struct pr_prefix prefix4, prefix6; /* destinations behind it; family 0: the address alone */
	uint16_t vlan;
	uint16_t queues; /* 0: what the device has */
};

/* Indices into ports; peers come behind the ports. */
struct pair_options {
	uint8_t from, to;
};

enum gen_mode { GEN_SEND, GEN_REFLECT, GEN_SINK };

struct tolerances {
	uint64_t missing, duplicated, reordered, corrupted, unexpected;
};

struct options {
	enum gen_mode mode;
	struct port_options ports[OPTIONS_PORTS_MAX];
	unsigned n_ports; /* of this process: ports[0 .. n_ports) */
	unsigned n_peers; /* ports[n_ports .. n_ports + n_peers) */
	struct pair_options pairs[OPTIONS_PAIRS_MAX];
	unsigned n_pairs;
	bool one_way; /* nothing comes back from peers */

	uint32_t flows; /* of each pair */
	uint16_t sizes[OPTIONS_SIZES_MAX];
	unsigned n_sizes;
	bool imix;
	bool ip4, ip6, udp, tcp;
	unsigned ttl; /* expected; 0: any */

	double rate;       /* packets a second in all; 0: as fast as the ports take them */
	uint32_t window;   /* of each pair; 0: open loop */
	uint64_t in_total; /* window of all pairs together; 0: none */
	double duration, warmup, interval, timeout, wait_link, announce, settle; /* seconds */
	uint64_t count; /* packets in all; 0: until the duration ends */
	unsigned burst;
	unsigned segments; /* buffers of a frame that is sent */
	uint16_t rx_room;  /* bytes of a receive buffer; 0: the largest frame fits */

	int cpu, main_cpu; /* -1: last and first of the process's */
	unsigned memory;   /* MiB; 0: as needed */
	unsigned simd;     /* bits; 0: DPDK's default */
	bool whole_bursts, scatter, control, no_huge, yield, verbose, quiet;
	char json[4096];
	struct tolerances tolerate;
};

enum { OPTIONS_RUN = 0, OPTIONS_EXIT = 1 };

/*
 * Reads the command line (and the files that it names) into o. Returns OPTIONS_RUN;
 * OPTIONS_EXIT after --help or --version, which are printed; or -EINVAL with a sentence in error.
 */
int options_parse(int argc, char **argv, struct options *o, char *error, size_t size);

/*
 * Changes the traffic by a line "NAME VALUE …" of --flows, --size, --family, --proto and --pairs;
 * what is not named stays. No frame may be larger than those of `first`, for which buffers were
 * made. The line is taken apart. Returns 0, or -EINVAL with a sentence in error.
 */
int options_traffic(
        struct options *o, const struct options *first, char *line, char *error, size_t size);

/* Prints the help. */
void options_help(FILE *out);

#endif
