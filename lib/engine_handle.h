/* SPDX-License-Identifier: MIT */
/* engine_handle: the body of struct kii_engine, for the lib/engine*.c files that need curl. */
#ifndef KII_ENGINE_HANDLE_H
#define KII_ENGINE_HANDLE_H

#include <curl/curl.h>

#include "engine_call.h"

struct kii_engine {
	CURLM *multi;            /* owns the connections */
	bool shared;             /* it is another's, who drives it */
	CURL *easy;
	char *base;              /* "http://engine" or "https://host:port" */
	char *socket;            /* path of the Unix socket, or NULL */
	bool tls;
	char *ca, *cert, *key;   /* files, or NULL */
	int64_t timeout_ms;
	const atomic_bool *stop;
	struct curl_slist *headers;   /* of the running call */
	char trouble[CURL_ERROR_SIZE];

	int live;                /* the kept connection, curl's, to look at only; or -1 */

	/* Who is there; api is "" until it is negotiated, and again after a reconnect. */
	char api[16];
	bool podman;
};

/* Options that every request has. curl_easy_reset came before. */
void kii_engine_setup(struct kii_engine *e);

/* As kii_engine_new, with another's `multi`. Its calls are begun and ended, never stepped. */
int kii_engine_new_shared(const struct kii_engine_opts *opts, CURLM *multi,
	struct kii_engine **out, struct kii_error *err) KII_MUST_CHECK;

/* What a transfer that ended with `rc` comes to: 0, c->done set, or -1. */
int kii_call_conclude(struct kii_engine *e, struct kii_call *c, CURLcode rc,
	struct kii_error *err) KII_MUST_CHECK;

/* The error for a transfer that curl gave up. Always -1. */
int kii_call_broken(struct kii_engine *e, CURLcode rc, struct kii_error *err);
#define kii_call_broken(...) kii_failed(kii_call_broken(__VA_ARGS__))

#endif
