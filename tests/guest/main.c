/* SPDX-License-Identifier: BSD-3-Clause */
/* podrail-guest: see docs/guest.md. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lies.h"
#include "scenario.h"

static void stop(int number)
{
	(void)number;
	told_to_stop = 1;
}

int scenario_failed(const struct options *options, const char *reason)
{
	printf("{\"scenario\":\"%s\",\"ok\":false,\"reason\":", options->scenario);
	print_quoted(reason);
	puts("}");
	return 1;
}

void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			putchar('\'');
		else
			putchar(*text);
	putchar('"');
}

void print_result(const struct exchange_result *r)
{
	printf("\"sent\":%llu,\"received\":%llu,\"missing\":%llu,\"mismatched\":%llu,"
	       "\"reordered\":%llu,\"lostCalls\":%llu,\"strays\":%llu,\"disturbances\":%llu,"
	       "\"kicks\":%llu,\"slow\":%llu,\"numBuffersNotOne\":%llu,\"disconnected\":%s,"
	       "\"seconds\":%.3f,\"reason\":",
	        (unsigned long long)r->sent, (unsigned long long)r->received,
	        (unsigned long long)r->missing, (unsigned long long)r->mismatched,
	        (unsigned long long)r->reordered, (unsigned long long)r->lost_calls,
	        (unsigned long long)r->strays, (unsigned long long)r->disturbances,
	        (unsigned long long)r->kicks, (unsigned long long)r->slow,
	        (unsigned long long)r->not_one, r->disconnected ? "true" : "false", r->seconds);
	print_quoted(r->reason);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *);
		unsigned least_ports;
	} scenarios[] = {
	        {"exchange", scenario_exchange, 1},
	        {"reflect", scenario_reflect, 1},
	        {"pump", scenario_pump, 1},
	        {"tso", scenario_tso, 2},
	        {"matrix", scenario_matrix, 2},
	        {"lie", scenario_lie, 1},
	        {"latency", scenario_latency, 1},
	        {"stress", scenario_stress, 2},
	};
	static struct options options;
	struct sigaction action = {.sa_handler = stop};
	char error[200];

	if (options_parse(&options, argc, argv, error, sizeof(error))) {
		fprintf(stderr, "podrail-guest: %s\n", error);
		return 2;
	}
	if (options.help) {
		options_help();
		return 0;
	}
	if (options.list) {
		lies_list();
		return 0;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (!strcmp(options.scenario, scenarios[i].name)) {
			if (options.n_ports >= scenarios[i].least_ports)
				return scenarios[i].run(&options);
			fprintf(stderr, "podrail-guest: %s needs %u --port\n", options.scenario,
			        scenarios[i].least_ports);
			return 2;
		}
	fprintf(stderr, "podrail-guest: there is no scenario %s (--help)\n", options.scenario);
	return 2;
}
