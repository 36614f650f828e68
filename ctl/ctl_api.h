/* SPDX-License-Identifier: MIT */
/*
 * ctl_api: the commands that are clients of the operator's HTTP API: which server, with which
 * token, and what it says.
 */
#ifndef KII_CTL_API_H
#define KII_CTL_API_H

#include "ctl.h"
#include "httpc.h"
#include "json.h"

#define CTL_API_SERVER "http://127.0.0.1:3001"
#define CTL_API_ARGS   "[--server URL] [--token-file FILE]"

struct ctl_api {
	const char *server;       /* NULL: KIISRV_URL, else CTL_API_SERVER */
	const char *token_file;   /* NULL: KIISRV_TOKEN */
	char *token;
	struct kii_httpc *http;
};

/* Fails: EINVAL (fields "server", "token"), ENOTFOUND (the file), EIO. */
int ctl_api_open(struct ctl_api *api, struct kii_error *err) KII_MUST_CHECK;
void ctl_api_close(struct ctl_api *api);

/*
 * Ask, and expect a success: *out (caller's) is its JSON, NULL where it has none; `out` may be
 * NULL.
 * The server's own words otherwise: EINVAL (with the field), ENOTFOUND, ECONFLICT, EREFUSED (401,
 * 403), EBUSY (429, 503), EBROKEN; and as kii_httpc_ask. `body` may be NULL.
 */
int ctl_api_ask(struct ctl_api *api, const char *method, const char *path, const json_t *body,
	json_t **out, struct kii_error *err) KII_MUST_CHECK;
/* The error of an answer that is no success. Always -1. */
int ctl_api_refused(const struct kii_httpc_answer *answer, struct kii_error *err);

/* A part of a path, escaped; caller frees. */
char *ctl_api_escape(const char *text);

/* --- events: server-sent ones, fed in any pieces --- */

struct ctl_event {
	const char *name;         /* "log" */
	const char *id;           /* "" where it has none */
	const json_t *data;
};
/* -1 with `err` ends it. */
typedef int ctl_event_take(void *arg, const struct ctl_event *event, struct kii_error *err);

struct ctl_events {
	struct kii_buf line, name, id, data;
	ctl_event_take *take;
	void *arg;
};
void ctl_events_init(struct ctl_events *e, ctl_event_take *take, void *arg);
void ctl_events_release(struct ctl_events *e);
/* Fails: EBROKEN (data that is no JSON, a line without end), as `take`. */
int ctl_events_feed(struct ctl_events *e, const char *data, size_t len, struct kii_error *err)
	KII_MUST_CHECK;

#endif
