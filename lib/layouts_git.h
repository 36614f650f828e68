/* SPDX-License-Identifier: MIT */
/*
 * layouts_git: a layout's file as it was at some revision, where the layouts' folder is a git
 * checkout: read out of its objects by libgit2, no program is run. What the checkout is configured
 * to do has no say. The library starts at the first call that needs it.
 */
#ifndef KII_LAYOUTS_GIT_H
#define KII_LAYOUTS_GIT_H

#include <stdbool.h>

#include "buf.h"

/* May a client's text be a revision? Letters, digits, ".", "_", "/", "-", no "-" at the begin. */
bool kii_layouts_git_rev(const char *rev);

/* Is the folder itself the top of a checkout (not merely inside of one) that can be read? */
bool kii_layouts_git_checkout(const char *dir);

/*
 * The text of `dir`/`file` at a revision (a tag, a branch, a commit) into `text`, links followed
 * within the folder. Fails: ENOTFOUND (no such revision, or no such layout in it), ETOOBIG (past
 * the buffer's limit), EINVAL (too many links in a row), EIO (the checkout is broken, or none).
 */
int kii_layouts_git_read(const char *dir, const char *file, const char *rev, struct kii_buf *text,
	struct kii_error *err) KII_MUST_CHECK;

#endif
