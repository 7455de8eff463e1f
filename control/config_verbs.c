/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config.h"
#include "control/object.h"

static void take_members(cJSON *result, cJSON *object)
{
	while (object && object->child)
		cJSON_AddItemToArray(result, cJSON_DetachItemViaPointer(object, object->child));
	cJSON_Delete(object);
}

int config_show_verb(struct request *request)
{
	cJSON *config = config_show(daemon_config);

	if (!config)
		return request_fail(request, PR_ERR_INTERNAL, NULL, "out of memory");
	take_members(request->result, config);
	return 0;
}

int config_check_verb(struct request *request)
{
	const cJSON *json = json_member(request->params, "config");
	struct config_error error = {0};
	struct daemon_config config;
	char field[sizeof(error.field) + 8];

	if (config_parse(json, &config, &error)) {
		snprintf(
		        field, sizeof(field), "config%s%s", error.field[0] ? "." : "", error.field);
		return request_fail(request, PR_ERR_PARAMS, field, "%s", error.message);
	}
	config_free(&config);
	cJSON_AddTrueToObject(request->result, "ok");
	return 0;
}
