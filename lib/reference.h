/* SPDX-License-Identifier: MIT */
/*
 * reference: what the reference server (the Rust program) kept is taken over: the versions of its
 * config.db, the requests of its stats.db.
 */
#ifndef KII_REFERENCE_H
#define KII_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct kii_reference {
	int64_t versions, versions_taken;   /* there, and how many of them changed something here */
	int64_t requests, requests_taken;
};

/* Told now and then while it lasts. */
struct kii_reference_watch {
	void (*call)(void *arg, int64_t requests);   /* so many there are */
	void *arg;
};

/*
 * From `dir`/config.db and `dir`/stats.db, opened for reading only, into the databases of the state
 * folder: one transaction each, both or none. A version is taken over once; a request that is here
 * already (all of its values, as often) is not taken again. With `dry_run` it is all done and
 * undone. `watch` may be NULL. Fails: ENOTFOUND (a database is missing, there or here), EINVAL (no
 * database of the reference server, or a row that cannot be ours), EBUSY, EDB.
 */
int kii_reference_import(const char *dir, const char *state_dir, bool dry_run,
	const struct kii_reference_watch *watch, struct kii_reference *out, struct kii_error *err)
	KII_MUST_CHECK;

#endif
