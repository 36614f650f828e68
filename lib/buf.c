/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kii_buf_init(struct kii_buf *b, size_t limit)
{
	*b = (struct kii_buf)KII_BUF_INIT(limit);
}

void kii_buf_release(struct kii_buf *b)
{
	if (b->cap)
		free(b->data);
	kii_buf_init(b, b->limit);
}

/* Room for `more` bytes and the NUL; false (and the overflow noted) past the limit. */
static bool reserve(struct kii_buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 64;

	if (b->overflow || more > b->limit - b->len) {
		b->overflow = true;
		return false;
	}
	if (b->len + more < b->cap)
		return true;
	while (cap <= b->len + more)
		cap += cap / 2 + 64;
	b->data = kii_xrealloc(b->cap ? b->data : NULL, cap);
	b->cap = cap;
	return true;
}

void kii_buf_add(struct kii_buf *b, const void *data, size_t len)
{
	if (!len || !reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void kii_buf_str(struct kii_buf *b, const char *s)
{
	kii_buf_add(b, s, strlen(s));
}

void kii_buf_char(struct kii_buf *b, char c)
{
	kii_buf_add(b, &c, 1);
}

void kii_buf_vfmt(struct kii_buf *b, const char *fmt, va_list ap)
{
	char few[256];   /* where most of what is printed fits, so that it is printed once */
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(few, sizeof(few), fmt, again);
	va_end(again);
	if (n <= 0 || !reserve(b, (size_t)n))
		return;
	if ((size_t)n < sizeof(few))
		memcpy(b->data + b->len, few, (size_t)n + 1);
	else
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void kii_buf_fmt(struct kii_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void kii_buf_reset(struct kii_buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->cap)
		b->data[0] = '\0';
}

void kii_buf_cut(struct kii_buf *b, size_t n)
{
	if (b->len <= n)
		return;
	b->len = n;
	b->data[n] = '\0';
}

void kii_buf_drop(struct kii_buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		if (b->cap)
			b->data[0] = '\0';
		return;
	}
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

int kii_buf_check(const struct kii_buf *b, const char *what, struct kii_error *err)
{
	if (!b->overflow)
		return 0;
	return kii_error_set(err, KII_ETOOBIG, 0, "%s is larger than %zu bytes", what, b->limit);
}

char *kii_buf_steal(struct kii_buf *b)
{
	char *s = b->cap ? b->data : kii_xstrdup("");

	kii_buf_init(b, b->limit);
	return s;
}
