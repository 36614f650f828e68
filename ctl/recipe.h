/* SPDX-License-Identifier: MIT */
/* recipe: the folder that an image is built from, in memory. */
#ifndef KII_CTL_RECIPE_H
#define KII_CTL_RECIPE_H

#include "engine.h"

struct ctl_recipe {
	struct kii_file *files;   /* paths below the folder, sorted; their texts */
	size_t n;
	size_t bytes;
};

/*
 * All files below `folder` but hidden ones; links and devices are refused. Caller releases it, also
 * after a failure. Fails: ENOTFOUND, EINVAL, ETOOBIG (more than 500 files, or 16 MiB), EIO.
 */
int ctl_recipe_read(struct ctl_recipe *r, const char *folder, struct kii_error *err)
	KII_MUST_CHECK;
void ctl_recipe_release(struct ctl_recipe *r);

#endif
