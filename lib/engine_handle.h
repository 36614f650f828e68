/* SPDX-License-Identifier: MIT */
/* engine_handle: the body of struct kii_engine, for the lib/engine*.c files that need curl. */
#ifndef KII_ENGINE_HANDLE_H
#define KII_ENGINE_HANDLE_H

#include <curl/curl.h>

#include "engine_call.h"

struct kii_engine {
	CURLM *multi;            /* owns the connections */
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

/* The error for a transfer that curl gave up. Always -1. */
int kii_call_broken(struct kii_engine *e, CURLcode rc, struct kii_error *err);

#endif
