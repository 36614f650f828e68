/* SPDX-License-Identifier: MIT */
/*
 * kind: the table of the kinds of jobs. A kind is one file of the worker: how its request is
 * checked and kept, and how its job is run. All else (queue, turns, caps, cancel, retry, logs,
 * retention) is the same for all.
 */
#ifndef KII_KIND_H
#define KII_KIND_H

#include <jansson.h>

#include "worker.h"

struct kind {
	const char *name;
	enum lane_name lane;
	enum slot_group group;
	/*
	 * What an earlier worker left running is gone on with; else it is begun anew, as one
	 * attempt more.
	 */
	bool resumes;
	bool keeps_image;   /* the row's image is what the job runs, not what it made */
	/*
	 * Check the request (an object) and fill in the job's key, subject, release, image and
	 * request. NULL, or the refusal. Without the lock.
	 */
	json_t *(*prepare)(struct worker *w, const json_t *request, struct kii_job *job);
	/*
	 * What a request comes to that is known by its content: fill in the job's key. NULL, or the
	 * refusal. Under the lock. Without it nothing is ever found.
	 */
	json_t *(*find)(struct worker *w, const json_t *message, struct kii_job *job);
	/* May an ended job's work be done again? NULL, or the refusal. Under the lock. */
	json_t *(*again)(struct worker *w, const struct kii_job *old);
	/* Bring the job of a slot to its end, or back into the queue. */
	void (*run)(struct lane *lane, struct kii_job *job, struct running *slot);
};

/* NULL: there is no such kind. */
const struct kind *kind_find(const char *name);
/* One after the other from 0; NULL behind the last. */
const struct kind *kind_at(size_t i);
/* That of a kind that is not known is GROUP_WORK. */
enum slot_group kind_group(const char *name);

extern const struct kind kind_firmware;          /* firmware.c */
extern const struct kind kind_pull, kind_push;   /* transfer.c */

#endif
