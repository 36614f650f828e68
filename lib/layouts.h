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

#define KII_LAYOUTS_FILE_MAX (4u << 20)   /* bytes of a layout's file */
#define KII_LAYOUTS_LINKS_MAX 8           /* one after another */

struct kii_layout {
	char *file;       /* "MD1-Standard.json" */
	char *dir;        /* the folder that it was found in */
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

/* Can a layout's file have this name? It is one segment then, and ends with .json. */
bool kii_layouts_is_name(const char *file);

/*
 * A checkout on a system without symbolic links has the other file's name as the whole text: the
 * name, cut out of `text`, or NULL when the text is anything else. Caller frees.
 */
char *kii_layouts_link(const struct kii_buf *text);

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

/*
 * The names of the files in a folder that can be layouts, sorted. Caller frees with
 * kii_layouts_names_free. Fails: ENOTFOUND, EINVAL (too many), EIO.
 */
int kii_layouts_names(const char *path, char ***out, size_t *n, struct kii_error *err)
	KII_MUST_CHECK;
void kii_layouts_names_free(char **names, size_t n);

/*
 * One file by itself. Caller frees with kii_layout_free. Fails: ENOTFOUND, EINVAL naming the
 * field, EIO, ETOOBIG.
 */
int kii_layouts_load_file(const char *dir, const char *file, struct kii_layout **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_layout_free(struct kii_layout *layout);

/* Exact file name, or NULL. Borrowed. */
const struct kii_layout *kii_layouts_find(const struct kii_layouts *l, const char *file);

/* All, sorted by file name. */
size_t kii_layouts_count(const struct kii_layouts *l);
const struct kii_layout *kii_layouts_at(const struct kii_layouts *l, size_t i);

#endif
