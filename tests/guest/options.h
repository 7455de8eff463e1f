/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include "exchange.h"

#define PORTS_MAX 8

struct options {
	const char *scenario;
	const char *lie;
	struct guest_options ports[PORTS_MAX];
	unsigned n_ports;
	struct exchange_options exchange;
	double hold; /* seconds that a lie goes on */
	unsigned tries;
	unsigned first, count; /* combinations of the matrix */
	bool list, help;
};

/* Returns 0, or -1 with a sentence in error. */
int options_parse(struct options *options, int argc, char **argv, char *error, size_t size);
void options_help(void);
/* A MAC as text; false when it is none. */
bool options_mac(const char *text, uint8_t *mac);

#endif
