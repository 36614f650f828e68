/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "texts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define JOINED_MAX (16u << 20)

void kii_texts_release(struct kii_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->items[i]);
	free(t->items);
	memset(t, 0, sizeof(*t));
}

void kii_texts_take(struct kii_texts *t, char *text_take)
{
	t->items = kii_xgrow(t->items, t->n, &t->room, sizeof(*t->items));
	t->items[t->n++] = text_take;
}

void kii_texts_add(struct kii_texts *t, const char *text)
{
	kii_texts_take(t, kii_xstrdup(text));
}

void kii_texts_fmt(struct kii_texts *t, const char *fmt, ...)
{
	kii_autobuf text = KII_BUF_INIT(JOINED_MAX);
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	kii_texts_take(t, kii_buf_steal(&text));
}

void kii_texts_once(struct kii_texts *t, const char *text)
{
	if (!kii_texts_has(t, text))
		kii_texts_add(t, text);
}

void kii_texts_append(struct kii_texts *t, const struct kii_texts *more)
{
	for (size_t i = 0; i < more->n; i++)
		kii_texts_add(t, more->items[i]);
}

bool kii_texts_has(const struct kii_texts *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->items[i], text) == 0)
			return true;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void kii_texts_sort(struct kii_texts *t)
{
	if (t->n)
		qsort(t->items, t->n, sizeof(*t->items), compare);
}

char *kii_texts_join(const struct kii_texts *t, const char *between)
{
	kii_autobuf text = KII_BUF_INIT(JOINED_MAX);

	for (size_t i = 0; i < t->n; i++) {
		kii_buf_str(&text, i ? between : "");
		kii_buf_str(&text, t->items[i]);
	}
	return kii_buf_steal(&text);
}
