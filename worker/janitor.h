/* SPDX-License-Identifier: MIT */
/*
 * janitor: the thread that keeps house: looks at engine and images, and reconciles what the engine
 * has with what the rows say.
 */
#ifndef KII_JANITOR_H
#define KII_JANITOR_H

#include "worker.h"

/* pthread_create's function; the worker as `arg`. */
void *janitor_run(void *arg);

/* One look at the engine: what it is, which images it has. One that is down is no error. */
void janitor_look(struct worker *w, struct kii_engine *engine);

/*
 * Remove containers and volumes that carry our instance's label but belong to no running job.
 * Fails as the engine; EDB.
 */
int janitor_reconcile(struct worker *w, struct kii_engine *engine, struct kii_error *err)
	KII_MUST_CHECK;

/* Forget rows of the audit that are too old or too many. What hinders is logged. */
void janitor_trim_audit(struct worker *w);

/* Before anything runs: remove half-written artifacts. */
void janitor_sweep(struct worker *w);

#endif
