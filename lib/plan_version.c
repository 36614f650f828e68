/* SPDX-License-Identifier: MIT */
/*
 * Which release line does a project's text ask for? An exact version is taken as it is, cut to as
 * many numbers as the image's tags have; of a range, the best line that has a version in it.
 */
#include <config.h>

#include "plan_in.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 3
#define ANY 1000000         /* above every number of a version */

struct number {
	int part[PARTS];
	int n;              /* how many were written */
	bool wild;          /* "3.x", "3.*" */
};

enum op { EQ, NE, LT, LE, GT, GE, CARET, TILDE, PESSIMIST };

bool kii_version_is_plain(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-";
	size_t len = strlen(text);

	return len && len <= 64 && isalnum((unsigned char)text[0]) && strspn(text, plain) == len;
}

/* "v1.2.3-rc1", "3.*", "*": the numbers, and where the text goes on. False: none. */
static bool read_number(const char **text, struct number *out)
{
	const char *p = *text;

	memset(out, 0, sizeof(*out));
	if (*p == 'v' || *p == 'V')
		p++;
	for (;;) {
		if (*p == '*' || *p == 'x' || *p == 'X') {
			out->wild = true;
			p++;
		} else if (isdigit((unsigned char)*p)) {
			long value = strtol(p, (char **)&p, 10);

			if (value >= ANY)
				return false;
			if (!out->wild && out->n < PARTS)
				out->part[out->n++] = (int)value;
		} else {
			return false;
		}
		if (*p != '.' || (!isdigit((unsigned char)p[1]) && !strchr("*xX", p[1])) || !p[1])
			break;
		p++;
	}
	/* what a pre-release or a build adds says nothing about the line */
	if (*p == '-' || *p == '+' || *p == '@')
		p += strcspn(p, " ,|");
	*text = p;
	return true;
}

static int compare(const int a[PARTS], const int b[PARTS])
{
	for (int i = 0; i < PARTS; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

/* The first version behind all that begin with the first `keep` parts. */
static void behind(const struct number *v, int keep, int out[PARTS])
{
	memcpy(out, v->part, sizeof(v->part));
	if (keep < 1) {
		out[0] = ANY;
		return;
	}
	out[keep - 1]++;
	for (int i = keep; i < PARTS; i++)
		out[i] = 0;
}

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

/* How many parts of it stay the same in a caret's range: up to the first that is not 0. */
static int caret_keep(const struct number *v)
{
	for (int i = 0; i < v->n; i++) {
		if (v->part[i])
			return i + 1;
	}
	return max_int(v->n, 1);
}

/*
 * Is `v` in the range? It is the newest of its line: that is what an image's tag stands for, so a
 * line whose newest is behind the range's end does not do.
 */
static bool allows(enum op op, const struct number *bound, const int v[PARTS])
{
	int end[PARTS];
	int keep = bound->n;

	if (op == CARET)
		keep = caret_keep(bound);
	else if (op == TILDE)
		keep = keep > 1 ? 2 : keep;
	else if (op == PESSIMIST)
		keep = keep > 1 ? keep - 1 : keep;
	behind(bound, keep, end);
	switch (op) {
	case LT:
		return compare(v, bound->part) < 0;
	case LE:
		return compare(v, end) < 0;
	case GT:
	case GE:
		return compare(v, bound->part) >= 0;
	case NE:
		return compare(v, bound->part) < 0 || compare(v, end) >= 0;
	default:
		return compare(v, bound->part) >= 0 && compare(v, end) < 0;
	}
}

static enum op read_op(const char **text)
{
	static const struct { const char *text; enum op op; } ops[] = {
		{ "===", EQ }, { "==", EQ }, { "~=", PESSIMIST }, { "~>", PESSIMIST },
		{ "!=", NE }, { "<=", LE }, { ">=", GE }, { "<", LT }, { ">", GT }, { "=", EQ },
		{ "^", CARET }, { "~", TILDE },
	};
	const char *p = *text + strspn(*text, " \t");
	enum op op = EQ;

	for (size_t i = 0; i < KII_COUNT(ops); i++) {
		size_t n = strlen(ops[i].text);

		if (strncmp(p, ops[i].text, n) == 0) {
			op = ops[i].op;
			p += n;
			break;
		}
	}
	*text = p + strspn(p, " \t");
	return op;
}

/* The newest version of the line "3.11". */
static void newest(const char *line, int out[PARTS])
{
	struct number v;

	for (int i = 0; i < PARTS; i++)
		out[i] = ANY - 1;
	if (read_number(&line, &v))
		memcpy(out, v.part, (size_t)v.n * sizeof(v.part[0]));
}

/* "1.2 - 2.3": the second number of a range with a hyphen. */
static bool read_hyphen(const char **text, struct number *v)
{
	const char *p = *text + strspn(*text, " ");

	if (p == *text || *p != '-' || p[1] != ' ')
		return false;
	p += 1 + strspn(p + 1, " ");
	if (!read_number(&p, v))
		return false;
	*text = p;
	return true;
}

/* One alternative: all its comparisons, up to "|" or the end. -1: it is none. */
static int allows_all(const char **text, const int version[PARTS])
{
	int all = 1;

	while (**text && **text != '|') {
		enum op op = read_op(text);
		struct number v, last;

		if (!read_number(text, &v))
			return -1;
		if (op == EQ && read_hyphen(text, &last)) {
			all &= allows(GE, &v, version) && allows(LE, &last, version);
		} else if (v.n || !v.wild) {
			all &= allows(op, &v, version);
		}
		*text += strspn(*text, " \t,");
	}
	return all;
}

static int allows_any(const char *text, const int version[PARTS])
{
	int any = 0;

	for (;;) {
		int one = allows_all(&text, version);

		if (one < 0)
			return -1;
		any |= one;
		if (!*text)
			return any;
		text += strspn(text, "| \t");
	}
}

/* Nothing but a version: its numbers, as many as the tags have. */
static char *exact(const struct kii_lines *lines, const char *text)
{
	const char *p = text;
	struct number v;

	if (*p == '=')
		p += strspn(p, "= ");
	if (!read_number(&p, &v) || *p || v.wild || !v.n)
		return NULL;
	if (v.n > lines->parts)
		v.n = lines->parts;
	return v.n == 1 ? kii_xfmt("%d", v.part[0]) :
		v.n == 2 ? kii_xfmt("%d.%d", v.part[0], v.part[1]) :
		kii_xfmt("%d.%d.%d", v.part[0], v.part[1], v.part[2]);
}

/* The first number of a range that no known line is in: old projects have such. */
static char *first_number(const struct kii_lines *lines, const char *text)
{
	kii_autofree char *number = NULL;
	size_t n;

	text += strcspn(text, "0123456789");
	n = strspn(text, "0123456789.");
	while (n && text[n - 1] == '.')
		n--;
	number = kii_xstrndup(text, n);
	return exact(lines, number);
}

char *kii_version_pick(const struct kii_lines *lines, const char *text)
{
	char *version;
	const char *line;
	int version_of[PARTS];
	int fits;

	text += strspn(text, " \t");
	if (!strpbrk(text, "0123456789*xX") || strlen(text) > 200)
		return NULL;
	version = exact(lines, text);
	if (version)
		return version;
	for (line = lines->known; *line; ) {
		size_t n = strcspn(line, " ");

		newest(line, version_of);
		fits = allows_any(text, version_of);
		if (fits < 0)
			return NULL;
		if (fits)
			return kii_xstrndup(line, n);
		line += n + strspn(line + n, " ");
	}
	return first_number(lines, text);
}

/* What the first that says anything says; `source` is its. */
static char *first_said(const struct kii_draft *d, const struct kii_lines *lines,
	struct kii_said *said, size_t n, char **source)
{
	const char *steered = kii_draft_steer(d, lines->variable);

	if (steered) {
		*source = kii_xfmt("NIXPACKS_%s", lines->variable);
		return kii_xstrdup(steered);
	}
	for (size_t i = 0; i < n; i++) {
		if (said[i].text) {
			*source = kii_xstrdup(said[i].source);
			return kii_xstrdup(said[i].text);
		}
	}
	return NULL;
}

static const char *note_version(struct kii_plan *p, const char *name, char *value_take,
	char *source_take)
{
	struct kii_plan_version *v;

	p->versions = kii_xrealloc(p->versions, (p->n_versions + 1) * sizeof(*p->versions));
	v = &p->versions[p->n_versions++];
	v->name = kii_xstrdup(name);
	v->value = value_take;
	v->source = source_take;
	return v->value;
}

/* The field is the file, or the variable; what stands behind it says where in the file. */
static int no_version(const char *source, const char *text, const char *name,
	struct kii_error *err)
{
	size_t n = strcspn(source, " ");
	kii_autofree char *field = kii_xfmt("%s%.*s",
		strncmp(source, "NIXPACKS_", 9) == 0 ? "variables." : "", (int)n, source);

	return kii_error_field(err, field, "%s%s\"%.60s\" is no version of %s",
		source[n] ? source + n + 1 : "", source[n] ? ": " : "",
		kii_draft_is_text(text, false) ? text : "...", name);
}

int kii_draft_version(struct kii_draft *d, const struct kii_lines *lines, struct kii_said *said,
	size_t n, const char **value, struct kii_error *err)
{
	kii_autofree char *source = NULL;
	kii_autofree char *text = first_said(d, lines, said, n, &source);
	char *version;

	for (size_t i = 0; i < n; i++)
		free(said[i].text);
	if (err->code != KII_OK)
		return -1;
	if (!text) {
		*value = note_version(d->plan, lines->name, kii_xstrdup(lines->preset),
			kii_xstrdup("default"));
		return 0;
	}
	version = kii_version_pick(lines, text);
	if (!version)
		return no_version(source, text, lines->name, err);
	if (strcmp(version, text) != 0 && kii_draft_is_text(text, false))
		*value = note_version(d->plan, lines->name, version,
			kii_xfmt("%s (%.60s)", source, text));
	else
		*value = note_version(d->plan, lines->name, version, kii_steal(&source));
	return 0;
}
