/* SPDX-License-Identifier: MIT */
/*
 * plan_files: a project's files, hostile. Paths are relative to the root and never leave it: no
 * "..", and no link is followed anywhere, so a link is as good as a missing file. What was read is
 * kept for the next who asks.
 */
#ifndef KII_PLAN_FILES_H
#define KII_PLAN_FILES_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"
#include "texts.h"

#define KII_TREE_FILE   (1 << 20)    /* bytes of a file that is read */
#define KII_TREE_YAML   (1 << 17)    /* of one that is YAML */
#define KII_TREE_TOTAL  (32 << 20)   /* of all that are read */
#define KII_TREE_DEPTH  5            /* folders that globs look into */
#define KII_TREE_NAMES  20000        /* files and folders that globs know */

struct kii_tree;

/* `dirfd` is borrowed for the tree's life. Never fails. */
struct kii_tree *kii_tree_new(int dirfd);
void kii_tree_free(struct kii_tree *t);

/* Is there such a file, such a folder? */
bool kii_tree_has(struct kii_tree *t, const char *path);
bool kii_tree_folder(struct kii_tree *t, const char *path);

/* Is this a path that can be beneath a root: relative, short, no "..", no control characters? */
bool kii_tree_inside(const char *path);

/*
 * The whole text, borrowed until the tree goes; *text is NULL where there is no such file. It may
 * be anything but holds no NUL byte. Fails: ETOOBIG and EINVAL with the path as field, EIO.
 */
int kii_tree_text(struct kii_tree *t, const char *path, const char **text,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * The document of a .json, .jsonc, .toml (and Pipfile), .yaml or .yml file as JSON, borrowed;
 * NULL where there is no such file. YAML's scalars are texts, its aliases are null. Fails as
 * kii_tree_text, and EINVAL for what is no such document.
 */
int kii_tree_data(struct kii_tree *t, const char *path, const json_t **data,
	struct kii_error *err) KII_MUST_CHECK;

/* The same without errors: what cannot be read is not there. For looking around. */
const char *kii_tree_peek(struct kii_tree *t, const char *path);
const json_t *kii_tree_look(struct kii_tree *t, const char *path);

/* Does the file hold `word` with nothing of a name before and behind it? */
bool kii_tree_mentions(struct kii_tree *t, const char *path, const char *word);

/*
 * The files that match a pattern of fnmatch with FNM_PATHNAME, sorted, the shallow ones first.
 * Names that a COPY or a shell would not take as they are, are left out, and so is what lies in
 * folders that tools fill: node_modules, vendor, target, .git and the like. Caller releases.
 */
void kii_tree_glob(struct kii_tree *t, const char *pattern, struct kii_texts *out);
/* The first of them, or NULL; caller frees. */
char *kii_tree_first(struct kii_tree *t, const char *pattern);

/* The members down a path of names "a.b.c", or NULL. */
const json_t *kii_data_at(const json_t *data, const char *path);
/* The text there, or NULL: absent, no text, or empty. */
const char *kii_data_text(const json_t *data, const char *path);

/* The first line that is not empty and no comment (#), trimmed; NULL for none. Caller frees. */
char *kii_tree_line(struct kii_tree *t, const char *path);
/* The version of a tool in asdf's .tool-versions; caller frees, NULL for none. */
char *kii_tree_tool(struct kii_tree *t, const char *tool);

/* YAML as kii_tree_data has it; `path` is for messages. Caller owns *out. Fails: EINVAL. */
int kii_plan_yaml(const char *text, const char *path, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

#endif
