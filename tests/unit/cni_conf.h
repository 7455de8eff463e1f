/* SPDX-License-Identifier: BSD-3-Clause */
/* A network configuration for the tests of our own IPAM. */
#ifndef CNI_CONF_H
#define CNI_CONF_H

#include "cni/ranges.h"

/* A configuration whose members behind the name are `rest`. */
static inline void parse(struct cni_netconf *conf, const char *version, const char *rest)
{
	struct cni_env env = {.command = CNI_DEL, .ifname = "eth0"};
	struct cni_error err;
	char *text = NULL;

	assert_true(
	        asprintf(&text, "{\"cniVersion\":\"%s\",\"name\":\"n\",\"type\":\"podrail\",%s}",
	                version, rest) > 0);
	assert_int_equal(cni_netconf_parse(conf, text, strlen(text), &env, &err), 0);
}

#endif
