/* SPDX-License-Identifier: MIT */
/* submit: a request gets an answer from memory, a share in a live job, a new job, or a refusal. */
#ifndef KII_SUBMIT_H
#define KII_SUBMIT_H

#include <jansson.h>

#include "kind.h"
#include "worker.h"

/*
 * The answer to a submit (lib/worklink.h) of this kind, whose "request" is an object; caller owns
 * it, its "tag" is the caller's to set. `watch` gets the id of the job whose end is to be reported,
 * or "".
 */
json_t *submit_new(struct worker *w, const struct kind *kind, const json_t *message,
	char watch[KII_JOB_ID + 1]);

/*
 * The same for a request whose content alone is told: {"op":"find"}. Nothing is ever put under a
 * key of such origin: what is there was put there by a request that this process has read.
 */
json_t *submit_find(struct worker *w, const struct kind *kind, const json_t *message,
	char watch[KII_JOB_ID + 1]);

/* The same for a job by id: {"op":"attach"}. Who is no admin sees the public's jobs only. */
json_t *submit_attach(struct worker *w, bool admin, const char *id, char watch[KII_JOB_ID + 1]);

/* A new job with an ended one's request: {"op":"retry"}. `client` may be NULL. */
json_t *submit_retry(struct worker *w, const char *id, const char *client);

/* {"ok":false, ...}; `field` may be NULL, `retry_after` 0. */
json_t *submit_refusal(int status, const char *code, const char *field, int retry_after,
	const char *fmt, ...) KII_PRINTF(5, 6);
json_t *submit_error(const struct kii_error *err);
/* Where worker_job has failed: 404, or submit_error's when it is not known whether there is one. */
json_t *submit_no_job(const struct kii_error *err);

/* Who a client counts as: IPv6 by /64, all else as it is. */
void submit_client(const char *address, char out[64]);

#endif
