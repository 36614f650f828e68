/* SPDX-License-Identifier: MIT */
/* ctl_jobs: "kiisrvctl jobs": what its files share. */
#ifndef KII_CTL_JOBS_H
#define KII_CTL_JOBS_H

#include <jansson.h>

#include "conf.h"
#include "ctl.h"
#include "jobs.h"

#define CTL_JOBS_CANCEL_ARGS "[--wait SECONDS] ID"
#define CTL_JOBS_LIST_ARGS "[--state STATE] [--limit N]"
#define CTL_JOBS_LOG_ARGS "[-f] ID"

struct ctl_jobs {
	struct kii_conf *conf;
	struct kii_jobs *db;       /* read only */
	struct kii_jobs *operator; /* likewise; NULL: not there, or not for this user */
};

/* The configured databases; zero it first, ctl_jobs_close on every path. */
int ctl_jobs_open(const struct ctl *ctl, struct ctl_jobs *j, struct kii_error *err)
	KII_MUST_CHECK;
void ctl_jobs_close(struct ctl_jobs *j);

/* The job, from whichever has it; *db (may be NULL) is that one. Fails as kii_jobs_get. */
int ctl_jobs_find(const struct ctl_jobs *j, const char *id, struct kii_job *out,
	struct kii_jobs **db, struct kii_error *err) KII_MUST_CHECK;

/* How long its last attempt took, or takes until now, ms; -1: it has not started. */
int64_t ctl_jobs_duration(const struct kii_job *job);
/* All of it but the request. Caller owns it. */
json_t *ctl_jobs_json(const struct kii_job *job);

/* EINVAL for what is no job's id. */
int ctl_jobs_check_id(const char *id, struct kii_error *err) KII_MUST_CHECK;
/* An option's number from `least` to `most`. Fails: EINVAL with `field`. */
int ctl_jobs_number(const char *text, const char *field, int64_t least, int64_t most,
	int64_t *out, struct kii_error *err) KII_MUST_CHECK;

ctl_run ctl_jobs_cancel;
ctl_run ctl_jobs_list;
ctl_run ctl_jobs_log;
ctl_run ctl_jobs_retry;

#endif
