/* SPDX-License-Identifier: MIT */
/*
 * json_text: values in a JSON text, checked and found where they stand, for text that is large and
 * mostly passed on as it is: jansson takes ten times as long to make objects of it. What is found
 * is well-formed (RFC 8259, UTF-8) and points into the text.
 */
#ifndef KII_JSON_TEXT_H
#define KII_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* A value as it is written, or the way through one. Borrowed. */
struct kii_text {
	const char *at, *end;
	bool begun, broken;
};

/* The whole of a text must be one value with white space around it. False: it is not. */
bool kii_text_value(const char *data, size_t len, struct kii_text *out) KII_MUST_CHECK;

/*
 * The next member or item of a value that was found, which must be begun with a copy of it. False:
 * there is none, or it is no object or array. Names are as they are written, quotes and all.
 */
bool kii_text_member(struct kii_text *object, struct kii_text *name, struct kii_text *value);
bool kii_text_item(struct kii_text *array, struct kii_text *item);

/*
 * As kii_text_item over the text of an array that nobody has checked: each item is checked before
 * it is given. `*broken` once it is no array, or not to its end.
 */
void kii_text_begin(const char *data, size_t len, struct kii_text *array);
bool kii_text_next(struct kii_text *array, struct kii_text *item, bool *broken);

bool kii_text_is(const struct kii_text *value, const char *text);
size_t kii_text_len(const struct kii_text *value);

#endif
