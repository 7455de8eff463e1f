/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

/* A full ring is waited for, some 100 us, before packets are dropped. */
#define REFLECT_TRIES 2000

static void note_faults(struct worker *w, unsigned faults)
{
	for (unsigned i = 0; i < FRAME_FAULTS; i++)
		w->faults[i] += faults >> i & 1;
}

/* The pair of a frame that arrived where and as it should; NULL: unexpected. */
static struct pair *find_pair(struct worker *w, const struct device *dev, const uint8_t *frame,
        const struct frame_info *info, uint64_t *seq)
{
	uint32_t number = info->id.flow >> PLAN_FLOW_BITS;
	uint32_t flow = info->id.flow & ((1u << PLAN_FLOW_BITS) - 1);
	struct pair *p = &w->plan.pairs[number];

	if (number >= w->plan.n_pairs || flow >= p->flows)
		return NULL;
	if (dev != &w->devices->port[p->arrives] || info->vlan != dev->self.vlan || p->untracked)
		return NULL;
	if (memcmp(frame, p->arrival_mac.b, 6))
		return NULL;
	*seq = track_expand(&p->tracks[flow], info->id.seq);
	if (*seq * p->flows + flow >= p->sent)
		return NULL;
	if (!frame_matches(&p->templates[p->n_templates > 1 ? flow % p->n_templates : 0], flow,
	            frame, info, p->reflected))
		return NULL;
	return p;
}

static void receive_ours(
        struct worker *w, const struct device *dev, const uint8_t *frame, struct frame_info *info)
{
	uint32_t flow = info->id.flow & ((1u << PLAN_FLOW_BITS) - 1);
	enum track_verdict verdict;
	uint64_t seq, packet;
	struct pair *p;

	if (info->id.run != w->plan.run) {
		w->foreign++;
		return;
	}
	p = find_pair(w, dev, frame, info, &seq);
	if (!p) {
		w->plan.stray[w->plan.epoch].unexpected++;
		return;
	}
	packet = seq * p->flows + flow;
	if (w->options->ttl && info->ttl != w->options->ttl)
		info->faults |= FRAME_BAD_TTL;
	if (info->length - info->l3 + 14u != pair_size(&w->plan, p, packet))
		info->faults |= FRAME_BAD_SIZE;
	if (info->faults) {
		p->counts[pair_epoch(&w->plan, p, packet)].corrupted++;
		p->tracks[flow].corrupted++;
		note_faults(w, info->faults);
	}
	verdict = pair_received(&w->plan, p, flow, seq);
	if (verdict <= TRACK_LATE && w->plan.epoch)
		histogram_add(&w->rtt, (uint32_t)(w->now >> WORKER_STAMP_SHIFT) - info->id.stamp);
}

/* Counts another generator's frame. Returns whether it shall be sent back. */
static bool receive_other(
        struct worker *w, const struct device *dev, const uint8_t *frame, struct frame_info *info)
{
	struct counts *c = &w->plan.stray[w->plan.epoch];

	if (memcmp(frame, dev->self.mac.b, 6) || info->vlan != dev->self.vlan) {
		c->unexpected++;
		return false;
	}
	if (w->options->ttl && info->ttl != w->options->ttl)
		info->faults |= FRAME_BAD_TTL;
	if (info->faults) {
		c->corrupted++;
		note_faults(w, info->faults);
	}
	w->sink.counts = c;
	sink_receive(&w->sink, &info->id);
	return !info->faults && w->options->mode == GEN_REFLECT;
}

static void receive_neighbour(
        struct worker *w, struct device *dev, const uint8_t *frame, uint32_t len)
{
	unsigned port = (unsigned)(dev - w->devices->port);
	const struct port_options *o = &w->options->ports[port];
	uint8_t answer[NEIGHBOUR_FRAME_MAX];
	struct pr_mac mac;
	uint32_t size = neighbour_answer(&dev->self, frame, len, answer);

	w->neighbour++;
	if (size) {
		w->answered++;
		worker_send_frame(w, dev, answer, size);
	}
	if (!dev->gateway4_known && neighbour_learn(frame, len, &o->gateway4, &mac)) {
		dev->gateway4_known = true;
		dev->gateway4_mac = mac;
		plan_gateway(&w->plan, port, false, &mac);
	}
	if (!dev->gateway6_known && neighbour_learn(frame, len, &o->gateway6, &mac)) {
		dev->gateway6_known = true;
		dev->gateway6_mac = mac;
		plan_gateway(&w->plan, port, true, &mac);
	}
}

/* Returns whether the frame shall be sent back. */
static bool receive_frame(struct worker *w, struct device *dev, struct rte_mbuf *m)
{
	static uint8_t whole[RTE_ALIGN(FRAME_SIZE_MAX, 64) + 64];
	const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = m->data_len;
	struct frame_info info;
	bool back = false;

	if (m->nb_segs > 1) {
		len = m->pkt_len < sizeof(whole) ? m->pkt_len : sizeof(whole);
		frame = rte_pktmbuf_read(m, 0, len, whole);
	}
	switch (frame_parse(frame, len, &info)) {
	case FRAME_FOREIGN:
		w->foreign++;
		break;
	case FRAME_NEIGHBOUR:
		receive_neighbour(w, dev, frame, len);
		break;
	case FRAME_BROKEN:
		w->plan.stray[w->plan.epoch].corrupted++;
		note_faults(w, info.faults);
		break;
	case FRAME_OURS:
		if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
			info.vlan = m->vlan_tci & 0xfff;
		if (w->options->mode == GEN_SEND)
			receive_ours(w, dev, frame, &info);
		else
			back = receive_other(w, dev, frame, &info);
		if (back)
			frame_reflect(rte_pktmbuf_mtod(m, uint8_t *), &info, &dev->self.mac);
		break;
	}
	return back;
}

static void send_back(
        struct worker *w, struct device *dev, uint16_t queue, struct rte_mbuf **m, unsigned n)
{
	struct counts *c = &w->plan.stray[w->plan.epoch];
	unsigned done = 0;

	for (unsigned tries = 0; done < n && tries < REFLECT_TRIES; tries++) {
		unsigned sent =
		        rte_eth_tx_burst(dev->ethdev, queue, m + done, (uint16_t)(n - done));

		if (!sent)
			rte_pause();
		done += sent;
	}
	c->sent += done;
	c->tx_dropped += n - done;
	if (done < n)
		rte_pktmbuf_free_bulk(m + done, n - done);
}

static unsigned receive_queue(struct worker *w, struct device *dev, uint16_t queue)
{
	struct rte_mbuf *m[DEVICE_BURST], *back[DEVICE_BURST], *done[DEVICE_BURST];
	unsigned n = rte_eth_rx_burst(dev->ethdev, queue, m, DEVICE_BURST);
	unsigned n_back = 0, n_done = 0;

	for (unsigned i = 0; i < n && i < 4; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (unsigned i = 0; i < n; i++) {
		if (i + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 4], void *));
		if (receive_frame(w, dev, m[i]))
			back[n_back++] = m[i];
		else
			done[n_done++] = m[i];
	}
	if (n_back)
		send_back(w, dev, queue, back, n_back);
	if (n_done)
		rte_pktmbuf_free_bulk(done, n_done);
	return n;
}

unsigned worker_receive(struct worker *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->devices->n; i++) {
		struct device *dev = &w->devices->port[i];

		for (uint16_t q = 0; q < dev->queues; q++) {
			w->now = rte_rdtsc();
			n += receive_queue(w, dev, q);
		}
	}
	return n;
}
