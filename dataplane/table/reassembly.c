/* SPDX-License-Identifier: BSD-3-Clause */
#include "reassembly_private.h"

#include <string.h>

/* ---- locks ---- */

/* The tables thread holds it for a few hundred instructions at most, but may lose its CPU
 * meanwhile: a worker waits no longer than that takes otherwise, and goes without. */
#define TRIES 4096

static bool try_lock(struct reassembly_port *port)
{
	for (unsigned n = 0; n < TRIES; n++) {
		if (!__atomic_load_n(&port->lock, __ATOMIC_RELAXED) &&
		        !__atomic_exchange_n(&port->lock, 1, __ATOMIC_ACQUIRE))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

static void lock(struct reassembly_port *port)
{
	while (__atomic_exchange_n(&port->lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&port->lock, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static void unlock(struct reassembly_port *port)
{
	__atomic_store_n(&port->lock, 0, __ATOMIC_RELEASE);
}

/* ---- what is counted ---- */

static void sum_add(uint32_t *sum, uint32_t n)
{
	__atomic_fetch_add(sum, n, __ATOMIC_RELAXED);
}

static void sum_take(uint32_t *sum, uint32_t n)
{
	__atomic_fetch_sub(sum, n, __ATOMIC_RELAXED);
}

/* Adds n unless that makes more than there may be. */
static bool sum_reserve(uint32_t *sum, uint32_t n, uint32_t max)
{
	uint32_t before = __atomic_fetch_add(sum, n, __ATOMIC_RELAXED);

	if (before <= max && n <= max - before)
		return true;
	sum_take(sum, n);
	return false;
}

/* Written under the port's lock, read by anybody. */
static void port_count(struct reassembly_port *port, enum reassembly_bound bound, int64_t n)
{
	__atomic_store_n(&port->count[bound], (uint32_t)(port->count[bound] + n), __ATOMIC_RELAXED);
}

/* Whether a port may have n more: of a quarter, and no more than is free; but what each port is
 * sure of it may have even of the last that is free. */
static bool may_have(const struct reassembly *table, const struct reassembly_port *port,
        enum reassembly_bound bound, uint32_t n)
{
	uint32_t max = table->max[bound], wanted = port->count[bound] + n;
	uint32_t used = __atomic_load_n(&table->sum[bound], __ATOMIC_RELAXED);
	uint32_t left = used < max ? max - used : 0;

	return wanted <= max / REASSEMBLY_SHARE &&
	       (wanted <= left || (n <= left && wanted <= table->sure[bound]));
}

/* What the fragment is refused for: a bound, or REASSEMBLY_BOUNDS for nothing. */
static enum reassembly_bound what_is_short(const struct reassembly *table,
        const struct reassembly_port *port, bool fresh, const struct reassembly_fragment *fragment)
{
	if (fresh && !may_have(table, port, REASSEMBLY_DATAGRAMS, 1))
		return REASSEMBLY_DATAGRAMS;
	if (!may_have(table, port, REASSEMBLY_PACKETS, 1))
		return REASSEMBLY_PACKETS;
	if (!may_have(table, port, REASSEMBLY_BYTES, fragment->size))
		return REASSEMBLY_BYTES;
	return REASSEMBLY_BOUNDS;
}

/* What the port has of it once it has the fragment. Any thread. */
static uint32_t wanted_by(const struct reassembly_port *port, enum reassembly_bound bound,
        const struct reassembly_fragment *fragment)
{
	return __atomic_load_n(&port->count[bound], __ATOMIC_RELAXED) +
	       (bound == REASSEMBLY_BYTES ? fragment->size : 1);
}

static void count_piece(struct reassembly_port *port, struct reassembly_datagram *d,
        const struct reassembly_fragment *fragment)
{
	port_count(port, REASSEMBLY_PACKETS, 1);
	port_count(port, REASSEMBLY_BYTES, fragment->size);
	d->bytes += fragment->size;
	d->received += fragment->length;
	d->marks |= fragment->marks;
	if (d->largest < fragment->size)
		d->largest = fragment->size;
}

/* The pieces, not the datagram itself. */
static void take_pieces(struct reassembly *table, struct reassembly_port *port,
        struct reassembly_datagram *d, struct reassembly_taken *taken)
{
	taken->n = d->n;
	taken->largest = d->largest;
	taken->marks = d->marks;
	taken->length = d->received;
	memcpy(taken->piece, d->piece, d->n * sizeof(d->piece[0]));
	port_count(port, REASSEMBLY_PACKETS, -(int64_t)d->n);
	port_count(port, REASSEMBLY_BYTES, -(int64_t)d->bytes);
	sum_take(&table->sum[REASSEMBLY_PACKETS], d->n);
	sum_take(&table->sum[REASSEMBLY_BYTES], d->bytes);
	d->n = 0;
	d->bytes = 0;
}

/* ---- finding ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t *bucket_of(const struct reassembly *table, struct reassembly_port *port,
        const struct reassembly_key *key)
{
	uint64_t word[5], hash;

	memcpy(word, key, sizeof(word));
	hash = fold(word[0] ^ table->config.seed[0], word[1] ^ table->config.seed[1]);
	hash = fold(word[2] ^ hash, word[3] ^ table->config.seed[1]);
	hash = fold(word[4] ^ hash, table->config.seed[0] | 1);
	return &port->bucket[hash % REASSEMBLY_BUCKETS];
}

static uint32_t find(
        const struct reassembly *table, uint32_t first, const struct reassembly_key *key)
{
	while (first != REASSEMBLY_NONE && memcmp(&table->datagram[first].key, key, sizeof(*key)))
		first = __atomic_load_n(&table->datagram[first].next, __ATOMIC_RELAXED);
	return first;
}

/* ---- a datagram comes and goes ---- */

static struct reassembly_datagram *begin(struct reassembly *table, struct reassembly_port *port,
        uint32_t *bucket, const struct reassembly_key *key, uint64_t now)
{
	uint32_t index = reassembly_take_free(table);
	struct reassembly_datagram *d = &table->datagram[index];

	if (index == REASSEMBLY_NONE)
		return NULL;
	d->key = *key;
	d->since = now;
	d->bytes = d->received = d->total = 0;
	d->largest = 0;
	d->marks = d->n = 0;
	d->refused = false;
	__atomic_store_n(&d->next, *bucket, __ATOMIC_RELAXED);
	*bucket = index;
	d->older = port->newest;
	d->newer = REASSEMBLY_NONE;
	if (port->newest == REASSEMBLY_NONE)
		port->oldest = index;
	else
		table->datagram[port->newest].newer = index;
	port->newest = index;
	port_count(port, REASSEMBLY_DATAGRAMS, 1);
	sum_add(&table->sum[REASSEMBLY_DATAGRAMS], 1);
	return d;
}

static void unlink_datagram(
        struct reassembly *table, struct reassembly_port *port, struct reassembly_datagram *d)
{
	uint32_t index = (uint32_t)(d - table->datagram);
	uint32_t *at = bucket_of(table, port, &d->key);
	uint32_t next = __atomic_load_n(&d->next, __ATOMIC_RELAXED);

	if (*at == index) {
		*at = next;
	} else {
		uint32_t before = *at, n;

		while ((n = __atomic_load_n(&table->datagram[before].next, __ATOMIC_RELAXED)) !=
		        index)
			before = n;
		__atomic_store_n(&table->datagram[before].next, next, __ATOMIC_RELAXED);
	}
	if (d->older == REASSEMBLY_NONE)
		port->oldest = d->newer;
	else
		table->datagram[d->older].newer = d->newer;
	if (d->newer == REASSEMBLY_NONE)
		port->newest = d->older;
	else
		table->datagram[d->newer].older = d->older;
	port_count(port, REASSEMBLY_DATAGRAMS, -1);
	sum_take(&table->sum[REASSEMBLY_DATAGRAMS], 1);
}

/* The whole of it: pieces to the caller, the rest to the free ones. */
static void take_out(struct reassembly *table, struct reassembly_port *port,
        struct reassembly_datagram *d, struct reassembly_taken *taken)
{
	take_pieces(table, port, d, taken);
	unlink_datagram(table, port, d);
	reassembly_give_free(table, (uint32_t)(d - table->datagram));
}

/* Workers read the clock once a turn each: one may be a little behind another's. */
static bool is_over(
        const struct reassembly *table, const struct reassembly_datagram *d, uint64_t now)
{
	return (int64_t)(now - d->since) > (int64_t)table->config.timeout;
}

/* ---- fragments in order ---- */

/* Where a fragment belongs, or why it does not: REASSEMBLY_HELD means that it does. A packet that
 * is there twice is no attack (RFC 8200 section 4.5); anything else that overlaps is (RFC 5722, and
 * for IPv4 RFC 1858, RFC 3128). */
static enum reassembly_outcome place_of(const struct reassembly_datagram *d,
        const struct reassembly_fragment *fragment, unsigned *place)
{
	uint32_t begin = fragment->offset, end = begin + fragment->length;
	unsigned at = d->n;

	while (at > 0 && d->piece[at - 1].offset > begin)
		at--;
	*place = at;
	if (at > 0) {
		const struct reassembly_piece *left = &d->piece[at - 1];

		if (left->offset == begin && left->length == fragment->length) {
			bool last = d->total && at == d->n;

			return last == !fragment->more ? REASSEMBLY_DUPLICATE : REASSEMBLY_REFUSED;
		}
		if ((uint32_t)left->offset + left->length > begin)
			return REASSEMBLY_REFUSED;
	}
	if (at < d->n && d->piece[at].offset < end)
		return REASSEMBLY_REFUSED;
	/* Nothing comes behind the last one, which comes behind everything. */
	if (fragment->more ? d->total && end >= d->total : d->total || at < d->n)
		return REASSEMBLY_REFUSED;
	return REASSEMBLY_HELD;
}

static void put(
        struct reassembly_datagram *d, unsigned place, const struct reassembly_fragment *fragment)
{
	struct reassembly_piece *piece = &d->piece[place];

	memmove(piece + 1, piece, (d->n - place) * sizeof(*piece));
	*piece = (struct reassembly_piece){fragment->packet, fragment->offset, fragment->length};
	d->n++;
	if (!fragment->more)
		d->total = (uint32_t)fragment->offset + fragment->length;
}

/* The datagram dies and is remembered until its time is over. */
static enum reassembly_outcome refuse(struct reassembly *table, struct reassembly_port *port,
        struct reassembly_datagram *d, enum reassembly_why why, struct reassembly_taken *taken)
{
	take_pieces(table, port, d, taken);
	d->refused = true;
	d->why = (uint8_t)why;
	taken->why = why;
	return REASSEMBLY_REFUSED;
}

static enum reassembly_outcome add(struct reassembly *table, struct reassembly_port *port,
        struct reassembly_datagram *d, const struct reassembly_fragment *fragment,
        struct reassembly_taken *taken)
{
	enum reassembly_outcome outcome;
	unsigned place;

	if (d->refused) {
		taken->why = d->why;
		return REASSEMBLY_REFUSED;
	}
	outcome = place_of(d, fragment, &place);
	if (outcome == REASSEMBLY_REFUSED)
		return refuse(table, port, d, REASSEMBLY_OVERLAP, taken);
	if (outcome == REASSEMBLY_DUPLICATE)
		return outcome;
	/* One more, and it is still not whole, or it is and fits: the 64th must complete it. */
	if (d->n == REASSEMBLY_PIECES)
		return refuse(table, port, d, REASSEMBLY_LIMIT, taken);
	taken->why = REASSEMBLY_LIMIT;
	if (!sum_reserve(&table->sum[REASSEMBLY_PACKETS], 1, table->max[REASSEMBLY_PACKETS]))
		return REASSEMBLY_REFUSED;
	if (!sum_reserve(
	            &table->sum[REASSEMBLY_BYTES], fragment->size, table->max[REASSEMBLY_BYTES])) {
		sum_take(&table->sum[REASSEMBLY_PACKETS], 1);
		return REASSEMBLY_REFUSED;
	}
	put(d, place, fragment);
	count_piece(port, d, fragment);
	if (!d->total || d->received != d->total)
		return REASSEMBLY_HELD;
	take_out(table, port, d, taken);
	return REASSEMBLY_WHOLE;
}

/* Makes place by the port's own oldest datagram, but for the one that the fragment is of. */
static enum reassembly_outcome make_room(struct reassembly *table, struct reassembly_port *port,
        const struct reassembly_datagram *keep, uint64_t now, struct reassembly_taken *taken)
{
	uint32_t index = port->oldest;

	if (index != REASSEMBLY_NONE && &table->datagram[index] == keep)
		index = table->datagram[index].newer;
	taken->why = REASSEMBLY_LIMIT;
	if (index == REASSEMBLY_NONE)
		return REASSEMBLY_REFUSED;
	if (is_over(table, &table->datagram[index], now))
		taken->why = REASSEMBLY_TIMEOUT;
	take_out(table, port, &table->datagram[index], taken);
	return REASSEMBLY_AGAIN;
}

/* *needs: what somebody else should give up for it (then nothing has happened), or
 * REASSEMBLY_BOUNDS. Nobody does with alone. */
static enum reassembly_outcome insert(struct reassembly *table, struct reassembly_port *port,
        const struct reassembly_fragment *fragment, uint64_t now, bool alone,
        enum reassembly_bound *needs, struct reassembly_taken *taken)
{
	uint32_t *bucket = bucket_of(table, port, &fragment->key);
	uint32_t index = find(table, *bucket, &fragment->key);
	struct reassembly_datagram *d = index == REASSEMBLY_NONE ? NULL : &table->datagram[index];
	enum reassembly_bound lacks = REASSEMBLY_BOUNDS;

	*needs = REASSEMBLY_BOUNDS;
	if (d && is_over(table, d, now)) {
		taken->why = REASSEMBLY_TIMEOUT;
		take_out(table, port, d, taken);
		return REASSEMBLY_AGAIN;
	}
	if (!(d && d->refused))
		lacks = what_is_short(table, port, !d, fragment);
	if (lacks != REASSEMBLY_BOUNDS) {
		if (alone || wanted_by(port, lacks, fragment) > table->sure[lacks])
			return make_room(table, port, d, now, taken);
		*needs = lacks;
		return REASSEMBLY_AGAIN;
	}
	if (!d)
		d = begin(table, port, bucket, &fragment->key, now);
	if (!d) {
		taken->why = REASSEMBLY_LIMIT;
		return REASSEMBLY_REFUSED;
	}
	return add(table, port, d, fragment, taken);
}

/* ---- from those who have much ---- */

/* The port that has most, where that is more than least. The last one found is good as long as it
 * has much itself: so a newcomer looks at all ports seldom. REASSEMBLY_NONE: nobody has. */
static uint32_t who_has_most(struct reassembly *table, enum reassembly_bound bound, uint32_t least)
{
	uint32_t most = __atomic_load_n(&table->rich[bound], __ATOMIC_RELAXED);
	uint32_t n = __atomic_load_n(&table->port[most].count[bound], __ATOMIC_RELAXED);

	if (n > least && n / 2 > table->sure[bound])
		return most;
	most = REASSEMBLY_NONE;
	for (uint32_t p = 0; p < table->config.ports; p++) {
		n = __atomic_load_n(&table->port[p].count[bound], __ATOMIC_RELAXED);
		if (n > least) {
			least = n;
			most = p;
		}
	}
	if (most != REASSEMBLY_NONE)
		__atomic_store_n(&table->rich[bound], most, __ATOMIC_RELAXED);
	return most;
}

/* With no lock held. False: nobody has more than the port would have. */
static bool take_from_rich(struct reassembly *table, const struct reassembly_fragment *fragment,
        enum reassembly_bound bound, uint64_t now, struct reassembly_taken *taken)
{
	uint32_t least = wanted_by(&table->port[fragment->port], bound, fragment);
	uint32_t number = who_has_most(table, bound, least);
	struct reassembly_port *port;
	bool found;

	if (number == REASSEMBLY_NONE)
		return false;
	port = &table->port[number];
	if (!try_lock(port))
		return false;
	found = port->count[bound] > least &&
	        make_room(table, port, NULL, now, taken) == REASSEMBLY_AGAIN;
	unlock(port);
	taken->port = (uint16_t)number;
	return found;
}

enum reassembly_outcome reassembly_insert(struct reassembly *table,
        const struct reassembly_fragment *fragment, uint64_t now, struct reassembly_taken *taken)
{
	struct reassembly_port *port = &table->port[fragment->port];
	enum reassembly_outcome outcome;
	enum reassembly_bound needs;

	taken->n = 0;
	taken->why = REASSEMBLY_LIMIT;
	taken->port = fragment->port;
	if (!try_lock(port))
		return REASSEMBLY_BUSY;
	outcome = insert(table, port, fragment, now, false, &needs, taken);
	unlock(port);
	if (needs == REASSEMBLY_BOUNDS || take_from_rich(table, fragment, needs, now, taken))
		return outcome;
	taken->why = REASSEMBLY_LIMIT;
	taken->port = fragment->port;
	if (!try_lock(port))
		return REASSEMBLY_BUSY;
	outcome = insert(table, port, fragment, now, true, &needs, taken);
	unlock(port);
	return outcome;
}

/* ---- time, and the end ---- */

static bool take_oldest(struct reassembly *table, uint16_t number, const uint64_t *now,
        struct reassembly_taken *taken)
{
	struct reassembly_port *port = &table->port[number];
	struct reassembly_datagram *d;
	bool found;

	taken->n = 0;
	taken->port = number;
	taken->why = now ? REASSEMBLY_TIMEOUT : REASSEMBLY_REMOVED;
	if (!reassembly_port_count(table, number))
		return false;
	lock(port);
	d = port->oldest == REASSEMBLY_NONE ? NULL : &table->datagram[port->oldest];
	found = d && (!now || is_over(table, d, *now));
	if (found)
		take_out(table, port, d, taken);
	unlock(port);
	return found;
}

bool reassembly_expire(
        struct reassembly *table, uint16_t port, uint64_t now, struct reassembly_taken *taken)
{
	return take_oldest(table, port, &now, taken);
}

bool reassembly_purge(struct reassembly *table, uint16_t port, struct reassembly_taken *taken)
{
	return take_oldest(table, port, NULL, taken);
}
