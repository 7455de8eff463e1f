/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/cni.h"

#include <stdarg.h>

/* What others wrote ends up in our messages: it must not break the JSON or the reader's log. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

int cni_fail(struct cni_error *err, int code, const char *format, ...)
{
	va_list list;

	if (!err)
		return -EINVAL;
	err->code = code;
	err->details[0] = '\0';
	va_start(list, format);
	vsnprintf(err->msg, sizeof(err->msg), format, list);
	va_end(list);
	make_printable(err->msg);
	return -EINVAL;
}

void cni_fail_details(struct cni_error *err, const char *format, ...)
{
	va_list list;

	if (!err)
		return;
	va_start(list, format);
	vsnprintf(err->details, sizeof(err->details), format, list);
	va_end(list);
	make_printable(err->details);
}

char *cni_error_json(const struct cni_error *err, enum cni_version version)
{
	cJSON *json = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(json, "cniVersion", cni_version_name(version));
	cJSON_AddNumberToObject(json, "code", err->code);
	cJSON_AddStringToObject(json, "msg", err->msg);
	if (err->details[0])
		cJSON_AddStringToObject(json, "details", err->details);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

void cni_log(const char *format, ...)
{
	char line[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	make_printable(line);
	fprintf(stderr, "podrail: %s\n", line);
}
