/* SPDX-License-Identifier: BSD-3-Clause */
#include "neighbour_private.h"

static struct neighbour **bucket_of(
        const struct neighbour_table *table, uint16_t network, const struct pr_ip *ip)
{
	uint64_t word[2] = {0, 0};
	uint64_t hash;

	memcpy(word, ip->b, pr_ip_bytes(ip));
	hash = (word[0] ^ table->config.seed) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 32 ^ word[1]) * 0xff51afd7ed558ccdull;
	hash = (hash ^ hash >> 29 ^ network ^ (uint64_t)ip->family << 32) * 0xc4ceb9fe1a85ec53ull;
	return &table->hash[(hash >> 32) & table->hash_mask];
}

struct neighbour *neighbour_find(
        const struct neighbour_table *table, uint16_t network, const struct pr_ip *ip)
{
	struct neighbour *entry = *bucket_of(table, network, ip);

	while (entry && (entry->network != network || !pr_ip_equal(&entry->ip, ip)))
		entry = entry->chain;
	return entry;
}

static void failed_unlink(struct neighbour_table *table, struct neighbour *entry)
{
	*(entry->older ? &entry->older->newer : &table->failed_oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &table->failed_newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void failed_append(struct neighbour_table *table, struct neighbour *entry)
{
	entry->older = table->failed_newest;
	entry->newer = NULL;
	*(entry->older ? &entry->older->newer : &table->failed_oldest) = entry;
	table->failed_newest = entry;
}

static void set_state(struct neighbour_table *table, struct neighbour *entry,
        enum neighbour_state state, uint64_t due)
{
	if (entry->state == NEIGHBOUR_FAILED && state != NEIGHBOUR_FAILED)
		failed_unlink(table, entry);
	if (entry->state != NEIGHBOUR_FAILED && state == NEIGHBOUR_FAILED)
		failed_append(table, entry);
	entry->state = (uint8_t)state;
	entry->probes = 0;
	neighbour_timer_set(table, entry, due);
}

static void probe(
        struct neighbour_table *table, struct neighbour *entry, uint64_t now, bool unicast)
{
	entry->probes++;
	neighbour_timer_set(table, entry, now + table->config.probe_ms);
	table->ops->send_probe(table->ctx, entry, unicast);
}

static void enter_stale(struct neighbour_table *table, struct neighbour *entry, uint64_t now)
{
	set_state(table, entry, NEIGHBOUR_STALE, now + table->config.stale_check_ms);
	entry->unused_since = now;
	/* Use from before counts no more. */
	table->ops->used(table->ctx, entry);
}

static void enter_failed(struct neighbour_table *table, struct neighbour *entry, uint64_t now)
{
	bool had_mac = neighbour_usable(entry);

	set_state(table, entry, NEIGHBOUR_FAILED, now + table->config.failed_ms);
	memset(&entry->mac, 0, sizeof(entry->mac));
	entry->since = now;
	if (had_mac)
		table->ops->lost(table->ctx, entry);
	neighbour_held_drop(table, entry, NEIGHBOUR_DROP_FAILED);
}

static void destroy(struct neighbour_table *table, struct neighbour *entry)
{
	struct neighbour **link = bucket_of(table, entry->network, &entry->ip);
	bool had_mac = neighbour_usable(entry);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	set_state(table, entry, NEIGHBOUR_FREE, NEIGHBOUR_NEVER);
	neighbour_held_drop(table, entry, NEIGHBOUR_DROP_REMOVED);
	if (had_mac)
		table->ops->lost(table->ctx, entry);
	table->ops->removed(table->ctx, entry);
	table->stats.entries--;
	entry->chain = table->free;
	table->free = entry;
}

/* A new entry without a state that means anything yet. NULL when full. */
static struct neighbour *create(struct neighbour_table *table, uint16_t network,
        const struct pr_ip *ip, uint16_t port, uint64_t now)
{
	struct neighbour **bucket, *entry;

	if (!table->free && table->failed_oldest) {
		table->stats.evicted++;
		destroy(table, table->failed_oldest);
	}
	entry = table->free;
	if (!entry) {
		table->stats.full++;
		return NULL;
	}
	table->free = entry->chain;
	bucket = bucket_of(table, network, ip);
	*entry = (struct neighbour){
	        .ip = *ip,
	        .network = network,
	        .port = port,
	        .state = NEIGHBOUR_INCOMPLETE,
	        .since = now,
	        .due = NEIGHBOUR_NEVER,
	        .heap = NO_TIMER,
	        .chain = *bucket,
	};
	*bucket = entry;
	table->stats.entries++;
	return entry;
}

static bool valid(const struct neighbour_table *table, const struct pr_ip *ip, uint16_t port)
{
	return (ip->family == AF_INET || ip->family == AF_INET6) && port < table->config.max_ports;
}

int neighbour_get_or_create(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, uint64_t now, struct neighbour **entry)
{
	if (!valid(table, ip, port))
		return -EINVAL;
	*entry = neighbour_find(table, network, ip);
	if (*entry)
		return 0;
	*entry = create(table, network, ip, port, now);
	if (!*entry)
		return -ENOSPC;
	probe(table, *entry, now, false);
	return 0;
}

/* Gives the entry its MAC and port, says so if that is news, lets the held packets go. */
static void resolve(struct neighbour_table *table, struct neighbour *entry, uint16_t port,
        const struct pr_mac *mac, bool news)
{
	entry->port = port;
	entry->mac = *mac;
	if (news)
		table->ops->resolved(table->ctx, entry);
	neighbour_held_release(table, entry);
}

static bool differs(const struct neighbour *entry, uint16_t port, const struct pr_mac *mac)
{
	return !neighbour_usable(entry) || entry->port != port ||
	       memcmp(&entry->mac, mac, sizeof(*mac)) != 0;
}

/* RFC 4861 7.2.5, no link-layer address: it tells what an entry with one can use. */
static int confirm(struct neighbour_table *table, struct neighbour *entry, uint16_t port,
        uint64_t now, unsigned flags)
{
	if (!entry)
		return -ENOENT;
	if (!(flags & NEIGHBOUR_SOLICITED) || !neighbour_usable(entry) || entry->port != port ||
	        entry->state == NEIGHBOUR_STATIC)
		return 0;
	entry->since = now;
	set_state(table, entry, NEIGHBOUR_REACHABLE, now + table->config.reachable_ms);
	return 0;
}

int neighbour_learn(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, const struct pr_mac *mac, uint64_t now, unsigned flags)
{
	struct neighbour *entry;
	bool news;

	if (!valid(table, ip, port) || (mac && (pr_mac_is_multicast(mac) || pr_mac_is_zero(mac))))
		return -EINVAL;
	entry = neighbour_find(table, network, ip);
	if (!mac)
		return confirm(table, entry, port, now, flags);
	if (!entry && !(flags & NEIGHBOUR_CREATE))
		return -ENOENT;
	if (!entry)
		entry = create(table, network, ip, port, now);
	if (!entry)
		return -ENOSPC;
	news = differs(entry, port, mac);
	if (entry->state == NEIGHBOUR_STATIC)
		return news ? -EPERM : 0;
	/* What it says of itself unasked confirms nothing that we know already. */
	if (!news && !(flags & NEIGHBOUR_SOLICITED))
		return 0;
	/* Another MAC without override: doubt, no more. */
	if (news && flags & NEIGHBOUR_KEEP && neighbour_usable(entry)) {
		if (entry->state == NEIGHBOUR_REACHABLE)
			enter_stale(table, entry, now);
		return 0;
	}
	entry->since = now;
	if (flags & NEIGHBOUR_SOLICITED)
		set_state(table, entry, NEIGHBOUR_REACHABLE, now + table->config.reachable_ms);
	else
		enter_stale(table, entry, now);
	resolve(table, entry, port, mac, news);
	return 0;
}

int neighbour_add_static(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip,
        uint16_t port, const struct pr_mac *mac, uint64_t now)
{
	struct neighbour *entry;
	bool news;

	if (!valid(table, ip, port) || pr_mac_is_multicast(mac) || pr_mac_is_zero(mac))
		return -EINVAL;
	entry = neighbour_find(table, network, ip);
	if (!entry)
		entry = create(table, network, ip, port, now);
	if (!entry)
		return -ENOSPC;
	news = differs(entry, port, mac);
	entry->since = now;
	set_state(table, entry, NEIGHBOUR_STATIC, NEIGHBOUR_NEVER);
	resolve(table, entry, port, mac, news);
	return 0;
}

int neighbour_forget(struct neighbour_table *table, uint16_t network, const struct pr_ip *ip)
{
	struct neighbour *entry = neighbour_find(table, network, ip);

	if (!entry)
		return -ENOENT;
	destroy(table, entry);
	return 0;
}

void neighbour_confirm(struct neighbour_table *table, struct neighbour *entry, uint64_t now)
{
	if (entry->state != NEIGHBOUR_REACHABLE && entry->state != NEIGHBOUR_STALE)
		return;
	set_state(table, entry, NEIGHBOUR_PROBE, NEIGHBOUR_NEVER);
	probe(table, entry, now, true);
}

static void stale_check(struct neighbour_table *table, struct neighbour *entry, uint64_t now)
{
	if (table->ops->used(table->ctx, entry)) {
		neighbour_confirm(table, entry, now);
	} else if (now - entry->unused_since >= table->config.stale_max_ms) {
		destroy(table, entry);
	} else {
		neighbour_timer_set(table, entry, now + table->config.stale_check_ms);
	}
}

static void timer(struct neighbour_table *table, struct neighbour *entry, uint64_t now)
{
	switch ((enum neighbour_state)entry->state) {
	case NEIGHBOUR_INCOMPLETE:
	case NEIGHBOUR_PROBE:
		if (entry->probes < table->config.probes)
			probe(table, entry, now, entry->state == NEIGHBOUR_PROBE);
		else
			enter_failed(table, entry, now);
		break;
	case NEIGHBOUR_REACHABLE:
		enter_stale(table, entry, now);
		break;
	case NEIGHBOUR_STALE:
		stale_check(table, entry, now);
		break;
	case NEIGHBOUR_FAILED:
		destroy(table, entry);
		break;
	case NEIGHBOUR_FREE:
	case NEIGHBOUR_STATIC:
		neighbour_timer_set(table, entry, NEIGHBOUR_NEVER);
		break;
	}
}

uint32_t neighbour_tick(struct neighbour_table *table, uint64_t now, uint32_t budget)
{
	uint32_t served = 0;

	for (; served < budget && neighbour_next_timer(table) <= now; served++)
		timer(table, table->heap[0], now);
	return served;
}

struct neighbour *neighbour_next(const struct neighbour_table *table, uint32_t *cursor)
{
	while (*cursor < table->config.max) {
		struct neighbour *entry = &table->entries[(*cursor)++];

		if (entry->state != NEIGHBOUR_FREE)
			return entry;
	}
	return NULL;
}

uint32_t neighbour_flush_port(struct neighbour_table *table, uint16_t port)
{
	struct neighbour *entry;
	uint32_t cursor = 0, removed = 0;

	while ((entry = neighbour_next(table, &cursor))) {
		if (entry->port == port) {
			destroy(table, entry);
			removed++;
		} else if (entry->held && table->held_by_port[port]) {
			neighbour_held_drop_from(table, entry, port);
		}
	}
	return removed;
}

uint32_t neighbour_flush_network(struct neighbour_table *table, uint16_t network)
{
	struct neighbour *entry;
	uint32_t cursor = 0, removed = 0;

	while ((entry = neighbour_next(table, &cursor))) {
		if (entry->network == network) {
			destroy(table, entry);
			removed++;
		}
	}
	return removed;
}
