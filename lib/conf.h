/* SPDX-License-Identifier: MIT */
/* conf: kiisrv.toml with its defaults; plain data, read-only after loading. */
#ifndef KII_CONF_H
#define KII_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define KII_CONF_LAYOUTS_MAX 8

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
	} docker;
	struct {
		char *state_dir;
		char *run_dir;
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
	} firmware;
	struct {
		int64_t slots;          /* 0 in the file: the number of cores */
		int64_t max_waiting;
		int64_t per_client;
	} queue;
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
	} retention;
};

/*
 * Read the file (NULL: KIISRV_CONFIG from the environment, else the installed default, which may
 * be missing) and the environment. Caller frees with kii_conf_free. Fails: EINVAL
 * ("file:line:column: key: reason"), EIO.
 */
int kii_conf_load(const char *file, struct kii_conf **out, struct kii_error *err) KII_MUST_CHECK;
void kii_conf_free(struct kii_conf *conf);

/* One line a key: "table.key = value   # from <default|file:line|environment NAME>". */
void kii_conf_show(const struct kii_conf *conf, struct kii_buf *out);

#endif
