/* SPDX-License-Identifier: BSD-3-Clause */
/* port.describe: how an application uses the port, ready to be pasted. */
#include "control/config.h"
#include "control/object.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define POD_DIRECTORY  "/run/podrail-port" /* where the snippet mounts the socket's directory */
#define ETHER_OVERHEAD 18u                 /* header and FCS */
#define MTU_PLAIN      1500u               /* fits testpmd's own packet buffers */
#define MBUF_PLAIN     2176u               /* testpmd's default: 2048 and the headroom */
#define MBUF_EXTRA     (128u + 32u)        /* headroom and what the driver puts before the frame */
#define MBUF_SHARE     512u                /* pool and rings, per packet buffer */

struct testpmd {
	const struct dp_port_spec *spec;
	unsigned mbufs, mbuf_size, memory; /* memory in MiB */
};

static struct testpmd testpmd_of(const struct dp_port_spec *spec)
{
	struct testpmd t = {.spec = spec, .mbuf_size = MBUF_PLAIN};
	uint64_t bytes;

	t.mbufs = 4096 + 4096u * spec->queues;
	if (spec->mtu > MTU_PLAIN)
		t.mbuf_size = (spec->mtu + ETHER_OVERHEAD + MBUF_EXTRA + 127) / 128 * 128;
	bytes = (uint64_t)t.mbufs * (t.mbuf_size + MBUF_SHARE);
	t.memory = (unsigned)((bytes >> 20) + 64 + 63) / 64 * 64;
	return t;
}

static bool plain_word(const char *text)
{
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("/._-+:@%", *text))
			return false;
	}
	return true;
}

/* As one word of a shell. */
static void put_word(FILE *out, const char *text)
{
	if (plain_word(text)) {
		fputs(text, out);
		return;
	}
	putc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else
			putc(*text, out);
	}
	putc('\'', out);
}

/* path: as the application sees the socket. cpu: -1: it takes the CPUs that it finds. */
static void put_testpmd(FILE *out, const struct testpmd *t, const char *path, int cpu)
{
	const struct dp_port_spec *spec = t->spec;
	char mac[PR_MAC_STRLEN];

	fputs("dpdk-testpmd", out);
	if (cpu >= 0)
		fprintf(out, " --lcores 0@%d,1@%d", cpu, cpu);
	/* A vhost-user back end takes 8 memory regions: segments must not be files of their own. */
	fprintf(out, " --in-memory --single-file-segments -m %u --no-pci --no-telemetry",
	        t->memory);
	fputs(" --vdev net_virtio_user0,path=", out);
	put_word(out, path);
	fprintf(out, "%s,queues=%u,queue_size=1024,mac=%s --", spec->server ? "" : ",server=1",
	        spec->queues, pr_mac_format(&spec->mac, mac));
	/* icmpecho answers ARP for anybody: only where the port's own addresses bound it. */
	fprintf(out, " --forward-mode=%s --rxq=%u --txq=%u --nb-cores=1 --total-num-mbufs=%u",
	        spec->n_addresses && !spec->trust ? "icmpecho" : "rxonly", spec->queues,
	        spec->queues, t->mbufs);
	if (t->mbuf_size != MBUF_PLAIN)
		fprintf(out, " --mbuf-size=%u --max-pkt-len=%u", t->mbuf_size,
		        spec->mtu + ETHER_OVERHEAD);
	fputs(" --auto-start --stats-period 5", out);
}

/* On the host; through the directory where the path is longer than a socket's name may be. */
static char *testpmd_line(const struct testpmd *t)
{
	const char *path = t->spec->socket, *last = strrchr(path, '/');
	int cpu = daemon_config ? daemon_config->dp.control_cpu : -1;
	char directory[sizeof(t->spec->socket)], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(directory, sizeof(directory), "%.*s", (int)(last - path), path);
		fputs("cd ", out);
		put_word(out, directory);
		fputs(" && ", out);
		path = last + 1;
	}
	put_testpmd(out, t, path, cpu);
	fclose(out);
	return text;
}

/* A JSON string is a YAML one, too. */
static void put_yaml_string(FILE *out, const char *text)
{
	cJSON *string = cJSON_CreateString(text);
	char *quoted = cJSON_PrintUnformatted(string);

	if (quoted)
		fputs(quoted, out);
	cJSON_free(quoted);
	cJSON_Delete(string);
}

static void put_pod_head(FILE *out, const struct port *port)
{
	fputs("apiVersion: v1\nkind: Pod\nmetadata:\n  name: ", out);
	for (const char *c = port->spec.name; *c; c++)
		putc(isalnum((unsigned char)*c) ? tolower((unsigned char)*c) : '-', out);
	putc('\n', out);
	if (!port_cni(port))
		return;
	fputs("  annotations:\n    k8s.v1.cni.cncf.io/networks: ", out);
	put_yaml_string(out, json_string(port_cni(port), "networkName", ""));
	putc('\n', out);
}

static void put_pod_container(FILE *out, const struct testpmd *t, const char *path)
{
	fputs("spec:\n  containers:\n  - name: app\n    image: YOUR-DPDK-IMAGE\n"
	      "    command: [\"/bin/sh\", \"-c\"]\n    args:\n    - >-\n      exec ",
	        out);
	put_testpmd(out, t, path, -1);
	fprintf(out,
	        "\n    securityContext:\n      capabilities:\n        add: [\"IPC_LOCK\"]\n"
	        "    resources:\n      requests:\n        cpu: \"2\"\n        memory: 256Mi\n"
	        "        hugepages-2Mi: %uMi\n      limits:\n        cpu: \"2\"\n"
	        "        memory: 256Mi\n        hugepages-2Mi: %uMi\n"
	        "    volumeMounts:\n    - name: port\n      mountPath: " POD_DIRECTORY "\n"
	        "    - name: hugepages\n      mountPath: /dev/hugepages\n",
	        t->memory, t->memory);
}

static char *pod_snippet(const struct port *port, const struct testpmd *t)
{
	const char *last = strrchr(port->spec.socket, '/');
	char path[sizeof(port->spec.socket) + sizeof(POD_DIRECTORY)];
	char directory[sizeof(port->spec.socket)], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	snprintf(path, sizeof(path), POD_DIRECTORY "%s", last);
	snprintf(directory, sizeof(directory), "%.*s", (int)(last - port->spec.socket),
	        port->spec.socket);
	put_pod_head(out, port);
	put_pod_container(out, t, path);
	fputs("  volumes:\n  - name: port\n    hostPath:\n      path: ", out);
	put_yaml_string(out, *directory ? directory : "/");
	fputs("\n      type: Directory\n  - name: hugepages\n    emptyDir:\n"
	      "      medium: HugePages\n",
	        out);
	fclose(out);
	return text;
}

static const char *vhost_user_note(const struct dp_port_spec *spec)
{
	if (strchr(spec->socket, ','))
		return "the socket's path has a comma, which DPDK's device arguments can not "
		       "express; "
		       "reach the socket by another path";
	if (spec->server)
		return "podrail makes the socket; start the application after the port was added, "
		       "and again when podraild was started again";
	return "the application makes the socket (server=1) and podrail connects to it, again "
	       "after every restart of either";
}

/* What an application has to know, whatever it is written with. */
static cJSON *describe_info(const struct port *port)
{
	static const char *const members[] = {"kind", "network", "mtu", "mac", "gatewayMac", "vlan",
	        "socket", "mode", "queues", "addresses", "device"};
	cJSON *info = cJSON_CreateObject();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const cJSON *member = json_member(port->body, members[i]);

		if (member)
			cJSON_AddItemToObject(info, members[i], cJSON_Duplicate(member, true));
	}
	if (port->network->spec.routed) {
		cJSON *gateways = cJSON_AddArrayToObject(info, "gateways");

		struct pr_ip link_local = port_our_link_local(port);

		for (unsigned i = 0; i < port->network->spec.n_gateways; i++)
			json_append_ip(gateways, &port->network->spec.gateways[i]);
		json_append_ip(gateways, &link_local);
	}
	cJSON_AddStringToObject(info, "note",
	        port->spec.kind == DP_PORT_VHOST_USER
	                ? vhost_user_note(&port->spec)
	                : "an eth port leads to a device; no pod uses it directly");
	return info;
}

int port_describe(struct request *request)
{
	const struct port *port = port_wanted(request, "name");
	char *testpmd = NULL, *snippet = NULL;

	if (!port)
		return -1;
	if (port->spec.kind == DP_PORT_VHOST_USER) {
		struct testpmd t = testpmd_of(&port->spec);

		testpmd = testpmd_line(&t);
		snippet = pod_snippet(port, &t);
	}
	cJSON_AddStringToObject(request->result, "name", port->spec.name);
	cJSON_AddStringToObject(request->result, "testpmd", testpmd ? testpmd : "");
	cJSON_AddStringToObject(request->result, "podSnippet", snippet ? snippet : "");
	cJSON_AddItemToObject(request->result, "info", describe_info(port));
	free(testpmd);
	free(snippet);
	return 0;
}
