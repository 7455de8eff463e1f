/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <inttypes.h>

static double seconds_between(const struct worker *w, uint64_t from, uint64_t to)
{
	return (double)(to - from) / (double)w->hz;
}

/* Time measured: from the end of the warm-up to the last packet sent. */
static double duration(const struct worker *w)
{
	return seconds_between(w, w->epoch_time[1], w->epoch_time[w->plan.epoch + 1]);
}

static double micros(const struct worker *w, uint64_t stamps)
{
	return (double)(stamps << WORKER_STAMP_SHIFT) * 1e6 / (double)w->hz;
}

static double mega(uint64_t n, double seconds)
{
	return seconds > 0 ? (double)n / seconds / 1e6 : 0;
}

static struct counts epoch_counts(const struct worker *w, unsigned e)
{
	struct counts sum = w->plan.stray[e];

	for (unsigned i = 0; i < w->plan.n_pairs; i++)
		counts_add(&sum, &w->plan.pairs[i].counts[e]);
	return sum;
}

static struct counts pair_counts(const struct worker *w, const struct pair *p)
{
	struct counts sum = {0};

	for (unsigned e = 1; e <= w->plan.epoch; e++)
		counts_add(&sum, &p->counts[e]);
	return sum;
}

/* At the end every packet of each pair and interval has arrived or is missing. */
static bool adds_up(const struct worker *w)
{
	for (unsigned i = 0; i < w->plan.n_pairs; i++) {
		const struct pair *p = &w->plan.pairs[i];

		for (unsigned e = 0; !p->untracked && e <= w->plan.epoch; e++) {
			const struct counts *c = &p->counts[e];

			if (c->sent != c->received + c->missing)
				return false;
		}
	}
	return true;
}

bool report_good(const struct worker *w)
{
	const struct tolerances *t = &w->options->tolerate;
	struct counts c = plan_sum(&w->plan, 1);
	bool tracked = w->options->mode != GEN_SEND;

	for (unsigned i = 0; i < w->plan.n_pairs; i++)
		tracked |= !w->plan.pairs[i].untracked;
	if (!adds_up(w)) {
		fputs("podrail-gen: the counts do not add up: a fault of the generator\n", stderr);
		return false;
	}
	/* that nothing arrived at all is no success */
	if (tracked && !c.received)
		return false;
	return c.missing <= t->missing && c.duplicated <= t->duplicated &&
	       c.reordered <= t->reordered && c.corrupted <= t->corrupted &&
	       c.unexpected <= t->unexpected;
}

void report_line(FILE *out, const char *what, const struct counts *c, double seconds)
{
	fprintf(out,
	        "%s: %.3f s, %" PRIu64 " sent (%.3f Mpps), %" PRIu64
	        " received (%.3f Mpps), %" PRIu64 " missing, %" PRIu64 " duplicated, %" PRIu64
	        " reordered, %" PRIu64 " corrupted, %" PRIu64 " unexpected, %" PRIu64
	        " late, %" PRIu64 " tx dropped\n",
	        what, seconds, c->sent, mega(c->sent, seconds), c->received,
	        mega(c->received, seconds), c->missing, c->duplicated, c->reordered, c->corrupted,
	        c->unexpected, c->late, c->tx_dropped);
	fflush(out);
}

static const char *const fault_names[FRAME_FAULTS] = {
        "ip_checksum", "l4_checksum", "length", "payload", "body", "ttl", "size"};

void report_text(const struct worker *w, FILE *out)
{
	struct counts sum = plan_sum(&w->plan, 1);
	char what[64];

	for (unsigned i = 0; w->plan.n_pairs > 1 && w->plan.n_pairs <= 64 && i < w->plan.n_pairs;
	        i++) {
		const struct pair *p = &w->plan.pairs[i];
		struct counts c = pair_counts(w, p);

		snprintf(what, sizeof(what), "pair %u>%s%u", p->from, p->reflected ? "r" : "",
		        p->to - (p->reflected ? w->options->n_ports : 0));
		report_line(out, what, &c, duration(w));
	}
	for (unsigned e = w->options->warmup > 0 ? 0 : 1; w->plan.epoch > 1 && e <= w->plan.epoch;
	        e++) {
		struct counts c = epoch_counts(w, e);

		snprintf(what, sizeof(what), e ? "interval %u" : "warm-up", e);
		report_line(
		        out, what, &c, seconds_between(w, w->epoch_time[e], w->epoch_time[e + 1]));
	}
	report_line(out, "total", &sum, duration(w));
	for (unsigned i = 0; i < FRAME_FAULTS; i++) {
		if (w->faults[i])
			fprintf(out, "corrupted: %s %" PRIu64 "\n", fault_names[i], w->faults[i]);
	}
	fprintf(out,
	        "round trip or way: %.1f us min, %.1f p50, %.1f p99, %.1f max; foreign frames "
	        "%" PRIu64 ", ARP and ND %" PRIu64 " (%" PRIu64 " answered); ring full %" PRIu64
	        " times\n",
	        micros(w, w->rtt.min), micros(w, histogram_quantile(&w->rtt, 0.5)),
	        micros(w, histogram_quantile(&w->rtt, 0.99)), micros(w, w->rtt.max), w->foreign,
	        w->neighbour, w->answered, w->tx_full);
}

static void json_counts(FILE *out, const struct counts *c, double seconds)
{
	fprintf(out,
	        "\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"missing\": %" PRIu64
	        ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"corrupted\": %" PRIu64
	        ", \"unexpected\": %" PRIu64 ", \"late\": %" PRIu64 ", \"tx_dropped\": %" PRIu64
	        ", \"duration\": %.6f, \"rate_mpps\": %.6f, \"sent_mpps\": %.6f",
	        c->sent, c->received, c->missing, c->duplicated, c->reordered, c->corrupted,
	        c->unexpected, c->late, c->tx_dropped, seconds, mega(c->received, seconds),
	        mega(c->sent, seconds));
}

static void json_pairs(const struct worker *w, FILE *out)
{
	fputs(",\n \"per_pair\": [", out);
	for (unsigned i = 0; i < w->plan.n_pairs; i++) {
		const struct pair *p = &w->plan.pairs[i];
		struct counts c = pair_counts(w, p);
		uint32_t silent = 0, faulty = 0;

		for (uint32_t f = 0; f < p->flows; f++) {
			const struct track *t = &p->tracks[f];

			silent += !t->received;
			faulty += t->missing || t->duplicated || t->reordered || t->corrupted;
		}
		fprintf(out, "%s\n  {\"from\": \"%u\", \"to\": \"%s%u\", ", i ? "," : "", p->from,
		        p->reflected ? "r" : "", p->to - (p->reflected ? w->options->n_ports : 0));
		json_counts(out, &c, duration(w));
		fprintf(out, ", \"flows\": %u, \"flows_silent\": %u, \"flows_faulty\": %u}",
		        p->flows, silent, faulty);
	}
	fputs("]", out);
}

static void json_intervals(const struct worker *w, FILE *out)
{
	fputs(",\n \"intervals\": [", out);
	for (unsigned e = 0; e <= w->plan.epoch; e++) {
		struct counts c = epoch_counts(w, e);

		fprintf(out, "%s\n  {\"interval\": %u, \"warmup\": %s, ", e ? "," : "", e,
		        e ? "false" : "true");
		json_counts(out, &c, seconds_between(w, w->epoch_time[e], w->epoch_time[e + 1]));
		fputs("}", out);
	}
	fputs("]", out);
}

int report_json(const struct worker *w, FILE *out)
{
	static const char *const modes[] = {"send", "reflect", "sink"};
	struct counts sum = plan_sum(&w->plan, 1);

	fprintf(out, "{\"mode\": \"%s\", \"good\": %s, ", modes[w->options->mode],
	        report_good(w) ? "true" : "false");
	json_counts(out, &sum, duration(w));
	fprintf(out,
	        ",\n \"foreign\": %" PRIu64 ", \"neighbour\": %" PRIu64 ", \"answered\": %" PRIu64
	        ", \"tx_full\": %" PRIu64 ", \"untracked\": %" PRIu64 ", \"tsc_hz\": %" PRIu64
	        ",\n \"rtt_us\": {\"count\": %" PRIu64
	        ", \"min\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f},\n \"faults\": {",
	        w->foreign, w->neighbour, w->answered, w->tx_full, w->sink.untracked, w->hz,
	        w->rtt.count, micros(w, w->rtt.min), micros(w, histogram_quantile(&w->rtt, 0.5)),
	        micros(w, histogram_quantile(&w->rtt, 0.99)), micros(w, w->rtt.max));
	for (unsigned i = 0; i < FRAME_FAULTS; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", fault_names[i], w->faults[i]);
	fputs("}", out);
	json_intervals(w, out);
	json_pairs(w, out);
	fputs("}\n", out);
	return ferror(out) || fflush(out) ? -EIO : 0;
}
