/* SPDX-License-Identifier: MIT */
/* run: a slot's thread: takes jobs of its lane and has their kind bring each to its end. */
#ifndef KII_RUN_H
#define KII_RUN_H

#include "worker.h"

/* pthread_create's function; the lane as `arg`, until the worker stops. */
void *run_slot(void *arg);

/* --- for the kinds --- */

/* Sleep for so many pauses (a second each), but not past the worker's end. */
void run_pause(struct worker *w, int n);

/*
 * Record the end, whatever it takes, tell who waits, and free the slot. False: there was nothing
 * to record it in, or the worker ends before it could.
 */
bool run_end(struct lane *lane, const struct kii_job *job, const struct kii_job_end *end,
	struct running *slot);
/* Into the queue again, as patiently; the attempt's log gets its number. Frees the slot. */
void run_again(struct lane *lane, const struct kii_job *job, struct running *slot);
/* Free the slot and record nothing: the next worker finds the job running. */
void run_leave(struct lane *lane, struct running *slot);

/* "<id>.log" becomes "<id>.<attempt>.log". */
void run_keep_log(const struct lane *lane, const char *id, int attempt);

#endif
