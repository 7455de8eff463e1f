/* SPDX-License-Identifier: BSD-3-Clause */
/* The MAC table against a plain list, full to the brim, and under readers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/table/fdb.h"

#include <pthread.h>
#include <time.h>

#define MODEL_MAX 700

static uint64_t random_state = 0x452821e638d01377;

static uint32_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

struct model {
	struct fdb_entry entry[MODEL_MAX];
	unsigned n;
	unsigned removed;
	uint16_t port; /* to flush */
};

static struct fdb_entry *model_find(struct model *m, uint16_t segment, const struct pr_mac *mac)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->entry[i].segment == segment && !memcmp(&m->entry[i].mac, mac, sizeof(*mac)))
			return &m->entry[i];
	return NULL;
}

static void assert_same(const struct fdb_entry *a, const struct fdb_entry *b)
{
	assert_int_equal(a->segment, b->segment);
	assert_memory_equal(&a->mac, &b->mac, sizeof(a->mac));
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->tag, b->tag);
	assert_int_equal(a->is_static, b->is_static);
	assert_int_equal(a->seen, b->seen);
}

static struct fdb_entry random_entry(void)
{
	return (struct fdb_entry){
	        .mac = {{0x02, 0, 0, 0, (uint8_t)(rnd() % 2), (uint8_t)(rnd() % 200)}},
	        .segment = (uint16_t)(rnd() % 3 * 32767),
	        .port = (uint16_t)(rnd() % 9 * 8191),
	        .tag = (uint16_t)(rnd() % 4095),
	        .is_static = rnd() % 8 == 0,
	};
}

static uint32_t ageing(void *ctx, uint16_t segment)
{
	(void)ctx;
	return segment == 0 ? 0 : segment == 32767 ? 30 : 60;
}

static bool of_port(void *ctx, const struct fdb_entry *entry)
{
	return entry->port == ((struct model *)ctx)->port;
}

/* Each removed entry must be in the model, once, for the right reason. */
static void removed(void *ctx, const struct fdb_entry *entry)
{
	struct model *m = ctx;
	struct fdb_entry *known = model_find(m, entry->segment, &entry->mac);

	assert_non_null(known);
	assert_same(entry, known);
	*known = m->entry[--m->n];
	m->removed++;
}

static void check_all(struct fdb *fdb, struct model *m)
{
	uint64_t keys[FDB_BULK_MAX], values[FDB_BULK_MAX];
	uint32_t slots[FDB_BULK_MAX];
	struct fdb_entry want[FDB_BULK_MAX], page[7];
	uint32_t cursor = 0, listed = 0;

	for (unsigned i = 0; i < FDB_BULK_MAX; i++) {
		want[i] = m->n && i % 2 ? m->entry[rnd() % m->n] : random_entry();
		keys[i] = i == 5 ? 0 : fdb_key(want[i].segment, want[i].mac.b);
	}
	fdb_lookup_bulk(fdb, keys, values, slots, FDB_BULK_MAX);
	for (unsigned i = 0; i < FDB_BULK_MAX; i++) {
		struct fdb_entry *known = model_find(m, want[i].segment, &want[i].mac);

		if (!known || i == 5) {
			assert_true(values[i] == 0);
			assert_int_equal(slots[i], FDB_NO_SLOT);
			continue;
		}
		assert_true(values[i] != 0);
		assert_int_equal(fdb_value_port(values[i]), known->port);
		assert_int_equal(fdb_value_tag(values[i]), known->tag);
		assert_int_equal(fdb_value_static(values[i]), known->is_static);
		assert_int_equal(fdb->seen[slots[i]], known->seen);
		if (rnd() % 16 == 0) {
			known->seen += 1;
			fdb_touch(fdb, slots[i], known->seen);
		}
	}
	while (cursor != FDB_NO_SLOT) {
		uint32_t n = fdb_walk(fdb, &cursor, 1 + rnd() % 64, page, 7);

		for (uint32_t i = 0; i < n; i++) {
			struct fdb_entry *known = model_find(m, page[i].segment, &page[i].mac);

			assert_non_null(known);
			assert_same(known, &page[i]);
		}
		listed += n;
	}
	assert_int_equal(listed, m->n);
	assert_int_equal(fdb->count, m->n);
}

static void set_one(struct fdb *fdb, struct model *m, uint32_t now)
{
	struct fdb_entry entry = random_entry(), old;
	struct fdb_entry *known = model_find(m, entry.segment, &entry.mac);
	int rc = fdb_set(fdb, &entry, now, &old);

	if (known && known->is_static && !entry.is_static) {
		assert_int_equal(rc, -EPERM);
		return;
	}
	if (!known && m->n == fdb->max) {
		assert_int_equal(rc, -ENOSPC);
		return;
	}
	assert_int_equal(rc, known ? 1 : 0);
	if (known)
		assert_same(&old, known);
	else
		known = &m->entry[m->n++];
	entry.seen = now;
	*known = entry;
}

static void age_all(struct fdb *fdb, struct model *m, uint32_t now)
{
	unsigned before = m->removed, want = 0;
	uint32_t n = 0;

	for (unsigned i = 0; i < m->n; i++) {
		const struct fdb_entry *e = &m->entry[i];
		uint32_t limit = ageing(NULL, e->segment);

		want += !e->is_static && limit && (int32_t)(now - e->seen) >= (int32_t)limit;
	}
	for (uint32_t left = fdb_slots(fdb); left > 0;) {
		uint32_t slice = 1 + rnd() % 50;

		slice = slice < left ? slice : left;
		n += fdb_age(fdb, now, slice, ageing, removed, m);
		left -= slice;
	}
	assert_int_equal(n, want);
	assert_int_equal(m->removed - before, want);
}

static void test_random(void **state)
{
	static struct model m;
	struct fdb *fdb = fdb_create(NULL, 600, 0x1234567890abcdef);
	uint32_t now = UINT32_MAX - 300; /* the clock may wrap */
	unsigned full = 0;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		unsigned what = rnd() % 1000;

		full += m.n == fdb->max;
		if (what < 850) {
			set_one(fdb, &m, now);
		} else if (what < 994) {
			struct fdb_entry entry = random_entry(), old;
			struct fdb_entry *known = model_find(&m, entry.segment, &entry.mac);

			assert_int_equal(fdb_remove(fdb, entry.segment, &entry.mac, &old),
			        known ? 0 : -ENOENT);
			if (known)
				removed(&m, &old);
		} else if (what < 998) {
			now += rnd() % 40;
			age_all(fdb, &m, now);
		} else if (what < 999) {
			unsigned before = m.removed;
			uint32_t flushed;

			m.port = (uint16_t)(rnd() % 9 * 8191);
			flushed = fdb_sweep(fdb, of_port, removed, &m);
			assert_int_equal(flushed, m.removed - before);
			for (unsigned k = 0; k < m.n; k++)
				assert_int_not_equal(m.entry[k].port, m.port);
		}
		if (i % 64 == 0)
			check_all(fdb, &m);
	}
	assert_true(full > 100);
	fdb_destroy(fdb);
}

static void test_arguments(void **state)
{
	struct fdb *fdb = fdb_create(NULL, 1, 1);
	struct fdb_entry entry = {.mac = {{1, 0, 0x5e, 0, 0, 1}}}, out;

	(void)state;
	assert_int_equal(fdb_set(fdb, &entry, 0, NULL), -EINVAL);
	entry.mac = (struct pr_mac){{0}};
	assert_int_equal(fdb_set(fdb, &entry, 0, NULL), -EINVAL);
	assert_int_equal(fdb_get(fdb, 0, &entry.mac, &out), -ENOENT);
	assert_int_equal(fdb_remove(fdb, 0, &entry.mac, NULL), -ENOENT);
	entry.mac = (struct pr_mac){{2, 0, 0, 0, 0, 1}};
	assert_int_equal(fdb_set(fdb, &entry, 0, NULL), 0);
	entry.mac.b[5] = 2;
	assert_int_equal(fdb_set(fdb, &entry, 0, NULL), -ENOSPC);
	fdb_destroy(fdb);
	fdb_destroy(NULL);
	errno = 0;
	assert_null(fdb_create(NULL, 0, 1));
	assert_int_equal(errno, EINVAL);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct fdb_entry numbered(uint32_t i)
{
	return (struct fdb_entry){
	        .mac = {{2, 0, (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
	                (uint8_t)i}},
	        .segment = (uint16_t)(i % 5),
	        .port = (uint16_t)i,
	};
}

/* The worst ratio of entries to slots that create gives: all must fit. Then all slots. */
static void test_brim(void **state)
{
	const uint32_t max = 838000; /* 2^18 buckets, 80 % full */
	struct fdb *fdb = fdb_create(NULL, max, 99);
	uint64_t keys[FDB_BULK_MAX], values[FDB_BULK_MAX];
	uint32_t slots[FDB_BULK_MAX], n;
	double start = seconds(), set, look;

	(void)state;
	assert_true(max * 100ull > fdb_slots(fdb) * 79ull);
	for (uint32_t i = 0; i < max; i++) {
		struct fdb_entry entry = numbered(i);

		if (fdb_set(fdb, &entry, 1, NULL) != 0)
			fail_msg("entry %u of %u", i, max);
	}
	set = max / (seconds() - start);
	n = 0;
	start = seconds();
	for (uint32_t i = 0; i < 1000000; i += FDB_BULK_MAX) {
		for (unsigned k = 0; k < FDB_BULK_MAX; k++) {
			struct fdb_entry entry = numbered(rnd() % max);

			keys[k] = fdb_key(entry.segment, entry.mac.b);
		}
		fdb_lookup_bulk(fdb, keys, values, slots, FDB_BULK_MAX);
		for (unsigned k = 0; k < FDB_BULK_MAX; k++)
			n += fdb_value_port(values[k]) != (uint16_t)((keys[k] & 0xffffffff));
	}
	look = (seconds() - start) / 1000000 * 1e9;
	assert_int_equal(n, 0);
	fdb->max = UINT32_MAX;
	for (n = max;; n++) {
		struct fdb_entry entry = numbered(n);

		if (fdb_set(fdb, &entry, 1, NULL) == -ENOSPC)
			break;
	}
	print_message("%u entries: %.0f adds/s, %.1f ns a random lookup (with choosing it); "
	              "no room at %.1f %% of the slots\n",
	        max, set, look, 100.0 * n / fdb_slots(fdb));
	assert_true(n * 100ull > fdb_slots(fdb) * 90ull);
	assert_int_equal(fdb->count, n);
	for (uint32_t i = 0; i < n; i++) {
		struct fdb_entry entry = numbered(i);

		assert_true(fdb_remove(fdb, entry.segment, &entry.mac, NULL) == 0);
	}
	assert_int_equal(fdb->count, 0);
	fdb_destroy(fdb);
}

/* Readers of entries that stay (but move) and of entries that come and go with one value each. */
#define STAYING 40
#define COMING  64

struct race {
	struct fdb *fdb;
	uint32_t stop;
	uint32_t missed;
	uint32_t wrong;
	uint64_t rounds;
	uint64_t hits;
};

static void *race_reader(void *arg)
{
	struct race *race = arg;
	uint64_t keys[FDB_BULK_MAX], values[FDB_BULK_MAX];
	uint32_t slots[FDB_BULK_MAX], missed = 0, wrong = 0;
	uint64_t hits = 0;

	for (uint32_t i = 0; i < FDB_BULK_MAX; i++) {
		struct fdb_entry entry =
		        numbered(i < STAYING ? i : 1000 + (i - STAYING) * 2654435761u % COMING);

		keys[i] = fdb_key(entry.segment, entry.mac.b);
	}
	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		fdb_lookup_bulk(race->fdb, keys, values, slots, FDB_BULK_MAX);
		for (unsigned i = 0; i < FDB_BULK_MAX; i++) {
			missed += i < STAYING && !values[i];
			wrong += values[i] && fdb_value_port(values[i]) != (uint16_t)keys[i];
			hits += i >= STAYING && values[i];
			if (values[i])
				fdb_touch(race->fdb, slots[i], 7);
		}
		__atomic_fetch_add(&race->rounds, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&race->missed, missed, __ATOMIC_RELAXED);
	__atomic_fetch_add(&race->wrong, wrong, __ATOMIC_RELAXED);
	__atomic_fetch_add(&race->hits, hits, __ATOMIC_RELAXED);
	return NULL;
}

static void test_readers(void **state)
{
	static struct race race;
	pthread_t thread[2];
	uint32_t moves;

	(void)state;
	race.fdb = fdb_create(NULL, 100, 3);
	for (uint32_t i = 0; i < STAYING; i++) {
		struct fdb_entry entry = numbered(i);

		assert_int_equal(fdb_set(race.fdb, &entry, 1, NULL), 0);
	}
	/* As full as can be, so that entries must move for one another. */
	race.fdb->max = fdb_slots(race.fdb);
	for (unsigned i = 0; fdb_slots(race.fdb) - race.fdb->count > 20; i++) {
		struct fdb_entry entry = numbered(5000 + i);

		fdb_set(race.fdb, &entry, 1, NULL);
	}
	moves = race.fdb->moves;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race_reader, &race), 0);
	while (__atomic_load_n(&race.rounds, __ATOMIC_RELAXED) < 20000) {
		for (unsigned k = 0; k < 200; k++) {
			struct fdb_entry entry = numbered(1000 + rnd() % COMING);

			if (rnd() % 2)
				fdb_set(race.fdb, &entry, 1, NULL);
			else
				fdb_remove(race.fdb, entry.segment, &entry.mac, NULL);
		}
	}
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(race.missed, 0);
	assert_int_equal(race.wrong, 0);
	assert_true(race.hits > 0);
	assert_true(race.fdb->moves - moves > 100);
	fdb_destroy(race.fdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_arguments),
	        cmocka_unit_test(test_random),
	        cmocka_unit_test(test_brim),
	        cmocka_unit_test(test_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
