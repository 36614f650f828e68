/* SPDX-License-Identifier: MIT */
/* context_walk: the entries of a folder, top down and sorted; private to lib/context*.c. */
#ifndef KII_CONTEXT_WALK_H
#define KII_CONTEXT_WALK_H

#include <stdint.h>
#include <sys/stat.h>

#include "buf.h"
#include "dockerignore.h"

struct kii_walk;

struct kii_walk_entry {
	const char *path;        /* borrowed until the next call */
	struct stat st;
	const char *target;      /* of a link */
	int parent;              /* descriptor of its folder, borrowed likewise */
	const char *name;        /* in there */
};

/*
 * Walk the folder of descriptor `dir`, which is taken, even on failure. `ignore` (or NULL) is
 * borrowed, as are the paths of `forced` (NULL: none), which are never left out. Fails: EIO,
 * ETOOBIG.
 */
int kii_walk_new_take(int dir, const struct kii_ignore *ignore, const char *const forced[2],
	int64_t max_entries, struct kii_walk **out, struct kii_error *err) KII_MUST_CHECK;
void kii_walk_free(struct kii_walk *w);

/* Folders come before what is in them, and where they stay out only if something in them comes. */
int kii_walk_next(struct kii_walk *w, struct kii_walk_entry *entry, bool *more,
	struct kii_error *err) KII_MUST_CHECK;

#endif
