/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "build_request.h"
#include "compose.h"
#include "json.h"

#define TEXT_MAX (64u << 10)

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	"0123456789_";

struct expander {
	const json_t *first, *second;
	const char *field;
	struct kii_texts *notes;
	struct kii_buf out;
	struct kii_error *err;
};

static const char *value_of(const struct expander *x, const char *name)
{
	const char *value = kii_json_str(x->first, name);

	return value ? value : kii_json_str(x->second, name);
}

/* The end of what stands in braces, others inside counted; NULL: there is none. */
static const char *closing(const char *p)
{
	for (int depth = 1; *p; p++) {
		if (*p == '}' && --depth == 0)
			return p;
		depth += p[0] == '$' && p[1] == '{';
	}
	return NULL;
}

static int expand(struct expander *x, const char *text, int depth);

/* What stands behind the operator is text with variables of its own. */
static int other(struct expander *x, const char *from, const char *end, int depth)
{
	kii_autofree char *inner = kii_xstrndup(from, (size_t)(end - from));

	return expand(x, inner, depth + 1);
}

/* "NAME[:]op rest" in braces. */
static int in_braces(struct expander *x, const char *from, const char *end, int depth)
{
	size_t len = strspn(from, name_chars);
	kii_autofree char *name = kii_xstrndup(from, len);
	const char *value = value_of(x, name);
	const char *op = from + len;
	bool colon = op < end && *op == ':';
	bool set = value && (!colon || *value);

	op += colon;
	if (!kii_variable_name(name) || (op == end && colon))
		return kii_error_field(x->err, x->field, "has a bad ${...}");
	if (op == end && !value && x->notes)
		kii_compose_note(x->notes, "the variable %.100s is not set: it is empty", name);
	if (op == end || (*op == '-' && set) || (*op == '?' && set)) {
		kii_buf_str(&x->out, value ? value : "");
		return 0;
	}
	if (*op == '-' || *op == '+')
		return *op == '-' || set ? other(x, op + 1, end, depth) : 0;
	if (*op == '?')
		return kii_error_field(x->err, x->field, "%s is not set: %.*s", name,
			(int)(end - op - 1), op + 1);
	return kii_error_field(x->err, x->field, "has a bad ${...}");
}

/* At a '$': moves *p behind what it means. */
static int variable(struct expander *x, const char **p, int depth)
{
	const char *at = *p + 1;
	size_t len = strspn(at, name_chars);
	const char *end;

	if (*at == '$') {
		kii_buf_char(&x->out, '$');
		*p = at + 1;
		return 0;
	}
	if (*at == '{') {
		end = closing(at + 1);
		if (!end)
			return kii_error_field(x->err, x->field, "has a ${ without }");
		*p = end + 1;
		return in_braces(x, at + 1, end, depth);
	}
	if (!len || strchr("0123456789", *at))
		return kii_error_field(x->err, x->field, "has a $ that is neither $$ nor a "
			"variable");
	*p = at + len;
	return in_braces(x, at, at + len, depth);
}

static int expand(struct expander *x, const char *text, int depth)
{
	if (depth > 8)
		return kii_error_field(x->err, x->field, "has ${...} nested too deep");
	/* What does not fit need not be looked at any more. */
	while (*text && !x->out.overflow) {
		size_t plain = strcspn(text, "$");

		kii_buf_add(&x->out, text, plain);
		text += plain;
		if (*text && variable(x, &text, depth) != 0)
			return -1;
	}
	return 0;
}

int kii_compose_expand(const char *text, const json_t *first, const json_t *second,
	const char *field, struct kii_texts *notes, char **out, struct kii_error *err)
{
	struct expander x = { .first = first, .second = second, .field = field, .notes = notes,
		.err = err };
	int rc;

	kii_buf_init(&x.out, TEXT_MAX);
	rc = expand(&x, text, 0);
	if (rc == 0)
		rc = kii_buf_check(&x.out, field, err);
	if (rc == 0)
		*out = kii_xstrdup(x.out.data);
	kii_buf_release(&x.out);
	return rc;
}
