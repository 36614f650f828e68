/* SPDX-License-Identifier: MIT */
/* texts: a growing list of heap strings. Zeroed memory is an empty one. */
#ifndef KII_TEXTS_H
#define KII_TEXTS_H

#include <stdbool.h>

#include "mem.h"

struct kii_texts {
	char **items;
	size_t n, room;
};

#define kii_autotexts __attribute__((cleanup(kii_texts_release))) struct kii_texts

void kii_texts_release(struct kii_texts *t);
void kii_texts_add(struct kii_texts *t, const char *text);
void kii_texts_fmt(struct kii_texts *t, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_texts_take(struct kii_texts *t, char *text_take);
/* Add what is not there yet. */
void kii_texts_once(struct kii_texts *t, const char *text);
void kii_texts_append(struct kii_texts *t, const struct kii_texts *more);

bool kii_texts_has(const struct kii_texts *t, const char *text);
/* By strcmp. */
void kii_texts_sort(struct kii_texts *t);
/* All of them with `between` between; caller frees. */
char *kii_texts_join(const struct kii_texts *t, const char *between);

#endif
