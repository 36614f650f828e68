/* SPDX-License-Identifier: MIT */
/*
 * moby translates a pattern into a regular expression of Go's, letter by letter, and oddities of
 * that translation show in what it matches: "[a*b]" is a class with a '/' in it, "\d" a digit, and
 * "**" + "x" any path that ends in x. So this goes the same way in two steps: into that
 * expression, then into a row of items that is run over the path for all its readings at once, in
 * time of path by pattern whatever the pattern is.
 */
#include <config.h>

#include "dockerignore_glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define EXPRESSION_MAX 8192      /* of a pattern of 1024 bytes: "*" becomes five */
#define ITEMS_MAX      2048
#define WORDS          (ITEMS_MAX / 64)

enum how { EXACT, PREFIX, SUFFIX, EXPRESSION };

enum kind {
	CLASS,       /* one character of the ranges */
	BEGIN,       /* the path's start */
	SKIP,        /* here or three further: an optional group */
};

struct item {
	enum kind kind;
	bool star;               /* any number of them */
	bool maybe;              /* none or one */
	bool negated;
	uint32_t first, n;       /* ranges */
};

struct range { uint32_t low, high; };

struct kii_glob {
	char *text;
	size_t len;
	enum how how;
	struct item *items;
	size_t n_items;
	struct range *ranges;
	size_t n_ranges;
};

static void put_rune(struct kii_buf *out, uint32_t c)
{
	if (c < 0x80) {
		kii_buf_char(out, (char)c);
	} else if (c < 0x800) {
		kii_buf_char(out, (char)(0xC0 | c >> 6));
		kii_buf_char(out, (char)(0x80 | (c & 0x3F)));
	} else if (c < 0x10000) {
		kii_buf_char(out, (char)(0xE0 | c >> 12));
		kii_buf_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
		kii_buf_char(out, (char)(0x80 | (c & 0x3F)));
	} else {
		kii_buf_char(out, (char)(0xF0 | c >> 18));
		kii_buf_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
		kii_buf_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
		kii_buf_char(out, (char)(0x80 | (c & 0x3F)));
	}
}

/* --- into moby's expression --- */

/* Behind a '*'. Returns what kind of pattern it is then. */
static enum how put_star(struct kii_buf *out, const char **at, const char *end, bool first,
	enum how how)
{
	if (*at == end || **at != '*') {
		kii_buf_str(out, "[^/]*");
		return EXPRESSION;
	}
	++*at;
	if (*at < end && **at == '/')
		++*at;
	if (*at == end && how == EXACT) {
		how = PREFIX;
	} else {
		kii_buf_str(out, *at == end ? ".*" : "(.*/)?");
		how = EXPRESSION;
	}
	return first ? SUFFIX : how;
}

static enum how put_plain(struct kii_buf *out, uint32_t c, const char **at, const char *end,
	enum how how)
{
	if (c == '?') {
		kii_buf_str(out, "[^/]");
		return EXPRESSION;
	}
	if (c && c < 0x80 && strchr(".+()|{}$", (int)c)) {
		kii_buf_char(out, '\\');
	} else if (c == '\\') {
		kii_buf_char(out, '\\');
		/* At the end there is none: kii_glob_valid saw to that. */
		c = kii_glob_rune(at, end);
		how = EXPRESSION;
	} else if (c == '[' || c == ']') {
		how = EXPRESSION;
	}
	put_rune(out, c);
	return how;
}

static enum how translate(const char *at, const char *end, struct kii_buf *out)
{
	enum how how = EXACT;
	bool first = true;

	/* The reader that moby uses passes over a byte order mark. */
	if (end - at >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
		at += 3;
	for (; at < end; first = false) {
		uint32_t c = kii_glob_rune(&at, end);

		how = c == '*' ? put_star(out, &at, end, first, how)
			: put_plain(out, c, &at, end, how);
	}
	return how;
}

/* --- the expression into items --- */

struct parse {
	struct kii_glob *glob;
	const char *at, *end;
};

static void add_range(struct kii_glob *g, uint32_t low, uint32_t high)
{
	g->ranges = kii_xrealloc(g->ranges, (g->n_ranges + 1) * sizeof(*g->ranges));
	g->ranges[g->n_ranges++] = (struct range){ low, high };
}

static struct item *add_item(struct kii_glob *g, enum kind kind)
{
	g->items = kii_xrealloc(g->items, (g->n_items + 1) * sizeof(*g->items));
	g->items[g->n_items] = (struct item){ .kind = kind, .first = (uint32_t)g->n_ranges };
	return &g->items[g->n_items++];
}

static void end_class(struct kii_glob *g)
{
	struct item *item = &g->items[g->n_items - 1];

	item->n = (uint32_t)g->n_ranges - item->first;
}

/* Pairs of first and last character, in ascending order. */
struct named { const char *name, *pairs; };

static const struct named perl[] = {
	{ "d", "09" },
	{ "s", "\t\n\f\r  " },
	{ "w", "09AZ__az" },
	{ NULL, NULL },
};
static const struct named posix[] = {
	{ "alnum", "09AZaz" },
	{ "alpha", "AZaz" },
	{ "ascii", "\x01\x7F" },
	{ "blank", "\t\t  " },
	{ "cntrl", "\x01\x1F\x7F\x7F" },
	{ "digit", "09" },
	{ "graph", "!~" },
	{ "lower", "az" },
	{ "print", " ~" },
	{ "punct", "!/:@[`{~" },
	{ "space", "\t\r  " },
	{ "upper", "AZ" },
	{ "word", "09AZ__az" },
	{ "xdigit", "09AFaf" },
	{ NULL, NULL },
};

static bool add_named(struct kii_glob *g, const struct named *table, const char *name, size_t len,
	bool negated)
{
	uint32_t from = 0;

	while (table->name && (strlen(table->name) != len || memcmp(table->name, name, len) != 0))
		table++;
	if (!table->name)
		return false;
	for (const char *p = table->pairs; *p; p += 2) {
		if (!negated)
			add_range(g, (unsigned char)p[0], (unsigned char)p[1]);
		else if ((unsigned char)p[0] > from)
			add_range(g, from, (unsigned char)p[0] - 1u);
		from = (unsigned char)p[1] + 1u;
	}
	if (negated)
		add_range(g, from, KII_GLOB_MAX);
	return true;
}

/* \d and its like, behind the backslash. */
static bool take_perl(struct parse *p)
{
	char name = (char)(*p->at | 0x20);

	if (!strchr("dDsSwW", *p->at))
		return false;
	add_named(p->glob, perl, &name, 1, *p->at != name);
	p->at++;
	return true;
}

/* What stands for one character behind a backslash; false where that is none, or not taken. */
static bool take_escape(struct parse *p, uint32_t *c)
{
	static const char letters[] = "afnrtv", mean[] = "\a\f\n\r\t\v";
	const char *known;

	*c = kii_glob_rune(&p->at, p->end);
	if (*c >= 0x80)
		return false;
	known = strchr(letters, (int)*c);
	if (known)
		*c = (unsigned char)mean[known - letters];
	else if ((*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z'))
		return false;
	return true;
}

static bool take_class_char(struct parse *p, uint32_t *c)
{
	if (p->at == p->end)
		return false;
	if (*p->at != '\\') {
		*c = kii_glob_rune(&p->at, p->end);
		return true;
	}
	p->at++;
	return p->at < p->end && take_escape(p, c);
}

/* "[:name:]" at this place: 1, 0 where there is no such thing, -1 for a name that there is not. */
static int take_posix(struct parse *p)
{
	const char *name = p->at + 2;
	const char *close;
	bool negated;

	if (p->end - p->at <= 2 || p->at[0] != '[' || p->at[1] != ':')
		return 0;
	close = memmem(name, (size_t)(p->end - name), ":]", 2);
	if (!close)
		return 0;
	negated = *name == '^';
	name += negated;
	if (!add_named(p->glob, posix, name, (size_t)(close - name), negated))
		return -1;
	p->at = close + 2;
	return 1;
}

static bool take_class_member(struct parse *p)
{
	uint32_t low, high;
	int named = take_posix(p);

	if (named)
		return named > 0;
	if (p->end - p->at >= 2 && *p->at == '\\') {
		p->at++;
		if (take_perl(p))
			return true;
		p->at--;
	}
	if (!take_class_char(p, &low))
		return false;
	high = low;
	if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
		p->at++;
		if (!take_class_char(p, &high) || high < low)
			return false;
	}
	add_range(p->glob, low, high);
	return true;
}

/* Behind its '['. */
static bool take_class(struct parse *p)
{
	struct item *item = add_item(p->glob, CLASS);
	bool first = true;

	if (p->at < p->end && *p->at == '^') {
		item->negated = true;
		p->at++;
	}
	for (; p->at == p->end || *p->at != ']' || first; first = false) {
		if (p->at == p->end || !take_class_member(p))
			return false;
	}
	p->at++;
	end_class(p->glob);
	return true;
}

static void add_char(struct kii_glob *g, uint32_t c)
{
	add_item(g, CLASS);
	add_range(g, c, c);
	end_class(g);
}

/* ".*": of any characters but the line end. */
static void add_dots(struct kii_glob *g)
{
	struct item *item = add_item(g, CLASS);

	item->star = item->negated = true;
	add_range(g, '\n', '\n');
	end_class(g);
}

static bool take_backslash(struct parse *p)
{
	uint32_t c;

	add_item(p->glob, CLASS);
	if (!take_perl(p)) {
		if (!take_escape(p, &c))
			return false;
		add_range(p->glob, c, c);
	}
	end_class(p->glob);
	return true;
}

static bool take_item(struct parse *p)
{
	char c = *p->at;

	if (c == '(') {                  /* "(.*" + "/)?" and no other */
		p->at += 6;
		add_item(p->glob, SKIP);
		add_dots(p->glob);
		add_char(p->glob, '/');
		return true;
	}
	if (c == '.') {
		p->at += 2;
		add_dots(p->glob);
		return true;
	}
	if (c == '^' || c == '[' || c == '\\')
		p->at++;
	if (c == '^')
		add_item(p->glob, BEGIN);
	else if (c != '[' && c != '\\')
		add_char(p->glob, kii_glob_rune(&p->at, p->end));
	return c == '[' ? take_class(p) : c == '\\' ? take_backslash(p) : true;
}

/* Behind a class that ended earlier than its writer thought, '*' and '?' count or repeat it. */
static bool take_count(struct parse *p)
{
	struct item *item = &p->glob->items[p->glob->n_items - 1];

	if (p->at == p->end || (*p->at != '*' && *p->at != '?'))
		return true;
	if (item->kind != CLASS || item->star)
		return false;
	item->star = *p->at == '*';
	item->maybe = !item->star;
	p->at++;
	/* "a**" is an error of Go's, "a*?" a choice that makes no difference here. */
	if (p->at < p->end && *p->at == '?')
		p->at++;
	return p->at == p->end || (*p->at != '*' && *p->at != '?');
}

static bool parse_items(struct kii_glob *g, const struct kii_buf *text)
{
	struct parse p = { g, text->data, text->data + text->len };

	while (p.at < p.end) {
		if (g->n_items + 4 > ITEMS_MAX || !take_item(&p) || !take_count(&p))
			return false;
	}
	return true;
}

/* --- running --- */

struct set { uint64_t words[WORDS]; };

static bool has(const struct set *s, size_t i)
{
	return s->words[i / 64] >> i % 64 & 1;
}

static void put(struct set *s, size_t i)
{
	s->words[i / 64] |= UINT64_C(1) << i % 64;
}

/* From each item on to those that can be reached without a character. Items only lead onwards. */
static void spread(const struct kii_glob *g, struct set *s, bool start)
{
	for (size_t i = 0; i < g->n_items; i++) {
		const struct item *item = &g->items[i];

		if (!has(s, i))
			continue;
		if (item->kind == SKIP)
			put(s, i + 3);
		if (item->kind == SKIP || item->star || item->maybe ||
		    (item->kind == BEGIN && start))
			put(s, i + 1);
	}
}

static bool in_class(const struct kii_glob *g, const struct item *item, uint32_t c)
{
	for (size_t i = item->first; i < item->first + item->n; i++) {
		if (c >= g->ranges[i].low && c <= g->ranges[i].high)
			return !item->negated;
	}
	return item->negated;
}

static void step(const struct kii_glob *g, const struct set *from, struct set *to, uint32_t c)
{
	memset(to, 0, sizeof(*to));
	for (size_t i = 0; i < g->n_items; i++) {
		const struct item *item = &g->items[i];

		if (has(from, i) && item->kind == CLASS && in_class(g, item, c))
			put(to, item->star ? i : i + 1);
	}
}

/* With `branch` a folder above the path will do, too. */
static bool run(const struct kii_glob *g, const char *path, size_t len, bool branch)
{
	const char *start = path;
	const char *end = path + len;
	struct set sets[2] = { { { 1 } } };
	unsigned now = 0;

	spread(g, &sets[0], true);
	while (path < end) {
		if (branch && *path == '/' && path > start && has(&sets[now], g->n_items))
			return true;
		step(g, &sets[now], &sets[1 - now], kii_glob_rune(&path, end));
		now = 1 - now;
		spread(g, &sets[now], false);
	}
	return has(&sets[now], g->n_items);
}

static bool ends_with(const char *path, size_t len, const char *end, size_t n)
{
	return len >= n && memcmp(path + len - n, end, n) == 0;
}

bool kii_glob_match(const struct kii_glob *g, const char *path, size_t len)
{
	size_t n = g->len - 2;       /* without the "**" of PREFIX and SUFFIX */

	switch (g->how) {
	case EXACT:
		return len == g->len && memcmp(path, g->text, len) == 0;
	case PREFIX:
		return len >= n && memcmp(path, g->text, n) == 0;
	case SUFFIX:
		if (ends_with(path, len, g->text + 2, n))
			return true;
		return n && g->text[2] == '/' && len == n - 1 &&
			memcmp(path, g->text + 3, len) == 0;
	default:
		return run(g, path, len, false);
	}
}

bool kii_glob_match_branch(const struct kii_glob *g, const char *path)
{
	size_t len = strlen(path);

	if (g->how == EXPRESSION)
		return run(g, path, len, true);
	if (kii_glob_match(g, path, len))
		return true;
	for (size_t i = 1; i < len; i++) {
		if (path[i] == '/' && kii_glob_match(g, path, i))
			return true;
	}
	return false;
}

size_t kii_glob_literal(const struct kii_glob *g, const char **text, bool *whole)
{
	size_t n = g->how == EXACT ? g->len : strcspn(g->text, "*?[\\");

	*text = g->text;
	*whole = n == g->len;
	return n;
}

struct kii_glob *kii_glob_new(const char *pattern)
{
	size_t len = strlen(pattern);
	struct kii_glob *g;
	kii_autobuf text = KII_BUF_INIT(EXPRESSION_MAX);

	if (!kii_glob_valid(pattern, pattern + len))
		return NULL;
	g = kii_xcalloc(1, sizeof(*g));
	g->text = kii_xstrdup(pattern);
	g->len = len;
	g->how = translate(pattern, pattern + len, &text);
	if (g->how == EXPRESSION && (text.overflow || !parse_items(g, &text))) {
		kii_glob_free(g);
		return NULL;
	}
	return g;
}

void kii_glob_free(struct kii_glob *g)
{
	if (!g)
		return;
	free(g->text);
	free(g->items);
	free(g->ranges);
	free(g);
}
