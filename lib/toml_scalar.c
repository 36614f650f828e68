/* SPDX-License-Identifier: MIT */
/* Numbers, booleans, dates: the value is one token, which must match as a whole. */
#include <config.h>

#include "toml_in.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct token {
	const char *p;
	size_t len;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_token(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c && strchr("_+-.:", c));
}

static bool equals(struct token t, const char *text)
{
	return t.len == strlen(text) && memcmp(t.p, text, t.len) == 0;
}

/* Copy digits of `base`, underscores between two of them left out; false when it is not so. */
static bool copy_digits(const char **p, const char *end, const char *digits, struct kii_buf *out)
{
	bool digit = false;

	for (; *p < end; (*p)++) {
		if (strchr(digits, **p)) {
			kii_buf_char(out, **p);
			digit = true;
		} else if (**p == '_' && digit && *p + 1 < end && strchr(digits, (*p)[1])) {
			digit = false;
		} else {
			break;
		}
	}
	return digit;
}

/* True when the token is an integer, even one too large. */
static bool integer(struct token t, int64_t *value, bool *too_large)
{
	static const struct { const char *prefix, *digits; int base; } bases[] = {
		{ "0x", "0123456789abcdefABCDEF", 16 },
		{ "0o", "01234567", 8 },
		{ "0b", "01", 2 },
	};
	kii_autobuf text = KII_BUF_INIT(KII_TOML_SIZE);
	const char *p = t.p;
	const char *end = t.p + t.len;
	const char *digits = "0123456789";
	int base = 10;

	for (size_t i = 0; i < KII_COUNT(bases); i++) {
		if (t.len > 2 && memcmp(p, bases[i].prefix, 2) == 0) {
			base = bases[i].base;
			digits = bases[i].digits;
			p += 2;
			break;
		}
	}
	if (base == 10 && (*p == '+' || *p == '-'))
		kii_buf_char(&text, *p++);
	if (base == 10 && end - p > 1 && *p == '0')
		return false;
	if (!copy_digits(&p, end, digits, &text) || p != end)
		return false;
	errno = 0;
	*value = strtoll(text.data, NULL, base);
	*too_large = errno == ERANGE;
	return true;
}

/* "inf" and "nan" with or without a sign. */
static bool special(struct token t, double *value)
{
	bool minus = t.p[0] == '-';

	if (t.p[0] == '+' || minus) {
		t.p++;
		t.len--;
	}
	if (!equals(t, "inf") && !equals(t, "nan"))
		return false;
	*value = copysign(t.p[0] == 'i' ? (double)INFINITY : (double)NAN, minus ? -1.0 : 1.0);
	return true;
}

static bool floating(struct token t, double *value)
{
	static const char digits[] = "0123456789";
	kii_autobuf text = KII_BUF_INIT(KII_TOML_SIZE);
	const char *p = t.p;
	const char *end = t.p + t.len;

	if (special(t, value))
		return true;
	if (*p == '+' || *p == '-')
		kii_buf_char(&text, *p++);
	if (end - p > 1 && *p == '0' && (is_digit(p[1]) || p[1] == '_'))
		return false;
	if (!copy_digits(&p, end, digits, &text) || p == end)
		return false;
	if (*p == '.') {
		kii_buf_char(&text, *p++);
		if (!copy_digits(&p, end, digits, &text))
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		kii_buf_char(&text, *p++);
		if (p < end && (*p == '+' || *p == '-'))
			kii_buf_char(&text, *p++);
		if (!copy_digits(&p, end, digits, &text))
			return false;
	}
	if (p != end)
		return false;
	*value = strtod(text.data, NULL);
	return true;
}

/* `count` digits as a number between min and max; -1 when they are not. */
static int digits_between(struct token *t, size_t count, int min, int max)
{
	int n = 0;

	if (t->len < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!is_digit(t->p[i]))
			return -1;
		n = n * 10 + (t->p[i] - '0');
	}
	t->p += count;
	t->len -= count;
	return n < min || n > max ? -1 : n;
}

static bool take(struct token *t, const char *any_of)
{
	if (!t->len || !strchr(any_of, *t->p))
		return false;
	t->p++;
	t->len--;
	return true;
}

static bool date_part(struct token *t)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = digits_between(t, 4, 0, 9999);
	int month = year >= 0 && take(t, "-") ? digits_between(t, 2, 1, 12) : -1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month > 0 && take(t, "-") &&
		digits_between(t, 2, 1, days[month - 1] + (month == 2 && leap)) > 0;
}

/* Second 60 is a leap second, which RFC 3339 has. */
static bool time_part(struct token *t)
{
	if (digits_between(t, 2, 0, 23) < 0 || !take(t, ":") ||
	    digits_between(t, 2, 0, 59) < 0 || !take(t, ":") ||
	    digits_between(t, 2, 0, 60) < 0)
		return false;
	if (take(t, ".")) {
		if (!take(t, "0123456789"))
			return false;
		while (take(t, "0123456789"))
			;
	}
	return true;
}

static bool zone_part(struct token *t)
{
	if (take(t, "Zz"))
		return true;
	return take(t, "+-") && digits_between(t, 2, 0, 23) >= 0 && take(t, ":") &&
		digits_between(t, 2, 0, 59) >= 0;
}

static bool looks_like_date(struct token t)
{
	return t.len > 4 && is_digit(t.p[0]) && is_digit(t.p[1]) && (t.p[2] == ':' ||
		(is_digit(t.p[2]) && is_digit(t.p[3]) && t.p[4] == '-'));
}

static bool date_or_time(struct token t)
{
	if (t.p[2] == ':')
		return time_part(&t) && !t.len;
	if (!date_part(&t))
		return false;
	if (!t.len)
		return true;
	if (!take(&t, "Tt ") || !time_part(&t))
		return false;
	return !t.len || (zone_part(&t) && !t.len);
}

static struct token next_token(struct kii_toml_in *in)
{
	struct token t = { in->p, 0 };

	while (is_token(kii_toml_peek(in, t.len)))
		t.len++;
	/* a date and its time may be parted by a blank */
	if (t.len == 10 && looks_like_date(t) && kii_toml_peek(in, 10) == ' ' &&
	    is_digit(kii_toml_peek(in, 11))) {
		t.len++;
		while (is_token(kii_toml_peek(in, t.len)))
			t.len++;
	}
	return t;
}

static int refuse(struct kii_toml_in *in, struct token t)
{
	struct kii_toml_shown room;

	if (!t.len)
		return kii_toml_error(in, t.p, "a value is expected here");
	return kii_toml_error(in, t.p, "\"%s\" is no value (text stands in quotes)",
		kii_toml_show(&room, t.p, t.len));
}

/* `out` is a union: it is written when the value is known to be one, and not before. */
int kii_toml_scalar(struct kii_toml_in *in, struct kii_toml *out)
{
	struct token t = next_token(in);
	bool too_large = false;
	int64_t whole;
	double number;

	if (!t.len)
		return refuse(in, t);
	if (equals(t, "true") || equals(t, "false")) {
		out->type = KII_TOML_BOOLEAN;
		out->boolean = t.len == 4;
	} else if (looks_like_date(t)) {
		if (!date_or_time(t))
			return kii_toml_error(in, t.p, "no such date or time");
		out->type = KII_TOML_DATE;
		out->text = kii_xstrndup(t.p, t.len);
		out->len = t.len;
	} else if (integer(t, &whole, &too_large)) {
		if (too_large)
			return kii_toml_error(in, t.p, "the number does not fit into 64 bits");
		out->type = KII_TOML_INTEGER;
		out->integer = whole;
	} else if (floating(t, &number)) {
		out->type = KII_TOML_FLOAT;
		out->number = number;
	} else {
		return refuse(in, t);
	}
	in->p += t.len;
	return 0;
}
