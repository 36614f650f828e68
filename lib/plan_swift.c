/* SPDX-License-Identifier: MIT */
/* Swift packages; Vapor. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "swift", "docker.io/library/swift:{version}" },
	{ "swift-run", "docker.io/library/swift:{version}-slim" },
	{ NULL },
};
static const struct kii_lines lines = { "swift", "SWIFT_VERSION", "6.0", "6.0 5.10 5.9", 2 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "Package.swift");
}

/* The first executable product or target of the manifest; caller frees. */
static char *program(const char *text)
{
	static const char *const makers[] = { ".executable(", ".executableTarget(" };

	for (size_t i = 0; text && i < KII_COUNT(makers); i++) {
		const char *p = strstr(text, makers[i]);
		kii_autofree char *name = kii_draft_between(p, "name: \"", "\"");

		if (name && kii_draft_is_name(name))
			return kii_steal(&name);
	}
	return NULL;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *text = NULL, *value;
	kii_autofree char *name = NULL;
	struct kii_said said[] = {
		{ ".swift-version", kii_tree_line(d->tree, ".swift-version") },
		{ ".tool-versions", kii_tree_tool(d->tree, "swift") },
		{ "Package.swift swift-tools-version", kii_draft_between(kii_tree_peek(d->tree,
			"Package.swift"), "swift-tools-version:", "\r\n;") },
	};

	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0 ||
	    kii_tree_text(d->tree, "Package.swift", &text, err) != 0)
		return -1;
	kii_draft_image(d, "swift", value);
	kii_draft_run_image(d, "swift-run", value);
	kii_draft_manifest(d, "Package.swift");
	kii_draft_manifest(d, "Package.resolved");
	kii_draft_install(d, "swift package resolve");
	kii_texts_add(&d->ignore, ".build");
	name = program(text);
	d->hint = "Package.swift has no executable target";
	if (!name) {
		kii_draft_build(d, "swift build -c release");
		return 0;
	}
	kii_draft_build(d, "swift build -c release --product %s", name);
	kii_texts_fmt(&d->collect, "mkdir -p /out && cp -r \"$(swift build -c release "
		"--show-bin-path)/\"* /out/ && rm -rf .build /out/*.build /out/*.swiftmodule");
	kii_texts_add(&d->taken, "/out");
	if (text && strstr(text, "vapor/vapor"))
		kii_draft_start(d, "/out/%s serve --env production --hostname 0.0.0.0 --port $PORT",
			name);
	else
		kii_draft_start(d, "/out/%s", name);
	return 0;
}

const struct kii_detector kii_detect_swift = {
	.name = "swift",
	.rank = 26,
	.looks_for = "Package.swift",
	.images = images,
	.claims = claims,
	.plan = plan,
};
