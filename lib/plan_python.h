/* SPDX-License-Identifier: MIT */
/* plan_python: what the two halves of Python's detector share. */
#ifndef KII_PLAN_PYTHON_H
#define KII_PLAN_PYTHON_H

#include "plan_in.h"

/* Is the package among the project's own dependencies, whichever tool they are written for? */
bool kii_python_depends(struct kii_tree *t, const char *name);

/* The start command of the framework or program, and what it needs besides. */
void kii_python_framework(struct kii_draft *d);

#endif
