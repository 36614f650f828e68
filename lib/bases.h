/* SPDX-License-Identifier: MIT */
/*
 * bases: the base images that plans build on, by name ("node", "python-run"). A reference may hold
 * {version}, which becomes the version that the project asks for. The names and their defaults
 * come from the detectors; the configuration's table [images] puts others in their place: a
 * mirror's, pinned digests, local ones.
 */
#ifndef KII_BASES_H
#define KII_BASES_H

#include <stdbool.h>

#include "error.h"

/* A row of a detector; a list ends with a row without a name. */
struct kii_base {
	const char *name, *reference;
};

/* Those that the configuration has put in place. Zeroed memory is none. */
struct kii_bases {
	struct kii_base_set {
		char *name, *reference, *origin;
	} *sets;
	size_t n;
};

void kii_bases_release(struct kii_bases *images);

/* The i-th known name and its default, or NULL behind the last; sorted by name. */
const struct kii_base *kii_bases_known(size_t i);

/*
 * Put another reference in a default's place. `origin` says where it came from. Fails: EINVAL with
 * field "images.<name>": no such name, no reference.
 */
int kii_bases_set(struct kii_bases *images, const char *name, const char *reference,
	const char *origin, struct kii_error *err) KII_MUST_CHECK;

/* What stands for a known name: the configuration's (or NULL: the default is in force). */
const struct kii_base_set *kii_bases_find(const struct kii_bases *images, const char *name);

/*
 * The reference for a known name and a version of [A-Za-z0-9._-]; caller frees. `images` may be
 * NULL.
 */
char *kii_bases_reference(const struct kii_bases *images, const char *name,
	const char *version);

#endif
