/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums and segmentation that a sender left to us and the receiver does not take. Workers only.
 */
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

#endif
