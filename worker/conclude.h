/* SPDX-License-Identifier: MIT */
/* conclude: what a container's end means for its job, and the zip that goes with it. */
#ifndef KII_CONCLUDE_H
#define KII_CONCLUDE_H

#include "attempt.h"

/*
 * Judge the ended container (a->seen, a->stopped), finish the log, publish the artifact and fill in
 * a->end. *verdict becomes VERDICT_ENDED, or VERDICT_AGAIN with `err` set where the engine is to
 * blame (still 0 is returned). Fails as the engine; EIO.
 */
int conclude(struct attempt *a, enum verdict *verdict, struct kii_error *err) KII_MUST_CHECK;

/*
 * Fill in a->end for a job that ends without a container: `state`, the outcome's word and a
 * sentence. No artifact.
 */
void conclude_without(struct attempt *a, enum kii_job_state state, const char *outcome,
	const char *fmt, ...) KII_PRINTF(4, 5);

#endif
