/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums and segmentation that a sender left to us and the receiver does not take, and fragments
 * (RFC 791). Workers only. */
#ifndef DATAPLANE_OFFLOAD_H
#define DATAPLANE_OFFLOAD_H

#include "dataplane/batch.h"

/* Fills the checksum field of an entry with OFFLOAD_CSUM, which it then has no more (RFC 1071; a
 * UDP sum of 0 becomes 0xffff, RFC 768). Its rest is read where it lies. */
void offload_checksum(struct batch *batch, uint64_t i);

/* Cuts an entry with OFFLOAD_TSO into the empty batch to: as many entries as it has segments, heads
 * of their own, bodies in the original's. partial: their checksums are left to the receiver. The
 * caller frees nothing of to's. Returns how many. */
unsigned offload_segments(struct batch *to, const struct batch *from, uint64_t i, bool partial);

/* The same for an entry with OFFLOAD_FRAGMENT (RFC 791 section 3.2; options without the copied flag
 * are in the first fragment only; IPv6: one that has a fragment header, RFC 8200 section 4.5). Its
 * checksum must be finished. Returns 0 when it would take more than a batch of them. */
unsigned offload_fragments(struct batch *to, const struct batch *from, uint64_t i);

/* The next n bytes of a packet that is cut (first those in its head, then its rest) become the rest
 * of a piece, which is entry k of to. */
void offload_take_rest(
        struct batch *to, uint32_t k, struct cursor *in_head, struct cursor *payload, uint32_t n);

#endif
