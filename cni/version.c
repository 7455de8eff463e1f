/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/cni.h"

static const char *const names[CNI_VERSIONS] = {
        [CNI_V010] = "0.1.0",
        [CNI_V020] = "0.2.0",
        [CNI_V030] = "0.3.0",
        [CNI_V031] = "0.3.1",
        [CNI_V040] = "0.4.0",
        [CNI_V100] = "1.0.0",
        [CNI_V110] = "1.1.0",
};

int cni_version_parse(const char *text)
{
	for (int i = 0; i < CNI_VERSIONS; i++)
		if (!strcmp(text, names[i]))
			return i;
	return -1;
}

const char *cni_version_name(enum cni_version version)
{
	return names[version];
}

char *cni_version_json(enum cni_version echo)
{
	cJSON *json = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(json, "cniVersion", names[echo]);
	cJSON_AddItemToObject(
	        json, "supportedVersions", cJSON_CreateStringArray(names, CNI_VERSIONS));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}
