/* SPDX-License-Identifier: MIT */
/* Scala: sbt with the plugin that makes a program or the one that makes a jar; Play. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

/* It is built in Maven's. */
const struct kii_base kii_images_scala[] = { { NULL } };
static const struct kii_lines java_lines = { "java", "JDK_VERSION", "21", "21 17 25 11 8", 1 };
static const struct kii_lines sbt_lines = { "sbt", "SBT_VERSION", "1.10.7", "1.10.7", 3 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "build.sbt");
}

/*
 * sbt is its launcher, which gets the rest. Maven brings it, from where its own settings say: a
 * mirror can stand in.
 */
static void setup(struct kii_draft *d, const char *version)
{
	kii_draft_setup(d, "command -v sbt >/dev/null || (mvn -B -q dependency:copy "
		"-Dartifact=org.scala-sbt:sbt-launch:%s -DoutputDirectory=/opt && "
		"printf '#!/bin/sh\\nexec java -jar /opt/sbt-launch-%s.jar \"$@\"\\n' "
		">/usr/local/bin/sbt && chmod +x /usr/local/bin/sbt)", version, version);
}

static void build(struct kii_draft *d)
{
	const char *plugins = kii_tree_peek(d->tree, "project/plugins.sbt");
	bool play = plugins && strstr(plugins, "org.playframework");

	if (plugins && strstr(plugins, "com.typesafe.play"))
		play = true;
	kii_texts_add(&d->taken, "/out");
	if (play || (plugins && strstr(plugins, "sbt-native-packager"))) {
		kii_draft_build(d, "sbt -batch stage");
		kii_texts_add(&d->collect, "mkdir -p /out && cp -r target/universal/stage/. /out/ "
			"&& find /out/bin -name '*.bat' -delete && mv \"$(find /out/bin -type f | "
			"head -n 1)\" /out/bin/start");
		kii_draft_start(d, "/out/bin/start%s", play ?
			" -Dhttp.port=$PORT -Dpidfile.path=/dev/null" : "");
	} else if (plugins && strstr(plugins, "sbt-assembly")) {
		kii_draft_build(d, "sbt -batch assembly");
		kii_texts_add(&d->collect, "mkdir -p /out && cp \"$(ls -S target/scala-*/*.jar | "
			"head -n 1)\" /out/app.jar");
		kii_draft_start(d, "java -jar /out/app.jar");
	} else {
		kii_draft_build(d, "sbt -batch compile");
		kii_texts_release(&d->taken);
	}
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	kii_autofree char *sbt = NULL;
	const char *java, *version;
	struct kii_said said[] = {
		{ ".java-version", kii_tree_line(d->tree, ".java-version") },
	};
	struct kii_said said_sbt[] = {
		{ "project/build.properties", kii_draft_between(kii_tree_peek(d->tree,
			"project/build.properties"), "sbt.version=", " \r\n") },
	};

	if (kii_draft_version(d, &java_lines, said, KII_COUNT(said), &java, err) != 0) {
		free(said_sbt[0].text);
		return -1;
	}
	/* the list of versions grows, and may move */
	sbt = kii_xstrdup(java);
	if (kii_draft_version(d, &sbt_lines, said_sbt, KII_COUNT(said_sbt), &version, err) != 0)
		return -1;
	kii_draft_image(d, "maven", sbt);
	kii_draft_run_image(d, "jre", sbt);
	setup(d, version);
	d->hint = "project/plugins.sbt has neither sbt-native-packager nor sbt-assembly; add one";
	kii_texts_add(&d->ignore, "**/target");
	build(d);
	return 0;
}

const struct kii_detector kii_detect_scala = {
	.name = "scala",
	.rank = 22,
	.looks_for = "build.sbt",
	.claims = claims,
	.plan = plan,
};
