/* SPDX-License-Identifier: MIT */
/*
 * layouts: the keyboard layouts of the configured folders, read once at the start; looked up by
 * exact file name, never by building a path from what a client sent. A layout whose keys lack
 * layer 0 refuses the start.
 */
#ifndef KII_LAYOUTS_H
#define KII_LAYOUTS_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"

struct kii_layout {
	char *file;       /* "MD1-Standard.json" */
	char *name;       /* header members */
	char *variant;
	char *layout;
	char *base;
	size_t n_keys;
	size_t n_leds;
	char **codes;     /* per key: scan code ... */
	char **triggers;  /* ... and its layer-0 key */
};

struct kii_layouts;

/*
 * Read every *.json of the folders (the first folder that has a name wins; symbolic links are
 * followed, and so is a plain file whose whole text is another file's name). A folder that does
 * not exist is skipped. Fails: EINVAL naming file and field, EIO.
 */
int kii_layouts_load(const char *const *dirs, size_t n, struct kii_layouts **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_layouts_free(struct kii_layouts *l);

/*
 * The text of file `dir`/`file` into `text`, links followed as above. Fails: ENOTFOUND, EIO,
 * ETOOBIG, EINVAL (too many links in a row).
 */
int kii_layouts_read(const char *dir, const char *file, struct kii_buf *text,
	struct kii_error *err) KII_MUST_CHECK;

/* Exact file name, or NULL. Borrowed. */
const struct kii_layout *kii_layouts_find(const struct kii_layouts *l, const char *file);

/* All, sorted by file name. */
size_t kii_layouts_count(const struct kii_layouts *l);
const struct kii_layout *kii_layouts_at(const struct kii_layouts *l, size_t i);

#endif
