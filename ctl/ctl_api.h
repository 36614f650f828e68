/* SPDX-License-Identifier: MIT */
/*
 * ctl_api: kiisrvctl as a client of the operator's zone. The server is --server, else KIISRV_URL,
 * else http://127.0.0.1:3001; the token is KIISRV_TOKEN of the environment, where no process list
 * shows it, and leaves this machine over TLS only.
 */
#ifndef KII_CTL_API_H
#define KII_CTL_API_H

#include "ctl.h"
#include "httpc.h"

#define CTL_API_SERVER "http://127.0.0.1:3001"

struct ctl_api {
	struct kii_httpc *http;
	const char *token;       /* borrowed of the environment */
};

/*
 * `server` NULL: the default. Nothing is sent yet. ctl_api_close on every path (zero it first).
 * Fails: EINVAL (fields "server", "KIISRV_TOKEN").
 */
int ctl_api_open(const char *server, struct ctl_api *api, struct kii_error *err) KII_MUST_CHECK;
void ctl_api_close(struct ctl_api *api);

/*
 * Ask; `path` is escaped already, `body` NULL or borrowed. *answer (the caller's) is the JSON of a
 * success, null without a body. A refusal is an error in the server's words: EINVAL with field for
 * a bad request, ENOTFOUND, ECONFLICT, EBUSY, else EBROKEN; further as kii_httpc_ask.
 */
int ctl_api_ask(struct ctl_api *api, const char *method, const char *path, const json_t *body,
	json_t **answer, struct kii_error *err) KII_MUST_CHECK;

#endif
