/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "compose_in.h"
#include "json.h"

#define NESTING 10         /* ${A:-${B:-...}} */
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define DIGITS  "0123456789"

const char *kii_compose_variable(const struct kii_compose_vars *vars, const char *name)
{
	const char *value = kii_json_str(vars->given, name);

	return value ? value : kii_json_str(vars->dotenv, name);
}

/* --- filling in --- */

struct expand {
	const struct kii_compose_vars *vars;
	const char *field;
	struct kii_error *err;
	unsigned depth;
};

static bool expand(struct expand *x, const char **at, bool inner, struct kii_buf *out);

static bool bad(struct expand *x, const char *why)
{
	kii_error_field(x->err, x->field, "%s", why);
	return false;
}

static char *take_name(const char **at)
{
	size_t n = strspn(*at, LETTERS DIGITS);
	char *name;

	if (!n || strchr(DIGITS, **at))
		return NULL;
	name = kii_xstrndup(*at, n);
	*at += n;
	return name;
}

static void put_value(struct expand *x, const char *name, struct kii_buf *out)
{
	const char *value = kii_compose_variable(x->vars, name);

	if (!value) {
		kii_autofree char *note = kii_xfmt("the variable %s is not set: it is empty", name);

		kii_texts_once(x->vars->notes, note);
	}
	kii_buf_str(out, value ? value : "");
}

/* Behind the name: what stands up to the '}', and by the operator what comes of it. */
static bool put_operator(struct expand *x, const char *name, const char **at, struct kii_buf *out)
{
	const char *value = kii_compose_variable(x->vars, name);
	bool colon = **at == ':';
	char operator = (*at)[colon];
	bool set = value && (!colon || *value);
	kii_autobuf word = KII_BUF_INIT(KII_COMPOSE_VALUE);

	if (!operator)
		return bad(x, "\"${\" without its \"}\"");
	if (!strchr("-?+", operator))
		return bad(x, "a variable with an operator that there is not");
	*at += colon + 1;
	if (!expand(x, at, true, &word))
		return false;
	if (operator == '?' && !set) {
		kii_error_field(x->err, x->field, "the variable %.60s is needed: %.100s", name,
			word.len ? word.data : "it is not set");
		return false;
	}
	if (operator == '+')
		kii_buf_str(out, set ? word.data : "");
	else
		kii_buf_str(out, set ? value : word.data);
	return true;
}

/* Behind "${". */
static bool put_braced(struct expand *x, const char **at, struct kii_buf *out)
{
	kii_autofree char *name = take_name(at);

	if (!name)
		return bad(x, "\"${\" without a variable's name (a dollar sign is written $$)");
	if (**at == '}')
		put_value(x, name, out);
	else if (!put_operator(x, name, at, out))
		return false;
	if (**at != '}')
		return bad(x, "\"${\" without its \"}\"");
	++*at;
	return true;
}

static bool put_variable(struct expand *x, const char **at, struct kii_buf *out)
{
	kii_autofree char *name = NULL;

	if (**at == '$' || **at == '{') {
		char c = *(*at)++;

		if (c == '{')
			return put_braced(x, at, out);
		kii_buf_char(out, '$');
		return true;
	}
	name = take_name(at);
	if (!name)
		return bad(x, "a \"$\" without a variable's name (a dollar sign is written $$)");
	put_value(x, name, out);
	return true;
}

/* `inner`: within braces, up to the one that closes them. */
static bool expand(struct expand *x, const char **at, bool inner, struct kii_buf *out)
{
	bool good = true;

	if (x->depth++ == NESTING)
		return bad(x, "variables within variables, too deep");
	while (good && **at && !(inner && **at == '}')) {
		if (**at == '$') {
			++*at;
			good = put_variable(x, at, out);
		} else {
			kii_buf_char(out, *(*at)++);
		}
	}
	x->depth--;
	if (good && out->overflow) {
		kii_error_set(x->err, KII_ETOOBIG, 0, "%s: the value grows too long", x->field);
		return false;
	}
	return good;
}

int kii_compose_expand(const struct kii_compose_vars *vars, const char *text, const char *field,
	char **out, struct kii_error *err)
{
	struct expand x = { .vars = vars, .field = field, .err = err };
	kii_autobuf value = KII_BUF_INIT(KII_COMPOSE_VALUE);

	if (!expand(&x, &text, false, &value))
		return -1;
	*out = kii_buf_steal(&value);
	return 0;
}

/* --- .env --- */

static int bad_line(struct kii_error *err, size_t line, const char *why)
{
	return kii_error_field(err, ".env", "line %zu: %s", line, why);
}

/* In single quotes everything is itself. */
static bool take_single(const char **at, struct kii_buf *out)
{
	size_t n = strcspn(*at, "'");

	kii_buf_add(out, *at, n);
	*at += n;
	return *(*at)++ == '\'';
}

/* In double quotes a backslash means something; a dollar sign behind one is none. */
static bool take_double(const char **at, struct kii_buf *out)
{
	static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";

	for (; **at && **at != '"'; ++*at) {
		const char *known;

		if (**at != '\\' || !(*at)[1]) {
			kii_buf_char(out, **at);
			continue;
		}
		++*at;
		known = strchr(from, **at);
		if (**at == '$')
			kii_buf_str(out, "$$");
		else if (known)
			kii_buf_char(out, to[known - from]);
		else
			kii_buf_fmt(out, "\\%c", **at);
	}
	return *(*at)++ == '"';
}

/* Up to the line's end, or a comment that has a blank before it. */
static void take_plain(const char **at, struct kii_buf *out)
{
	const char *from = *at;
	size_t n = 0;

	while (from[n] && from[n] != '\n' && !(from[n] == '#' && n && strchr(" \t", from[n - 1])))
		n++;
	*at += n;
	while (n && strchr(" \t\r", from[n - 1]))
		n--;
	kii_buf_add(out, from, n);
}

static int take_value(struct kii_compose_vars *vars, const char **at, size_t line, char **value,
	struct kii_error *err)
{
	kii_autobuf raw = KII_BUF_INIT(KII_COMPOSE_VALUE);
	char quote = **at;
	bool closed = true;

	if (quote == '\'' || quote == '"') {
		++*at;
		closed = quote == '"' ? take_double(at, &raw) : take_single(at, &raw);
	} else {
		take_plain(at, &raw);
	}
	if (!closed)
		return bad_line(err, line, "a quote that is not closed");
	if (raw.overflow)
		return kii_error_set(err, KII_ETOOBIG, 0, ".env: line %zu: too long", line);
	if (quote == '\'') {
		*value = kii_buf_steal(&raw);
		return 0;
	}
	return kii_compose_expand(vars, raw.data, ".env", value, err);
}

/* What may stand behind a value: blanks and a comment. */
static bool at_end(const char **at)
{
	*at += strspn(*at, " \t\r");
	if (**at == '#')
		*at += strcspn(*at, "\n");
	return !**at || **at == '\n';
}

static int take_line(struct kii_compose_vars *vars, const char **at, size_t line,
	struct kii_error *err)
{
	kii_autofree char *name = NULL;
	kii_autofree char *value = NULL;

	if (at_end(at))
		return 0;
	if (strncmp(*at, "export ", 7) == 0)
		*at += 7 + strspn(*at + 7, " \t");
	name = take_name(at);
	*at += strspn(*at, " \t");
	if (!name || (**at != '=' && !at_end(at)))
		return bad_line(err, line, "not NAME=value");
	/* A name alone is one that comes from elsewhere. */
	if (**at != '=')
		return 0;
	++*at;
	*at += strspn(*at, " \t");
	if (take_value(vars, at, line, &value, err) != 0)
		return -1;
	if (!at_end(at))
		return bad_line(err, line, "something behind the value");
	if (json_object_set_new(vars->dotenv, name, json_string(value)) != 0)
		return bad_line(err, line, "a text that is no UTF-8");
	return 0;
}

int kii_compose_dotenv(struct kii_compose_vars *vars, const char *text, struct kii_error *err)
{
	size_t line = 1;

	if (strlen(text) > KII_COMPOSE_VALUE)
		return kii_error_set(err, KII_ETOOBIG, 0, ".env: more than %u bytes",
			KII_COMPOSE_VALUE);
	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	while (*text) {
		const char *from = text;

		if (take_line(vars, &text, line, err) != 0)
			return -1;
		text += *text == '\n';
		for (; from < text; from++)
			line += *from == '\n';
	}
	return 0;
}
