/* SPDX-License-Identifier: MIT */
/*
 * dockerignore: which paths of a build's context stay out, by the rules of Docker's own matcher,
 * its oddities included: the last pattern that matches a path, or a folder above it, decides.
 * Immutable after parsing. What moby leaves to Go's regular expressions and no file ever has (\b,
 * \Q, \p, \x and octal numbers behind a backslash, a NUL) is refused.
 */
#ifndef KII_DOCKERIGNORE_H
#define KII_DOCKERIGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define KII_IGNORE_BYTES     (256u << 10)   /* of a file */
#define KII_IGNORE_LINE      1024           /* of a pattern */
#define KII_IGNORE_PATTERNS  2000

struct kii_ignore;

/*
 * Read the text of an ignore file; an empty one matches nothing. *out is NULL, or what the rules
 * are added to. Caller frees with kii_ignore_free, even on failure. Fails: EINVAL naming the line
 * (field `name`), ETOOBIG past the limits above.
 */
int kii_ignore_parse(const char *text, size_t len, const char *name, struct kii_ignore **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_ignore_free(struct kii_ignore *ignore);

size_t kii_ignore_count(const struct kii_ignore *ignore);

/* Does it stay out? `path` is relative, without a slash at its ends. */
bool kii_ignore_match(const struct kii_ignore *ignore, const char *path);

/*
 * The same for a walk from the top down: `parent` is what was written for the folder above (NULL
 * at the top), `own` (kii_ignore_count places) gets what its children need. Differs from the call
 * above where moby's walk does.
 */
bool kii_ignore_walk(const struct kii_ignore *ignore, const char *path, const bool *parent,
	bool *own);

/* May an exception ("!") let in something below `folder`, which itself stays out? */
bool kii_ignore_may_except(const struct kii_ignore *ignore, const char *folder);

/* Is there an exception with a wildcard? Engines differ over what those let in. */
bool kii_ignore_wild_exceptions(const struct kii_ignore *ignore);

#endif
