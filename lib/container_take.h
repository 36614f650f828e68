/* SPDX-License-Identifier: MIT */
/*
 * container_take: the kinds of values that a container's request is made of, each checked and
 * named where it is wrong. Private to the lib/container_*.c files.
 */
#ifndef KII_CONTAINER_TAKE_H
#define KII_CONTAINER_TAKE_H

#include "container_request.h"
#include "path.h"

#define KII_TAKE_LABELS  128
#define KII_TAKE_ENV     512
#define KII_TAKE_ARGS    512
#define KII_TAKE_LIST    64
#define KII_TAKE_VALUE   (32u << 10)   /* bytes of one text */

/* All fail with EINVAL at `at`. */
typedef int kii_take(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err);
/* A member of an object, in a table that ends with a NULL name. */
struct kii_take_row { const char *name; kii_take *take; };

/* Each member of `object` by its row; one without a row is an error. */
int kii_take_members(struct kii_container_request *r, const struct kii_take_row *rows,
	json_t *object, const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;

/* A text without NUL of 1 to `max` bytes, into *out, borrowed. */
int kii_take_text(const char **out, const json_t *value, size_t max, const struct kii_path *at,
	struct kii_error *err) KII_MUST_CHECK;
/* One of `words` (up to a NULL); its number into *out. */
int kii_take_word(int *out, const char *const *words, const json_t *value,
	const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;
/* [A-Za-z0-9][A-Za-z0-9_.-]* of at most 128. */
int kii_take_name(const char **out, const json_t *value, const struct kii_path *at,
	struct kii_error *err) KII_MUST_CHECK;
/* An absolute path without "." and "..", slashes at its end taken off; caller frees *out. */
int kii_take_path(char **out, const json_t *value, const struct kii_path *at,
	struct kii_error *err) KII_MUST_CHECK;
bool kii_take_is_name(const char *text);
/* Why this is no such path, or NULL. */
const char *kii_take_path_fault(const char *text);
int kii_take_bool(bool *out, const json_t *value, const struct kii_path *at,
	struct kii_error *err) KII_MUST_CHECK;
int kii_take_integer(int64_t *out, const json_t *value, int64_t min, int64_t max,
	const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;
int kii_take_number(double *out, const json_t *value, double min, double max,
	const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;
/* An array of 1 to `max` texts without NUL; `check` may be NULL. A new reference into *out. */
typedef int kii_take_check(const char *text, const struct kii_path *at, struct kii_error *err);
int kii_take_texts(json_t **out, json_t *value, size_t max, kii_take_check *check,
	const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;
/* An object of at most `max` texts, likewise; `check` is for the names. */
int kii_take_pairs(json_t **out, json_t *value, size_t max, kii_take_check *check,
	const struct kii_path *at, struct kii_error *err) KII_MUST_CHECK;

/* --- container_places.c --- */
kii_take kii_take_ports, kii_take_volumes;

#endif
