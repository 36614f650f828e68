/* SPDX-License-Identifier: MIT */
/* conf: kiisrv.toml with its defaults; plain data, read-only after loading. */
#ifndef KII_CONF_H
#define KII_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "bases.h"

#define KII_CONF_LAYOUTS_MAX 8
#define KII_CONF_BODY_MAX (4u << 20)   /* more than that no worker takes */

struct kii_conf_list {
	char **items;               /* NULL where there are none */
	size_t n;
};

struct kii_conf {
	char *file;                 /* where it came from; NULL: no file, all defaults */
	struct {
		bool podman;            /* runtime = "podman" */
		bool rootless;
		/* "unix:///..." or "tcp://host:port", DOCKER_HOST applied */
		char *socket_path;
		bool tls_verify;        /* DOCKER_TLS_VERIFY */
		char *cert_path;        /* DOCKER_CERT_PATH, or NULL */
		int64_t timeout_ms;
		char *build_dir;        /* workspaces of image builds */
		int64_t max_concurrent_pulls;   /* slots of the operator's pulls */
	} docker;
	struct {
		char *state_dir;
		char *run_dir;
		char *secrets;
		char *layouts[KII_CONF_LAYOUTS_MAX];  /* the first that has a file wins */
		size_t n_layouts;
	} paths;
	struct {
		char *image_prefix;
		bool bind;              /* transport = "bind" */
		int64_t timeout_ms;
		int64_t idle_timeout_ms;
		int64_t memory;         /* bytes */
		double cpus;
		int64_t pids;
		int64_t tmp;            /* bytes */
		char *git_url;          /* the controller's repository: its tags are /versions */
		int64_t git_refresh_ms; /* 0: only when asked */
	} firmware;
	struct {
		int64_t slots;          /* the number of cores where the file has 0 or none */
		int64_t operator_slots; /* of the operator's jobs, but for pulls */
		int64_t max_waiting;
		int64_t per_client;
	} queue;
	/* Of the operator's image builds; a request may ask for less. */
	struct {
		int64_t memory;         /* bytes, of each step */
		double cpus;
		int64_t timeout_ms;     /* of all of it */
		int64_t idle_timeout_ms;
		int64_t upload;         /* bytes, packed */
		int64_t context;        /* bytes */
		int64_t context_files;
		/* Of the sources of builds in git. */
		bool allow_file, allow_http, allow_private;
		char *known_hosts;      /* the file */
		int64_t max_source;     /* bytes */
		int64_t source_timeout_ms;
		char *source_network;   /* the engine's name for it */
	} build;
	struct {
		int64_t body;           /* bytes */
	} http;
	struct {
		int64_t log;            /* bytes */
		int64_t artifact;
		int64_t disk_floor;
	} limits;
	struct {
		int64_t artifacts;      /* bytes */
		int64_t artifact_days;
		int64_t log_days;
		int64_t audit_days;
		int64_t build_cache;    /* bytes of layers that stay with the engine */
		int64_t working_containers_ms;
	} retention;
	struct kii_bases images;   /* those that the file puts in a default's place */
	/* What an operator may ask of a container; the rest is refused. */
	struct {
		struct kii_conf_list bind_roots;     /* folders of the host */
		struct kii_conf_list capabilities;   /* "NET_ADMIN" */
		struct kii_conf_list devices;        /* "/dev/ttyACM0" */
		bool privileged;
		bool host_namespaces;
		bool container_namespaces;
	} containers;
	char **origins;             /* where each key's value came from, in the table's order */
};

/*
 * Read the file (NULL: KIISRV_CONFIG from the environment, else the installed default, which may
 * be missing) and the environment (DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH,
 * XDG_RUNTIME_DIR). Caller frees with kii_conf_free. Fails: EINVAL with "file:line:column:
 * table.key: reason" or "environment NAME: ...", ENOTFOUND (a file that was named), ETOOBIG, EIO.
 */
int kii_conf_load(const char *file, struct kii_conf **out, struct kii_error *err) KII_MUST_CHECK;
void kii_conf_free(struct kii_conf *conf);

/*
 * One line a key, "table.key = value   # from <default|file:line|environment NAME>", which can be
 * loaded again.
 */
void kii_conf_show(const struct kii_conf *conf, struct kii_buf *out);

/*
 * {"file": name or null, "keys": {"table.key": {"value": ..., "from": ...}}}; sizes in bytes,
 * durations in seconds. Caller owns the result.
 */
json_t *kii_conf_json(const struct kii_conf *conf);

#endif
