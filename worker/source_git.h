/* SPDX-License-Identifier: MIT */
/*
 * source_git: the files of a commit, fetched by a container of image "fetch" that knows nothing but
 * the repository, its address and, from a file, its credential. Submodules are further runs: each
 * URL is checked as the first one was.
 */
#ifndef KII_SOURCE_GIT_H
#define KII_SOURCE_GIT_H

#include "build_request.h"
#include "task.h"

/* May it be asked for? Nothing is looked up yet. Fails: EINVAL with field. */
int source_git_check(const struct kii_conf *conf, const struct kii_build_request *r,
	struct kii_error *err) KII_MUST_CHECK;

/* Into the new folder `path`; the container is gone afterwards. Fails as task_work. */
int source_git(struct task *t, const struct kii_build_request *r, const char *path,
	struct kii_error *err) KII_MUST_CHECK;

#endif
