/* SPDX-License-Identifier: BSD-3-Clause */
/* podrail-gen: starts DPDK and the worker, minds signals, reports. */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>

#include "control.h"
#include "pattern.h"
#include "report.h"

#define WORKER_LCORE 1

static struct options options;
static struct devices devices;
static struct worker worker;
static struct control control;
static struct options next_options; /* --control: the traffic to come */
static enum control_line order;     /* what ended the traffic */

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Where people read: not between the JSON. */
static FILE *people(void)
{
	return strcmp(options.json, "-") ? stdout : stderr;
}

static int next_signal(const sigset_t *set, long ms)
{
	struct timespec wait = {ms / 1000, ms % 1000 * 1000000};

	return sigtimedwait(set, NULL, &wait);
}

/* Returns 0 when all links are up; -1 with a sentence, also when told to stop. */
static int wait_links(const sigset_t *set, char *error, size_t size)
{
	double limit = clock_now() + options.wait_link;

	while (devices_up(&devices) < devices.n) {
		int signal_number = next_signal(set, 20);

		if (signal_number == SIGINT || signal_number == SIGTERM) {
			snprintf(error, size, "told to stop before all links were up");
			return -1;
		}
		if (clock_now() > limit) {
			snprintf(error, size,
			        "%u of %u links are still down after %.1f s (--wait-link): is the "
			        "other side of each port connected?",
			        devices.n - devices_up(&devices), devices.n, options.wait_link);
			return -1;
		}
	}
	return 0;
}

/* Asks the worker for its counts. Returns whether they came. */
static bool snapshot(void)
{
	unsigned wanted = worker.snapshot_wanted + 1;

	atomic_store(&worker.snapshot_wanted, wanted);
	for (unsigned i = 0; i < 100; i++) {
		if (atomic_load_explicit(&worker.snapshot_done, memory_order_acquire) == wanted)
			return true;
		usleep(1000);
	}
	return false;
}

static struct counts counts_between(const struct counts *now, const struct counts *before)
{
	struct counts diff = *now;
	uint64_t *a = (uint64_t *)&diff;
	const uint64_t *b = (const uint64_t *)before;

	for (unsigned i = 0; i < sizeof(diff) / sizeof(*a); i++)
		a[i] -= b[i];
	return diff;
}

/* The interval's counts as far as they go; packets under way may still arrive or be missed. */
static void new_epoch(double *since)
{
	char what[64];

	if (snapshot()) {
		snprintf(what, sizeof(what), "interval %u ends, %u begins", worker.snapshot_number,
		        worker.snapshot_number + 1);
		report_line(people(), what, &worker.snapshot_epoch, clock_now() - *since);
		atomic_store(&worker.epoch_wanted, worker.snapshot_number + 1);
	}
	*since = clock_now();
}

/* A line with what was new since the last one. */
static void progress(double *last, struct counts *before)
{
	double now = clock_now();
	struct counts diff;

	if (!snapshot())
		return;
	diff = counts_between(&worker.snapshot, before);
	if (worker.snapshot.sent >= before->sent)
		report_line(people(), "progress", &diff, now - *last);
	*before = worker.snapshot;
	*last = now;
}

/* Minds signals, links and the clock until the worker has ended. */
static void mind(const sigset_t *set)
{
	double start = clock_now(), last = start;
	unsigned up = devices.n;
	bool told_to_stop = false;
	struct counts before = {0};

	while (rte_eal_get_lcore_state(WORKER_LCORE) == RUNNING) {
		unsigned up_now = devices_up(&devices);

		switch (next_signal(set, options.control ? 2 : 50)) {
		case SIGINT:
		case SIGTERM:
			atomic_store(&worker.stop, true);
			order = CONTROL_NONE;
			told_to_stop = true;
			break;
		case SIGUSR1:
			new_epoch(&start);
			break;
		}
		if (up_now != up)
			fprintf(people(), "links up: %u of %u\n", up_now, devices.n);
		if (up_now > up)
			atomic_store(&worker.announce, true);
		up = up_now;
		if (options.control && !order && !told_to_stop) {
			order = control_poll(&control, &next_options, people());
			if (order)
				atomic_store(&worker.stop, true);
		}
		if (options.interval > 0 && clock_now() - last >= options.interval)
			progress(&last, &before);
	}
}

/* Own addresses, known gateways, and which pairs send where. */
static void prepare_devices(void)
{
	for (unsigned i = 0; i < devices.n; i++) {
		const struct port_options *port = &options.ports[i];
		struct device *dev = &devices.port[i];
		bool fixed = !pr_mac_is_zero(&port->gateway_mac);

		dev->n_pairs = dev->turn = 0;
		dev->self.mac = port->mac;
		dev->self.vlan = port->vlan;
		if (options.ip4 || port->ip4.family)
			dev->self.ip4 = plan_address(&options, i, false);
		if (options.ip6 || port->ip6.family)
			dev->self.ip6 = plan_address(&options, i, true);
		dev->gateway4_known |= fixed || !port->gateway4.family;
		dev->gateway6_known |= fixed || !port->gateway6.family;
		for (unsigned k = 0; k < worker.plan.n_pairs; k++) {
			if (worker.plan.pairs[k].from == i)
				dev->pairs[dev->n_pairs++] = (uint16_t)k;
		}
	}
}

/* Whether frames of several layouts share the transmit buffers. */
static bool mixed_layouts(void)
{
	bool mixed = options.n_sizes > 1;

	for (unsigned i = 0; i < worker.plan.n_pairs; i++) {
		const struct pair *p = &worker.plan.pairs[i];

		for (unsigned k = 0; k < p->n_templates; k++)
			mixed |= p->templates[k].payload !=
			         worker.plan.pairs[0].templates[0].payload;
	}
	return mixed;
}

static int report(void)
{
	FILE *out = stdout;
	int rc = 0;

	if (!options.quiet)
		report_text(&worker, people());
	if (*options.json) {
		if (strcmp(options.json, "-"))
			out = fopen(options.json, "we");
		rc = out ? report_json(&worker, out) : -errno;
		if (out && out != stdout && fclose(out) && !rc)
			rc = -errno;
	}
	if (rc)
		fprintf(stderr, "podrail-gen: --json %s: %s\n", options.json, strerror(-rc));
	return !rc && report_good(&worker) ? 0 : 1;
}

/* Everything of the worker begins anew, but for the gateways that were found. */
static int prepare(char *error, size_t size)
{
	uint16_t id = (uint16_t)(rte_rdtsc() >> 8 ^ (uint64_t)getpid() * 40503u);

	plan_free(&worker.plan);
	memset(&worker, 0, sizeof(worker));
	if (plan_init(&worker.plan, &options, id, error, size))
		return -1;
	worker.options = &options;
	worker.devices = &devices;
	worker.hz = rte_get_tsc_hz();
	prepare_devices();
	for (unsigned i = 0; i < devices.n; i++) {
		const struct device *dev = &devices.port[i];

		if (!pr_mac_is_zero(&dev->gateway4_mac))
			plan_gateway(&worker.plan, i, false, &dev->gateway4_mac);
		if (!pr_mac_is_zero(&dev->gateway6_mac))
			plan_gateway(&worker.plan, i, true, &dev->gateway6_mac);
	}
	devices_fill(&devices, mixed_layouts());
	return 0;
}

/* Traffic until it ends. Returns the exit status, or -1 with a sentence. */
static int traffic(const sigset_t *set, char *error, size_t size)
{
	order = CONTROL_NONE;
	next_options = options;
	rte_eal_remote_launch(worker_main, &worker, WORKER_LCORE);
	mind(set);
	if (rte_eal_wait_lcore(WORKER_LCORE)) {
		snprintf(error, size, "%s", worker.error);
		return -1;
	}
	return report();
}

/* Waits for traffic. Returns false when told to stop instead. */
static bool held(const sigset_t *set)
{
	while (control_poll(&control, &next_options, people()) != CONTROL_TRAFFIC) {
		int signal_number = next_signal(set, 2);

		if (signal_number == SIGINT || signal_number == SIGTERM)
			return false;
	}
	return true;
}

/* --control: each traffic with a result of its own; what was not good stays so. */
static int in_turn(const sigset_t *set, char *error, size_t size)
{
	unsigned number = 0;
	int worst = 0, rc;

	for (;;) {
		rc = traffic(set, error, size);
		worst = rc ? 1 : worst;
		fprintf(people(), "traffic %u ends: %s\n", number, rc ? "not good" : "good");
		fflush(people());
		if (rc < 0 || !order || (order == CONTROL_HOLD && !held(set)))
			return worst;
		options = next_options;
		options.settle = 0;
		if (prepare(error, size))
			return 1;
		fprintf(people(), "traffic %u begins\n", ++number);
		fflush(people());
	}
}

static int run(const sigset_t *set, char *error, size_t size)
{
	if (devices_open(&devices, &options, error, size) || prepare(error, size))
		return 1;
	if (options.mode != GEN_SEND && sink_init(&worker.sink, worker.plan.stray)) {
		snprintf(error, size, "not enough memory");
		return 1;
	}
	if (wait_links(set, error, size))
		return 1;
	control.first = options;
	if (options.control)
		return in_turn(set, error, size);
	return !!traffic(set, error, size);
}

int main(int argc, char **argv)
{
	char error[400] = "";
	sigset_t set;
	int rc = options_parse(argc, argv, &options, error, sizeof(error));

	if (rc == OPTIONS_EXIT)
		return 0;
	if (rc) {
		fprintf(stderr, "podrail-gen: %s\n", error);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pattern_init();
	rc = 1;
	if (!devices_eal(&options, error, sizeof(error))) {
		rc = run(&set, error, sizeof(error));
		devices_close(&devices);
		plan_free(&worker.plan);
		sink_free(&worker.sink);
		rte_eal_cleanup();
	}
	if (*error)
		fprintf(stderr, "podrail-gen: %s\n", error);
	return rc;
}
