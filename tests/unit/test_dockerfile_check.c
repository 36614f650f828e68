/* SPDX-License-Identifier: MIT */
/* Which Dockerfiles are refused, by line and feature, and which are left to the engine. */
#include <config.h>

#include "dockerfile_check.h"

#include <string.h>

#include "testlib.h"

static const struct kii_engine_about docker = { .version = "20.10.24" };
static const struct kii_engine_about podman = { .podman = true, .version = "4.3.1" };
static const struct kii_engine_about modern = { .podman = true, .version = "5.4.0" };

struct row {
	const char *text;
	const char *docker, *podman;   /* how the message begins behind the field; NULL: none */
};

static const struct row rows[] = {
	{ "", NULL, NULL },
	{ "FROM a\nRUN x\nCOPY --chown=1:1 --from=b a b\n", NULL, NULL },
	{ "FROM a\nRUN --mount=type=cache,target=/c x\n", "line 2: RUN --mount needs", NULL },
	{ "FROM a\nrun --mount=type=cache,target=/c x", "line 2: RUN --mount needs", NULL },
	{ "FROM a\n\n# c\nRUN \\\n  --mount=type=bind \\\n x\n", "line 4: RUN --mount needs",
	  NULL },
	{ "FROM a\r\nRUN a \\\r\n b\r\nRUN --network=none x\r\n", "line 4: RUN --network needs",
	  "line 4: RUN --network needs" },
	{ "RUN --security=insecure x", "line 1: RUN --security", "line 1: RUN --security" },
	{ "RUN x --mount=y\n", NULL, NULL },
	{ "RUN echo --network\n", NULL, NULL },
	{ "COPY --chmod=644 a b\n", "line 1: COPY --chmod", NULL },
	{ "ADD --chmod=644 a b\n", "line 1: ADD --chmod", NULL },
	{ "COPY --link a b\n", "line 1: COPY --link", "line 1: COPY --link" },
	{ "COPY --from=x --link=true a b\n", "line 1: COPY --link", "line 1: COPY --link" },
	{ "COPY --parents a b\n", "line 1: COPY --parents", "line 1: COPY --parents" },
	{ "COPY --exclude=x a b\n", "line 1: COPY --exclude", "line 1: COPY --exclude" },
	{ "ADD --link a b\n", "line 1: ADD --link", "line 1: ADD --link" },
	{ "ADD --exclude=a a b\n", "line 1: ADD --exclude", "line 1: ADD --exclude" },
	{ "ADD --checksum=sha256:0 a b\n", "line 1: ADD --checksum", "line 1: ADD --checksum" },
	{ "ADD --keep-git-dir=true a b\n", "line 1: ADD --keep-git-dir",
	  "line 1: ADD --keep-git-dir" },
	{ "ADD --unpack=true a b\n", "line 1: ADD --unpack", "line 1: ADD --unpack" },
	{ "COPY --linked a b\nCOPY -- a b\n", NULL, NULL },
	{ "RUN <<EOF\nx\nEOF\n", "line 1: a text in place", "line 1: a text in place" },
	{ "RUN cat 3<<-\"E F\" >x\n", "line 1: a text in place", "line 1: a text in place" },
	{ "FROM a\nCOPY <<'EOF' /x\nEOF\n", "line 2: a text in place", "line 2: a text in place" },
	{ "ADD <<_E /x\n", "line 1: a text in place", "line 1: a text in place" },
	{ "RUN echo $((1<<2)) \"a <<EOF\" '<<EOF' a<<b\n", NULL, NULL },
	{ "RUN echo \\\"<<EOF\n", NULL, NULL },
	{ "RUN cat <<<word; cat << EOF; cat <<\n", NULL, NULL },
	{ "RUN cat <<a<b\n", NULL, NULL },
	{ "CMD cat <<EOF\nENV A=<<EOF\n", NULL, NULL },
	{ "FROM --platform=$BUILDPLATFORM a\n", "line 1: FROM --platform with", NULL },
	{ "FROM --platform=${TARGETPLATFORM:-x} a\n", "line 1: FROM --platform with", NULL },
	{ "FROM --platform=linux/amd64 a\nFROM --platform=$P b\n", NULL, NULL },
	{ "# syntax=docker/dockerfile:1\nFROM a\n", NULL, NULL },
	{ "#syntax = docker.io/docker/dockerfile:1.4@sha256:0\nFROM a\n", NULL, NULL },
	{ "# syntax=docker/dockerfile:1-labs\nFROM a\n", "line 1: another syntax",
	  "line 1: another syntax" },
	{ "# escape=\\\n# SYNTAX=me/mine\nFROM a\n", "line 2: another syntax",
	  "line 2: another syntax" },
	{ "# syntax=docker/dockerfiles\n", "line 1: another syntax", "line 1: another syntax" },
	{ "# a comment\n# syntax=me/mine\nFROM a\n", NULL, NULL },
	{ "# syntax\n# =\nFROM a\n", NULL, NULL },
	{ "\xEF\xBB\xBF# escape=`\nRUN a `\n --mount=x\nCOPY --chmod=1 a b\\\nRUN --mount=x y\n",
	  "line 4: COPY --chmod", NULL },
	{ "RUN a \\\n# in between\n\n  b <<EOF\n", "line 1: a text in place",
	  "line 1: a text in place" },
	{ "RUN a \\", NULL, NULL },
	{ "averyverylongword --mount\n", NULL, NULL },
	{ "# escape=`", NULL, NULL },
};

static void check(const char *text, const struct kii_engine_about *engine, const char *want)
{
	struct kii_error err = { 0 };
	int rc = kii_dockerfile_check(text, strlen(text), engine, &err);

	if (!want && rc == 0)
		return;
	if (!want || rc == 0)
		fail_msg("%s: %s", text, rc ? err.msg : "not refused");
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "dockerfile");
	if (strncmp(err.msg + strlen("dockerfile: "), want, strlen(want)) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_non_null(strstr(err.msg, engine->podman ? "this Podman" : "classic builder"));
}

static void what_needs_buildkit_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		check(rows[i].text, &docker, rows[i].docker);
		check(rows[i].text, &podman, rows[i].podman);
	}
}

static void a_newer_podman_may_say_so_itself(void **state)
{
	(void)state;
	check("RUN <<EOF\nEOF\nCOPY --link a b\nRUN --network=none x\n", &modern, NULL);
	check("# syntax=me/mine\n", &modern, "line 1: another syntax");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_needs_buildkit_is_named),
		cmocka_unit_test(a_newer_podman_may_say_so_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
