/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/session_fake.h"

struct session session;
struct guest_ring *seen[RINGS_MAX];
bool grace_passes, others_settled;
char last_log[256];
unsigned logs;
unsigned watching_worker, unwatched;
struct vu_message message;
uint8_t *memory;
int memory_fd;

static uint64_t token, passed;
static unsigned fds_before;
static int waiting_fds[VU_FDS_MAX];
static unsigned n_waiting;

static void publish(void *arg, unsigned queue, struct guest_ring *ring)
{
	assert_ptr_equal(arg, &session);
	assert_in_range(queue, 0, RINGS_MAX - 1);
	/* Never twice the same. */
	assert_true(!seen[queue] != !ring);
	seen[queue] = ring;
}

static uint64_t grace_start(void *arg)
{
	(void)arg;
	return ++token;
}

static bool grace_over(void *arg, uint64_t of)
{
	(void)arg;
	return grace_passes || of <= passed;
}

static void log_text(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	logs++;
	snprintf(last_log, sizeof(last_log), "%s", text);
}

static bool may_send(void *arg)
{
	(void)arg;
	return others_settled;
}

static void unwatch(void *arg, unsigned worker, int fd)
{
	assert_ptr_equal(arg, &session);
	/* It is still open: a closed one can not be taken out of what waits for it. */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(worker, watching_worker);
	unwatched++;
}

static const struct session_ops ops = {
        publish, grace_start, grace_over, may_send, unwatch, log_text};

bool end_session(void)
{
	unsigned broken = 0;

	return session_end(&session, &broken);
}

void grace_pass(void)
{
	passed = token;
}

unsigned open_fds(void)
{
	DIR *list = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(list))
		n++;
	closedir(list);
	return n;
}

int session_setup(void **state)
{
	(void)state;
	memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memory_fd, MEMORY_BYTES), 0);
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	fds_before = open_fds();
	logs = 0;
	last_log[0] = '\0';
	grace_passes = others_settled = true;
	session_init(&session, &ops, &session, PAIRS, 1500);
	return 0;
}

int session_teardown(void **state)
{
	(void)state;
	grace_passes = true;
	assert_true(end_session());
	for (unsigned q = 0; q < RINGS_MAX; q++)
		assert_null(seen[q]);
	assert_null(session.memory);
	assert_int_equal(open_fds(), fds_before);
	munmap(memory, MEMORY_BYTES);
	close(memory_fd);
	return 0;
}

enum session_answer send_again(void)
{
	return session_message(&session, &message, waiting_fds, n_waiting);
}

enum session_answer send_message(
        uint32_t request, uint32_t flags, uint32_t size, const int *fds, unsigned n_fds)
{
	message.request = request;
	message.flags = VU_VERSION | flags;
	message.size = size;
	n_waiting = n_fds;
	for (unsigned n = 0; n < n_fds; n++) {
		waiting_fds[n] = dup(fds[n]);
		assert_true(waiting_fds[n] >= 0);
	}
	return send_again();
}

enum session_answer say(uint32_t request)
{
	return send_message(request, 0, 0, NULL, 0);
}

enum session_answer say_number(uint32_t request, uint64_t number)
{
	message.payload.number = number;
	return send_message(request, 0, 8, NULL, 0);
}

enum session_answer say_state(uint32_t request, uint32_t queue, uint32_t number)
{
	message.payload.state = (struct vu_vring_state){queue, number};
	return send_message(request, 0, 8, NULL, 0);
}

enum session_answer say_address(uint32_t queue, uint64_t desc, uint64_t avail, uint64_t used)
{
	message.payload.addr =
	        (struct vu_vring_addr){.queue = queue, .desc = desc, .avail = avail, .used = used};
	return send_message(VU_SET_VRING_ADDR, 0, 40, NULL, 0);
}

enum session_answer say_fd(uint32_t request, uint64_t number, int fd)
{
	message.payload.number = number;
	return send_message(request, 0, 8, &fd, fd >= 0);
}

enum session_answer say_memory(
        const struct vu_region *regions, unsigned n, const int *fds, unsigned n_fds, uint32_t flags)
{
	message.payload.memory.n = n;
	if (n <= VU_FDS_MAX)
		memcpy(message.payload.memory.region, regions, n * sizeof(*regions));
	return send_message(VU_SET_MEM_TABLE, flags, 8 + 32 * (n < 8 ? n : 8), fds, n_fds);
}

enum session_answer say_usual_memory(void)
{
	const struct vu_region region = {MEMORY_GUEST, MEMORY_BYTES, MEMORY_USER, 0};

	return say_memory(&region, 1, &memory_fd, 1, 0);
}

uint64_t ring_user(unsigned queue)
{
	return MEMORY_USER + 0x4000 * (uint64_t)queue;
}

struct vring_desc *ring_desc(unsigned queue)
{
	return (void *)(memory + (size_t)0x4000 * queue);
}

struct vring_packed_desc *ring_packed(unsigned queue)
{
	return (void *)ring_desc(queue);
}

struct vring_used *ring_used(unsigned queue)
{
	return (void *)(memory + (size_t)0x4000 * queue + 0x2000);
}

void say_ring(unsigned queue, uint32_t base)
{
	int kick = eventfd(0, EFD_CLOEXEC);
	uint64_t at = ring_user(queue);

	assert_int_equal(say_state(VU_SET_VRING_NUM, queue, RING_SIZE), SESSION_DONE);
	assert_int_equal(say_state(VU_SET_VRING_BASE, queue, base), SESSION_DONE);
	assert_int_equal(say_address(queue, at, at + 0x1000, at + 0x2000), SESSION_DONE);
	assert_int_equal(say_fd(VU_SET_VRING_KICK, queue, kick), SESSION_DONE);
	close(kick);
}
