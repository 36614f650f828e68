/* SPDX-License-Identifier: MIT */
/* An ignore file, a line "@@", and paths: what is left out, by whichever question it is asked. */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "dockerignore.h"
#include "json.h"

#define BOM "\xef\xbb\xbf"

/* The rules with one more behind them; NULL where that is past a cap. */
static struct kii_ignore *with(const char *text, size_t len, const char *more)
{
	struct kii_error err = { 0 };
	struct kii_ignore *ignore = NULL;

	fuzz_must(kii_ignore_parse(text, len, "a", &ignore, &err), &err);
	if (kii_ignore_parse(more, strlen(more), "b", &ignore, &err) == 0)
		return ignore;
	fuzz_check(err.code == KII_ETOOBIG);
	kii_ignore_free(ignore);
	return NULL;
}

/* The last pattern that matches decides: behind all others, these match everything. */
static void check_last(const char *text, size_t len, const char *path)
{
	struct kii_ignore *all = with(text, len, "**\n");
	struct kii_ignore *none = with(text, len, "!**\n");

	fuzz_check(!all || kii_ignore_match(all, path));
	fuzz_check(!none || !kii_ignore_match(none, path));
	kii_ignore_free(all);
	kii_ignore_free(none);
}

/* A folder that stays out without exceptions below is not looked into: nothing in it is missed. */
static void check_folders(const struct kii_ignore *ignore, const char *path)
{
	bool *above = kii_xcalloc(kii_ignore_count(ignore) + 1, sizeof(bool));
	bool *own = kii_xcalloc(kii_ignore_count(ignore) + 1, sizeof(bool));
	bool closed = false, first = true;

	for (const char *at = path;; at++) {
		kii_autofree char *part = NULL;
		bool out;

		at = strchr(at, '/');
		part = at ? kii_xstrndup(path, (size_t)(at - path)) : kii_xstrdup(path);
		out = kii_ignore_walk(ignore, part, first ? NULL : above, own);
		fuzz_check(!closed || (out && kii_ignore_match(ignore, part)));
		if (kii_ignore_match(ignore, part) && out && !kii_ignore_may_except(ignore, part))
			closed = true;
		memcpy(above, own, kii_ignore_count(ignore) * sizeof(bool));
		first = false;
		if (!at)
			break;
	}
	free(above);
	free(own);
}

static bool is_path(const char *path)
{
	kii_autofree char *closed = kii_xfmt("/%s/", path);

	return *path && strlen(path) < 256 && !strstr(closed, "//") && !strstr(closed, "/../") &&
		!strstr(closed, "/./");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kii_error err = { 0 };
	size_t len;
	kii_autofree char *rules = fuzz_part(&data, &size, "@@", &len);
	kii_autofree char *text = fuzz_exact((const uint8_t *)rules, len);
	kii_autofree char *paths = fuzz_text(data, size);
	struct kii_ignore *ignore = NULL;
	/*
	 * What is none matches as U+FFFD, and a byte order mark before a pattern as nothing; but no
	 * exception begins so: that is moby's way.
	 */
	bool words = kii_json_is_utf8(text, len) && !memmem(text, len, BOM, sizeof(BOM) - 1);
	int asked = 0;

	if (!fuzz_ok(kii_ignore_parse(text, len, "name", &ignore, &err), &err)) {
		fuzz_check(err.code == KII_ETOOBIG ||
			(err.code == KII_EINVAL && !strcmp(err.field, "name")));
		kii_ignore_free(ignore);
		return 0;
	}
	for (char *path = paths, *next; *path && asked < 16; path = next, asked++) {
		size_t n = strcspn(path, "\n");

		next = path + n + (path[n] == '\n');
		path[n] = '\0';
		if (!is_path(path))
			continue;
		fuzz_check(kii_ignore_count(ignore) || !kii_ignore_match(ignore, path));
		if (words && kii_json_is_utf8(path, strlen(path)))
			check_folders(ignore, path);
		if (asked < 2)
			check_last(text, len, path);
	}
	kii_ignore_free(ignore);
	return 0;
}
