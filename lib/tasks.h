/* SPDX-License-Identifier: MIT */
/*
 * tasks: work that waits for the engine, away from the threads that serve requests. Threads come
 * when there is work and go when there is none; each has an engine's handle of its own.
 */
#ifndef KII_TASKS_H
#define KII_TASKS_H

#include "conf.h"
#include "engine.h"

#define KII_TASKS_THREADS 24
#define KII_TASKS_WAITING 256

struct kii_tasks;

/* `e` is the thread's, for the call. */
typedef void kii_task(struct kii_engine *e, void *arg);

/* Fails as kii_engine_new. */
int kii_tasks_new(const struct kii_conf *conf, struct kii_tasks **out, struct kii_error *err)
	KII_MUST_CHECK;
/*
 * Run all that waits now, delayed or not, and wait for it: but after `patience_ms` the engine's
 * calls end with ETIMEOUT. No task may be added by others any more.
 */
void kii_tasks_free(struct kii_tasks *t, int64_t patience_ms);

/*
 * Run it, `delay_ms` from now at the earliest. Fails: EBUSY (too much waits), EIO (no thread):
 * then it is not run.
 */
int kii_tasks_add(struct kii_tasks *t, int64_t delay_ms, kii_task *run, void *arg,
	struct kii_error *err) KII_MUST_CHECK;
/* The process ends: what cannot be done now is not to be tried again. */
bool kii_tasks_ending(const struct kii_tasks *t);

#endif
