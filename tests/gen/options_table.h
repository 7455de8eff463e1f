/* SPDX-License-Identifier: BSD-3-Clause */
/* One row an option: parser, files and help are made from it. */
#ifndef GEN_OPTIONS_TABLE_H
#define GEN_OPTIONS_TABLE_H

#include "options.h"

/* Takes a value (NULL for options without). Returns 0 or -EINVAL. */
typedef int (*option_set)(struct options *o, const char *value);

struct option_row {
	const char *name;
	const char *value; /* what the help calls it; NULL: takes none */
	option_set set;
	const char *help; /* a row with a NULL name is a heading */
};

extern const struct option_row option_rows[];
extern const unsigned option_rows_n;

int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
int set_real(const char *text, double max, double *value);
int set_pairs(struct options *o, const char *value);
int set_sizes(struct options *o, const char *value);
int set_tolerate(struct options *o, const char *value);

#endif
