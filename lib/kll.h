/* SPDX-License-Identifier: MIT */
/*
 * kll: a keyboard configuration becomes KLL files and build parameters. Pure: no clock, no file,
 * no network. Both zones run it: cgi/build to answer bad input at once, the worker because it
 * trusts nothing.
 */
#ifndef KII_KLL_H
#define KII_KLL_H

#include <jansson.h>

#include "buf.h"
#include "hash.h"
#include "layouts.h"

enum kii_dialect {
	KII_KLL_LATEST,
	KII_KLL_LTS,        /* LTS bases, ledControl as it came: what v0.5.0 compiles */
	KII_KLL_REFERENCE_LATEST,
	/* The golden form: ledControl rewritten, overrides as the reference gives them. */
	KII_KLL_REFERENCE_LTS,
};

/*
 * The dialect of a request: LTS when `env` is exactly "lts" or its git tag (NULL: not known) is
 * "v0.5.0", else latest; with `reference`, the reference's form of it.
 */
enum kii_dialect kii_kll_dialect(const char *env, const char *git_tag, bool reference);

#define KII_KLL_LAYERS 17   /* 0..16 */

struct kii_kll_file {
	char *name;         /* "MD1-Standard-0.kll" */
	char *text;
	size_t len;
};

struct kii_kll {
	char *board;        /* NAME: "MD1.1" */
	char *layout;       /* LAYOUT, underscored */
	char *variant;      /* VARIANT, underscored; may be "" */
	const char *script; /* "infinity.bash": a constant of our table */
	bool split;
	struct kii_kll_file files[KII_KLL_LAYERS];
	size_t n_files;
	char *default_map;  /* DefaultMapOverride */
	char *partial_maps; /* PartialMapsExpandedOverride */
	/* NAME-LAYOUT.json: the request's config without `macros`, its own member order */
	char *stored;
	size_t stored_len;
	/* Digest of the same with members sorted, animations in their order. */
	char stored_hash[KII_HASH_HEX];
};

/*
 * Check the whole request document {"env", "config"} and make everything. `env` itself is only
 * checked to be a string. Caller frees *out. Fails: EINVAL naming the member (kll.md §11),
 * ETOOBIG.
 */
int kii_kll_make(const json_t *request, enum kii_dialect dialect, const struct kii_layouts *layouts,
	struct kii_kll **out, struct kii_error *err) KII_MUST_CHECK;
/*
 * The same, but of `stored` and `stored_hash` only those that are asked for: they are half of the
 * work. Without KII_KLL_HASH there is no key.
 */
enum { KII_KLL_HASH = 1u << 0, KII_KLL_STORED = 1u << 1 };
int kii_kll_make_parts(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, unsigned parts, struct kii_kll **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_kll_free(struct kii_kll *k);

/*
 * A digest of any document: two that have the same one come to the same, right or wrong, with the
 * same dialect and layouts. White space and the order of members (but of animations) do not count.
 */
void kii_kll_meaning(const json_t *request, char out[KII_HASH_HEX]);

/*
 * What a build is made of but its image: 64 hex digits over KLL files, parameters, stored JSON
 * (members sorted, animations in their order) and recipe version.
 */
void kii_kll_content(const struct kii_kll *k, char out[KII_HASH_HEX]);
/* The key of a build: 64 hex digits over its content (as above) and the image's ID. */
void kii_kll_key_of(const char *content, const char *image_id, char out[KII_HASH_HEX]);
/* Both in one. */
void kii_kll_key(const struct kii_kll *k, const char *image_id, char out[KII_HASH_HEX]);

/*
 * The environment of the build as "NAME=value" strings: DefaultMapOverride,
 * PartialMapsExpandedOverride, Layout and, for split boards only, SPLIT_KEYBOARD=1. Writes at most
 * 4 heap strings, returns how many.
 */
size_t kii_kll_env(const struct kii_kll *k, char *out[4]);

#endif
