/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "build_request.h"
#include "compose.h"
#include "json.h"

#define VALUE_MAX (64u << 10)

struct env {
	const char *at;
	size_t line;
	const json_t *given;
	json_t *all;
	size_t bytes;            /* of what has been read so far */
	struct kii_error *err;
};

static int bad_line(struct env *e, const char *why)
{
	return kii_error_field(e->err, ".env", "line %zu: %s", e->line, why);
}

/* In single quotes everything is itself. */
static bool take_single(struct env *e, struct kii_buf *out)
{
	size_t n = strcspn(e->at, "'");

	kii_buf_add(out, e->at, n);
	e->at += n;
	if (*e->at != '\'')
		return false;
	e->at++;
	return true;
}

/* In double quotes a backslash means something; a dollar sign behind one is none. */
static bool take_double(struct env *e, struct kii_buf *out)
{
	static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";

	for (; *e->at && *e->at != '"'; e->at++) {
		const char *known;

		if (*e->at != '\\' || !e->at[1]) {
			kii_buf_char(out, *e->at);
			continue;
		}
		known = strchr(from, *++e->at);
		if (*e->at == '$')
			kii_buf_str(out, "$$");
		else if (known)
			kii_buf_char(out, to[known - from]);
		else
			kii_buf_fmt(out, "\\%c", *e->at);
	}
	if (*e->at != '"')
		return false;
	e->at++;
	return true;
}

/* Up to the line's end, or to a comment that has a blank before it. */
static void take_plain(struct env *e, struct kii_buf *out)
{
	const char *from = e->at;
	size_t n = 0;

	while (from[n] && from[n] != '\n' && !(from[n] == '#' && n && strchr(" \t", from[n - 1])))
		n++;
	e->at += n;
	while (n && strchr(" \t\r", from[n - 1]))
		n--;
	kii_buf_add(out, from, n);
}

static int take_value(struct env *e, char **value)
{
	kii_autobuf raw = KII_BUF_INIT(VALUE_MAX);
	char quote = *e->at;
	bool closed = true;

	if (quote == '\'' || quote == '"') {
		e->at++;
		closed = quote == '"' ? take_double(e, &raw) : take_single(e, &raw);
	} else {
		take_plain(e, &raw);
	}
	if (!closed)
		return bad_line(e, "a quote that is not closed");
	if (kii_buf_check(&raw, ".env", e->err) != 0)
		return -1;
	if (quote != '\'')
		return kii_compose_expand(raw.data, e->given, e->all, ".env", NULL, value, e->err);
	*value = kii_buf_steal(&raw);
	return 0;
}

/* What may stand behind a value: blanks and a comment. */
static bool at_end(struct env *e)
{
	e->at += strspn(e->at, " \t\r");
	if (*e->at == '#')
		e->at += strcspn(e->at, "\n");
	return !*e->at || *e->at == '\n';
}

/* As people write keys that are for other programs. */
static char *take_name(struct env *e)
{
	size_t n;
	char *name;

	if (strncmp(e->at, "export ", 7) == 0)
		e->at += 7 + strspn(e->at + 7, " \t");
	n = strcspn(e->at, "= \t\r\n#'\"");
	name = kii_xstrndup(e->at, n);
	e->at += n;
	e->at += strspn(e->at, " \t");
	return name;
}

static int take_line(struct env *e)
{
	kii_autofree char *name = NULL;
	kii_autofree char *value = NULL;

	if (at_end(e))
		return 0;
	name = take_name(e);
	if (!*name || (*e->at != '=' && !at_end(e)))
		return bad_line(e, "not NAME=value");
	/* A name alone is one that comes from elsewhere. */
	if (*e->at != '=')
		return 0;
	e->at++;
	e->at += strspn(e->at, " \t");
	if (take_value(e, &value) != 0)
		return -1;
	if (!at_end(e))
		return bad_line(e, "something behind the value");
	e->bytes += strlen(name) + strlen(value);
	if (e->bytes > KII_COMPOSE_BYTES)
		return bad_line(e, "it becomes too much text");
	if (!kii_variable_name(name))
		return 0;
	if (json_object_set_new(e->all, name, json_string(value)) != 0)
		return bad_line(e, "a text that is no UTF-8");
	return 0;
}

int kii_compose_env(const char *text, const json_t *given, json_t **out, struct kii_error *err)
{
	struct env e = { .at = text, .line = 1, .given = given, .all = json_object(), .err = err };

	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		e.at += 3;
	while (*e.at) {
		const char *from = e.at;

		if (take_line(&e) != 0) {
			json_decref(e.all);
			return -1;
		}
		e.at += *e.at == '\n';
		for (; from < e.at; from++)
			e.line += *from == '\n';
	}
	*out = e.all;
	return 0;
}
