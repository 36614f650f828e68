/* SPDX-License-Identifier: MIT */
/*
 * buf: growing bytes with a limit. What would pass the limit is dropped and remembered: add freely,
 * then ask kii_buf_check once. `data` is always NUL-terminated and never NULL.
 */
#ifndef KII_BUF_H
#define KII_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "mem.h"

struct kii_buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit;
	bool overflow;
};

#define kii_autobuf __attribute__((cleanup(kii_buf_release))) struct kii_buf

/* An initialiser: kii_autobuf b = KII_BUF_INIT(1 << 20); */
#define KII_BUF_INIT(max) { .data = (char *)"", .limit = (max) }

void kii_buf_init(struct kii_buf *b, size_t limit);
void kii_buf_release(struct kii_buf *b);

void kii_buf_add(struct kii_buf *b, const void *data, size_t len);
void kii_buf_str(struct kii_buf *b, const char *s);
void kii_buf_char(struct kii_buf *b, char c);
void kii_buf_fmt(struct kii_buf *b, const char *fmt, ...) KII_PRINTF(2, 3);
void kii_buf_vfmt(struct kii_buf *b, const char *fmt, va_list ap) KII_PRINTF(2, 0);

/* Forget the content (and an overflow), keep the memory. */
void kii_buf_reset(struct kii_buf *b);

/* Keep the first `n` bytes at most. */
void kii_buf_cut(struct kii_buf *b, size_t n);

/* Drop the first `n` bytes. */
void kii_buf_drop(struct kii_buf *b, size_t n);

/* 0, or -1 with ETOOBIG naming `what` when something was dropped. */
int kii_buf_check(const struct kii_buf *b, const char *what, struct kii_error *err) KII_MUST_CHECK;

/* The bytes as a heap string of the caller's; the buffer is empty afterwards. */
char *kii_buf_steal(struct kii_buf *b);

#endif
