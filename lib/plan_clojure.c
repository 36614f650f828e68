/* SPDX-License-Identifier: MIT */
/* Clojure: Leiningen's uberjar, or tools.build's. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "clojure", "docker.io/library/clojure:temurin-{version}-tools-deps" },
	{ "leiningen", "docker.io/library/clojure:temurin-{version}-lein" },
	{ NULL },
};
static const struct kii_lines lines = { "java", "JDK_VERSION", "21", "21 17 25 11 8", 1 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "project.clj") || kii_tree_has(t, "deps.edn");
}

static void take_jar(struct kii_draft *d)
{
	if (d->given_start)
		return;
	kii_texts_add(&d->collect, "mkdir -p /out && jar=$(find target -name '*.jar' | "
		"xargs ls -S | head -n 1) && test -n \"$jar\" && cp \"$jar\" /out/app.jar");
	kii_texts_add(&d->taken, "/out");
	kii_draft_start(d, "java -jar /out/app.jar");
}

static void plan_tools(struct kii_draft *d, const char *version)
{
	const char *text = kii_tree_peek(d->tree, "deps.edn");

	kii_draft_image(d, "clojure", version);
	kii_draft_manifest(d, "deps.edn");
	kii_draft_install(d, "clojure -P");
	if (text && strstr(text, ":build") && kii_tree_has(d->tree, "build.clj")) {
		kii_draft_run_image(d, "jre", version);
		kii_draft_build(d, "clojure -T:build uber");
		take_jar(d);
		return;
	}
	d->hint = "deps.edn has no alias :build with a build.clj, and no alias :run";
	/* what it needs lies in the home of the build's user */
	kii_draft_env(d->env, "CLJ_CONFIG", "/opt/clojure");
	kii_draft_env(d->env, "GITLIBS", "/opt/clojure/gitlibs");
	kii_draft_env(d->env, "JAVA_TOOL_OPTIONS", "-Dmaven.repo.local=/opt/clojure/m2");
	kii_texts_add(&d->taken, "/opt/clojure");
	kii_draft_setup(d, "mkdir -p /opt/clojure");
	if (text && strstr(text, ":run"))
		kii_draft_start(d, "clojure -M:run");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *value;
	struct kii_said said[] = {
		{ ".java-version", kii_tree_line(d->tree, ".java-version") },
	};

	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	kii_texts_add(&d->ignore, "target");
	if (!kii_tree_has(d->tree, "project.clj")) {
		plan_tools(d, value);
		return 0;
	}
	kii_draft_image(d, "leiningen", value);
	kii_draft_run_image(d, "jre", value);
	kii_draft_manifest(d, "project.clj");
	kii_draft_install(d, "lein deps");
	kii_draft_build(d, "lein uberjar");
	take_jar(d);
	return 0;
}

const struct kii_detector kii_detect_clojure = {
	.name = "clojure",
	.rank = 20,
	.looks_for = "project.clj, deps.edn",
	.images = images,
	.claims = claims,
	.plan = plan,
};
