/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "tags.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LEN 256
#define FIELDS       4
#define COMMITS_LEN  7     /* digits */

static const char digits[] = "0123456789";

/* As USB tools print it: decimal as long as it is short, else hex. */
static void bcd_byte(unsigned byte, char out[4])
{
	snprintf(out, 4, byte <= 99 ? "%u" : "%x", byte & 0xff);
}

void kii_tags_bcd(int64_t commits, char out[8])
{
	char high[4], low[4];

	bcd_byte((unsigned)(commits >> 8) & 0xff, high);
	bcd_byte((unsigned)commits & 0xff, low);
	snprintf(out, 8, "%s.%s", high, low);
}

char *kii_tags_notes(const char *git_url, const char *tag)
{
	static const char *const schemes[] = { "https://", "http://", "git://" };
	size_t len;

	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		const char *site = git_url + strlen(schemes[i]);

		if (strncmp(git_url, schemes[i], strlen(schemes[i])) != 0)
			continue;
		for (len = strlen(site); len && site[len - 1] == '/'; len--)
			;
		if (len > 4 && strncmp(site + len - 4, ".git", 4) == 0)
			len -= 4;
		return kii_xfmt("%s%.*s/releases/tag/%s", i == 2 ? schemes[0] : schemes[i],
			(int)len, site, tag);
	}
	return kii_xstrdup("");
}

/* --- a line --- */

static bool made_of(const char *s, const char *set, size_t min, size_t max)
{
	size_t len = strlen(s);

	return len >= min && len <= max && strspn(s, set) == len;
}

/* A part of URLs and of names of images, as kii_versions_add takes it. */
static bool is_tag(const char *s)
{
	return *s != '.' && *s != '-' && made_of(s, "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", 1, 64);
}

static bool is_date(const char *s)
{
	static const char form[] = "dddd-dd-dd";

	if (strlen(s) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	}
	return true;
}

static bool is_hash(const char *s)
{
	size_t len = strlen(s);

	return (len == 40 || len == 64) && strspn(s, "0123456789abcdef") == len;
}

/* Cut at single blanks; false unless there are exactly so many parts. */
static bool split(char *line, char **parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *blank = strchr(line, ' ');

		parts[i] = line;
		if (!blank != (i + 1 == n))
			return false;
		if (blank) {
			*blank = '\0';
			line = blank + 1;
		}
	}
	return true;
}

static bool read_line(char *line, const char *git_url, struct kii_release *out)
{
	char *part[FIELDS] = { NULL };
	char bcd[8];

	if (!split(line, part, FIELDS) || !is_tag(part[0]) ||
	    !made_of(part[1], digits, 1, COMMITS_LEN) || !is_date(part[2]) || !is_hash(part[3]))
		return false;
	out->commit_count = strtoll(part[1], NULL, 10);
	kii_tags_bcd(out->commit_count, bcd);
	out->git_tag = kii_xstrdup(part[0]);
	out->date = kii_xstrdup(part[2]);
	out->hash = kii_xstrdup(part[3]);
	out->bcd = kii_xstrdup(bcd);
	out->notes = kii_tags_notes(git_url, part[0]);
	return true;
}

/* --- the whole --- */

/* The last line tells how many came before it: a text that was cut is none. */
static bool is_end(const char *line, size_t n)
{
	kii_autofree char *want = kii_xfmt("end %zu", n);

	return strcmp(line, want) == 0;
}

static bool seen_before(const struct kii_release *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].git_tag, list[n].git_tag) == 0)
			return true;
	}
	return false;
}

static int read_lines(const char *text, size_t len, const char *git_url, struct kii_release *list,
	size_t *n, struct kii_error *err)
{
	const char *end = text + len;

	for (size_t at = 1; text < end; at++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t size = (size_t)((stop ? stop : end) - text);
		kii_autofree char *line = NULL;

		if (!stop || size > LINE_MAX_LEN || memchr(text, '\0', size))
			return kii_error_set(err, KII_EBROKEN, 0, "line %zu is none", at);
		line = kii_xstrndup(text, size);
		text = stop + 1;
		if (is_end(line, *n))
			return text == end ? 0 : kii_error_set(err, KII_EBROKEN, 0,
				"something follows the end in line %zu", at);
		if (*n == KII_TAGS_MAX || !read_line(line, git_url, &list[*n]) ||
		    seen_before(list, (*n)++))
			return kii_error_set(err, KII_EBROKEN, 0, "line %zu tells no new tag", at);
	}
	return kii_error_set(err, KII_EBROKEN, 0, "the list of tags has no end");
}

int kii_tags_parse(const char *text, size_t len, const char *git_url, struct kii_release **out,
	size_t *n, struct kii_error *err)
{
	struct kii_release *list = kii_xcalloc(KII_TAGS_MAX, sizeof(*list));
	size_t count = 0;

	if (read_lines(text, len, git_url, list, &count, err) != 0) {
		kii_releases_free(list, count);
		return -1;
	}
	*out = list;
	*n = count;
	return 0;
}
