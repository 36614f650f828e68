/* SPDX-License-Identifier: MIT */
/* error: one type for everything that can fail. It lives on the caller's stack; nothing to free. */
#ifndef KII_ERROR_H
#define KII_ERROR_H

#include "mem.h"

enum kii_code {
	KII_OK,
	KII_EINVAL,    /* bad input; `field` says where */
	KII_ENOTFOUND,
	KII_ECONFLICT,
	KII_ETOOBIG,   /* past a cap that was set before */
	KII_EBUSY,     /* try again later */
	KII_EREFUSED,  /* the engine said no (4xx) */
	KII_EDOWN,     /* a peer cannot be reached */
	KII_ETIMEOUT,
	KII_EBROKEN,   /* a peer's answer makes no sense */
	KII_EDB,
	KII_EIO,
	KII_E__MAX
};

struct kii_error {
	enum kii_code code;
	int detail;       /* raw number: errno, SQLite extended code, CURLcode, HTTP status */
	char field[128];  /* for bad input: the member's path, else "" */
	char msg[512];
};

/*
 * Set `err` unless it is set already: the first error wins. Always -1, so one line fails:
 * return kii_error_set(err, KII_EIO, errno, "open %s", path);
 */
int kii_error_set(struct kii_error *err, enum kii_code code, int detail, const char *fmt, ...)
	KII_PRINTF(4, 5);

/*
 * As kii_error_set with KII_EINVAL, naming the member at fault. The message is "<field>:
 * <reason>".
 */
int kii_error_field(struct kii_error *err, const char *field, const char *fmt, ...)
	KII_PRINTF(3, 4);

/* Put "context: " before the message. Always -1. */
int kii_error_wrap(struct kii_error *err, const char *fmt, ...) KII_PRINTF(2, 3);

/* "Always -1" where a compiler can see it, and whoever looks for paths that end in success. */
static inline int kii_failed(int minus_one)
{
	(void)minus_one;
	return -1;
}
#define kii_error_set(...)   kii_failed(kii_error_set(__VA_ARGS__))
#define kii_error_field(...) kii_failed(kii_error_field(__VA_ARGS__))
#define kii_error_wrap(...)  kii_failed(kii_error_wrap(__VA_ARGS__))

/* Back to "no error", for a caller that goes on. */
void kii_error_clear(struct kii_error *err);

/* The stable word of a code for clients ("bad_request", "not_found", ...); never NULL. */
const char *kii_code_word(enum kii_code code);
/* The code of that word; KII_OK where none has it. */
enum kii_code kii_code_of(const char *word);

/* The HTTP status that answers a code. */
int kii_code_status(enum kii_code code);

#endif
