/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that must outlive their batch, or have several receivers: copied into mbufs. */
#include "dataplane/batch.h"
#include "dataplane/shared.h"

/* Fills mbufs from the head and the rest; NULL: no mbuf. */
static struct rte_mbuf *copy_packet(const struct batch *batch, uint64_t i)
{
	struct cursor rest = batch_rest(batch, i);
	struct rte_mbuf *first = rte_pktmbuf_alloc(shared->mbufs), *m = first;
	uint32_t left = batch->length[i] - batch->head_length[i];

	if (unlikely(!first))
		return NULL;
	memcpy(rte_pktmbuf_mtod(first, uint8_t *), batch->head[i], batch->head_length[i]);
	m->data_len = batch->head_length[i];
	for (;;) {
		uint32_t part = RTE_MIN(left, (uint32_t)rte_pktmbuf_tailroom(m));

		part = cursor_copy(&rest, rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), part);
		m->data_len = (uint16_t)(m->data_len + part);
		left -= part;
		if (!left || !part)
			break;
		m->next = rte_pktmbuf_alloc(shared->mbufs);
		if (unlikely(!m->next)) {
			rte_pktmbuf_free(first);
			return NULL;
		}
		m = m->next;
		first->nb_segs++;
	}
	first->pkt_len = batch->length[i] - left;
	return first;
}

/* The rest is what follows the head in this mbuf and in those chained to it. */
static void rest_of_mbuf(struct batch *batch, uint64_t i, const struct rte_mbuf *m, uint32_t skip)
{
	batch->rest[i] = rte_pktmbuf_mtod_offset(m, const uint8_t *, skip);
	batch->rest_length[i] = m->data_len - skip;
	batch->n_more[i] = 0;
	if (likely(m->nb_segs == 1))
		return;
	batch->more[i] = (uint16_t)batch->n_spans;
	for (m = m->next; m && batch->n_spans < BATCH_SPANS; m = m->next) {
		batch->span[batch->n_spans++] =
		        (struct span){rte_pktmbuf_mtod(m, const uint8_t *), m->data_len};
		batch->n_more[i]++;
	}
}

void batch_chain(struct batch *batch, uint64_t i)
{
	rest_of_mbuf(batch, i, batch->body[i], batch->body[i]->data_len);
}

bool batch_land(struct batch *batch, uint64_t i)
{
	return batch_head_in_mbuf(batch, i) || batch_compact(batch, i);
}

bool batch_compact(struct batch *batch, uint64_t i)
{
	struct rte_mbuf *m = copy_packet(batch, i);

	if (unlikely(!m))
		return false;
	if (batch->body[i])
		rte_pktmbuf_free(batch->body[i]);
	batch->body[i] = m;
	batch->mbufs = true;
	batch->head[i] = rte_pktmbuf_mtod(m, uint8_t *);
	batch->head_length[i] = m->data_len;
	batch->length[i] = m->pkt_len;
	rest_of_mbuf(batch, i, m, m->data_len);
	return true;
}

struct rte_mbuf *batch_mbuf(struct batch *batch, uint64_t i)
{
	struct rte_mbuf *m, *last;
	uint32_t left;

	if (unlikely(!batch_land(batch, i)))
		return NULL;
	m = batch->body[i];
	m->data_off = (uint16_t)(batch->head[i] - (uint8_t *)m->buf_addr);
	m->data_len = batch->head_length[i];
	m->pkt_len = batch->length[i];
	/* A frame that was trimmed may end before its last pieces. */
	left = batch->length[i] - batch->head_length[i];
	for (last = m; last->next && left; last = last->next) {
		last->next->data_len = (uint16_t)RTE_MIN(left, last->next->data_len);
		left -= last->next->data_len;
	}
	if (unlikely(last->next)) {
		for (struct rte_mbuf *extra = last->next; extra; extra = extra->next)
			m->nb_segs--;
		rte_pktmbuf_free(last->next);
		last->next = NULL;
	}
	return m;
}

bool batch_share(struct batch *batch, uint64_t i)
{
	uint16_t keep;
	uint8_t *own;

	if (batch->body[i] && !batch_head_in_mbuf(batch, i))
		return true;
	if (!batch_mbuf(batch, i))
		return false;
	keep = (uint16_t)RTE_MIN(batch->head_length[i], PR_HEAD_MAX);
	own = batch->heads[i] + HEAD_ROOM;
	memcpy(own, batch->head[i], keep);
	batch->head[i] = own;
	batch->head_length[i] = keep;
	rest_of_mbuf(batch, i, batch->body[i], keep);
	return true;
}

uint32_t batch_clone(struct batch *to, const struct batch *from, uint64_t i)
{
	uint32_t copy = batch_add_empty(to);

	memcpy(to->head[copy], from->head[i], from->head_length[i]);
	to->head_length[copy] = from->head_length[i];
	to->length[copy] = from->length[i];
	to->body[copy] = from->body[i];
	to->mbufs = true;
	for (struct rte_mbuf *m = from->body[i]; m; m = m->next)
		rte_mbuf_refcnt_update(m, 1);
	rest_of_mbuf(to, copy, from->body[i], from->head_length[i]);
	to->in_device[copy] = from->in_device[i];
	to->in_port[copy] = from->in_port[i];
	to->segment[copy] = from->segment[i];
	to->tci[copy] = from->tci[i];
	to->ethertype[copy] = from->ethertype[i];
	to->offload[copy] = from->offload[i];
	to->offloads |= from->offload[i] != 0;
	to->csum_start[copy] = from->csum_start[i];
	to->csum_offset[copy] = from->csum_offset[i];
	to->gso_size[copy] = from->gso_size[i];
	to->header_length[copy] = from->header_length[i];
	return copy;
}
