/* SPDX-License-Identifier: MIT */
/* Gleam on Erlang's machine: an exported shipment. */
#include <config.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "gleam", "ghcr.io/gleam-lang/gleam:v{version}-erlang-slim" },
	{ NULL },
};
static const struct kii_lines lines = { "gleam", "GLEAM_VERSION", "1.6.3", "1.6.3 1.5.1", 3 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "gleam.toml");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const json_t *config = NULL;
	const char *target, *value;
	struct kii_said said[] = {
		{ ".tool-versions", kii_tree_tool(d->tree, "gleam") },
		{ "gleam.toml gleam", NULL },
	};

	if (kii_tree_data(d->tree, "gleam.toml", &config, err) == 0)
		said[1].text = kii_xstrdup(kii_data_text(config, "gleam"));
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	target = kii_data_text(config, "target");
	if (target && target[0] == 'j')
		return kii_error_field(err, "gleam.toml", "target must be erlang; the one that is "
			"JavaScript needs a Dockerfile");
	kii_draft_image(d, "gleam", value);
	kii_draft_run_image(d, "gleam", value);
	kii_draft_manifest(d, "gleam.toml");
	kii_draft_manifest(d, "manifest.toml");
	kii_draft_install(d, "gleam deps download");
	kii_draft_build(d, "gleam export erlang-shipment");
	kii_texts_add(&d->ignore, "build");
	kii_draft_start(d, "./build/erlang-shipment/entrypoint.sh run");
	return 0;
}

const struct kii_detector kii_detect_gleam = {
	.name = "gleam",
	.rank = 30,
	.looks_for = "gleam.toml",
	.images = images,
	.claims = claims,
	.plan = plan,
};
