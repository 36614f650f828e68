/* SPDX-License-Identifier: MIT */
/*
 * follow: clients that watch a container's log or its stats as they come, as server-sent events.
 * One thread serves them all. A log's events have an id each, at which it goes on (container_log).
 *   event: log      data: {"stream": "stdout", "text": "..."}, "base64" where it is no UTF-8;
 *                   "time" where it was asked for; id
 *   event: stats    data: as kii_ops_stats
 *   event: end      data: {"state", "exit_code"}: the container has ended, and so has its log;
 *                   or {"state": "removed"}
 *   event: failed   data: {"error", "code"}: the engine could not go on; ask again
 */
#ifndef KII_FOLLOW_H
#define KII_FOLLOW_H

#include "conf.h"
#include "container_log.h"
#include "fcgi.h"

struct kii_follow;

/* Fails as kii_multi_new. */
int kii_follow_new(const struct kii_conf *conf, struct kii_follow **out, struct kii_error *err)
	KII_MUST_CHECK;
/* When no client is left. */
void kii_follow_free(struct kii_follow *f);

/* A client, before it has been decided what it gets. */
struct kii_viewer;

/* NULL with EBUSY: there are too many. It is given back by one of the calls below. */
struct kii_viewer *kii_viewer_new(struct kii_follow *f, struct kii_error *err);
/* What kii_park gets, with the viewer. */
void kii_viewer_gone(uint64_t ticket, void *viewer);

/* It gets this and nothing else. */
void kii_viewer_answer(struct kii_viewer *v, uint64_t ticket, struct kii_res *res);

struct kii_viewer_spec {
	const char *id;                /* of the container, all of it */
	const char *api;               /* the version to ask in */
	bool podman;
	bool stats;                    /* not the log */
	/* of a log */
	bool tty;
	bool timestamps;
	unsigned streams;              /* 1: stdout, 2: stderr, 3: both */
	struct kii_log_place from;
};
/* It gets events, from now on. Borrowed. */
void kii_viewer_start(struct kii_viewer *v, uint64_t ticket, const struct kii_viewer_spec *spec);

/* {"stream", "text" or "base64", "time"}; for who reads a log at once, too. Caller owns it. */
json_t *kii_log_piece_json(const struct kii_log_piece *piece, bool timestamps);

#endif
