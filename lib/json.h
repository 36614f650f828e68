/* SPDX-License-Identifier: MIT */
/* json: parsing of hostile text by jansson, capped before a byte is allocated. */
#ifndef KII_JSON_H
#define KII_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "buf.h"
#include "hash.h"

#define KII_JSON_DEPTH   32      /* nested arrays and objects */
#define KII_JSON_VALUES  50000   /* values in all: four parsers at once stay below 64 MiB */
#define KII_JSON_WRAP    16      /* levels and values that we may put around a document */

#define kii_autojson __attribute__((cleanup(kii_json_cleanup))) json_t
void kii_json_cleanup(json_t **j);

/*
 * Parse one document (any value; nothing but white space behind it). Depth and number of values
 * are counted over the text first, duplicate members are an error. Texts may hold \u0000, so that a
 * check can name the member at fault: use kii_json_str. Caller owns *out. Fails: EINVAL
 * with `field` as given and the reason.
 */
int kii_json_parse(const char *text, size_t len, const char *field, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/* The same of a document that kii_json_parse took, with what a program of ours put around it. */
int kii_json_parse_wrapped(const char *text, size_t len, const char *field, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/* Append compact text. `flags` are jansson's (JSON_SORT_KEYS, ...). Fails: ETOOBIG. */
int kii_json_dump(const json_t *j, size_t flags, struct kii_buf *out,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Add what a parsed value means: the same for members in another order, and for nothing else. No
 * text is made of it, which is what takes the time in a dump.
 */
void kii_json_hash(const json_t *j, struct kii_hash *hash);

/* The member as borrowed text, or NULL when it is absent, null, no string or holds NUL. */
const char *kii_json_str(const json_t *object, const char *name);

/* The member as a number, or `otherwise`. */
json_int_t kii_json_int(const json_t *object, const char *name, json_int_t otherwise);

/* Are the bytes what a text in JSON can be? */
bool kii_json_is_utf8(const char *text, size_t len);

/*
 * Set a text member; NULL, or text that is no UTF-8, becomes null / the text with ? for the bad
 * bytes.
 */
void kii_json_set_str(json_t *object, const char *name, const char *value);
void kii_json_set_strn(json_t *object, const char *name, const char *value, size_t len);

/* Set a time in ms since 1970 as its stamp; 0 becomes null. */
void kii_json_set_stamp(json_t *object, const char *name, int64_t ms);

#endif
