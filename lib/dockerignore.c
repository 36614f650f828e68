/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "dockerignore.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "dockerignore_glob.h"

struct rule {
	struct kii_glob *glob;
	bool exception;
};

struct kii_ignore {
	struct rule *rules;
	size_t n;
	bool exceptions;
};

/* --- lines --- */

/* Length of the white space (Go's idea of it, behind ASCII too) at `at`; 0: none. */
static size_t space_at(const char *at, const char *end)
{
	static const char *const wide[] = { "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80",
		"\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80" };
	size_t left = (size_t)(end - at);

	if (!left)
		return 0;
	if (*at == ' ' || (*at >= '\t' && *at <= '\r'))
		return 1;
	for (size_t i = 0; i < KII_COUNT(wide); i++) {
		if (left >= strlen(wide[i]) && memcmp(at, wide[i], strlen(wide[i])) == 0)
			return strlen(wide[i]);
	}
	return left >= 3 && memcmp(at, "\xE2\x80", 2) == 0 && (unsigned char)at[2] >= 0x80 &&
		(unsigned char)at[2] <= 0x8A ? 3 : 0;
}

static char *trimmed(const char *at, const char *end)
{
	size_t n;

	while ((n = space_at(at, end)))
		at += n;
	for (bool more = true; more;) {
		more = false;
		for (n = 1; n <= 3 && !more && (size_t)(end - at) >= n; n++)
			more = space_at(end - n, end) == n;
		if (more)
			end -= n - 1;
	}
	return kii_xstrndup(at, (size_t)(end - at));
}

/* Go back over the last part, unless that is a ".." itself. */
static bool drop_part(struct kii_buf *out, bool rooted)
{
	size_t start = rooted ? 1 : 0;
	size_t slash = out->len;

	if (out->len == start)
		return rooted;
	while (slash > start && out->data[slash - 1] != '/')
		slash--;
	if (strcmp(out->data + slash, "..") == 0)
		return false;
	kii_buf_cut(out, slash > start ? slash - 1 : start);
	return true;
}

/* As Go's path.Clean. */
static char *cleaned(const char *path)
{
	kii_autobuf out = KII_BUF_INIT(4ul * KII_IGNORE_LINE);
	bool rooted = *path == '/';

	if (rooted)
		kii_buf_char(&out, '/');
	while (*path) {
		size_t n = strcspn(path, "/");
		bool up = n == 2 && memcmp(path, "..", 2) == 0;

		if (n && !(n == 1 && *path == '.') && !(up && drop_part(&out, rooted))) {
			if (out.len > (rooted ? 1 : 0))
				kii_buf_char(&out, '/');
			kii_buf_add(&out, path, n);
		}
		path += n + (path[n] == '/');
	}
	if (!out.len)
		kii_buf_char(&out, '.');
	return kii_buf_steal(&out);
}

/* A line of the file as moby's list of patterns has it; NULL for none. */
static char *read_line(const char *at, const char *end)
{
	kii_autofree char *text = NULL;
	kii_autofree char *rest = NULL;
	kii_autofree char *clean = NULL;
	bool exception;
	const char *plain;

	if (at < end && *at == '#')
		return NULL;
	text = trimmed(at, end);
	if (!*text)
		return NULL;
	exception = *text == '!';
	rest = trimmed(text + exception, text + strlen(text));
	clean = *rest ? cleaned(rest) : kii_xstrdup("");
	plain = clean[0] == '/' && clean[1] ? clean + 1 : clean;
	return kii_xfmt("%s%s", exception ? "!" : "", plain);
}

/* --- rules --- */

static int bad_line(struct kii_error *err, const char *name, size_t line, const char *why)
{
	return kii_error_field(err, name, "line %zu: %s", line, why);
}

/* The second reading, which moby does to the list: it trims and cleans once more. */
static int add_rule(struct kii_ignore *ignore, const char *pattern, const char *name, size_t line,
	struct kii_error *err)
{
	kii_autofree char *text = trimmed(pattern, pattern + strlen(pattern));
	kii_autofree char *clean = *text ? cleaned(text) : NULL;
	bool exception = clean && *clean == '!';
	struct kii_glob *glob;

	if (!clean)
		return 0;
	if (exception && !clean[1])
		return bad_line(err, name, line, "\"!\" needs a pattern behind it");
	if (ignore->n == KII_IGNORE_PATTERNS)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s: more than %d patterns", name,
			KII_IGNORE_PATTERNS);
	glob = kii_glob_new(clean + exception);
	if (!glob)
		return bad_line(err, name, line, "no pattern that Docker could read");
	ignore->rules = kii_xrealloc(ignore->rules, (ignore->n + 1) * sizeof(*ignore->rules));
	ignore->rules[ignore->n++] = (struct rule){ glob, exception };
	ignore->exceptions = ignore->exceptions || exception;
	return 0;
}

static int add_line(struct kii_ignore *ignore, const char *at, const char *end, const char *name,
	size_t line, struct kii_error *err)
{
	kii_autofree char *pattern = NULL;

	if (end > at && end[-1] == '\r')
		end--;
	if (line == 1 && end - at >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
		at += 3;
	if (memchr(at, '\0', (size_t)(end - at)))
		return bad_line(err, name, line, "a byte of 0: is it UTF-16?");
	if (end - at > KII_IGNORE_LINE)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s: line %zu: more than %d bytes", name,
			line, KII_IGNORE_LINE);
	pattern = read_line(at, end);
	return pattern ? add_rule(ignore, pattern, name, line, err) : 0;
}

int kii_ignore_parse(const char *text, size_t len, const char *name, struct kii_ignore **out,
	struct kii_error *err)
{
	const char *end = text + len;
	size_t line = 1;

	if (len > KII_IGNORE_BYTES)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s: more than %u bytes", name,
			KII_IGNORE_BYTES);
	if (!*out)
		*out = kii_xcalloc(1, sizeof(**out));
	for (const char *at = text; at < end; line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		if (add_line(*out, at, stop, name, line, err) != 0)
			return -1;
		at = stop + 1;
	}
	return 0;
}

void kii_ignore_free(struct kii_ignore *ignore)
{
	if (!ignore)
		return;
	for (size_t i = 0; i < ignore->n; i++)
		kii_glob_free(ignore->rules[i].glob);
	free(ignore->rules);
	free(ignore);
}

size_t kii_ignore_count(const struct kii_ignore *ignore)
{
	return ignore->n;
}

/* --- questions --- */

bool kii_ignore_match(const struct kii_ignore *ignore, const char *path)
{
	bool out = false;

	for (size_t i = 0; i < ignore->n; i++) {
		const struct rule *rule = &ignore->rules[i];

		/* Only what would change something is looked at. */
		if (rule->exception == out && kii_glob_match_branch(rule->glob, path))
			out = !rule->exception;
	}
	return out;
}

bool kii_ignore_walk(const struct kii_ignore *ignore, const char *path, const bool *parent,
	bool *own)
{
	size_t len = strlen(path);
	bool out = false;

	for (size_t i = 0; i < ignore->n; i++) {
		const struct rule *rule = &ignore->rules[i];

		/*
		 * What is not looked at counts as not matching for those below, too: so it is in
		 * moby's walk.
		 */
		own[i] = (parent && parent[i]) || (rule->exception == out &&
			kii_glob_match(rule->glob, path, len));
		if (own[i])
			out = !rule->exception;
	}
	return out;
}

/* Could the pattern match a path below the folder? A wildcard could stand for anything. */
static bool may_reach(const struct kii_glob *glob, const char *folder)
{
	size_t len = strlen(folder);
	const char *text;
	bool whole;
	size_t n = kii_glob_literal(glob, &text, &whole);

	if (n <= len)
		return !whole && memcmp(text, folder, n) == 0;
	return memcmp(text, folder, len) == 0 && text[len] == '/';
}

bool kii_ignore_may_except(const struct kii_ignore *ignore, const char *folder)
{
	for (size_t i = 0; ignore->exceptions && i < ignore->n; i++) {
		if (ignore->rules[i].exception && may_reach(ignore->rules[i].glob, folder))
			return true;
	}
	return false;
}

bool kii_ignore_wild_exceptions(const struct kii_ignore *ignore)
{
	const char *text;
	bool whole;

	for (size_t i = 0; i < ignore->n; i++) {
		if (!ignore->rules[i].exception)
			continue;
		kii_glob_literal(ignore->rules[i].glob, &text, &whole);
		if (!whole)
			return true;
	}
	return false;
}
