/* SPDX-License-Identifier: MIT */
/*
 * container_watch: GET /api/v1/containers/{id}/logs and /stats, at once or as it comes.
 *   logs: 200 {"entries": [{"stream", "text" or "base64", "time"?}], "cursor", "more"}: at most
 *   `limit` bytes of text, from the beginning, from `cursor`, from `since` or the last `tail`
 *   entries; "more": there was more, and the cursor goes on
 *   logs?follow=1, stats?stream=1: 200, server-sent events (follow.h)
 */
#ifndef KII_CONTAINER_WATCH_H
#define KII_CONTAINER_WATCH_H

#include "follow.h"
#include "http.h"
#include "tasks.h"

/* Handlers' work: as kii_handler. */
int kii_container_logs(struct kii_tasks *tasks, struct kii_follow *follow, struct kii_req *req,
	struct kii_error *err);
int kii_container_stats(struct kii_tasks *tasks, struct kii_follow *follow, struct kii_req *req,
	struct kii_error *err);

/* It was just made by an operator (its whole ID), without a terminal: `podman`, on a Podman. */
void kii_container_logs_known(const char *id, bool podman);

/* --- for the tests --- */
struct kii_logs_query {
	bool follow, timestamps;
	unsigned streams;            /* 1: stdout, 2: stderr, 3: both */
	int64_t tail;                /* -1: all */
	int64_t since;               /* ns since 1970; 0: from the beginning */
	int64_t limit;               /* bytes */
	bool has_cursor;
	struct kii_log_place cursor;
};
/* `last` is a Last-Event-ID, or "". Fails: EINVAL with the parameter as field. */
int kii_logs_query_read(const char *query, const char *last, struct kii_logs_query *out,
	struct kii_error *err) KII_MUST_CHECK;

#endif
