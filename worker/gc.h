/* SPDX-License-Identifier: MIT */
/*
 * gc: what is kept and for how long: artifacts by age and budget, least recently answered first;
 * logs and rows by age; files that no row knows. What was promised within the last hour stays.
 */
#ifndef KII_GC_H
#define KII_GC_H

#include <jansson.h>

#include "worker.h"

/*
 * Collect, or with `dry_run` only say what would go. *out (the caller's) is {"items": [{"kind",
 * "name", "bytes", "why"}], "bytes"}. A row forgets its file before the file goes. Fails: EDB,
 * EBUSY; what went is gone.
 */
int gc_run(struct worker *w, bool dry_run, json_t **out, struct kii_error *err) KII_MUST_CHECK;

#endif
