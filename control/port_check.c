/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a new port would clash with another one. */
#include "control/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool mac_equal(const struct pr_mac *a, const struct pr_mac *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* What this node is called, so that ports of the same name on two nodes differ. */
static const char *node_seed(void)
{
	static char seed[128];
	FILE *file;

	if (seed[0])
		return seed;
	file = fopen("/etc/machine-id", "re");
	if (file) {
		if (!fgets(seed, sizeof(seed), file))
			seed[0] = '\0';
		fclose(file);
		seed[strcspn(seed, "\n")] = '\0';
	}
	if (!seed[0] && gethostname(seed, sizeof(seed) - 1))
		strcpy(seed, "podrail");
	return seed;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	while (*text++);
	return hash;
}

static bool mac_taken(const struct port_wish *wish)
{
	bool taken = false;
	size_t n;
	struct port **ports = port_sorted(&n);

	for (size_t i = 0; i < n && !taken; i++)
		taken = ports[i]->network == wish->network &&
		        strcmp(ports[i]->spec.name, wish->spec.name) &&
		        mac_equal(&ports[i]->spec.mac, &wish->spec.mac);
	free(ports);
	return taken || mac_equal(&wish->spec.mac, &wish->network->spec.gateway_mac) ||
	       mac_equal(&wish->spec.mac, &wish->spec.gateway_mac);
}

void port_make_mac(struct port_wish *wish)
{
	uint64_t hash = hash_text(hash_text(0xcbf29ce484222325, node_seed()), wish->spec.name);

	do {
		/* splitmix64's finish: FNV alone leaves the high bits of similar names alike. */
		uint64_t mixed = hash;

		mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
		mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
		mixed ^= mixed >> 31;
		for (int i = 0; i < 6; i++)
			wish->spec.mac.b[i] = (uint8_t)(mixed >> (8 * i));
		wish->spec.mac.b[0] = (uint8_t)((wish->spec.mac.b[0] & 0xfc) | 2);
		hash += 0x9e3779b97f4a7c15;
	} while (mac_taken(wish));
}

static int check_addresses(
        struct request *request, const struct port_wish *wish, const struct port *other)
{
	for (unsigned i = 0; i < wish->spec.n_addresses; i++) {
		for (unsigned k = 0; k < other->spec.n_addresses; k++) {
			const struct pr_ip *ip = &wish->spec.addresses[i].addr;
			char field[32], text[PR_IP_STRLEN];

			if (!pr_ip_equal(ip, &other->spec.addresses[k].addr))
				continue;
			snprintf(field, sizeof(field), "addresses[%u]", i);
			return request_fail(request, PR_ERR_CONFLICT, field,
			        "port \"%s\" of the same network has %s; choose another address",
			        other->spec.name, pr_ip_format(ip, text));
		}
	}
	return 0;
}

/* Bit v: frames tagged with v on the wire are the port's; bit 0: untagged ones, which a trunk takes
 * as those of its native VLAN. */
static void wire_tags(const struct dp_port_spec *spec, uint64_t tags[64])
{
	memcpy(tags, spec->trunk, sizeof(spec->trunk));
	if (spec->has_trunk) {
		tags[spec->vlan / 64] &= ~(UINT64_C(1) << (spec->vlan % 64));
		tags[0] |= 1;
	} else {
		tags[spec->vlan / 64] |= UINT64_C(1) << (spec->vlan % 64);
	}
}

static int check_device(
        struct request *request, const struct dp_port_spec *spec, const struct dp_port_spec *other)
{
	uint64_t ours[64], theirs[64];
	unsigned tag;

	if (strcmp(spec->device, other->device))
		return 0;
	wire_tags(spec, ours);
	wire_tags(other, theirs);
	for (tag = 0; tag < 4096; tag++) {
		if (ours[tag / 64] & theirs[tag / 64] & UINT64_C(1) << (tag % 64))
			break;
	}
	if (tag == 4096)
		return 0;
	if (!tag)
		return request_fail(request, PR_ERR_CONFLICT, "vlan",
		        "port \"%s\" takes the untagged frames of this device; choose a VLAN",
		        other->name);
	return request_fail(request, PR_ERR_CONFLICT, spec->has_trunk ? "trunk" : "vlan",
	        "port \"%s\" takes VLAN %u of this device; choose another", other->name, tag);
}

static int check_other(
        struct request *request, const struct port_wish *wish, const struct port *other)
{
	const struct dp_port_spec *spec = &wish->spec;

	if (spec->kind == other->spec.kind) {
		if (spec->kind == DP_PORT_VHOST_USER && !strcmp(spec->socket, other->spec.socket))
			return request_fail(request, PR_ERR_CONFLICT, "socket",
			        "port \"%s\" uses this socket; each port needs its own",
			        other->spec.name);
		if (spec->kind == DP_PORT_ETH && check_device(request, spec, &other->spec))
			return -1;
	}
	if (wish->network != other->network)
		return 0;
	if (wish->mac_given && mac_equal(&spec->mac, &other->spec.mac))
		return request_fail(request, PR_ERR_CONFLICT, "mac",
		        "port \"%s\" of the same network has this MAC address; choose another",
		        other->spec.name);
	return check_addresses(request, wish, other);
}

/* The tables hold one route a prefix: a pod's own address may not be a static route already. */
static int check_routes(struct request *request, const struct port_wish *wish)
{
	for (unsigned i = 0; i < wish->spec.n_addresses; i++) {
		struct pr_prefix host = pr_prefix_host(&wish->spec.addresses[i].addr);
		char field[32], text[PR_PREFIX_STRLEN];
		struct dp_route route;

		if (!route_exact(wish->spec.network, &host, &route))
			continue;
		snprintf(field, sizeof(field), "addresses[%u]", i);
		return request_fail(request, PR_ERR_CONFLICT, field,
		        "network \"%s\" has a route for %s (owner \"%s\"); remove it first",
		        wish->network->spec.name, pr_prefix_format(&host, text),
		        route_owner_name(&route));
	}
	return 0;
}

int port_check(struct request *request, const struct port_wish *wish)
{
	const cJSON *cni = json_member(request->params, "cni");
	int rc = 0;
	size_t n;
	struct port **ports = port_sorted(&n);

	for (size_t i = 0; i < n && !rc; i++)
		rc = check_other(request, wish, ports[i]);
	free(ports);
	if (!rc && wish->network->spec.routed)
		rc = check_routes(request, wish);
	if (!rc && wish->spec.kind == DP_PORT_VHOST_USER)
		rc = socket_path_check(request, wish->spec.socket, wish->spec.server,
		        json_string(cni, "socketDirectory", ""));
	return rc;
}
