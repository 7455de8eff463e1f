/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a libFuzzer-style entry without libFuzzer: every file of the corpus, then random mutations
 * of them for a while. With clang: -fsanitize=fuzzer and without this file. X_fuzz CORPUS-DIRECTORY
 * [SECONDS [SEED]]   |   X_fuzz FILE */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX 8192
#define FILES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	size_t size;
	uint8_t bytes[INPUT_MAX];
};

static struct input corpus[FILES_MAX];
static unsigned n_corpus;
static uint64_t state;
static struct input *last; /* in a file that outlives a crash */
static char last_path[64];

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct input *input = &corpus[n_corpus];
	ssize_t n;

	if (fd < 0 || n_corpus == FILES_MAX)
		return -1;
	n = read(fd, input->bytes, INPUT_MAX);
	close(fd);
	if (n < 0)
		return -1;
	input->size = (size_t)n;
	n_corpus++;
	return 0;
}

static void load_directory(const char *directory)
{
	DIR *list = opendir(directory);
	struct dirent *entry;
	char path[4096];

	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		load(path);
	}
	if (list)
		closedir(list);
}

/* Makes room for or removes bytes at `at`. */
static void resize(struct input *input, size_t at, size_t removed, size_t added)
{
	if (at + removed > input->size)
		removed = input->size - at;
	if (input->size - removed + added > INPUT_MAX)
		added = 0;
	memmove(input->bytes + at + added, input->bytes + at + removed, input->size - at - removed);
	input->size = input->size - removed + added;
}

static void mutate(struct input *input)
{
	static const char *const words[] = {"{", "}", "[", "]", "\"", ":", ",", "null", "true",
	        "-1", "1e999", "0.5", "18446744073709551616", "\\u0000", "\\ud800", "\\\"",
	        "\"id\":", "\"name\":\"a\"", "\xff", "\xc3\xa4", "[[[[[[[[[[[[[[[[[[[[[[[[", "{}"};
	const struct input *other = &corpus[next() % n_corpus];
	size_t at = input->size ? next() % input->size : 0, n;
	const char *word;

	switch (next() % 6) {
	case 0:
		if (input->size)
			input->bytes[at] = (uint8_t)next();
		break;
	case 1:
		if (input->size)
			input->bytes[at] ^= (uint8_t)(1u << next() % 8);
		break;
	case 2:
		resize(input, at, 1 + next() % 16, 0);
		break;
	case 3: /* a piece of another input */
		n = other->size ? next() % other->size % 64 : 0;
		if (input->size + n > INPUT_MAX)
			break;
		resize(input, at, 0, n);
		memcpy(input->bytes + at, other->bytes + (other->size - n) / 2, n);
		break;
	case 4:
		word = words[next() % (sizeof(words) / sizeof(words[0]))];
		n = strlen(word);
		if (input->size + n > INPUT_MAX)
			break;
		resize(input, at, next() % 2 ? n : 0, n);
		memcpy(input->bytes + at, word, n);
		break;
	default:
		input->size = at;
	}
}

static void try_one(const struct input *input)
{
	/* Of exactly its size, so that reading beyond it is seen. */
	uint8_t *copy = malloc(input->size ? input->size : 1);

	*last = *input;
	memcpy(copy, input->bytes, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

static int open_last(void)
{
	int fd;

	strcpy(last_path, "/tmp/podrail-fuzz-XXXXXX");
	fd = mkstemp(last_path);
	if (fd < 0 || ftruncate(fd, sizeof(*last)))
		return -1;
	last = mmap(NULL, sizeof(*last), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return last == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? atof(argv[2]) : 10;
	unsigned long runs = 0;
	struct timespec start, now;
	static struct input input;
	struct stat st;

	state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	state = state ? state : 1;
	if (argc < 2 || stat(argv[1], &st) || open_last())
		return fprintf(stderr, "usage: %s CORPUS [SECONDS [SEED]]\n", argv[0]), 2;
	if (S_ISDIR(st.st_mode))
		load_directory(argv[1]);
	else
		load(argv[1]);
	if (!n_corpus)
		return fprintf(stderr, "%s: no input in %s\n", argv[0], argv[1]), 2;
	fprintf(stderr, "the last input is kept in %s (its size in the first 8 bytes)\n",
	        last_path);
	for (unsigned i = 0; i < n_corpus; i++)
		try_one(&corpus[i]);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		input = corpus[next() % n_corpus];
		for (unsigned n = 1 + next() % 6; n; n--)
			mutate(&input);
		try_one(&input);
		runs++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (S_ISDIR(st.st_mode) &&
	         (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
	                 seconds);
	unlink(last_path);
	printf("%u inputs, %lu mutations: no fault\n", n_corpus, runs);
	return 0;
}
