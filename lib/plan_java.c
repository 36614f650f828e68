/* SPDX-License-Identifier: MIT */
/* Java and Kotlin: Maven or Gradle; Spring Boot, Quarkus, or any jar that can be run. */
#include <config.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "maven", "docker.io/library/maven:3-eclipse-temurin-{version}" },
	{ "gradle", "docker.io/library/gradle:8-jdk{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "java", "JDK_VERSION", "21", "21 17 25 11 8", 1 };

static const char *gradle_file(struct kii_tree *t)
{
	return kii_tree_has(t, "build.gradle.kts") ? "build.gradle.kts" :
		kii_tree_has(t, "build.gradle") ? "build.gradle" : NULL;
}

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "pom.xml") || gradle_file(t) || kii_tree_has(t, "gradlew");
}

/* The text of an element of a POM, when it is a plain value; caller frees. */
static char *element(const char *xml, const char *name)
{
	kii_autofree char *tag = kii_xfmt("<%s>", name);
	kii_autofree char *text = kii_draft_between(xml, tag, "<");

	if (!text || *text == '$')
		return NULL;
	return kii_steal(&text);
}

/* "1.8" is how 8 was written. */
static char *java_number(char *text_take)
{
	char *number = text_take;

	if (text_take && strncmp(text_take, "1.", 2) == 0 && isdigit((unsigned char)text_take[2])) {
		number = kii_xstrdup(text_take + 2);
		free(text_take);
	}
	return number;
}

/* The digits behind a word of a build script: "JavaLanguageVersion.of(17)". Caller frees. */
static char *digits(const char *text, const char *before)
{
	const char *p = text ? strstr(text, before) : NULL;
	size_t n;

	if (!p)
		return NULL;
	p += strlen(before);
	p += strspn(p, " =('\"");
	if (strncmp(p, "JavaVersion.VERSION_", 20) == 0)
		p += 20;
	if (strncmp(p, "1.", 2) == 0 || strncmp(p, "1_", 2) == 0)
		p += 2;
	n = strspn(p, "0123456789");
	return n ? kii_xstrndup(p, n) : NULL;
}

static char *property(const char *text, const char *name)
{
	kii_autofree char *before = kii_xfmt("%s=", name);

	return kii_draft_between(text, before, "\r\n");
}

static int version(struct kii_draft *d, const char **value, struct kii_error *err)
{
	const char *pom = kii_tree_peek(d->tree, "pom.xml");
	const char *gradle = gradle_file(d->tree) ? kii_tree_peek(d->tree, gradle_file(d->tree)) :
		NULL;
	struct kii_said said[] = {
		{ "system.properties", java_number(property(kii_tree_peek(d->tree,
			"system.properties"), "java.runtime.version")) },
		{ ".java-version", java_number(kii_tree_line(d->tree, ".java-version")) },
		{ "pom.xml maven.compiler.release", java_number(element(pom,
			"maven.compiler.release")) },
		{ "pom.xml java.version", java_number(element(pom, "java.version")) },
		{ "pom.xml maven.compiler.target", java_number(element(pom,
			"maven.compiler.target")) },
		{ "pom.xml maven.compiler.source", java_number(element(pom,
			"maven.compiler.source")) },
		{ "build.gradle languageVersion", digits(gradle, "JavaLanguageVersion.of") },
		{ "build.gradle jvmToolchain", digits(gradle, "jvmToolchain") },
		{ "build.gradle sourceCompatibility", digits(gradle, "sourceCompatibility") },
	};

	return kii_draft_version(d, &lines, said, KII_COUNT(said), value, err);
}

/* The jar to run has a name of its own each time: the largest that is no by-product. */
static void take_jar(struct kii_draft *d, const char *folder)
{
	kii_texts_fmt(&d->collect, "mkdir -p /out && jar=$(ls -S %s/*.jar %s/*.war 2>/dev/null | "
		"grep -v -e '-sources' -e '-javadoc' -e '-plain' -e 'original-' -e '-tests' | "
		"head -n 1) && test -n \"$jar\" && cp \"$jar\" /out/app.jar", folder, folder);
	kii_texts_add(&d->taken, "/out");
	kii_draft_start(d, "java -Dserver.port=$PORT -jar /out/app.jar");
}

static void take_quarkus(struct kii_draft *d, const char *folder)
{
	kii_texts_fmt(&d->collect, "mkdir -p /out && cp -r %s/quarkus-app/. /out/", folder);
	kii_texts_add(&d->taken, "/out");
	kii_draft_start(d, "java -Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT "
		"-jar /out/quarkus-run.jar");
}

static void take(struct kii_draft *d, const char *text, const char *folder)
{
	/* who names what is started knows where it is */
	if (d->given_start)
		return;
	if (text && strstr(text, "quarkus"))
		take_quarkus(d, folder);
	else
		take_jar(d, folder);
}

static void plan_maven(struct kii_draft *d, const char *pom)
{
	bool wrapper = kii_tree_has(d->tree, "mvnw") &&
		kii_tree_has(d->tree, ".mvn/wrapper/maven-wrapper.properties");

	if (wrapper)
		kii_draft_build(d, "chmod +x mvnw && ./mvnw -B -DskipTests package");
	else
		kii_draft_build(d, "mvn -B -DskipTests package");
	kii_texts_add(&d->ignore, "**/target");
	take(d, pom, "target");
}

static void plan_gradle(struct kii_draft *d)
{
	const char *file = gradle_file(d->tree);
	const char *text = file ? kii_tree_peek(d->tree, file) : NULL;
	const char *task = text && strstr(text, "org.springframework.boot") ? "bootJar" :
		text && (strstr(text, "shadow") || strstr(text, "io.ktor.plugin")) ? "shadowJar" :
		"build -x test";
	bool wrapper = kii_tree_has(d->tree, "gradlew") &&
		kii_tree_has(d->tree, "gradle/wrapper/gradle-wrapper.jar");

	if (wrapper)
		kii_draft_build(d, "chmod +x gradlew && ./gradlew --no-daemon %s", task);
	else
		kii_draft_build(d, "gradle --no-daemon %s", task);
	kii_texts_add(&d->ignore, "**/.gradle");
	kii_texts_add(&d->ignore, "**/build/libs");
	take(d, text, "build/libs");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *pom = NULL, *value;

	if (kii_tree_text(d->tree, "pom.xml", &pom, err) != 0 || version(d, &value, err) != 0)
		return -1;
	kii_draft_image(d, pom ? "maven" : "gradle", value);
	/* a start command that was given may run the build's tools */
	if (!d->given_start || strncmp(d->given_start, "java ", 5) == 0)
		kii_draft_run_image(d, "jre", value);
	if (pom)
		plan_maven(d, pom);
	else
		plan_gradle(d);
	return 0;
}

const struct kii_detector kii_detect_java = {
	.name = "java",
	.rank = 40,
	.looks_for = "pom.xml, build.gradle",
	.images = images,
	.claims = claims,
	.plan = plan,
};
