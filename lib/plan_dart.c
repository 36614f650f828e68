/* SPDX-License-Identifier: MIT */
/* Dart: a program below bin, compiled. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "dart", "docker.io/library/dart:{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "dart", "DART_VERSION", "3", "3 2", 2 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "pubspec.yaml");
}

/* bin/<package>.dart, bin/server.dart, bin/main.dart, or the first there is; caller frees. */
static char *program(struct kii_draft *d, const json_t *pubspec)
{
	const char *package = kii_data_text(pubspec, "name");
	const char *const names[] = { package ? package : "server", "server", "main" };

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		kii_autofree char *path = kii_xfmt("bin/%s.dart", names[i]);

		if (kii_draft_is_name(names[i]) && kii_tree_has(d->tree, path))
			return kii_steal(&path);
	}
	return NULL;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const json_t *pubspec = NULL;
	kii_autofree char *path = NULL;
	const char *value;
	struct kii_said said[] = {
		{ ".tool-versions", kii_tree_tool(d->tree, "dart") },
		{ "pubspec.yaml environment.sdk", NULL },
	};

	if (kii_tree_data(d->tree, "pubspec.yaml", &pubspec, err) == 0)
		said[1].text = kii_xstrdup(kii_data_text(pubspec, "environment.sdk"));
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	if (kii_data_at(pubspec, "dependencies.flutter"))
		return kii_error_field(err, "pubspec.yaml", "Flutter's SDK is no base image here; "
			"use a Dockerfile");
	kii_draft_image(d, "dart", value);
	kii_draft_run_image(d, "debian", "");
	kii_draft_setup(d, "mkdir -p /etc/ssl/certs");
	kii_texts_add(&d->taken, "/etc/ssl/certs");
	kii_draft_manifest(d, "pubspec.yaml");
	kii_draft_manifest(d, "pubspec.lock");
	kii_draft_install(d, "dart pub get");
	kii_texts_add(&d->ignore, ".dart_tool");
	path = program(d, pubspec);
	d->hint = "there is no bin/<package>.dart, bin/server.dart or bin/main.dart";
	if (path) {
		kii_draft_build(d, "mkdir -p /out && dart compile exe %s -o /out/app", path);
		kii_texts_add(&d->taken, "/out");
		kii_draft_start(d, "/out/app");
	}
	return 0;
}

const struct kii_detector kii_detect_dart = {
	.name = "dart",
	.rank = 14,
	.looks_for = "pubspec.yaml",
	.images = images,
	.claims = claims,
	.plan = plan,
};
