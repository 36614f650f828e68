/* SPDX-License-Identifier: MIT */
/*
 * attempt: one container for one job, from its making (or finding: every step first looks at what
 * is there, so an earlier worker's container is simply gone on with) to its result.
 */
#ifndef KII_ATTEMPT_H
#define KII_ATTEMPT_H

#include "kll.h"
#include "spool.h"
#include "worker.h"

/* Why we ended a container ourselves. */
enum stopped {
	STOPPED_NOT,
	STOPPED_CANCELLED,
	STOPPED_TIMEOUT,
	STOPPED_SILENCE,
	STOPPED_DISK,      /* its log cannot be written */
};

enum verdict {
	VERDICT_ENDED,     /* `end` and the texts say how */
	VERDICT_AGAIN,     /* the engine failed it: another attempt, or lost */
	VERDICT_DETACHED,  /* the worker stops; the container goes on */
};

struct attempt {
	struct worker *w;
	struct lane *lane;
	struct kii_job *job;
	struct running *slot;
	struct kii_engine *engine;
	struct kii_kll *kll;
	char *name;            /* the container's */
	char dir[33];          /* the configuration's folder inside */
	char *zip;             /* "MD1-Standard-<hash>.zip" */
	char *error_zip;
	char *user;            /* the image's */
	struct kii_spool spool;
	bool made;             /* this worker made the container */
	bool unheard;          /* ... and asked for its start, but heard no answer */
	int64_t deadline;      /* on kii_io_now's clock */
	int64_t last_output;
	enum stopped stopped;
	struct kii_buf processes;   /* what ran when we ended it */
	struct kii_container seen;  /* the container at its end */
	/* the result */
	struct kii_job_end end;
	char *artifact;
	char error[256];
};

/* Prepare for the job that the slot has. Fails: EINVAL (the request no longer makes KLL), EIO. */
int attempt_init(struct attempt *a, struct lane *lane, struct kii_job *job, struct running *slot,
	struct kii_error *err) KII_MUST_CHECK;
void attempt_release(struct attempt *a);

/* Run it. On VERDICT_AGAIN `err` says why. */
enum verdict attempt_run(struct attempt *a, struct kii_error *err) KII_MUST_CHECK;

/* Remove the container and its volumes; the janitor does what fails here. */
void attempt_clean(struct attempt *a);

#endif
