/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory tables that make no sense, and files that are no memory. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lies.h"

struct table {
	struct memory_table_message m;
	int fds[FDS_MAX];
	unsigned n_fds;
};

static void start(struct liar *liar, struct table *t)
{
	guest_memory_table(liar->guest, &t->m, t->fds);
	t->n_fds = t->m.n;
}

static void send_table(struct liar *liar, const struct table *t, unsigned regions)
{
	liar_say(liar, SET_MEM_TABLE, &t->m, (uint32_t)(8 + regions * sizeof(t->m.regions[0])),
	        t->fds, t->n_fds);
}

/* The honest table with one field of its first region changed. */
#define CHANGED(name_, change)                                                                     \
	static void name_(struct liar *liar)                                                       \
	{                                                                                          \
		struct table t;                                                                    \
		struct memory_region_message *r = t.m.regions;                                     \
                                                                                                   \
		(void)r;                                                                           \
		start(liar, &t);                                                                   \
		change;                                                                            \
		send_table(liar, &t, liar->guest->memory.n);                                       \
	}

CHANGED(overlap_physical, r[0].gpa = r[1].gpa + 4096)
CHANGED(overlap_user, r[0].user = r[1].user)
CHANGED(physical_wraps, r[0].gpa = UINT64_MAX - 4095)
CHANGED(user_wraps, r[0].user = UINT64_MAX - 4095)
CHANGED(size_zero, r[0].size = 0)
CHANGED(size_huge, r[0].size = 1ULL << 63)
CHANGED(size_all, r[0].size = UINT64_MAX)
CHANGED(size_beyond, r[0].size += 4096)
CHANGED(offset_beyond, r[0].offset = 1ULL << 40)
CHANGED(offset_wraps, r[0].offset = UINT64_MAX - 4095)
CHANGED(offset_odd, r[0].offset += 12345)
CHANGED(count_more, t.m.n++)
CHANGED(count_nine, t.m.n = 9)
CHANGED(fds_none, t.n_fds = 0)
CHANGED(fds_fewer, t.n_fds--)
CHANGED(fds_more, t.fds[t.n_fds++] = t.fds[0])

static void count_all(struct liar *liar)
{
	struct table t;
	unsigned regions;

	start(liar, &t);
	regions = t.m.n;
	t.m.n = UINT32_MAX;
	send_table(liar, &t, regions);
}

static void regions_none(struct liar *liar)
{
	struct table t = {0};

	send_table(liar, &t, 0);
}

static void nine_regions(struct liar *liar)
{
	struct {
		uint32_t n, padding;
		struct memory_region_message regions[9];
	} m = {.n = 9};
	int fds[9];

	for (unsigned i = 0; i < 9; i++) {
		m.regions[i] = (struct memory_region_message){
		        (1ULL << 40) * (i + 1), 4096, (1ULL << 41) * (i + 1), 0};
		fds[i] = liar->guest->memory.regions[0].fd;
	}
	liar_say(liar, SET_MEM_TABLE, &m, sizeof(m), fds, 9);
}

static void with_fd(struct liar *liar, int fd)
{
	struct table t;

	start(liar, &t);
	t.fds[0] = fd;
	send_table(liar, &t, t.m.n);
	close(fd);
}

static void fd_pipe(struct liar *liar)
{
	int fds[2];

	if (pipe(fds))
		return;
	with_fd(liar, fds[0]);
	close(fds[1]);
}

static void fd_null(struct liar *liar)
{
	with_fd(liar, open("/dev/null", O_RDWR));
}

static void fd_zero(struct liar *liar)
{
	with_fd(liar, open("/dev/zero", O_RDWR));
}

static void fd_directory(struct liar *liar)
{
	with_fd(liar, open("/tmp", O_RDONLY | O_DIRECTORY));
}

static void fd_socket(struct liar *liar)
{
	with_fd(liar, socket(AF_UNIX, SOCK_STREAM, 0));
}

static void fd_event(struct liar *liar)
{
	with_fd(liar, eventfd(0, 0));
}

static void fd_path(struct liar *liar)
{
	with_fd(liar, open("/dev/shm", O_PATH));
}

static void fd_program(struct liar *liar)
{
	with_fd(liar, open("/proc/self/exe", O_RDONLY));
}

static void fd_proc(struct liar *liar)
{
	with_fd(liar, open("/proc/self/mem", O_RDWR));
}

static void fd_itself(struct liar *liar)
{
	with_fd(liar, dup(liar->guest->socket));
}

static int file_of(struct liar *liar, uint64_t size)
{
	int fd = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)liar;
	if (fd >= 0 && ftruncate(fd, (off_t)size)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void fd_short(struct liar *liar)
{
	with_fd(liar, file_of(liar, 4096));
}

static void fd_empty(struct liar *liar)
{
	with_fd(liar, file_of(liar, 0));
}

static void fd_sealed(struct liar *liar)
{
	int fd = file_of(liar, liar->guest->o.memory.size);

	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	with_fd(liar, fd);
}

static void fd_read_only(struct liar *liar)
{
	char path[40];
	int fd = file_of(liar, liar->guest->o.memory.size);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	with_fd(liar, open(path, O_RDONLY));
	close(fd);
}

/* One file behind all regions, or a region twice: no lie, strange only. */
static void same_file(struct liar *liar)
{
	struct table t;

	start(liar, &t);
	for (unsigned i = 0; i < t.m.n; i++) {
		t.fds[i] = t.fds[0];
		t.m.regions[i].offset = 0;
	}
	send_table(liar, &t, t.m.n);
}

/* Rings lie where there is no memory any more. */
static void without_rings(struct liar *liar)
{
	struct table t = {.m.n = 1, .n_fds = 1};

	t.m.regions[0] = (struct memory_region_message){1ULL << 40, 4096, 1ULL << 41, 0};
	t.fds[0] = liar->guest->memory.regions[0].fd;
	send_table(liar, &t, 1);
	liar_traffic(liar, 0.02);
}

/* Memory at other physical addresses while buffers are on their way. */
static void moved(struct liar *liar)
{
	for (unsigned n = 0; n < 30; n++) {
		struct table t;

		start(liar, &t);
		for (unsigned i = 0; i < t.m.n && n & 1; i++)
			t.m.regions[i].gpa += 1ULL << 42;
		send_table(liar, &t, t.m.n);
		liar_traffic(liar, 0.002);
	}
}

#define TABLE(name_, function, help_)                                                              \
	{                                                                                          \
		.name = name_, .stage = STAGE_NEGOTIATED, .effect = EFFECT_PROTOCOL,               \
		.tell = function, .help = "memory table: " help_                                   \
	}

const struct lie lies_memory[] = {
        TABLE("overlap_physical", overlap_physical, "two regions overlap"),
        TABLE("overlap_user", overlap_user, "two regions have the same user address"),
        TABLE("physical_wraps", physical_wraps, "a region ends behind 2^64"),
        TABLE("user_wraps", user_wraps, "its user addresses end behind 2^64"),
        TABLE("size_zero", size_zero, "an empty region"),
        TABLE("size_huge", size_huge, "a region of 2^63 bytes"),
        TABLE("size_all", size_all, "a region of 2^64 - 1 bytes"),
        TABLE("size_beyond", size_beyond, "a region a page larger than its file"),
        TABLE("offset_beyond", offset_beyond, "it begins behind the file's end"),
        TABLE("offset_wraps", offset_wraps, "offset and size wrap"),
        TABLE("offset_odd", offset_odd, "it begins in a page and leaves the file"),
        TABLE("count_more", count_more, "it says one region more than it has"),
        TABLE("count_nine", count_nine, "it says 9 regions"),
        TABLE("count_all", count_all, "it says 2^32 - 1 regions"),
        TABLE("regions_none", regions_none, "no region"),
        TABLE("nine_regions", nine_regions, "9 regions, 9 descriptors"),
        TABLE("table_fds_none", fds_none, "no descriptors"),
        TABLE("table_fds_fewer", fds_fewer, "a descriptor is missing"),
        TABLE("table_fds_more", fds_more, "a descriptor too many"),
        TABLE("file_pipe", fd_pipe, "a pipe"),
        TABLE("file_null", fd_null, "/dev/null"),
        TABLE("file_zero", fd_zero, "/dev/zero"),
        TABLE("file_directory", fd_directory, "a directory"),
        TABLE("file_socket", fd_socket, "a socket"),
        TABLE("file_event", fd_event, "an eventfd"),
        TABLE("file_path", fd_path, "a descriptor opened with O_PATH"),
        TABLE("file_program", fd_program, "a program, to read only"),
        TABLE("file_proc", fd_proc, "a process's memory"),
        TABLE("file_itself", fd_itself, "the connection itself"),
        TABLE("file_short", fd_short, "a file of one page"),
        TABLE("file_empty", fd_empty, "an empty file"),
        TABLE("file_sealed", fd_sealed, "a memfd sealed against writing"),
        TABLE("file_read_only", fd_read_only, "a memfd opened to read only"),
        {.name = "same_file",
                .stage = STAGE_NEGOTIATED,
                .tell = same_file,
                .help = "memory table: one file behind all regions"},
        {.name = "without_rings",
                .stage = STAGE_RUNNING,
                .tell = without_rings,
                .effect = EFFECT_RING,
                .help = "a new memory table without the rings in use"},
        {.name = "moved",
                .stage = STAGE_RUNNING,
                .tell = moved,
                .quiet = true,
                .help = "physical addresses change under traffic"},
        {0},
};
