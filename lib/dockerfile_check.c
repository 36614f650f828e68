/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "dockerfile_check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

#define LINE_MAX_BYTES (1u << 20)

struct scan {
	const char *at, *end;
	size_t line;             /* of `at` */
	char escape;             /* what continues a line */
	bool podman;
	bool modern;             /* a Podman that knows more than the flags below */
	struct kii_error *err;
};

/* Flags that the classic builder refuses; `podman`: which Podman has known for long. */
static const struct {
	const char *instruction, *flag;
	bool podman;
} flags[] = {
	{ "RUN",  "mount",        true  },
	{ "RUN",  "network",      false },
	{ "RUN",  "security",     false },
	{ "COPY", "chmod",        true  },
	{ "COPY", "link",         false },
	{ "COPY", "parents",      false },
	{ "COPY", "exclude",      false },
	{ "ADD",  "chmod",        true  },
	{ "ADD",  "link",         false },
	{ "ADD",  "exclude",      false },
	{ "ADD",  "checksum",     false },
	{ "ADD",  "keep-git-dir", false },
	{ "ADD",  "unpack",       false },
};

static int refuse(const struct scan *s, size_t line, const char *what)
{
	return kii_error_field(s->err, "dockerfile", "line %zu: %s needs BuildKit, which %s is not",
		line, what, s->podman ? "this Podman" : "the engine's classic builder");
}

/* --- lines --- */

/* The next line as it stands, without its end; false behind the last one. */
static bool next_line(struct scan *s, const char **line, size_t *len)
{
	const char *stop;

	if (s->at >= s->end)
		return false;
	stop = memchr(s->at, '\n', (size_t)(s->end - s->at));
	if (!stop)
		stop = s->end;
	*line = s->at;
	*len = (size_t)(stop - s->at);
	s->at = stop + 1;
	s->line++;
	return true;
}

static void trim(const char **line, size_t *len)
{
	while (*len && strchr(" \t\r", **line)) {
		++*line;
		--*len;
	}
	while (*len && strchr(" \t\r", (*line)[*len - 1]))
		--*len;
}

/* An instruction with its continuation lines; comments and empty lines in it do not end it. */
static bool next_instruction(struct scan *s, struct kii_buf *out, size_t *first)
{
	const char *line;
	size_t len;

	kii_buf_reset(out);
	while (next_line(s, &line, &len)) {
		trim(&line, &len);
		if (!len || *line == '#')
			continue;
		if (!out->len)
			*first = s->line;
		if (line[len - 1] != s->escape) {
			kii_buf_add(out, line, len);
			return true;
		}
		kii_buf_add(out, line, len - 1);
		kii_buf_char(out, ' ');
	}
	return out->len > 0;
}

/* --- comments at the top that say how to read the rest --- */

static bool directive(const char *line, size_t len, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);

	if (!len || *line != '#')
		return false;
	line++;
	len--;
	trim(&line, &len);
	if (len < n || strncasecmp(line, name, n) != 0)
		return false;
	line += n;
	len -= n;
	trim(&line, &len);
	if (!len || *line != '=')
		return false;
	line++;
	len--;
	trim(&line, &len);
	snprintf(value, size, "%.*s", (int)(len < size ? len : size - 1), line);
	return true;
}

/* "docker/dockerfile" is what everyone writes for features that are looked for by themselves. */
static bool usual_syntax(const char *value)
{
	const char *name = strncmp(value, "docker.io/", 10) == 0 ? value + 10 : value;

	return strncmp(name, "docker/dockerfile", 17) == 0 && !strstr(name, "labs") &&
		(!name[17] || name[17] == ':' || name[17] == '@');
}

static int read_directives(struct scan *s)
{
	const char *line;
	size_t len;
	char value[100];

	for (;;) {
		struct scan before = *s;

		if (!next_line(s, &line, &len))
			return 0;
		trim(&line, &len);
		if (directive(line, len, "syntax", value, sizeof(value))) {
			if (!usual_syntax(value))
				return refuse(s, s->line, "another syntax than docker/dockerfile");
		} else if (directive(line, len, "escape", value, sizeof(value))) {
			if (*value == '`')
				s->escape = '`';
		} else {
			*s = before;
			return 0;
		}
	}
}

/* --- instructions --- */

/* Words of a line of shell, quotes in mind; false at its end. */
static bool next_word(const char **at, const char **word, size_t *len)
{
	char quote = '\0';
	const char *p = *at;

	p += strspn(p, " \t");
	*word = p;
	for (; *p && (quote || !strchr(" \t", *p)); p++) {
		if (*p == '\\' && quote != '\'' && p[1])
			p++;
		else if (quote)
			quote = (char)(*p == quote ? '\0' : quote);
		else if (*p == '\'' || *p == '"')
			quote = *p;
	}
	*len = (size_t)(p - *word);
	*at = p;
	return *len > 0;
}

/* "<<EOF", "3<<-'EOF'" */
static bool is_heredoc(const char *word, size_t len)
{
	const char *end = word + len;

	while (word < end && *word >= '0' && *word <= '9')
		word++;
	if (end - word < 3 || word[0] != '<' || word[1] != '<')
		return false;
	word += 2 + (word[2] == '-');
	return word < end && (strchr("'\"_", *word) || (*word >= 'A' && *word <= 'Z') ||
		(*word >= 'a' && *word <= 'z')) && !memchr(word, '<', (size_t)(end - word));
}

static int check_flag(const struct scan *s, size_t line, const char *name, const char *flag,
	size_t len)
{
	char what[80];

	for (size_t i = 0; i < KII_COUNT(flags); i++) {
		if (strcasecmp(flags[i].instruction, name) != 0 || strlen(flags[i].flag) != len ||
		    strncmp(flags[i].flag, flag, len) != 0)
			continue;
		if (s->podman && (flags[i].podman || s->modern))
			return 0;
		snprintf(what, sizeof(what), "%s --%s", flags[i].instruction, flags[i].flag);
		return refuse(s, line, what);
	}
	return 0;
}

/* The classic builder knows no platform but that which the text names. */
static int check_platform(const struct scan *s, size_t line, const char *word, size_t len)
{
	if (!s->podman && strncmp(word, "--platform=", 11) == 0 && memchr(word, '$', len) &&
	    (memmem(word, len, "BUILD", 5) || memmem(word, len, "TARGET", 6)))
		return refuse(s, line, "FROM --platform with a variable of the builder's");
	return 0;
}

static int check_flags(const struct scan *s, size_t line, const char *name, const char **rest)
{
	const char *at = *rest;
	const char *word;
	size_t len;

	while (next_word(&at, &word, &len) && len > 2 && strncmp(word, "--", 2) == 0) {
		if (check_flag(s, line, name, word + 2, strcspn(word + 2, "= \t")) != 0)
			return -1;
		if (strcasecmp(name, "FROM") == 0 && check_platform(s, line, word, len) != 0)
			return -1;
		*rest = at;
	}
	return 0;
}

static int check_instruction(const struct scan *s, size_t line, const char *text)
{
	const char *word;
	size_t len;
	char name[8] = "";

	if (!next_word(&text, &word, &len) || len >= sizeof(name))
		return 0;
	memcpy(name, word, len);
	name[len] = '\0';
	if (check_flags(s, line, name, &text) != 0)
		return -1;
	if ((strcasecmp(name, "RUN") != 0 && strcasecmp(name, "COPY") != 0 &&
	     strcasecmp(name, "ADD") != 0) || s->modern)
		return 0;
	while (next_word(&text, &word, &len)) {
		if (is_heredoc(word, len))
			return refuse(s, line, "a text in place (<<)");
	}
	return 0;
}

int kii_dockerfile_check(const char *text, size_t len, const struct kii_engine_about *engine,
	struct kii_error *err)
{
	struct scan s = { .at = text, .end = text + len, .escape = '\\', .podman = engine->podman,
		.modern = engine->podman && strtol(engine->version, NULL, 10) >= 5, .err = err };
	kii_autobuf line = KII_BUF_INIT(LINE_MAX_BYTES);
	size_t first = 0;

	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		s.at += 3;
	if (read_directives(&s) != 0)
		return -1;
	while (next_instruction(&s, &line, &first)) {
		if (check_instruction(&s, first, line.data) != 0)
			return -1;
	}
	return 0;
}
