/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this directory share; everybody else includes cJSON's own header. */
#ifndef CNI_JSON_H
#define CNI_JSON_H

#include <cjson/cJSON.h>

/* An item of a cJSON_ type, or NULL. */
cJSON *json_new(int type);

/* Makes item the last child. */
void json_append(cJSON *parent, cJSON *item);

#endif
