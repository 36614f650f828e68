/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <string.h>

#include "kll.h"

/* Goes up whenever the same parts would make another zip, so that old zips are not handed out. */
#define RECIPE "1"

static void add(struct kii_hash *hash, const char *name, const char *text)
{
	kii_hash_part(hash, name, text, strlen(text));
}

void kii_kll_content(const struct kii_kll *k, char out[KII_HASH_HEX])
{
	struct kii_hash *hash = kii_hash_new();

	add(hash, "recipe", RECIPE);
	add(hash, "board", k->board);
	add(hash, "layout", k->layout);
	add(hash, "variant", k->variant);
	add(hash, "script", k->script);
	add(hash, "split", k->split ? "1" : "0");
	add(hash, "default_map", k->default_map);
	add(hash, "partial_maps", k->partial_maps);
	add(hash, "stored", k->stored_hash);
	for (size_t n = 0; n < k->n_files; n++) {
		add(hash, "file", k->files[n].name);
		kii_hash_part(hash, "text", k->files[n].text, k->files[n].len);
	}
	kii_hash_hex(hash, out);
	kii_hash_free(hash);
}

void kii_kll_key_of(const char *content, const char *image_id, char out[KII_HASH_HEX])
{
	struct kii_hash *hash = kii_hash_new();

	add(hash, "content", content);
	add(hash, "image", image_id);
	kii_hash_hex(hash, out);
	kii_hash_free(hash);
}

void kii_kll_key(const struct kii_kll *k, const char *image_id, char out[KII_HASH_HEX])
{
	char content[KII_HASH_HEX];

	kii_kll_content(k, content);
	kii_kll_key_of(content, image_id, out);
}

size_t kii_kll_env(const struct kii_kll *k, char *out[4])
{
	size_t n = 0;

	out[n++] = kii_xfmt("DefaultMapOverride=%s", k->default_map);
	out[n++] = kii_xfmt("PartialMapsExpandedOverride=%s", k->partial_maps);
	out[n++] = kii_xfmt("Layout=%s", k->variant);
	if (k->split)
		out[n++] = kii_xstrdup("SPLIT_KEYBOARD=1");
	return n;
}
