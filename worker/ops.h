/* SPDX-License-Identifier: MIT */
/* ops: what may be asked over worker.sock, and by whom. */
#ifndef KII_OPS_H
#define KII_OPS_H

#include <jansson.h>
#include <sys/types.h>

#include "worker.h"

struct peer {
	uid_t uid;
	bool admin;    /* root, or the worker's own user */
	uint64_t number;   /* its connection's, for an answer that comes later */
};

/* By SO_PEERCRED; the number is the server's to give. Fails: EIO. */
int ops_peer(int fd, struct peer *peer, struct kii_error *err) KII_MUST_CHECK;

/*
 * The answer to one line, an object (caller owns it) with the message's tag; NULL: collector_take
 * gives it later. `watch` gets the id of the job whose end is to be reported, or "".
 */
json_t *ops_answer(struct worker *w, const struct peer *peer, const char *line, size_t len,
	char watch[KII_JOB_ID + 1]);

/*
 * 1: *line (the caller's) reports the end of a job. 0: it has none yet. -1: there is no telling,
 * the job is gone or cannot be read.
 */
int ops_end(struct worker *w, const char *id, json_t **line);

#endif
