/* SPDX-License-Identifier: BSD-3-Clause */
/* Results, for people and as JSON. The main thread, after the worker has ended. */
#ifndef GEN_REPORT_H
#define GEN_REPORT_H

#include "worker.h"

/* Prints the summary. */
void report_text(const struct worker *w, FILE *out);

/* Writes one JSON object. Returns 0 or a negative errno. */
int report_json(const struct worker *w, FILE *out);

/* One line about an interval or the time since the last line. */
void report_line(FILE *out, const char *what, const struct counts *c, double seconds);

/* Whether the result is within what is tolerated, and the counts add up. */
bool report_good(const struct worker *w);

#endif
