/* SPDX-License-Identifier: MIT */
/*
 * seen: texts that came before, and what was found out about them. A text is known by its SHA-256.
 * There are so many places; what has not been asked for longest goes. May be used by several
 * threads.
 */
#ifndef KII_SEEN_H
#define KII_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "hash.h"

struct kii_seen;

/* Values are `size` bytes, which are copied. */
struct kii_seen *kii_seen_new(size_t places, size_t size);
void kii_seen_free(struct kii_seen *s);

/* What a text is known by. */
void kii_seen_digest(const char *text, size_t len, char out[KII_HASH_HEX]);

/* False: it is not known; *value is as it was. */
bool kii_seen_get(struct kii_seen *s, const char *digest, void *value);
/* Add or replace. */
void kii_seen_put(struct kii_seen *s, const char *digest, const void *value);

#endif
