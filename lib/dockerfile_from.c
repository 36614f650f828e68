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
	bool scratch;
	bool begun;              /* there was a FROM */
	bool last;               /* this is the target */
	bool over;               /* behind it */
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

static bool is_stage(const struct from *f, const char *name)
{
	for (size_t i = 0; i < f->stages.n; i++)
		if (strcasecmp(f->stages.items[i], name) == 0)
			return true;
	return false;
}

static void take_image(struct from *f, const char *image)
{
	struct kii_image_ref ref;
	struct kii_error ignored = { 0 };

	if (strcmp(image, "scratch") == 0)
		f->scratch = true;
	else if (!is_stage(f, image) && kii_image_ref_parse(image, "image", &ref, &ignored) == 0)
		kii_texts_once(f->out, image);
}

static void take_from(struct from *f, char *const *words, size_t n)
{
	size_t at = 1;
	kii_autofree char *image = NULL;
	const char *stage;

	while (at < n && strncmp(words[at], "--", 2) == 0)
		at++;
	if (at == n)
		return;
	image = expand(f, words[at]);
	stage = at + 2 < n && strcasecmp(words[at + 1], "as") == 0 ? words[at + 2] : NULL;
	if (image)
		take_image(f, image);
	if (stage)
		kii_texts_add(&f->stages, stage);
	f->last = f->target && stage && strcasecmp(stage, f->target) == 0;
}

/* "--from=IMAGE" or "--mount=type=bind,from=IMAGE,...". A number is a stage. */
static void take_flag(struct from *f, char *word)
{
	static const char from[] = "--from=", mount[] = "--mount=";
	char *save = NULL;

	if (strncmp(word, from, sizeof(from) - 1) == 0)
		word += 2;
	else if (strncmp(word, mount, sizeof(mount) - 1) == 0)
		word += sizeof(mount) - 1;
	else
		return;
	for (char *part = strtok_r(word, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		const char *image = part + 5;

		if (strncmp(part, "from=", 5) == 0 && image[strspn(image, "0123456789")])
			take_image(f, image);
	}
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
		f->over = f->last;
		if (!f->over)
			take_from(f, words, n);
	} else if (strcasecmp(words[0], "COPY") == 0 || strcasecmp(words[0], "RUN") == 0) {
		for (size_t i = 1; i < n && strncmp(words[i], "--", 2) == 0; i++)
			take_flag(f, words[i]);
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
	struct kii_texts *out, bool *scratch)
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
	if (scratch)
		*scratch = f.scratch;
	kii_texts_release(&f.stages);
}

bool kii_dockerfile_expands(const char *text, size_t len)
{
	static const char *const others[] = { "FROM", "ARG", "RUN" };
	kii_autobuf line = KII_BUF_INIT(LINE_MAX_BYTES);
	kii_autofree char *copy = kii_xstrndup(text, len);
	const char *at = copy;
	const char *end = copy + strlen(copy);

	while (at < end) {
		const char *word;
		bool other = false;

		next_line(&at, end, &line);
		word = line.data + strspn(line.data, BLANKS);
		for (size_t i = 0; i < KII_COUNT(others); i++)
			other |= strncasecmp(word, others[i], strlen(others[i])) == 0;
		if (!other && strchr(line.data, '$'))
			return true;
	}
	return false;
}
