/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/hugepages.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define DIRECTORY "/sys/kernel/mm/hugepages"
#define MIB       (1024.0 * 1024)

static unsigned long long read_number(const char *directory, const char *name)
{
	unsigned long long value = 0;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), DIRECTORY "/%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

/* The size that /proc/sys/vm/nr_hugepages counts, in KiB; 0: this kernel has none. */
static unsigned long long default_size(unsigned long long *total)
{
	unsigned long long kib = 0, value;
	char line[256];
	FILE *file;

	*total = 0;
	file = fopen("/proc/meminfo", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "HugePages_Total: %llu", &value) == 1)
			*total = value;
		if (sscanf(line, "Hugepagesize: %llu", &value) == 1)
			kib = value;
	}
	if (file)
		fclose(file);
	return kib;
}

static uint64_t free_bytes(void)
{
	DIR *directory = opendir(DIRECTORY);
	uint64_t bytes = 0;
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		unsigned long long kib, pages, reserved;

		if (sscanf(entry->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		pages = read_number(entry->d_name, "free_hugepages");
		reserved = read_number(entry->d_name, "resv_hugepages");
		bytes += pages > reserved ? (pages - reserved) * kib * 1024 : 0;
	}
	if (directory)
		closedir(directory);
	return bytes;
}

int hugepages_check(uint64_t needed, uint64_t *available, char *advice, size_t size)
{
	unsigned long long total, kib = default_size(&total);

	advice[0] = '\0';
	*available = free_bytes();
	if (needed <= *available)
		return 0;
	if (!kib) {
		snprintf(advice, size,
		        "this kernel has no hugepages: use one that has, or set \"hugepages\": "
		        "false"
		        " (slow, for trying out)");
		return -ENOMEM;
	}
	total += (needed - *available + kib * 1024 - 1) / (kib * 1024);
	snprintf(advice, size,
	        "%.0f MiB of hugepage memory are needed and %.0f MiB are free: run `echo %llu >"
	        " /proc/sys/vm/nr_hugepages` (pages of %llu KiB; after a long uptime memory may be"
	        " too fragmented, then set vm.nr_hugepages at boot), or lower \"limits\"",
	        (double)needed / MIB, (double)*available / MIB, total, kib);
	return -ENOMEM;
}
