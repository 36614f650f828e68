/* SPDX-License-Identifier: MIT */
/*
 * source: a project's files into a job's workspace: out of a repository, or out of an archive that
 * an operator has sent before (lib/upload.h).
 */
#ifndef KII_SOURCE_H
#define KII_SOURCE_H

#include "build_request.h"
#include "task.h"

/* When a build is asked for: may it have this source? Fails: EINVAL with field. */
int source_check(const struct worker *w, const struct kii_build_request *r,
	struct kii_error *err) KII_MUST_CHECK;

/* Into `folder`; *dir is the project's top, the caller's to close. Fails as task_work. */
int source_get(struct task *t, const struct kii_build_request *r, const char *folder, int *dir,
	struct kii_error *err) KII_MUST_CHECK;

#endif
