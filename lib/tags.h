/* SPDX-License-Identifier: MIT */
/*
 * tags: what a container of images/fetch prints of the tags of a repository, a line each:
 * "v0.5.7 1234 2020-01-02 <hash>", and "end <number of lines>" as the last one. All of it is
 * hostile: it is taken as a whole or not at all.
 */
#ifndef KII_TAGS_H
#define KII_TAGS_H

#include "versions.h"

#define KII_TAGS_MAX   1000
#define KII_TAGS_BYTES (256u << 10)

/*
 * The releases that the text tells of, with the high and low byte of the commit count as `bcd` and
 * the page of the tag at the site of `git_url` as `notes`. Caller frees with kii_releases_free.
 * Fails: EBROKEN, naming the line.
 */
int kii_tags_parse(const char *text, size_t len, const char *git_url, struct kii_release **out,
	size_t *n, struct kii_error *err) KII_MUST_CHECK;

/* The bytes of a USB bcdDevice of that value: "4.d2" for 1234. */
void kii_tags_bcd(int64_t commits, char out[8]);

/* "https://host/path/releases/tag/<tag>", or "" for a repository that has no site. Caller frees. */
char *kii_tags_notes(const char *git_url, const char *tag);

#endif
