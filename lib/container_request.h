/* SPDX-License-Identifier: MIT */
/*
 * container_request: what an operator asks a container to be (the body of POST
 * /api/v1/containers), checked member by member before any engine hears of it, and the JSON that
 * an engine makes it from. Whether it is allowed is said by container_policy.
 */
#ifndef KII_CONTAINER_REQUEST_H
#define KII_CONTAINER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define KII_CONTAINER_BY "kiisrv.by"   /* the label that says whose request made a container */

enum kii_pull { KII_PULL_MISSING, KII_PULL_ALWAYS, KII_PULL_NEVER };

struct kii_container_port {
	char ip[46];             /* "" for all addresses */
	int host;                /* 0: the engine chooses */
	int container;
	const char *protocol;    /* "tcp", "udp" or "sctp" */
};

struct kii_container_volume {
	char *source;            /* a path of the host, a volume's name, or NULL for a new one */
	bool bind;               /* `source` is a path */
	char *target;            /* a path inside */
	bool read_only;
	const char *driver;      /* NULL: the engine's */
	json_t *options;         /* of the driver, texts by name, or NULL */
	char field[48];          /* where it stands in the request */
};

struct kii_container_health {
	json_t *test;            /* NULL: no health check asked for */
	int64_t interval_ns, timeout_ns, start_ns;   /* 0: the engine's default */
	int64_t retries;
};

/* Absent texts and lists are NULL, absent numbers 0. What is borrowed belongs to `json`. */
struct kii_container_request {
	json_t *json;
	const char *image, *name, *user, *hostname, *network_mode;
	char *working_dir;
	const char *pid_mode, *ipc_mode, *uts_mode, *userns_mode, *cgroupns_mode;
	struct kii_container_port *ports;
	size_t n_ports;
	struct kii_container_volume *volumes;
	size_t n_volumes;
	json_t *environment, *labels;                       /* objects of texts */
	json_t *command, *entrypoint, *networks;            /* arrays of texts */
	json_t *capabilities, *capabilities_drop, *devices, *security_options;
	const char *restart;     /* "no", "always", "unless-stopped", "on-failure" */
	int64_t restart_retries;
	struct kii_container_health health;
	int64_t memory;          /* bytes */
	double cpus;
	int64_t pids;
	int64_t stop_timeout;    /* seconds; -1: the engine's default */
	bool privileged, read_only, init, start;
	enum kii_pull pull;
};

/*
 * Read the body (borrowed). Caller frees *out. Fails: EINVAL with the field at fault, such as
 * "ports.8080" or "volumes[2].target".
 */
int kii_container_request_read(const json_t *body, struct kii_container_request **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_container_request_free(struct kii_container_request *r);

/*
 * The engine's JSON for it, as `who` asks for it. Of its networks only the first is in it: the
 * others are to be connected. Its named volumes must be there. Caller owns it.
 */
json_t *kii_container_request_engine(const struct kii_container_request *r, const char *who);

#endif
