/* SPDX-License-Identifier: MIT */
/* queue: which job is next. Clients take turns: who was served longest ago goes first. */
#ifndef KII_QUEUE_H
#define KII_QUEUE_H

#include "worker.h"

struct turns *turns_new(void);
void turns_free(struct turns *t);

/*
 * Under the worker's lock: take a job for a slot of the lane: one that an earlier worker left
 * running, or the next of the queue whose group has a slot free, which becomes running with one
 * attempt more. 1: *job and *slot are it (release the job; queue_leave the slot), 0: nothing to do,
 * -1: error. A job left running whose kind begins anew is queued again first; one that has had all
 * its attempts is claimed as it is.
 */
int queue_claim(struct lane *lane, struct kii_job *job, struct running **slot,
	struct kii_error *err) KII_MUST_CHECK;

/* Under the lock: the slot is free again. */
void queue_leave(struct running *slot);

/* Under the lock: the slot that runs the job, or NULL. */
struct running *queue_find(struct lane *lane, const char *id);

/*
 * Under the lock: the place from 1 that a queued job has by turns among those of its group; 0: it
 * is not queued.
 */
int queue_place(struct lane *lane, const char *id, int64_t *place, struct kii_error *err)
	KII_MUST_CHECK;

#endif
