/* SPDX-License-Identifier: MIT */
/*
 * gc: what is kept and for how long: artifacts by age and budget, least recently answered first;
 * logs and rows by age; files that no row knows; the engine's layers of our builds by budget. What
 * was promised within the last hour stays.
 */
#ifndef KII_GC_H
#define KII_GC_H

#include <jansson.h>

#include "worker.h"

/*
 * Collect, or with `dry_run` only say what would go. *out (the caller's) is {"items": [{"kind",
 * "name", "bytes", "why"}], "bytes"}. A row forgets its file before the file goes. An engine that
 * is away is no failure. Fails: EDB, EBUSY; what went is gone.
 */
int gc_run(struct worker *w, bool dry_run, json_t **out, struct kii_error *err) KII_MUST_CHECK;

/* Those layers alone, of which there are more behind a build. */
void gc_layers(struct worker *w);

#endif
