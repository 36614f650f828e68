/* SPDX-License-Identifier: MIT */
/* job_json: what the operator's zone tells of a job. */
#ifndef KII_JOB_JSON_H
#define KII_JOB_JSON_H

#include <jansson.h>

#include "jobs.h"

/*
 * {"id", "kind", "state", "subject", "client", "created", "started", "finished", "cancel",
 * "attempts", "progress", "outcome", "error", "image", "log"}: times as text, "log" a URL. Not the
 * request: it may hold what others are not to see. Caller owns it.
 */
json_t *kii_job_json(const struct kii_job *job);

/* The same with "place" and "estimate" (s): null where the job has ended, or nothing is known. */
json_t *kii_job_json_whole(const struct kii_job *job, int64_t place, int64_t estimate_ms);

#endif
