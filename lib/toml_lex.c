/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "toml_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

void kii_toml_locate(struct kii_toml_in *in, const char *at, int *line, int *column)
{
	if (at < in->seen) {
		in->seen = in->start;
		in->line = 1;
		in->column = 1;
	}
	for (; in->seen < at; in->seen++) {
		if (*in->seen == '\n') {
			in->line++;
			in->column = 1;
		} else if (!is_continuation(*in->seen)) {
			in->column++;
		}
	}
	*line = in->line;
	*column = in->column;
}

int (kii_toml_error)(struct kii_toml_in *in, const char *at, const char *fmt, ...)
{
	char reason[200];
	int line, column;
	va_list ap;

	kii_toml_locate(in, at, &line, &column);
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return kii_error_set(in->err, KII_EINVAL, line, "%s:%d:%d: %s", in->name, line, column,
		reason);
}

const char *kii_toml_show(struct kii_toml_shown *room, const char *text, size_t len)
{
	size_t n = len < 48 ? len : 48;

	while (n < len && n && is_continuation(text[n]))
		n--;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		room->text[i] = (char)(c < 0x20 || c == 0x7f ? '?' : text[i]);
	}
	snprintf(room->text + n, sizeof(room->text) - n, "%s", n < len ? "..." : "");
	return room->text;
}

/* The length of the UTF-8 character at `p`, or 0. */
static size_t character(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t len = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 :
		u[0] < 0xf5 ? 4 : 0;

	if (!len || len > (size_t)(end - p))
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (!is_continuation(p[i]))
			return 0;
	}
	/* overlong forms, surrogates, beyond the last code point */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return len;
}

int kii_toml_check_text(struct kii_toml_in *in)
{
	const char *p = in->start;

	if (in->end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return kii_toml_error(in, p, "a byte order mark; TOML has none");
	while (p < in->end) {
		unsigned char c = (unsigned char)*p;
		size_t len = character(p, in->end);

		if (!len)
			return kii_toml_error(in, p, "byte 0x%02x is no UTF-8", c);
		if (c == '\r' && (p + 1 == in->end || p[1] != '\n'))
			return kii_toml_error(in, p, "a carriage return without a line feed");
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return kii_toml_error(in, p, "control character 0x%02x", c);
		p += len;
	}
	return 0;
}

char kii_toml_peek(const struct kii_toml_in *in, size_t ahead)
{
	return (char)(ahead < (size_t)(in->end - in->p) ? in->p[ahead] : '\0');
}

bool kii_toml_starts(const struct kii_toml_in *in, const char *text)
{
	size_t len = strlen(text);

	return len <= (size_t)(in->end - in->p) && memcmp(in->p, text, len) == 0;
}

void kii_toml_skip_blanks(struct kii_toml_in *in)
{
	while (in->p < in->end && (*in->p == ' ' || *in->p == '\t'))
		in->p++;
}

void kii_toml_skip_lines(struct kii_toml_in *in)
{
	while (in->p < in->end) {
		if (*in->p == '#') {
			while (in->p < in->end && *in->p != '\n')
				in->p++;
		} else if (strchr(" \t\r\n", *in->p)) {
			in->p++;
		} else {
			return;
		}
	}
}

static void add_character(struct kii_buf *out, uint32_t c)
{
	if (c < 0x80) {
		kii_buf_char(out, (char)c);
	} else if (c < 0x800) {
		kii_buf_char(out, (char)(0xc0 | c >> 6));
		kii_buf_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		kii_buf_char(out, (char)(0xe0 | c >> 12));
		kii_buf_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		kii_buf_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		kii_buf_char(out, (char)(0xf0 | c >> 18));
		kii_buf_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		kii_buf_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		kii_buf_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* \uXXXX or \UXXXXXXXX, standing behind the letter. */
static int code_point(struct kii_toml_in *in, int digits, struct kii_buf *out)
{
	const char *at = in->p - 2;
	uint32_t c = 0;

	for (int i = 0; i < digits; i++, in->p++) {
		static const char hex[] = "0123456789abcdef0123456789ABCDEF";
		char digit = kii_toml_peek(in, 0);
		const char *found = digit ? strchr(hex, digit) : NULL;

		if (!found)
			return kii_toml_error(in, at, "\\%c needs %d hex digits",
				digits == 4 ? 'u' : 'U', digits);
		c = c << 4 | (uint32_t)((found - hex) & 15);
	}
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return kii_toml_error(in, at, "U+%04X is no character", (unsigned)c);
	add_character(out, c);
	return 0;
}

/* A backslash at the end of a line of a multi-line string: all white space behind it goes. */
static bool line_continues(struct kii_toml_in *in)
{
	const char *p = in->p + 1;

	while (p < in->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == in->end || (*p != '\n' && *p != '\r'))
		return false;
	while (p < in->end && strchr(" \t\r\n", *p))
		p++;
	in->p = p;
	return true;
}

static int escape(struct kii_toml_in *in, bool many_lines, struct kii_buf *out)
{
	static const char from[] = "btnfr\"\\";
	static const char to[] = "\b\t\n\f\r\"\\";
	char c = kii_toml_peek(in, 1);
	const char *found = c ? strchr(from, c) : NULL;

	if (many_lines && line_continues(in))
		return 0;
	if (!found && c != 'u' && c != 'U')
		return kii_toml_error(in, in->p, "unknown escape; known are "
			"\\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX");
	in->p += 2;
	if (!found)
		return code_point(in, c == 'u' ? 4 : 8, out);
	kii_buf_char(out, to[found - from]);
	return 0;
}

/* At quotes of a multi-line string: true when they end it. One or two more belong to the text. */
static bool closes(struct kii_toml_in *in, char quote, struct kii_buf *out)
{
	size_t n = 0;

	while (n < 5 && kii_toml_peek(in, n) == quote)
		n++;
	in->p += n;
	for (size_t i = n >= 3 ? 3 : 0; i < n; i++)
		kii_buf_char(out, quote);
	return n >= 3;
}

static int string_many_lines(struct kii_toml_in *in, char quote, struct kii_buf *out)
{
	const char *at = in->p;

	in->p += 3;
	if (kii_toml_peek(in, 0) == '\r')
		in->p++;
	if (kii_toml_peek(in, 0) == '\n')
		in->p++;
	while (in->p < in->end) {
		char c = *in->p;

		if (c == quote) {
			if (closes(in, quote, out))
				return 0;
		} else if (c == '\\' && quote == '"') {
			if (escape(in, true, out) != 0)
				return -1;
		} else {
			/* line ends become \n; any \r stands before one */
			if (c != '\r')
				kii_buf_char(out, c);
			in->p++;
		}
	}
	return kii_toml_error(in, at, "a multi-line string without its end");
}

static int string_one_line(struct kii_toml_in *in, char quote, struct kii_buf *out)
{
	const char *at = in->p;

	in->p++;
	while (in->p < in->end && *in->p != '\n' && *in->p != '\r') {
		char c = *in->p;

		if (c == quote) {
			in->p++;
			return 0;
		}
		if (c == '\\' && quote == '"') {
			if (escape(in, false, out) != 0)
				return -1;
			continue;
		}
		kii_buf_char(out, c);
		in->p++;
	}
	return kii_toml_error(in, at, "a string without its end");
}

int kii_toml_string(struct kii_toml_in *in, bool one_line, char **text, size_t *len)
{
	kii_autobuf out = KII_BUF_INIT(KII_TOML_SIZE);
	char quote = *in->p;
	bool many = kii_toml_peek(in, 1) == quote && kii_toml_peek(in, 2) == quote;

	if (many && one_line)
		return kii_toml_error(in, in->p, "a multi-line string cannot be a key");
	if ((many ? string_many_lines : string_one_line)(in, quote, &out) != 0)
		return -1;
	*len = out.len;
	*text = kii_buf_steal(&out);
	return 0;
}

int kii_toml_key_part(struct kii_toml_in *in, char **text, size_t *len)
{
	char c = kii_toml_peek(in, 0);
	const char *at = in->p;

	if (c == '"' || c == '\'')
		return kii_toml_string(in, true, text, len);
	while ((c = kii_toml_peek(in, 0)) != '\0' && (strchr("-_", c) ||
	       (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
		in->p++;
	if (in->p == at)
		return kii_toml_error(in, at, "a key is expected here (letters, digits, _ and -, "
			"or in quotes)");
	*len = (size_t)(in->p - at);
	*text = kii_xstrndup(at, *len);
	return 0;
}
