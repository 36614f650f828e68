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

/* The line that reports the end of a job, or NULL when it is gone. Caller owns it. */
json_t *ops_end(struct worker *w, const char *id);

#endif
