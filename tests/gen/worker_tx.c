/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void built(struct pair *p, unsigned n)
{
	while (n) {
		uint32_t left = p->flows - p->build_flow;
		uint32_t step = n < left ? n : left;

		p->build_flow += step;
		n -= step;
		if (p->build_flow == p->flows) {
			p->build_flow = 0;
			p->build_seq++;
		}
	}
}

/*
 * The queue of the next packets of a pair, and how many of n may go there together: a flow keeps
 * its queue, so that no order is lost; small numbers of flows use fewer queues.
 */
static uint16_t choose_queue(const struct device *dev, const struct pair *p, unsigned *n)
{
	uint32_t queues =
	        p->flows / DEVICE_BURST < dev->queues ? p->flows / DEVICE_BURST : dev->queues;
	uint32_t each, queue;

	if (queues < 2)
		return 0;
	each = p->flows / queues;
	queue = p->build_flow / each;
	if (queue >= queues - 1) {
		queue = queues - 1;
		each = p->flows - queue * each;
		if (*n > p->flows - p->build_flow)
			*n = p->flows - p->build_flow;
	} else if (*n > (queue + 1) * each - p->build_flow) {
		*n = (queue + 1) * each - p->build_flow;
	}
	return (uint16_t)queue;
}

static void write_frames(struct worker *w, struct pair *p, struct rte_mbuf **m, unsigned n)
{
	struct frame_id id = {
	        .run = w->plan.run, .stamp = (uint32_t)(w->now >> WORKER_STAMP_SHIFT)};
	uint32_t stream = (uint32_t)(p - w->plan.pairs) << PLAN_FLOW_BITS;
	uint32_t flow = p->build_flow;
	uint64_t seq = p->build_seq;

	for (unsigned i = 0; i < n; i++) {
		uint16_t len;

		if (i + 4 < n) {
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 4], void *));
			rte_prefetch0(rte_mbuf_to_priv(m[i + 4]));
		}
		id.flow = stream | flow;
		id.seq = (uint32_t)seq;
		len = frame_write(&p->templates[p->n_templates > 1 ? flow % p->n_templates : 0],
		        rte_mbuf_to_priv(m[i]), rte_pktmbuf_mtod(m[i], uint8_t *), flow,
		        pair_size(&w->plan, p, p->sent + i), &id);
		m[i]->data_len = len;
		m[i]->pkt_len = len;
		if (++flow == p->flows) {
			flow = 0;
			seq++;
		}
	}
}

/* Moves what is behind the first part of a frame into further buffers, as many as were asked for.
 */
static void make_chain(struct rte_mbuf *m, struct rte_mbuf **segments, unsigned n)
{
	uint16_t len = m->data_len, at = (uint16_t)(len / (n + 1));
	struct rte_mbuf *last = m;

	m->data_len = at;
	for (unsigned i = 0; i < n; i++) {
		uint16_t end = (uint16_t)(len * (i + 2u) / (n + 1));

		memcpy(rte_pktmbuf_append(segments[i], (uint16_t)(end - at)),
		        rte_pktmbuf_mtod_offset(m, uint8_t *, at), (size_t)(end - at));
		last->next = segments[i];
		last = segments[i];
		at = end;
	}
	m->nb_segs = (uint16_t)(n + 1);
}

static void make_chains(struct worker *w, struct rte_mbuf **m, unsigned n)
{
	unsigned more = w->options->segments - 1;
	struct rte_mbuf *segments[OPTIONS_SEGMENTS_MAX];

	for (unsigned i = 0; i < n; i++) {
		if (!rte_pktmbuf_alloc_bulk(w->devices->segment_pool, segments, more))
			make_chain(m[i], segments, more);
	}
}

/* Offers the pending packets to the ring. Returns whether none is left. */
static bool flush(struct worker *w, struct device *dev)
{
	unsigned sent;

	if (!dev->n_pending)
		return true;
	sent = rte_eth_tx_burst(dev->ethdev, dev->pending_queue, dev->pending + dev->pending_at,
	        (uint16_t)dev->n_pending);
	pair_sent(&w->plan, dev->pending_pair, sent);
	dev->pending_at += sent;
	dev->n_pending -= sent;
	w->tx_full += dev->n_pending > 0;
	return !dev->n_pending;
}

/* How many packets the windows and the count let a pair send. */
static uint64_t allowance(const struct worker *w, const struct pair *p)
{
	const struct options *o = w->options;
	uint64_t n = o->burst;

	if (o->window)
		n = smaller(n, o->window - smaller(o->window, pair_open(p)));
	if (o->in_total)
		n = smaller(n, o->in_total - smaller(o->in_total, w->plan.total_open));
	/* Small bursts come back as small bursts, and are sent again as such. */
	if (o->whole_bursts && n < o->burst)
		return 0;
	if (o->count && w->plan.epoch)
		n = smaller(n, o->count - w->built);
	return n;
}

static struct pair *next_pair(struct worker *w, struct device *dev, uint64_t *allowed)
{
	for (unsigned i = 0; i < dev->n_pairs; i++) {
		struct pair *p = &w->plan.pairs[dev->pairs[dev->turn]];

		if (++dev->turn == dev->n_pairs)
			dev->turn = 0;
		*allowed = allowance(w, p);
		if (*allowed)
			return p;
	}
	return NULL;
}

/* One burst of one port. Returns how much of the credit is used up. */
static uint64_t send_burst(struct worker *w, struct device *dev, uint64_t credit)
{
	struct counts *stray = &w->plan.stray[w->plan.epoch];
	uint64_t allowed;
	struct pair *p;
	unsigned n;

	if (!flush(w, dev)) {
		if (!w->options->rate || w->options->window || w->options->in_total)
			return 0;
		n = (unsigned)smaller(credit, w->options->burst);
		stray->tx_dropped += n;
		return n;
	}
	p = next_pair(w, dev, &allowed);
	if (!p)
		return 0;
	n = (unsigned)smaller(allowed, credit);
	dev->pending_queue = choose_queue(dev, p, &n);
	if (rte_pktmbuf_alloc_bulk(w->devices->tx_pool, dev->pending, n))
		return 0;
	write_frames(w, p, dev->pending, n);
	if (w->options->segments > 1)
		make_chains(w, dev->pending, n);
	built(p, n);
	if (w->plan.epoch)
		w->built += n;
	dev->pending_pair = p;
	dev->pending_at = 0;
	dev->n_pending = n;
	flush(w, dev);
	return n;
}

/*
 * Packets that the rate allows now. What is more than a millisecond late is dropped; windows keep
 * what is made good from becoming a flood, so with them it may be late by a scheduler's turn.
 */
static uint64_t pace(struct worker *w)
{
	bool closed = w->options->window || w->options->in_total;
	double rate = w->options->rate;
	uint64_t due, limit = (uint64_t)(rate * (closed ? 0.05 : 0.001)) + 2 * w->options->burst;

	if (rate <= 0)
		return UINT64_MAX;
	due = (uint64_t)((double)(w->now - w->send_start) * rate / (double)w->hz) - w->granted;
	if (due <= limit)
		return due;
	if (!closed)
		w->plan.stray[w->plan.epoch].tx_dropped += due - limit;
	w->granted += due - limit;
	return limit;
}

uint64_t worker_send(struct worker *w)
{
	uint64_t credit = pace(w);
	unsigned n = w->devices->n;
	unsigned first = w->turn;
	uint64_t sent = 0;

	for (unsigned i = 0; i < n && credit; i++) {
		unsigned at = first + i < n ? first + i : first + i - n;
		uint64_t used = send_burst(w, &w->devices->port[at], credit);

		sent += used;
		if (used)
			w->turn = at + 1 < n ? at + 1 : 0;
		if (w->options->rate > 0) {
			credit -= used;
			w->granted += used;
		}
	}
	return sent;
}

void worker_send_end(struct worker *w)
{
	for (unsigned i = 0; i < w->devices->n; i++) {
		struct device *dev = &w->devices->port[i];

		flush(w, dev);
		rte_pktmbuf_free_bulk(dev->pending + dev->pending_at, dev->n_pending);
		dev->n_pending = 0;
	}
}

void worker_send_frame(struct worker *w, struct device *dev, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->devices->rx_pool);

	if (!m || !len) {
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (!rte_eth_tx_burst(dev->ethdev, 0, &m, 1))
		rte_pktmbuf_free(m);
}
