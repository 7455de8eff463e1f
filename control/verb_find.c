/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding verbs by their names, and what a mistyped name probably means. */
#include "control/verbs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <podrail/protocol.h>

#define WORD_MAX (VERB_CLIP - 4) /* bytes of a word that an error repeats */

const char *verb_clip(const char *word, char copy[VERB_CLIP])
{
	size_t n = strnlen(word, WORD_MAX + 1);

	if (n <= WORD_MAX)
		return memcpy(copy, word, n + 1);
	n = WORD_MAX;
	while (n && ((unsigned char)word[n] & 0xc0) == 0x80)
		n--;
	memcpy(copy, word, n);
	strcpy(copy + n, "...");
	return copy;
}

/* Levenshtein with adjacent swaps as two, over words of at most WORD_MAX bytes, without case and
 * without the separators in which spellings differ. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1], n = 0;

	for (unsigned j = 0; j <= WORD_MAX; j++)
		row[j] = j;
	n = (unsigned)strnlen(b, WORD_MAX);
	for (unsigned i = 0; a[i] && i < WORD_MAX; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < n; j++) {
			unsigned above = row[j + 1];
			unsigned best = diagonal + (tolower((unsigned char)a[i]) !=
			                                   tolower((unsigned char)b[j]));

			if (above + 1 < best)
				best = above + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
			diagonal = above;
		}
	}
	return row[n];
}

static void squeeze(const char *word, char out[WORD_MAX + 1])
{
	unsigned n = 0;

	for (; *word && n < WORD_MAX; word++)
		if (*word != '-' && *word != '_')
			out[n++] = *word;
	out[n] = '\0';
}

const char *verb_nearest(const char *word, const char *const *known, unsigned n_known)
{
	char a[WORD_MAX + 1], b[WORD_MAX + 1];
	const char *nearest = NULL;
	unsigned best = 3;

	squeeze(word, a);
	for (unsigned i = 0; i < n_known; i++) {
		unsigned d, short_word;

		squeeze(known[i], b);
		d = distance(a, b);
		short_word = (unsigned)strlen(b) <= 4;
		if (d < best && !(short_word && d > 1)) {
			best = d;
			nearest = known[i];
		}
	}
	return nearest;
}

const struct verb *verb_find(const char *method, struct verb_error *error)
{
	const char *known[64];
	const char *nearest;
	char word[VERB_CLIP];
	unsigned n = 0;

	for (unsigned i = 0; i < verb_count; i++) {
		if (!strcmp(verb_table[i].name, method))
			return &verb_table[i];
		if (n < 64)
			known[n++] = verb_table[i].name;
	}
	if (!error)
		return NULL;
	memset(error, 0, sizeof(*error));
	error->code = PR_ERR_METHOD;
	nearest = verb_nearest(method, known, n);
	snprintf(error->message, sizeof(error->message), "there is no method %s%s%s%s",
	        verb_clip(method, word), nearest ? "; did you mean " : "", nearest ? nearest : "",
	        nearest ? "?" : "");
	return NULL;
}
