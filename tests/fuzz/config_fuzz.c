/* SPDX-License-Identifier: BSD-3-Clause */
/* Any configuration: it is refused with a sentence, or what config.show prints of it is accepted
 * again and means the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/config.h"
#include "control/verbs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_mean_the_same(const struct daemon_config *config)
{
	struct daemon_config again;
	struct config_error error;
	cJSON *first = config_show(config), *second;

	if (config_parse(first, &again, &error))
		abort();
	second = config_show(&again);
	if (!cJSON_Compare(first, second, 1))
		abort();
	config_free(&again);
	cJSON_Delete(first);
	cJSON_Delete(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verb_error parse = {0};
	cJSON *json = verb_parse((const char *)data, size, &parse);
	struct daemon_config config;
	struct config_error error;

	if (!json) {
		if (!parse.message[0])
			abort();
		return 0;
	}
	if (config_parse(json, &config, &error)) {
		if (!error.message[0])
			abort();
	} else {
		must_mean_the_same(&config);
		config_free(&config);
	}
	cJSON_Delete(json);
	return 0;
}
