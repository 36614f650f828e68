/* SPDX-License-Identifier: MIT */
/*
 * task: what the kinds of the operator's jobs share: a log that they write themselves, progress,
 * limits, and how they end. One that was interrupted is begun anew, at most three times in all.
 */
#ifndef KII_TASK_H
#define KII_TASK_H

#include <jansson.h>

#include "attempt.h"

struct task {
	struct worker *w;
	struct lane *lane;
	struct kii_job *job;
	struct running *slot;
	struct kii_engine *engine;
	json_t *request;         /* as the row keeps it */
	struct kii_spool spool;
	int64_t limit_ms, idle_ms;
	int64_t deadline;        /* on kii_io_now's clock */
	int64_t heard;           /* when something moved */
	enum stopped stopped;
	char progress[160];
	int64_t told;            /* when it was written down */
	bool untold;             /* it has changed since */
	/* the result */
	const char *outcome;     /* a stable word, a constant; NULL: none yet */
	char error[2048];
	int exit_code;
	void *own;               /* the kind's */
};

/*
 * Do the work. 0: the job has succeeded; `outcome` is set. -1: it has not: task_fail was called, or
 * `err` is the engine's trouble, or task_may_go_on said no.
 */
typedef int task_work(struct task *t, struct kii_error *err);

struct task_kind {
	task_work *work;
	int64_t limit_ms, idle_ms;   /* 0: the engine's time limit, for the silence */
};

/* As struct kind's run. */
void task_run(struct lane *lane, struct kii_job *job, struct running *slot,
	const struct task_kind *kind);

/*
 * Bytes, or a line, for the log; they count as a sign of life. False when the work has to end, as
 * below.
 */
bool task_write(struct task *t, const char *data, size_t len);
bool task_say(struct task *t, const char *fmt, ...) KII_PRINTF(2, 3);

/* What the job's row shows; written down at most twice a second. */
void task_progress(struct task *t, const char *fmt, ...) KII_PRINTF(2, 3);

/* False: cancelled, out of time, or the worker ends. An engine's tick, with the task as `arg`. */
bool task_may_go_on(void *task);

/* The job fails with this outcome and sentence. Always -1, with `err` set. */
int task_fail(struct task *t, struct kii_error *err, const char *outcome, const char *fmt, ...)
	KII_PRINTF(4, 5);
#define task_fail(...) kii_failed(task_fail(__VA_ARGS__))

#define TASK_IMAGE 128

/*
 * The ID of images/fetch's image, by which a job runs git or holds a namespace open: as the
 * janitor's last look found it, else as the engine says. -1 by task_fail: there is none. Fails
 * further as kii_engine_images.
 */
int task_helper(struct task *t, char id[TASK_IMAGE], struct kii_error *err);

/* The image that it is about, or made, into the row. Fails: EDB, EBUSY, ECONFLICT. */
int task_image(struct task *t, const char *id, struct kii_error *err) KII_MUST_CHECK;

#endif
