/* SPDX-License-Identifier: MIT */
/* context_walk: the entries of a folder, top down and sorted; private to lib/context*.c. */
#ifndef KII_CONTEXT_WALK_H
#define KII_CONTEXT_WALK_H

#include <stdbool.h>
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

/* What it leads to is borrowed as long as the walk lives. */
struct kii_walk_opts {
	const struct kii_ignore *ignore; /* or NULL */
	const char *forced[2];           /* paths that are never left out; NULL: none */
	int64_t max_entries;             /* 0: no cap */
	/*
	 * Asked about every 100 ms (what is left out may take long, and nothing comes out
	 * meanwhile); false ends the walk with ETIMEOUT. NULL: nobody is asked.
	 */
	bool (*tick)(void *arg);
	void *tick_arg;
};

/* Walk the folder of descriptor `dir`, which is taken, even on failure. Fails: EIO, ETOOBIG. */
int kii_walk_new_take(int dir, const struct kii_walk_opts *opts, struct kii_walk **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_walk_free(struct kii_walk *w);

/*
 * Folders come before what is in them, and where they stay out only if something in them comes.
 * Fails as above, and ETIMEOUT (tick).
 */
int kii_walk_next(struct kii_walk *w, struct kii_walk_entry *entry, bool *more,
	struct kii_error *err) KII_MUST_CHECK;

#endif
