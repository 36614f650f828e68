/* SPDX-License-Identifier: MIT */
/*
 * context: what a build is given, as a tar stream made piece by piece of a folder of strangers'
 * files: sorted, without what its .dockerignore leaves out, owned by root. Links are sent as links
 * and never followed. Memory does not grow with the files. Not thread-safe.
 *
 * The engine gets two files that the build's steps do not see where they are to stay out: the
 * Dockerfile (always sent as a regular file) and .dockerignore, by which it knows that. Where the
 * file in force is that of the Dockerfile alone ("<Dockerfile>.dockerignore"), where files of ours
 * are added, or where it has exceptions with wildcards (Docker and Podman disagree over those),
 * the engine gets a .dockerignore of ours, which only hides, in place of the tree's.
 */
#ifndef KII_CONTEXT_H
#define KII_CONTEXT_H

#include <stdint.h>

#include "engine.h"

#define KII_CONTEXT_RECIPE_MAX (1u << 20)   /* bytes of a Dockerfile */

struct kii_context;

struct kii_context_opts {
	int dir;                     /* the source, borrowed until the context is freed */
	const char *root;            /* the context's folder below it; NULL or "": itself */
	/*
	 * The Dockerfile, below the context's folder, or the name of one of the extra files. NULL:
	 * "Dockerfile", else "dockerfile".
	 */
	const char *dockerfile;
	bool optional;               /* there need not be one */
	const struct kii_file *extra;    /* files of ours, borrowed likewise */
	size_t n_extra;
	/*
	 * Lines for the ignore file, before those of the tree's .dockerignore, which may take them
	 * back, and after them; or NULL.
	 */
	const char *ignore_before, *ignore_after;
	int64_t max_entries;         /* 0: no cap */
	int64_t max_bytes;           /* of all files together; 0: no cap */
	/*
	 * Asked about every 100 ms while files are looked for; false ends that (ETIMEOUT). An
	 * engine's own tick does not come then: hours may pass within one call, by patterns that
	 * take long and leave everything out.
	 */
	kii_engine_tick *tick;       /* or NULL */
	void *tick_arg;
};

/*
 * Nothing is sent yet; Dockerfile and ignore file are read. Caller frees with kii_context_free.
 * Fails: EINVAL and ENOTFOUND with field "context_root", "dockerfile" or ".dockerignore", ETOOBIG,
 * EIO.
 */
int kii_context_open(const struct kii_context_opts *opts, struct kii_context **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_context_free(struct kii_context *c);

/* The Dockerfile's path as the engine shall be told, "" for none, and its text. Borrowed. */
const char *kii_context_dockerfile(const struct kii_context *c);
const char *kii_context_recipe(const struct kii_context *c, size_t *len);

struct kii_context_entry {
	const char *path;        /* borrowed until the next call */
	char type;               /* 'f' file, 'd' folder, 'l' link */
	const char *target;      /* of a link */
	int64_t size;
	bool hidden;             /* for the engine only: no step sees it */
};
/*
 * The next entry that would be sent, without reading files; *more false: there are no more. Not to
 * be mixed with kii_context_read. Fails: ETOOBIG past the caps, EINVAL for a device or a pipe,
 * ETIMEOUT (tick), EIO.
 */
int kii_context_next(struct kii_context *c, struct kii_context_entry *entry, bool *more,
	struct kii_error *err) KII_MUST_CHECK;

/* The next bytes of the tar, at most `room`; 0: its end. Fails as kii_context_next. */
int kii_context_read(struct kii_context *c, char *out, size_t room, size_t *n,
	struct kii_error *err) KII_MUST_CHECK;

/* What has come by so far. */
struct kii_context_totals { int64_t entries, files, bytes; };
void kii_context_totals(const struct kii_context *c, struct kii_context_totals *out);

/*
 * A folder's name for files of ours that nothing in the context's folder has: ".kiisrv", or with a
 * number. The same for the same tree, so that an engine's cache holds. Caller frees.
 */
int kii_context_unused(int dir, const char *root, char **out, struct kii_error *err) KII_MUST_CHECK;

#endif
