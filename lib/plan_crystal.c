/* SPDX-License-Identifier: MIT */
/* Crystal: the first target of shard.yml. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "crystal", "docker.io/crystallang/crystal:{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "crystal", "CRYSTAL_VERSION", "1.14.0", "1.14.0 1.13.3",
	3 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "shard.yml");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const json_t *shard = NULL;
	const char *name, *value;
	struct kii_said said[] = {
		{ ".crystal-version", kii_tree_line(d->tree, ".crystal-version") },
		{ ".tool-versions", kii_tree_tool(d->tree, "crystal") },
		{ "shard.yml crystal", NULL },
	};

	if (kii_tree_data(d->tree, "shard.yml", &shard, err) == 0)
		said[2].text = kii_xstrdup(kii_data_text(shard, "crystal"));
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	/* the program is linked with libraries of this image */
	kii_draft_image(d, "crystal", value);
	kii_draft_run_image(d, "crystal", value);
	kii_draft_manifest(d, "shard.yml");
	kii_draft_manifest(d, "shard.lock");
	kii_draft_install(d, "shards install --production%s",
		kii_tree_has(d->tree, "shard.lock") ? " --frozen" : "");
	kii_draft_build(d, "shards build --release --production");
	name = json_object_iter_key(json_object_iter(json_object_get(shard, "targets")));
	if (!name)
		name = kii_data_text(shard, "name");
	d->hint = "shard.yml has no target with a plain name";
	if (name && kii_draft_is_name(name))
		kii_draft_start(d, "./bin/%s", name);
	return 0;
}

const struct kii_detector kii_detect_crystal = {
	.name = "crystal",
	.rank = 10,
	.looks_for = "shard.yml",
	.images = images,
	.claims = claims,
	.plan = plan,
};
