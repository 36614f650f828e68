/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jobs.h"

#include "jobs_private.h"

int kii_jobs_each_ends(struct kii_jobs *jobs, const char *kind, kii_jobs_take_ends *take,
	void *arg, struct kii_error *err)
{
	struct kii_store *s = jobs->store;
	int rc;

	if (kii_store_query(s, JOBS_ENDS, err, "s", kind) != 0)
		return -1;
	while ((rc = kii_store_next(s, JOBS_ENDS, err)) == 1)
		take(arg, &(struct kii_jobs_ends){
			.subject = kii_store_text(s, JOBS_ENDS, 0),
			.release = kii_store_text(s, JOBS_ENDS, 1),
			.outcome = kii_store_text(s, JOBS_ENDS, 2),
			.n = kii_store_int(s, JOBS_ENDS, 3),
		});
	kii_store_reset(s, JOBS_ENDS);
	return rc;
}

int kii_jobs_each_durations(struct kii_jobs *jobs, const char *kind,
	kii_jobs_take_durations *take, void *arg, struct kii_error *err)
{
	struct kii_store *s = jobs->store;
	int rc;

	if (kii_store_query(s, JOBS_DURATIONS, err, "s", kind) != 0)
		return -1;
	while ((rc = kii_store_next(s, JOBS_DURATIONS, err)) == 1)
		take(arg, &(struct kii_jobs_durations){
			.subject = kii_store_text(s, JOBS_DURATIONS, 0),
			.le_ms = kii_store_int(s, JOBS_DURATIONS, 1),
			.n = kii_store_int(s, JOBS_DURATIONS, 2),
			.sum_ms = kii_store_int(s, JOBS_DURATIONS, 3),
		});
	kii_store_reset(s, JOBS_DURATIONS);
	return rc;
}
