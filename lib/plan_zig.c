/* SPDX-License-Identifier: MIT */
/* Zig, whose compiler comes as a package of Python's index: it has no image of its own. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "zig", "docker.io/library/python:3.12-bookworm" },
	{ NULL },
};
static const struct kii_lines lines = { "zig", "ZIG_VERSION", "0.13.0", "0.13.0 0.14.0", 3 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "build.zig");
}

/* addExecutable(.{ .name = "app" */
static char *program(const char *text)
{
	const char *p = text ? strstr(text, "addExecutable(") : NULL;
	kii_autofree char *name = kii_draft_between(p, ".name = \"", "\"");

	return name && kii_draft_is_name(name) ? kii_steal(&name) : NULL;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *text = NULL, *value;
	kii_autofree char *name = NULL;
	struct kii_said said[] = {
		{ ".zigversion", kii_tree_line(d->tree, ".zigversion") },
		{ ".tool-versions", kii_tree_tool(d->tree, "zig") },
		{ "build.zig.zon minimum_zig_version", kii_draft_between(kii_tree_peek(d->tree,
			"build.zig.zon"), ".minimum_zig_version = \"", "\"") },
	};

	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0 ||
	    kii_tree_text(d->tree, "build.zig", &text, err) != 0)
		return -1;
	kii_draft_image(d, "zig", value);
	kii_draft_run_image(d, "debian", "");
	kii_draft_setup(d, "command -v zig >/dev/null || (pip install --no-cache-dir ziglang==%s "
		"&& printf '#!/bin/sh\\nexec python3 -m ziglang \"$@\"\\n' >/usr/local/bin/zig "
		"&& chmod +x /usr/local/bin/zig)", value);
	kii_draft_build(d, "zig build -Doptimize=ReleaseSafe --prefix /out");
	kii_texts_add(&d->taken, "/out");
	kii_texts_add(&d->ignore, "zig-cache");
	kii_texts_add(&d->ignore, ".zig-cache");
	kii_texts_add(&d->ignore, "zig-out");
	name = program(text);
	d->hint = "build.zig adds no executable with a plain name";
	if (name)
		kii_draft_start(d, "/out/bin/%s", name);
	return 0;
}

const struct kii_detector kii_detect_zig = {
	.name = "zig",
	.rank = 28,
	.looks_for = "build.zig",
	.images = images,
	.claims = claims,
	.plan = plan,
};
