/* SPDX-License-Identifier: BSD-3-Clause */
/* Results in every version of the specification. Inside the plugin they have the form of 1.1.0:
 * {"interfaces": [], "ips": [], "routes": [], "dns": {}}, all four always present. */
#ifndef CNI_RESULT_H
#define CNI_RESULT_H

#include "cni/cni.h"

/* An empty result in the inner form; the caller frees it (cJSON_Delete). */
cJSON *cni_result_new(void);

/* Takes a result of any version (its cniVersion, or as assumed when it has none) into a new one in
 * the inner form. Unknown members are dropped, wrong ones refused: NULL with code 6, `what` names
 * the result in the message. */
cJSON *cni_result_import(
        const cJSON *in, enum cni_version assumed, const char *what, struct cni_error *err);

/* The inner form as a new result of that version, cniVersion included. */
cJSON *cni_result_export(const cJSON *result, enum cni_version version);

/* Adds the members of `more` (inner form) behind those of result; the interface indexes of its
 * addresses are moved along. */
void cni_result_append(cJSON *result, const cJSON *more);

#endif
