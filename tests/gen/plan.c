/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"

#include <sys/mman.h>

#define TRACK_BITS_TOTAL (1ull << 24) /* 2 MiB of bitmaps, if the flows are few */
#define TRACK_WIDTH_MAX  (1u << 20)

struct pr_ip plan_address(const struct options *o, unsigned station, bool ipv6)
{
	const struct port_options *port = &o->ports[station];
	struct pr_ip ip = ipv6 ? port->ip6 : port->ip4;
	char text[PR_IP_STRLEN];

	if (ip.family)
		return ip;
	snprintf(text, sizeof(text), ipv6 ? "2001:db8::%x" : "198.18.0.%u", station + 16);
	pr_ip_parse(text, &ip);
	return ip;
}

static int make_template(struct pair *p, const struct options *o, bool ipv6, enum frame_proto proto,
        char *error, size_t size)
{
	const struct port_options *from = &o->ports[p->from];
	const struct port_options *to = &o->ports[p->to];
	const struct pr_ip *gateway = ipv6 ? &from->gateway6 : &from->gateway4;
	const struct pr_prefix *prefix = ipv6 ? &to->prefix6 : &to->prefix4;
	struct frame_template *t = &p->templates[p->n_templates];
	struct frame_spec spec = {
	        .src_mac = from->mac,
	        .dst_mac = pr_mac_is_zero(&from->gateway_mac) ? to->mac : from->gateway_mac,
	        .vlan = from->vlan,
	        .src = plan_address(o, p->from, ipv6),
	        .dst = prefix->addr.family ? prefix->addr : plan_address(o, p->to, ipv6),
	        .dst_len = prefix->addr.family ? prefix->len : 128,
	        .flows = p->flows,
	        .scatter = o->scatter,
	        .proto = proto,
	};

	if (pr_mac_is_zero(&spec.dst_mac) && !gateway->family) {
		snprintf(error, size,
		        "port %u has no --gw-mac and peer %u no --mac: nobody to send to", p->from,
		        p->to - o->n_ports);
		return -EINVAL;
	}
	if (frame_template_init(t, &spec) < 0) {
		snprintf(error, size, "--flows %u: %s", p->flows,
		        o->scatter ? "--scatter wants a power of two"
		                   : "too many, or --ip of another family");
		return -EINVAL;
	}
	p->n_templates++;
	for (unsigned i = 0; !o->imix && i < o->n_sizes; i++) {
		if (o->sizes[i] >= frame_size_min(t))
			continue;
		snprintf(error, size, "--size %u is too small for %s over IPv%c: at least %u",
		        o->sizes[i], t->tcp ? "TCP" : "UDP", ipv6 ? '6' : '4', frame_size_min(t));
		return -EINVAL;
	}
	return 0;
}

/* Zeroed memory that may use large pages: with a million flows, each packet misses the TLB. */
static void *big_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static size_t bits_size(const struct pair *p)
{
	return (size_t)p->flows * p->width / 8;
}

static int make_tracks(struct pair *p, uint64_t all_flows)
{
	uint64_t share = TRACK_BITS_TOTAL / all_flows;

	p->width = 64;
	while (p->width * 2 <= share && p->width < TRACK_WIDTH_MAX)
		p->width *= 2;
	p->tracks = big_alloc(p->flows * sizeof(*p->tracks));
	p->bits = big_alloc(bits_size(p));
	return p->tracks && p->bits ? 0 : -ENOMEM;
}

static int make_pair(struct pair *p, const struct options *o, const struct pair_options *po,
        char *error, size_t size)
{
	int rc = 0;

	p->from = po->from;
	p->to = po->to;
	p->reflected = po->to >= o->n_ports;
	p->untracked = p->reflected && o->one_way;
	p->arrives = p->reflected ? po->from : po->to;
	p->arrival_mac = o->ports[p->arrives].mac;
	p->flows = o->flows;
	for (unsigned i = 0; !rc && i < 4; i++) {
		if ((i & 1 ? o->ip6 : o->ip4) && (i & 2 ? o->tcp : o->udp))
			rc = make_template(p, o, i & 1, i & 2 ? FRAME_TCP : FRAME_UDP, error, size);
	}
	return rc ? rc : make_tracks(p, (uint64_t)o->flows * o->n_pairs);
}

void plan_gateway(struct plan *plan, unsigned from, bool ipv6, const struct pr_mac *mac)
{
	for (unsigned i = 0; i < plan->n_pairs; i++) {
		struct pair *p = &plan->pairs[i];

		for (unsigned k = 0; p->from == from && k < p->n_templates; k++) {
			if (p->templates[k].ipv6 == ipv6)
				memcpy(p->templates[k].headers, mac->b, 6);
		}
	}
}

int plan_init(struct plan *plan, const struct options *o, uint16_t run, char *error, size_t size)
{
	int rc = 0;

	memset(plan, 0, sizeof(*plan));
	plan->options = o;
	plan->run = run;
	plan->pairs = calloc(o->n_pairs ? o->n_pairs : 1, sizeof(*plan->pairs));
	if (!plan->pairs)
		return -ENOMEM;
	for (; !rc && plan->n_pairs < o->n_pairs; plan->n_pairs++)
		rc = make_pair(
		        &plan->pairs[plan->n_pairs], o, &o->pairs[plan->n_pairs], error, size);
	if (rc == -ENOMEM)
		snprintf(error, size, "not enough memory to follow %u pairs of %u flows",
		        o->n_pairs, o->flows);
	if (rc)
		plan_free(plan);
	return rc;
}

void plan_free(struct plan *plan)
{
	for (unsigned i = 0; i < plan->n_pairs; i++) {
		struct pair *p = &plan->pairs[i];

		if (p->tracks)
			munmap(p->tracks, p->flows * sizeof(*p->tracks));
		if (p->bits)
			munmap(p->bits, bits_size(p));
	}
	free(plan->pairs);
	memset(plan, 0, sizeof(*plan));
}
