/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"

#define LINE_MAX_BYTES 1024
#define BUCKETS        256
#define BURST          20           /* messages of one origin at once */
#define REFILL_NS      1000000000LL /* one more each second after that */

/* One a message origin; two that share a bucket share a rate, which harms nobody. */
struct bucket {
	int64_t refilled;
	unsigned tokens;
	unsigned suppressed;
};

static struct {
	pthread_mutex_t lock; /* any thread logs */
	struct bucket buckets[BUCKETS];
	int level;
	bool journal;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

void log_level_set(int level)
{
	__atomic_store_n(&state.level, level, __ATOMIC_RELAXED);
}

void log_start(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	state.journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	                !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

static unsigned hash_text(const char *text)
{
	unsigned hash = 2166136261u;

	for (unsigned i = 0; text[i] && i < 64; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

/* Takes a token. suppressed: how many messages of this origin were dropped before this one. */
static bool allowed(unsigned origin, unsigned *suppressed)
{
	struct bucket *bucket = &state.buckets[origin % BUCKETS];
	struct timespec now;
	int64_t ns, earned;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	*suppressed = 0;
	pthread_mutex_lock(&state.lock);
	earned = (ns - bucket->refilled) / REFILL_NS;
	if (!bucket->refilled || earned + bucket->tokens >= BURST) {
		bucket->tokens = BURST;
		bucket->refilled = ns;
	} else {
		bucket->tokens += (unsigned)earned;
		bucket->refilled += earned * REFILL_NS;
	}
	ok = bucket->tokens > 0;
	if (ok) {
		bucket->tokens--;
		*suppressed = bucket->suppressed;
		bucket->suppressed = 0;
	} else {
		bucket->suppressed++;
	}
	pthread_mutex_unlock(&state.lock);
	return ok;
}

/* One write a line, so that lines of two threads do not mix; no control characters, so that a name
 * from the outside can not forge a line. */
static void emit(int priority, const char *text, unsigned suppressed)
{
	char line[LINE_MAX_BYTES + 64];
	int n = 0;

	n += state.journal ? snprintf(line, 16, "<%d>", priority & LOG_PRIMASK)
	                   : snprintf(line, 16, "podraild: ");
	for (; *text && n < LINE_MAX_BYTES; text++)
		line[n++] = (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text;
	if (suppressed)
		n += snprintf(line + n, 48, " (%u like it left out)", suppressed);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody is left to tell */
}

static void log_line(int priority, unsigned origin, const char *text)
{
	unsigned suppressed;

	if (allowed(origin, &suppressed))
		emit(priority, text, suppressed);
}

void log_text(int priority, const char *message)
{
	if (priority <= __atomic_load_n(&state.level, __ATOMIC_RELAXED))
		log_line(priority, hash_text(message), message);
}

void log_message(int priority, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;

	if (priority > __atomic_load_n(&state.level, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_line(priority, hash_text(format), text);
}
