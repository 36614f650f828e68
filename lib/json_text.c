/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json_text.h"

#include <string.h>

#define DEPTH 32

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

/* --- what a value is: each gives the place behind it, or NULL --- */

static const char *skip_digits(const char *at, const char *end)
{
	const char *begin = at;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > begin ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
	at += at < end && *at == '-';
	if (at < end && *at == '0')
		at++;
	else if (!(at = skip_digits(at, end)))
		return NULL;
	if (at < end && *at == '.' && !(at = skip_digits(at + 1, end)))
		return NULL;
	if (at == end || (*at != 'e' && *at != 'E'))
		return at;
	at++;
	at += at < end && (*at == '+' || *at == '-');
	return skip_digits(at, end);
}

/* A character of more than one byte: no surrogates, none written longer than it must be. */
static const char *skip_character(const char *at, const char *end)
{
	unsigned char lead = (unsigned char)*at++;
	int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	unsigned code = lead & (0x3f >> more);
	static const unsigned least[] = { 0, 0x80, 0x800, 0x10000 };

	if (lead < 0xc2 || lead > 0xf4 || end - at < more)
		return NULL;
	for (int i = 0; i < more; i++, at++) {
		if (((unsigned char)*at & 0xc0) != 0x80)
			return NULL;
		code = code << 6 | ((unsigned char)*at & 0x3f);
	}
	if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return NULL;
	return at;
}

static const char *skip_escape(const char *at, const char *end)
{
	if (at == end)
		return NULL;
	if (*at != 'u')
		return *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
	at++;
	for (int i = 0; i < 4; i++, at++) {
		if (at == end || !*at || !strchr("0123456789abcdefABCDEF", *at))
			return NULL;
	}
	return at;
}

static const char *skip_string(const char *at, const char *end)
{
	at++;
	while (at && at < end) {
		unsigned char c = (unsigned char)*at;

		if (c == '"')
			return at + 1;
		if (c < 0x20)
			return NULL;
		if (c == '\\')
			at = skip_escape(at + 1, end);
		else if (c < 0x80)
			at++;
		else
			at = skip_character(at, end);
	}
	return NULL;
}

static const char *skip_word(const char *at, const char *end)
{
	static const char *const words[] = { "null", "true", "false" };

	for (size_t i = 0; i < KII_COUNT(words); i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(end - at) >= len && memcmp(at, words[i], len) == 0)
			return at + len;
	}
	return NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

/* A member's name and what is before its value. */
static const char *skip_name(const char *at, const char *end)
{
	if (at == end || *at != '"' || !(at = skip_string(at, end)))
		return NULL;
	at = skip_blanks(at, end);
	return at < end && *at == ':' ? skip_blanks(at + 1, end) : NULL;
}

static const char *skip_all(const char *at, const char *end, int depth)
{
	char close = *at == '{' ? '}' : ']';

	at = skip_blanks(at + 1, end);
	if (at < end && *at == close)
		return at + 1;
	while (at && at < end) {
		if (close == '}' && !(at = skip_name(at, end)))
			return NULL;
		at = skip_value(at, end, depth);
		at = at ? skip_blanks(at, end) : end;
		if (at < end && *at == close)
			return at + 1;
		if (at == end || *at != ',')
			return NULL;
		at = skip_blanks(at + 1, end);
	}
	return NULL;
}

static const char *skip_value(const char *at, const char *end, int depth)
{
	if (at == end || depth == DEPTH)
		return NULL;
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{' || *at == '[')
		return skip_all(at, end, depth + 1);
	if (*at == '-' || (*at >= '0' && *at <= '9'))
		return skip_number(at, end);
	return skip_word(at, end);
}

/* --- what is in it --- */

bool kii_text_value(const char *data, size_t len, struct kii_text *out)
{
	const char *end = data + len;
	const char *at = skip_blanks(data, end);
	const char *behind = skip_value(at, end, 0);

	if (!behind || skip_blanks(behind, end) != end)
		return false;
	*out = (struct kii_text){ .at = at, .end = behind };
	return true;
}

/* To the next thing in it; false where there is none. */
static bool go_on(struct kii_text *t, char open, char close)
{
	const char *at = skip_blanks(t->at, t->end);

	t->broken = true;
	if (at == t->end || *at != (t->begun ? ',' : open)) {
		t->broken = !(t->begun && at < t->end && *at == close);
		t->at = at + !t->broken;
		return false;
	}
	at = skip_blanks(at + 1, t->end);
	if (!t->begun && at < t->end && *at == close) {
		t->broken = false;
		t->at = at + 1;
		t->begun = true;
		return false;
	}
	t->begun = true;
	t->at = at;
	return true;
}

static bool take(struct kii_text *t, struct kii_text *out)
{
	const char *behind = skip_value(t->at, t->end, 0);

	t->broken = !behind;
	if (behind) {
		*out = (struct kii_text){ .at = t->at, .end = behind };
		t->at = behind;
	}
	return behind != NULL;
}

bool kii_text_member(struct kii_text *object, struct kii_text *name, struct kii_text *value)
{
	if (!go_on(object, '{', '}') || !take(object, name))
		return false;
	object->at = skip_blanks(object->at, object->end);
	object->at = skip_blanks(object->at + 1, object->end);
	return take(object, value);
}

bool kii_text_item(struct kii_text *array, struct kii_text *item)
{
	return go_on(array, '[', ']') && take(array, item);
}

void kii_text_begin(const char *data, size_t len, struct kii_text *array)
{
	*array = (struct kii_text){ .at = data, .end = data + len };
}

bool kii_text_next(struct kii_text *array, struct kii_text *item, bool *broken)
{
	bool there = kii_text_item(array, item);

	*broken = array->broken ||
		(!there && skip_blanks(array->at, array->end) != array->end);
	return there;
}

bool kii_text_is(const struct kii_text *value, const char *text)
{
	return kii_text_len(value) == strlen(text) &&
		memcmp(value->at, text, strlen(text)) == 0;
}

size_t kii_text_len(const struct kii_text *value)
{
	return (size_t)(value->end - value->at);
}
