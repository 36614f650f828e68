/* SPDX-License-Identifier: MIT */
/* ctl_build: "kiisrvctl build", a client of the HTTP API; what its files share. */
#ifndef KII_CTL_BUILD_H
#define KII_CTL_BUILD_H

#include "ctl.h"
#include "httpc.h"
#include "jobs.h"
#include "text.h"

#define CTL_BUILD_ARGS "[--fresh] [--env ENV] [--server URL] [--out FILE|DIR] [--patience " \
	"SECONDS] [-v] FILE"

struct ctl_build {
	const char *file, *env, *server, *out;
	int64_t patience_ms;         /* for a server that stops answering */
	bool fresh;
	bool talk;                   /* progress and log to stderr */
	struct kii_httpc *http;

	/* The job, as last told. */
	char job[KII_JOB_ID + 1];
	enum kii_job_state state;
	int64_t place, attempts;
	double estimate;             /* seconds; negative: not known */
	char *artifact;              /* file name; NULL: none */
	char *error, *outcome;

	/* Its log. */
	uint64_t log_at;             /* bytes that were told */
	uint64_t log_skip;           /* of this answer, still to be dropped */
	bool log_begun;              /* its body has begun */
	bool mid_line;
	struct ctl_filter filter;
	const struct kii_httpc_answer *log_answer;
};

/*
 * The error for an answer that is no success: EINVAL with field for a bad request, EBUSY with
 * Retry-After in its words (`detail` too), ENOTFOUND, else EBROKEN. Always -1.
 */
int ctl_build_refused(const struct kii_httpc_answer *answer, struct kii_error *err);
#define ctl_build_refused(...) kii_failed(ctl_build_refused(__VA_ARGS__))

/* Take the job out of a JSON answer. Fails: EBROKEN. */
int ctl_build_read_job(struct ctl_build *b, const struct kii_httpc_answer *answer,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Ask again until the job has ended, telling its progress and its log. Fails as kii_httpc_ask and
 * ctl_build_refused, once the server's trouble lasts longer than patience.
 */
int ctl_build_watch(struct ctl_build *b, struct kii_error *err) KII_MUST_CHECK;

/*
 * Download the artifact to where `out` says; *path is where it lies (caller frees). Fails further
 * with EIO. A signal that ends the program takes the unfinished file with it.
 */
int ctl_build_save(struct ctl_build *b, char **path, struct kii_error *err) KII_MUST_CHECK;

ctl_run ctl_build;

#endif
