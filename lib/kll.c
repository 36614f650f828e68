/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kll_check.h"
#include "kll_text.h"

#define STORED_MAX (8u << 20)

enum kii_dialect kii_kll_dialect(const char *env, const char *git_tag, bool reference)
{
	bool lts = !strcmp(env, "lts") || (git_tag && !strcmp(git_tag, "v0.5.0"));

	if (reference)
		return lts ? KII_KLL_REFERENCE_LTS : KII_KLL_REFERENCE_LATEST;
	return lts ? KII_KLL_LTS : KII_KLL_LATEST;
}

/* Their names in their order, which is the order of the lines that they become. */
static void hash_animations(json_t *config, struct kii_hash *hash)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(config, "animations"), name, value)
		kii_hash_part(hash, "animation", name, strlen(name));
}

/* Two requests that mean the same hash the same: members sorted, but for the animations. */
void kii_kll_meaning(const json_t *request, char out[KII_HASH_HEX])
{
	struct kii_hash *hash = kii_hash_new();

	hash_animations(json_object_get(request, "config"), hash);
	kii_json_hash(request, hash);
	kii_hash_hex(hash, out);
	kii_hash_free(hash);
}

/* `macros` is left out: the client has merged it into `custom`, and would do so again. */
static int make_stored(const json_t *request, unsigned parts, struct kii_kll *k,
	struct kii_error *err)
{
	kii_autojson *config = json_copy(json_object_get(request, "config"));
	kii_autobuf text = KII_BUF_INIT(STORED_MAX);
	struct kii_hash *hash = kii_hash_new();
	int rc = 0;

	json_object_del(config, "macros");
	if (parts & KII_KLL_HASH) {
		hash_animations(config, hash);
		kii_json_hash(config, hash);
	}
	if (parts & KII_KLL_STORED)
		rc = kii_json_dump(config, 0, &text, err);
	kii_hash_hex(hash, k->stored_hash);
	kii_hash_free(hash);
	k->stored_len = text.len;
	k->stored = kii_buf_steal(&text);
	return rc;
}

int kii_kll_make(const json_t *request, enum kii_dialect dialect, const struct kii_layouts *layouts,
	struct kii_kll **out, struct kii_error *err)
{
	const unsigned all = KII_KLL_HASH | KII_KLL_STORED;

	return kii_kll_make_parts(request, dialect, layouts, all, out, err);
}

int kii_kll_make_parts(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, unsigned parts, struct kii_kll **out,
	struct kii_error *err)
{
	struct kii_kll_source source;
	struct kii_kll *k;
	int rc;

	if (kii_kll_check(request, dialect, layouts, &source, err))
		return -1;
	k = kii_xcalloc(1, sizeof(*k));
	k->board = kii_xstrdup(source.name);
	k->layout = kii_xstrdup(source.layout);
	k->variant = kii_xstrdup(source.variant);
	k->script = source.board->script;
	k->split = source.board->split;
	rc = kii_kll_files(&source, k, err);
	if (!rc && parts)
		rc = make_stored(request, parts, k, err);
	if (!rc)
		kii_kll_overrides(&source, k);
	kii_kll_source_release(&source);
	if (rc) {
		kii_kll_free(k);
		return -1;
	}
	*out = k;
	return 0;
}

void kii_kll_free(struct kii_kll *k)
{
	if (!k)
		return;
	for (size_t n = 0; n < KII_KLL_LAYERS; n++) {
		free(k->files[n].name);
		free(k->files[n].text);
	}
	free(k->board);
	free(k->layout);
	free(k->variant);
	free(k->default_map);
	free(k->partial_maps);
	free(k->stored);
	free(k);
}
