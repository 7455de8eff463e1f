/* SPDX-License-Identifier: BSD-3-Clause */
#include "cni/ranges.h"

static const cJSON *get(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNull(item) ? NULL : item;
}

struct pr_ip cni_ip_next(struct pr_ip ip)
{
	for (size_t i = pr_ip_bytes(&ip); i--;)
		if (++ip.b[i])
			break;
	return ip;
}

/* Both of one family; the order of their bytes is that of the numbers. */
static int compare(const struct pr_ip *a, const struct pr_ip *b)
{
	return memcmp(a->b, b->b, pr_ip_bytes(a));
}

static bool range_has(const struct cni_range *range, const struct pr_ip *ip)
{
	return range->first.family == ip->family && compare(ip, &range->first) >= 0 &&
	       compare(ip, &range->last) <= 0;
}

const struct cni_range *cni_range_of(const struct cni_range_set *set, const struct pr_ip *ip)
{
	for (unsigned i = 0; i < set->n; i++)
		if (range_has(&set->range[i], ip))
			return &set->range[i];
	return NULL;
}

const char *cni_range_set_format(const struct cni_range_set *set, char *text, size_t size)
{
	char first[PR_IP_STRLEN], last[PR_IP_STRLEN];
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < set->n && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s-%s", i ? "," : "",
		        pr_ip_format(&set->range[i].first, first),
		        pr_ip_format(&set->range[i].last, last));
	return text;
}

/* The last address of a subnet; of IPv4 the one before, for that is its broadcast. */
static struct pr_ip last_of(const struct pr_prefix *subnet)
{
	struct pr_ip last = subnet->addr;
	unsigned bits = 8 * (unsigned)pr_ip_bytes(&last);

	for (unsigned bit = subnet->len; bit < bits; bit++)
		last.b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	if (last.family == AF_INET)
		last.b[3] &= 0xfe;
	return last;
}

static int take_subnet(const cJSON *item, struct pr_prefix *subnet, struct cni_error *err)
{
	const char *text = cJSON_GetStringValue(get(item, "subnet"));
	char network[PR_PREFIX_STRLEN];
	struct pr_prefix masked;

	if (!text || !strchr(text, '/') || pr_prefix_parse(text, subnet))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: a range needs a subnet such as \"198.18.1.0/24\"");
	masked = *subnet;
	pr_prefix_mask(&masked);
	if (!pr_ip_equal(&masked.addr, &subnet->addr))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: subnet %.64s has host bits set: the network address is %s", text,
		        pr_prefix_format(&masked, network));
	if (subnet->len > 8 * pr_ip_bytes(&subnet->addr) - 2)
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: subnet %.64s is too small to give addresses from", text);
	return 0;
}

/* An optional address of the range; in says whether it must lie in the subnet. */
static int take_address(const cJSON *item, const char *key, const struct pr_prefix *subnet, bool in,
        struct pr_ip *to, struct cni_error *err)
{
	const cJSON *value = get(item, key);
	char text[PR_PREFIX_STRLEN];

	if (!value || (cJSON_IsString(value) && !value->valuestring[0]))
		return 0;
	if (!cJSON_IsString(value) || pr_ip_parse(value->valuestring, to) ||
	        to->family != subnet->addr.family)
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: %s must be an address of the subnet's family", key);
	if (in && !pr_prefix_contains(subnet, to))
		return cni_fail(err, CNI_ERR_CONFIG, "ipam: %s %.64s is not in subnet %s", key,
		        value->valuestring, pr_prefix_format(subnet, text));
	return 0;
}

static int take_range(struct cni_range *range, const cJSON *item, struct cni_error *err)
{
	if (!cJSON_IsObject(item))
		return cni_fail(err, CNI_ERR_CONFIG, "ipam: a range is not an object");
	if (take_subnet(item, &range->subnet, err))
		return -EINVAL;
	range->gateway = range->first = cni_ip_next(range->subnet.addr);
	range->last = last_of(&range->subnet);
	if (take_address(item, "gateway", &range->subnet, false, &range->gateway, err) ||
	        take_address(item, "rangeStart", &range->subnet, true, &range->first, err) ||
	        take_address(item, "rangeEnd", &range->subnet, true, &range->last, err))
		return -EINVAL;
	if (compare(&range->first, &range->last) > 0)
		return cni_fail(err, CNI_ERR_CONFIG, "ipam: rangeStart is behind rangeEnd");
	return 0;
}

static bool overlap(const struct cni_range *a, const struct cni_range *b)
{
	return range_has(a, &b->first) || range_has(b, &a->first);
}

static int add_range(struct cni_ranges *ranges, struct cni_range_set *set, const cJSON *item,
        struct cni_error *err)
{
	struct cni_range *range = &ranges->all[ranges->n_all];
	char a[PR_PREFIX_STRLEN], b[PR_PREFIX_STRLEN];

	if (ranges->n_all == CNI_RANGES_MAX)
		return cni_fail(err, CNI_ERR_CONFIG, "ipam: more than %d ranges", CNI_RANGES_MAX);
	if (take_range(range, item, err))
		return -EINVAL;
	if (set->n && set->range[0].first.family != range->first.family)
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: a range set mixes IPv4 and IPv6: give each family its own");
	for (unsigned i = 0; i < ranges->n_all; i++)
		if (overlap(&ranges->all[i], range))
			return cni_fail(err, CNI_ERR_CONFIG, "ipam: ranges of %s and %s overlap",
			        pr_prefix_format(&ranges->all[i].subnet, a),
			        pr_prefix_format(&range->subnet, b));
	ranges->n_all++;
	set->n++;
	return 0;
}

static struct cni_range_set *new_set(struct cni_ranges *ranges, struct cni_error *err)
{
	struct cni_range_set *set = &ranges->set[ranges->n_sets];

	if (ranges->n_sets == CNI_SETS_MAX) {
		cni_fail(err, CNI_ERR_CONFIG, "ipam: more than %d range sets", CNI_SETS_MAX);
		return NULL;
	}
	ranges->n_sets++;
	*set = (struct cni_range_set){.range = &ranges->all[ranges->n_all]};
	return set;
}

/* [[range, ...], ...] */
static int add_sets(
        struct cni_ranges *ranges, const char *key, const cJSON *list, struct cni_error *err)
{
	const cJSON *sets, *item;

	if (list && !cJSON_IsArray(list))
		return cni_fail(err, CNI_ERR_CONFIG, "%s is not an array of arrays", key);
	cJSON_ArrayForEach (sets, list) {
		struct cni_range_set *set = new_set(ranges, err);

		if (!set)
			return -EINVAL;
		if (!cJSON_IsArray(sets) || !sets->child)
			return cni_fail(err, CNI_ERR_CONFIG,
			        "%s: each entry must be an array of at least one range", key);
		cJSON_ArrayForEach (item, sets)
			if (add_range(ranges, set, item, err))
				return -EINVAL;
	}
	return 0;
}

static int take_sets(
        struct cni_ranges *ranges, const struct cni_netconf *conf, struct cni_error *err)
{
	const cJSON *ipam = get(conf->root, "ipam");
	struct cni_range_set *set;

	if (add_sets(ranges, "runtimeConfig.ipRanges",
	            get(get(conf->root, "runtimeConfig"), "ipRanges"), err))
		return -EINVAL;
	if (get(ipam, "subnet")) {
		set = new_set(ranges, err);
		if (!set || add_range(ranges, set, ipam, err))
			return -EINVAL;
	}
	if (add_sets(ranges, "ipam.ranges", get(ipam, "ranges"), err))
		return -EINVAL;
	if (!ranges->n_sets)
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: no ranges: give subnet, ranges or runtimeConfig.ipRanges");
	return 0;
}

/* Versions before 0.3.0 have room for one address of each family. */
static int check_families(
        const struct cni_ranges *ranges, enum cni_version version, struct cni_error *err)
{
	unsigned n[2] = {0, 0};

	for (unsigned i = 0; i < ranges->n_sets; i++)
		n[ranges->set[i].range[0].first.family == AF_INET6]++;
	if (version < CNI_V030 && (n[0] > 1 || n[1] > 1))
		return cni_fail(err, CNI_ERR_CONFIG,
		        "ipam: CNI version %s does not support more than 1 address per family",
		        cni_version_name(version));
	return 0;
}

/* ---- addresses that are asked for ---- */

static int want(struct cni_ranges *ranges, const char *text, struct cni_error *err)
{
	struct pr_prefix prefix;

	if (pr_prefix_parse(text, &prefix))
		return cni_fail(err, CNI_ERR_CONFIG, "ips: \"%.64s\" is no address", text);
	for (unsigned i = 0; i < ranges->n_wanted; i++)
		if (pr_ip_equal(&ranges->wanted[i], &prefix.addr))
			return 0;
	if (ranges->n_wanted == CNI_WANTED_MAX)
		return cni_fail(err, CNI_ERR_CONFIG, "ips: more than %d", CNI_WANTED_MAX);
	ranges->wanted[ranges->n_wanted++] = prefix.addr;
	return 0;
}

static int want_all(struct cni_ranges *ranges, const cJSON *list, struct cni_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list)
		if (want(ranges, cJSON_IsString(item) ? item->valuestring : "", err))
			return -EINVAL;
	return 0;
}

/* CNI_ARGS IP= has one, or several with commas between them. */
static int want_arguments(struct cni_ranges *ranges, const char *text, struct cni_error *err)
{
	while (*text) {
		size_t length = strcspn(text, ",");
		char one[PR_PREFIX_STRLEN];

		snprintf(one, sizeof(one), "%.*s", (int)length, text);
		if (want(ranges, one, err))
			return -EINVAL;
		text += length + (text[length] == ',');
	}
	return 0;
}

int cni_ranges_parse(struct cni_ranges *ranges, const struct cni_netconf *conf,
        const struct cni_env *env, struct cni_error *err)
{
	const cJSON *args = get(get(conf->root, "args"), "cni");

	memset(ranges, 0, sizeof(*ranges));
	if (take_sets(ranges, conf, err) || check_families(ranges, conf->version, err) ||
	        want_all(ranges, get(get(conf->root, "runtimeConfig"), "ips"), err) ||
	        want_all(ranges, get(args, "ips"), err) || want_arguments(ranges, env->ip, err))
		return -EINVAL;
	return 0;
}
