/* SPDX-License-Identifier: MIT */
/*
 * path: where in a JSON document a check stands. A chain on the stack that costs nothing until
 * something is wrong; only then it becomes text such as "config.matrix[3].layers.0.key".
 */
#ifndef KII_PATH_H
#define KII_PATH_H

#include "error.h"

struct kii_path {
	const struct kii_path *up;  /* NULL: the root */
	const char *name;           /* a member's name; NULL: an array's item */
	size_t index;
};

/* One step further down, for the length of the block. */
#define KII_PATH_NAME(up, name)  (&(const struct kii_path){ (up), (name), 0 })
#define KII_PATH_ITEM(up, index) (&(const struct kii_path){ (up), NULL, (index) })

/*
 * The path as text, cut at a character's border where `out` is too small for what the client
 * chose as names.
 */
void kii_path_text(const struct kii_path *at, char *text, size_t size);

/* EINVAL with this path as `field`. Always -1. */
int kii_path_fail(const struct kii_path *at, struct kii_error *err, const char *fmt, ...)
	KII_PRINTF(3, 4);
#define kii_path_fail(...) kii_failed(kii_path_fail(__VA_ARGS__))

#endif
