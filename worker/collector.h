/* SPDX-License-Identifier: MIT */
/*
 * collector: the gc that somebody asks for over worker.sock. It has a thread of its own, since the
 * engine takes its time over layers, and the janitor may be at it already.
 */
#ifndef KII_COLLECTOR_H
#define KII_COLLECTOR_H

#include <jansson.h>

#include "worker.h"

/* pthread_create's function; the worker as `arg`, until it stops. */
void *collector_run(void *arg);

/*
 * {"op":"gc"} of the server's peer `peer`: NULL, and the server is woken to take the answer; or the
 * refusal (caller owns it) while one is under way.
 */
json_t *collector_ask(struct worker *w, uint64_t peer, const json_t *message);

/* The answer that is there (caller owns it), with its tag, and whose it is; or NULL. */
json_t *collector_take(struct worker *w, uint64_t *peer);

#endif
