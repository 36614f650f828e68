/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "dockerfile_from.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "image_ref.h"
#include "json.h"

#define LINE_MAX_BYTES 8192
#define WORDS 8
#define BLANKS " \t\r"

struct from {
	const json_t *given;     /* the build's arguments */
	json_t *args;            /* what is declared before the first FROM */
	struct kii_texts stages;
	const char *target;
	struct kii_texts *out;
	bool begun;              /* there was a FROM */
	bool over;               /* behind the target */
};

/* "$NAME", "${NAME}", "${NAME:-x}", "${NAME-x}", "${NAME:+x}" at *p: moves behind it. */
static void expand_one(const struct from *f, const char **p, struct kii_buf *out)
{
	static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_";
	bool braces = (*p)[1] == '{';
	const char *name = *p + 1 + braces;
	size_t len = strspn(name, name_chars);
	kii_autofree char *key = kii_xstrndup(name, len);
	const char *value = kii_json_str(f->args, key);
	const char *rest = name + len;
	const char *end = braces ? strchr(rest, '}') : rest;
	bool colon = braces && *rest == ':';
	bool set = value && (!colon || *value);

	if (!len || !end) {
		kii_buf_char(out, *(*p)++);
		return;
	}
	rest += colon;
	if (braces && *rest == '-' && !set)
		kii_buf_add(out, rest + 1, (size_t)(end - rest - 1));
	else if (braces && *rest == '+')
		kii_buf_add(out, rest + 1, set ? (size_t)(end - rest - 1) : 0);
	else if (value)
		kii_buf_str(out, value);
	*p = end + braces;
}

static char *expand(const struct from *f, const char *text)
{
	kii_autobuf out = KII_BUF_INIT(LINE_MAX_BYTES);

	while (*text) {
		if (*text == '$')
			expand_one(f, &text, &out);
		else if (!strchr("\"'", *text))
			kii_buf_char(&out, *text++);
		else
			text++;
	}
	return kii_buf_steal(&out);
}

/* "NAME=value" or "NAME". */
static void take_arg(struct from *f, const char *word)
{
	size_t len = strcspn(word, "=");
	kii_autofree char *name = kii_xstrndup(word, len);
	kii_autofree char *value = word[len] ? expand(f, word + len + 1) : NULL;
	const char *given = kii_json_str(f->given, name);

	if (given || value)
		kii_json_set_str(f->args, name, given ? given : value);
}

static void take_from(struct from *f, char *const *words, size_t n)
{
	size_t at = 1;
	kii_autofree char *image = NULL;
	struct kii_image_ref ref;
	struct kii_error ignored = { 0 };
	const char *stage;

	while (at < n && strncmp(words[at], "--", 2) == 0)
		at++;
	if (at == n)
		return;
	image = expand(f, words[at]);
	stage = at + 2 < n && strcasecmp(words[at + 1], "as") == 0 ? words[at + 2] : NULL;
	if (image && strcmp(image, "scratch") != 0 && !kii_texts_has(&f->stages, image) &&
	    kii_image_ref_parse(image, "image", &ref, &ignored) == 0)
		kii_texts_once(f->out, image);
	if (stage)
		kii_texts_add(&f->stages, stage);
	f->over = f->target && stage && strcasecmp(stage, f->target) == 0;
}

static void take_line(struct from *f, char *line)
{
	char *words[WORDS];
	size_t n = 0;

	while (n < WORDS) {
		size_t len;

		line += strspn(line, BLANKS);
		len = strcspn(line, BLANKS);
		if (!len)
			break;
		words[n++] = line;
		line += len;
		if (*line)
			*line++ = '\0';
	}
	if (n < 2)
		return;
	if (strcasecmp(words[0], "ARG") == 0 && !f->begun) {
		for (size_t i = 1; i < n; i++)
			take_arg(f, words[i]);
	} else if (strcasecmp(words[0], "FROM") == 0) {
		f->begun = true;
		take_from(f, words, n);
	}
}

/* A line with those that it goes on with; comments between them do not count. */
static void next_line(const char **at, const char *end, struct kii_buf *out)
{
	bool more = true;

	kii_buf_reset(out);
	while (more && *at < end) {
		const char *stop = memchr(*at, '\n', (size_t)(end - *at));
		const char *line = *at;
		size_t len = (size_t)((stop ? stop : end) - line);
		size_t blank = strspn(line, " \t");

		*at = stop ? stop + 1 : end;
		if (blank < len && line[blank] == '#')
			continue;
		while (len && strchr(" \t\r", line[len - 1]))
			len--;
		more = len && line[len - 1] == '\\';
		kii_buf_add(out, line, len - more);
		kii_buf_char(out, ' ');
	}
}

void kii_dockerfile_bases(const char *text, size_t len, const json_t *args, const char *target,
	struct kii_texts *out)
{
	kii_autojson *declared = json_object();
	kii_autobuf line = KII_BUF_INIT(LINE_MAX_BYTES);
	struct from f = { .given = args, .args = declared, .target = target, .out = out };
	/* One that ends in NUL: strspn is used on it. */
	kii_autofree char *copy = kii_xstrndup(text, len);
	const char *at = copy;
	const char *end = copy + strlen(copy);

	while (at < end && !f.over) {
		next_line(&at, end, &line);
		if (!line.overflow)
			take_line(&f, line.data);
	}
	kii_texts_release(&f.stages);
}
