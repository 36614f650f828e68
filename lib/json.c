/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "io.h"

/* Reals are written with so many digits, and what would then be past all doubles is not taken. */
#define REAL_DIGITS 15
#define REAL_MOST   1.79769313486231e308
#define REAL_PLAIN  300   /* characters without an exponent: far from that */

/* Where the scan of a text stands, without a byte allocated. */
struct scan {
	const char *text;
	size_t len, at;
	const char *field;
	size_t more;    /* levels and values than the caps */
	size_t depth;
	size_t values;
	size_t scalar;  /* characters of the number or word that it is inside of */
	bool wide;      /* some number could be past REAL_MOST */
};

void kii_json_cleanup(json_t **j)
{
	json_decref(*j);
}

/* Lines are counted only here: what is right needs none. */
static int too_much(const struct scan *s, const char *what, size_t cap, const char *unit,
	struct kii_error *err)
{
	size_t line = 1, begin = 0;

	for (size_t i = 0; i < s->at; i++) {
		if (s->text[i] == '\n') {
			begin = i + 1;
			line++;
		}
	}
	return kii_error_field(err, s->field, "line %zu, column %zu: %s %zu%s", line,
		s->at - begin + 1, what, cap, unit);
}

static int count_value(struct scan *s, struct kii_error *err)
{
	size_t cap = KII_JSON_VALUES + s->more;

	return ++s->values <= cap ? 0 : too_much(s, "more than", cap, " values", err);
}

static int open_container(struct scan *s, struct kii_error *err)
{
	size_t cap = KII_JSON_DEPTH + s->more;

	return ++s->depth <= cap ? count_value(s, err)
		: too_much(s, "nested deeper than", cap, "", err);
}

/* From the quote that begins a text to the one that ends it. */
static void skip_text(struct scan *s)
{
	for (s->at++; s->at < s->len && s->text[s->at] != '"'; s->at++)
		s->at += s->text[s->at] == '\\';
}

/*
 * A name is counted when its string begins and taken back at the colon. Text that is no JSON may
 * count wrongly, but only behind the place where the parser stops.
 */
static int scan_char(struct scan *s, struct kii_error *err)
{
	char c = s->text[s->at];
	size_t scalar = s->scalar;
	int rc;

	s->scalar = 0;
	switch (c) {
	case '{':
	case '[':
		return open_container(s, err);
	case '}':
	case ']':
		s->depth -= s->depth ? 1 : 0;
		return 0;
	case ':':
		s->values -= s->values ? 1 : 0;
		return 0;
	case '"':
		rc = count_value(s, err);
		skip_text(s);
		return rc;
	case ',':
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return 0;
	default:
		s->scalar = scalar + 1;
		/* Not "true" and "false": it takes more than four digits to be past it. */
		s->wide = s->wide || s->scalar > REAL_PLAIN ||
			((c == 'e' || c == 'E') && scalar > 4);
		return scalar ? 0 : count_value(s, err);
	}
}

/* The caps, before the parser allocates: ten megabytes of "[{},{},..." would cost it 80-fold. */
static int scan_caps(struct scan *s, struct kii_error *err)
{
	for (; s->at < s->len; s->at++) {
		if (scan_char(s, err))
			return -1;
	}
	return 0;
}

/* Is there a real that could not be read again once it was written? As deep as the caps allow. */
static bool has_too_great(const json_t *j)
{
	const char *name;
	const json_t *value;
	size_t i;

	if (json_is_real(j))
		return fabs(json_real_value(j)) > REAL_MOST;
	json_object_foreach((json_t *)j, name, value)
		if (has_too_great(value))
			return true;
	json_array_foreach(j, i, value)
		if (has_too_great(value))
			return true;
	return false;
}

static int parse(struct scan s, json_t **out, struct kii_error *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_error_t why;
	json_t *j;

	if (scan_caps(&s, err))
		return -1;
	j = json_loadb(s.text, s.len, flags, &why);
	if (!j)
		return kii_error_field(err, s.field, "line %d, column %d: %s", why.line,
			why.column, why.text);
	if (s.wide && has_too_great(j)) {
		json_decref(j);
		return kii_error_field(err, s.field, "a number is too great");
	}
	*out = j;
	return 0;
}

int kii_json_parse(const char *text, size_t len, const char *field, json_t **out,
	struct kii_error *err)
{
	return parse((struct scan){ .text = text, .len = len, .field = field }, out, err);
}

int kii_json_parse_wrapped(const char *text, size_t len, const char *field, json_t **out,
	struct kii_error *err)
{
	return parse((struct scan){ .text = text, .len = len, .field = field,
		.more = KII_JSON_WRAP }, out, err);
}

static int dump_piece(const char *data, size_t len, void *arg)
{
	struct kii_buf *out = arg;

	kii_buf_add(out, data, len);
	return out->overflow ? -1 : 0;
}

int kii_json_dump(const json_t *j, size_t flags, struct kii_buf *out, struct kii_error *err)
{
	flags |= JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS);
	if (!json_dump_callback(j, dump_piece, out, flags))
		return 0;
	if (kii_buf_check(out, "JSON", err))
		return -1;
	return kii_error_set(err, KII_EINVAL, 0, "no JSON value to write");
}

const char *kii_json_str(const json_t *object, const char *name)
{
	const json_t *j = json_object_get(object, name);
	const char *s = json_string_value(j);

	return s && strlen(s) == json_string_length(j) ? s : NULL;
}

json_int_t kii_json_int(const json_t *object, const char *name, json_int_t otherwise)
{
	const json_t *j = json_object_get(object, name);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

/* How many bytes the character at `s` takes, 0 when it is no UTF-8. */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
		: s[0] < 0xf5 ? 4 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool kii_json_is_utf8(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char((const unsigned char *)text + i, len - i);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

/* The text with ? for every byte that is no UTF-8: a container's output may be anything. */
static json_t *mended(const char *value, size_t len)
{
	kii_autofree char *copy = kii_xmalloc(len);

	memcpy(copy, value, len);
	for (size_t i = 0; i < len;) {
		size_t n = utf8_char((const unsigned char *)copy + i, len - i);

		if (!n)
			copy[i] = '?';
		i += n ? n : 1;
	}
	return json_stringn(copy, len);
}

void kii_json_set_strn(json_t *object, const char *name, const char *value, size_t len)
{
	json_t *j = value ? json_stringn(value, len) : json_null();

	if (value && !j)
		j = mended(value, len);
	json_object_set_new(object, name, j);
}

void kii_json_set_str(json_t *object, const char *name, const char *value)
{
	kii_json_set_strn(object, name, value, value ? strlen(value) : 0);
}

void kii_json_set_stamp(json_t *object, const char *name, int64_t ms)
{
	char stamp[32];

	if (ms)
		kii_io_stamp(ms, stamp);
	kii_json_set_str(object, name, ms ? stamp : NULL);
}
