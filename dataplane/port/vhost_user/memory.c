/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <podrail/limits.h>

#include "dataplane/port/vhost_user/memory.h"

#define SLOTS       (PR_PORTS_MAX * REGIONS_MAX)
#define SIZE_MAX_GB 1024 /* of one region */

/* What is mapped, for the signal handler. The guests thread writes start last (release) and clears
 * it first; the handler reads it in whatever thread touched the memory. */
static struct slot {
	_Atomic uintptr_t start;
	_Atomic size_t size;
	_Atomic bool *broken;
} slots[SLOTS];

/* A guest's file became shorter than it was when we mapped it, or has no page left: its memory
 * becomes ours, empty, and only that guest is hurt. Async-signal-safe: one system call. */
static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;

	(void)context;
	for (unsigned n = 0; n < SLOTS; n++) {
		uintptr_t start = atomic_load_explicit(&slots[n].start, memory_order_acquire);
		size_t size = atomic_load_explicit(&slots[n].size, memory_order_acquire);
		int saved = errno;

		/* Start once more: one region's start and the next one's size are no region. */
		if (!start || address - start >= size || atomic_load(&slots[n].start) != start)
			continue;
		if (mmap((void *)start, size, PROT_READ | PROT_WRITE,
		            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		            0) == MAP_FAILED)
			break;
		atomic_store(slots[n].broken, true);
		errno = saved;
		return;
	}
	/* Not ours: die of it, as without a handler. */
	(void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

int guest_memory_init(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART};

	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

static int slot_take(void *start, size_t size, _Atomic bool *broken)
{
	for (int n = 0; n < SLOTS; n++) {
		if (atomic_load_explicit(&slots[n].start, memory_order_relaxed))
			continue;
		atomic_store_explicit(&slots[n].size, size, memory_order_release);
		slots[n].broken = broken;
		atomic_store_explicit(&slots[n].start, (uintptr_t)start, memory_order_release);
		return n;
	}
	return -1;
}

/* Files whose pages the kernel keeps in memory: reading them never waits for anybody. */
static const char *check_file(int fd, const struct region_request *request, size_t *page)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return "a memory region's descriptor can not be looked at";
	if (!S_ISREG(st.st_mode) || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return "a memory region is not a file of tmpfs or hugetlbfs";
	if ((uint64_t)st.st_size < request->offset ||
	        (uint64_t)st.st_size - request->offset < request->size)
		return "a memory region's file is shorter than the region";
	*page = fs.f_type == HUGETLBFS_MAGIC ? (size_t)fs.f_bsize : (size_t)sysconf(_SC_PAGESIZE);
	return NULL;
}

static bool wraps(uint64_t start, uint64_t size)
{
	return start + size < start;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static const char *check_requests(const struct region_request *r, unsigned n)
{
	if (!n || n > REGIONS_MAX)
		return "memory comes in 1 to 8 regions (on 2 MiB pages start the application with "
		       "--single-file-segments)";
	for (unsigned a = 0; a < n; a++) {
		if (!r[a].size || r[a].size > (uint64_t)SIZE_MAX_GB << 30)
			return "a memory region is empty or larger than 1 TiB";
		if (wraps(r[a].guest, r[a].size) || wraps(r[a].user, r[a].size) ||
		        wraps(r[a].offset, r[a].size))
			return "a memory region wraps around";
		for (unsigned b = 0; b < a; b++)
			if (overlap(r[a].guest, r[a].size, r[b].guest, r[b].size) ||
			        overlap(r[a].user, r[a].size, r[b].user, r[b].size))
				return "memory regions overlap";
	}
	return NULL;
}

static const char *map_region(
        struct region *region, const struct region_request *request, int fd, _Atomic bool *broken)
{
	uint64_t start, end;
	size_t page;
	const char *why = check_file(fd, request, &page);

	if (why)
		return why;
	start = request->offset / page * page;
	end = (request->offset + request->size + page - 1) / page * page;
	region->mapped = end - start;
	region->mapping = mmap(NULL, region->mapped, PROT_READ | PROT_WRITE,
	        MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
	if (region->mapping == MAP_FAILED)
		return "a memory region can not be mapped for reading and writing";
	region->slot = slot_take(region->mapping, region->mapped, broken);
	if (region->slot < 0) {
		munmap(region->mapping, region->mapped);
		return "too many memory regions are mapped";
	}
	/* Guests' packets have no business in a core file. */
	madvise(region->mapping, region->mapped, MADV_DONTDUMP);
	region->guest = request->guest;
	region->user = request->user;
	region->size = request->size;
	region->host = (uint8_t *)region->mapping + (request->offset - start);
	return NULL;
}

struct guest_memory *guest_memory_map(const struct region_request *regions, const int *fds,
        unsigned n, _Atomic bool *broken, const char **why)
{
	struct guest_memory *memory;

	*why = check_requests(regions, n);
	if (*why)
		return NULL;
	memory = calloc(1, sizeof(*memory));
	if (!memory) {
		*why = "out of memory";
		return NULL;
	}
	memory->broken = broken;
	for (; memory->n < n; memory->n++) {
		*why = map_region(
		        &memory->region[memory->n], &regions[memory->n], fds[memory->n], broken);
		if (*why) {
			guest_memory_unmap(memory);
			return NULL;
		}
	}
	return memory;
}

void guest_memory_unmap(struct guest_memory *memory)
{
	if (!memory)
		return;
	for (unsigned n = 0; n < memory->n; n++) {
		atomic_store_explicit(
		        &slots[memory->region[n].slot].start, 0, memory_order_release);
		munmap(memory->region[n].mapping, memory->region[n].mapped);
	}
	free(memory);
}

uint8_t *guest_user_address(const struct guest_memory *memory, uint64_t user, uint64_t length)
{
	for (unsigned n = 0; n < memory->n; n++) {
		const struct region *region = &memory->region[n];
		uint64_t offset = user - region->user;

		if (offset < region->size && length <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
}
