/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	int status;
} codes[] = {
	[KII_OK]        = { "ok", 200 },
	[KII_EINVAL]    = { "bad_request", 400 },
	[KII_ENOTFOUND] = { "not_found", 404 },
	[KII_ECONFLICT] = { "conflict", 409 },
	[KII_ETOOBIG]   = { "too_big", 413 },
	[KII_EBUSY]     = { "busy", 503 },
	[KII_EREFUSED]  = { "engine_refused", 502 },
	[KII_EDOWN]     = { "unavailable", 503 },
	[KII_ETIMEOUT]  = { "timeout", 504 },
	[KII_EBROKEN]   = { "broken_reply", 502 },
	[KII_EDB]       = { "database", 503 },
	[KII_EIO]       = { "internal", 500 },
};
static_assert(KII_COUNT(codes) == KII_E__MAX, "a row for every code");

int (kii_error_set)(struct kii_error *err, enum kii_code code, int detail, const char *fmt, ...)
{
	va_list ap;

	if (err->code != KII_OK)
		return -1;
	err->code = code;
	err->detail = detail;
	err->field[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int (kii_error_field)(struct kii_error *err, const char *field, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (err->code != KII_OK)
		return -1;
	err->code = KII_EINVAL;
	err->detail = 0;
	snprintf(err->field, sizeof(err->field), "%s", field);
	n = snprintf(err->msg, sizeof(err->msg), "%s: ", err->field);
	va_start(ap, fmt);
	vsnprintf(err->msg + n, sizeof(err->msg) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

int (kii_error_wrap)(struct kii_error *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	int n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %.*s",
			(int)(sizeof(old) - 3), old);
	return -1;
}

void kii_error_clear(struct kii_error *err)
{
	memset(err, 0, sizeof(*err));
}

const char *kii_code_word(enum kii_code code)
{
	return (unsigned)code < KII_E__MAX ? codes[code].word : "internal";
}

enum kii_code kii_code_of(const char *word)
{
	for (size_t i = 1; i < KII_E__MAX; i++)
		if (strcmp(codes[i].word, word) == 0)
			return (enum kii_code)i;
	return KII_OK;
}

int kii_code_status(enum kii_code code)
{
	return (unsigned)code < KII_E__MAX ? codes[code].status : 500;
}
