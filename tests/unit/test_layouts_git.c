/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layouts_git.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "layouts.h"
#include "testlib.h"

#define FILE_NAME "MD1-Standard.json"
#define IDENTITY "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a " \
	"GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent "

static char *dir;

/* A shell's line in the checkout. */
static void run(const char *line)
{
	kii_autofree char *command = kii_xfmt("cd '%s' && " IDENTITY "sh -ec '%s' >/dev/null 2>&1",
		dir, line);

	if (system(command) != 0)
		fail_msg("%s", command);
}

/* Three commits: v1 has one, v2 has two and links to it, main has neither but a folder. */
static int set_up(void **state)
{
	(void)state;
	dir = test_dir_new();
	run("git init -q -b main .; "
		"printf \"{\\\"n\\\": 1}\" >" FILE_NAME "; "
		"git add .; git commit -qm 1; git tag v1; "
		"printf \"{\\\"n\\\": 2}\" >" FILE_NAME "; "
		"ln -s " FILE_NAME " MD1-Link.json; printf " FILE_NAME "\\\\n >MD1-Text.json; "
		"ln -s MD1-Link.json MD1-Far.json; ln -s ../secret.json MD1-Out.json; "
		"ln -s MD1-None.json MD1-Lost.json; ln -s MD1-Round.json MD1-Round.json; "
		"mkdir sub; cp " FILE_NAME " sub/; mkdir MD1-Dir.json; touch MD1-Dir.json/x; "
		"head -c 70000 /dev/zero | tr \\\\0 x >MD1-Big.json; "
		"git add .; git commit -qm 2; git tag -am two v2; git branch topic/x; "
		"git rm -qr .; mkdir -p sub; touch sub/y; git add .; git commit -qm 3");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static void assert_text(const char *file, const char *rev, const char *want)
{
	kii_autobuf text = KII_BUF_INIT(65536);
	struct kii_error err = { 0 };

	must(kii_layouts_git_read(dir, file, rev, &text, &err));
	assert_string_equal(text.data, want);
}

static void assert_fails(const char *file, const char *rev, enum kii_code want, const char *words)
{
	kii_autobuf text = KII_BUF_INIT(65536);
	struct kii_error err = { 0 };
	kii_autofree char *told = NULL;

	assert_int_equal(kii_layouts_git_read(dir, file, rev, &text, &err), -1);
	told = kii_xstrdup(err.msg);
	assert_int_equal(err.code, want);
	assert_non_null(strstr(told, words));
}

static void a_revision_is_a_tag_a_branch_or_a_commit(void **state)
{
	kii_autobuf id = KII_BUF_INIT(100);
	kii_autofree char *path = kii_xfmt("%s/id", dir);
	struct kii_error err = { 0 };

	(void)state;
	assert_text(FILE_NAME, "v1", "{\"n\": 1}");
	assert_text(FILE_NAME, "v2", "{\"n\": 2}");
	assert_text(FILE_NAME, "topic/x", "{\"n\": 2}");
	assert_text(FILE_NAME, "refs/tags/v1", "{\"n\": 1}");
	run("git rev-parse v1 >id");
	must(kii_io_read(path, &id, &err));
	id.data[40] = '\0';
	assert_text(FILE_NAME, id.data, "{\"n\": 1}");
	id.data[10] = '\0';
	assert_text(FILE_NAME, id.data, "{\"n\": 1}");
}

static void packed_objects_are_read_too(void **state)
{
	(void)state;
	run("git gc -q --aggressive --prune=now; git pack-refs --all; "
		"! ls .git/objects/[0-9a-f][0-9a-f]");
	assert_text(FILE_NAME, "v1", "{\"n\": 1}");
	assert_text("MD1-Far.json", "v2", "{\"n\": 2}");
	assert_fails("MD1-Big.json", "v2", KII_ETOOBIG, "big");
}

static void links_are_followed_within_the_folder(void **state)
{
	(void)state;
	assert_text("MD1-Link.json", "v2", "{\"n\": 2}");
	assert_text("MD1-Text.json", "v2", "{\"n\": 2}");
	assert_text("MD1-Far.json", "v2", "{\"n\": 2}");
	assert_fails("MD1-Out.json", "v2", KII_ENOTFOUND, "layout");
	assert_fails("MD1-Lost.json", "v2", KII_ENOTFOUND, "layout");
	assert_fails("MD1-Round.json", "v2", KII_EINVAL, "links");
}

static void what_there_is_not_is_not_found(void **state)
{
	static const char *const revs[] = { "v3", "HEAD1", "deadbeef", "a..b", "v1/", "/", ".",
		"refs/heads", "0000000000000000000000000000000000000000" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(revs); i++)
		assert_fails(FILE_NAME, revs[i], KII_ENOTFOUND, "revision");
	assert_fails(FILE_NAME, "main", KII_ENOTFOUND, "layout");
	assert_fails("MD1-Link.json", "v1", KII_ENOTFOUND, "layout");
	assert_fails("MD1-Dir.json", "v2", KII_ENOTFOUND, "layout");
	assert_fails("sub/" FILE_NAME, "v2", KII_ENOTFOUND, "layout");
}

static void a_blob_is_no_revision(void **state)
{
	kii_autobuf id = KII_BUF_INIT(100);
	kii_autofree char *path = kii_xfmt("%s/id", dir);
	struct kii_error err = { 0 };

	(void)state;
	run("git rev-parse v1:" FILE_NAME " >id");
	must(kii_io_read(path, &id, &err));
	id.data[40] = '\0';
	assert_fails(FILE_NAME, id.data, KII_ENOTFOUND, "revision");
}

static void a_layout_may_not_be_too_big(void **state)
{
	(void)state;
	assert_fails("MD1-Big.json", "v2", KII_ETOOBIG, "big");
}

static void a_broken_checkout_is_our_fault(void **state)
{
	(void)state;
	run("id=$(git rev-parse v1:" FILE_NAME "); "
		"rm -f .git/objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-)");
	assert_fails(FILE_NAME, "v1", KII_EIO, "object");
	run("echo garbage >.git/refs/tags/v1");
	assert_fails(FILE_NAME, "v1", KII_EIO, "revision");
	run("rm .git/HEAD");
	assert_fails(FILE_NAME, "v1", KII_EIO, "checkout");
}

static void only_the_top_of_a_checkout_is_one(void **state)
{
	kii_autofree char *sub = kii_xfmt("%s/sub", dir);
	kii_autofree char *none = kii_xfmt("%s/none", dir);

	(void)state;
	assert_true(kii_layouts_git_checkout(dir));
	assert_false(kii_layouts_git_checkout(sub));
	assert_false(kii_layouts_git_checkout(none));
	run("chown -R 12345 . || true");   /* whose it is does not matter */
	assert_true(kii_layouts_git_checkout(dir));
	assert_text(FILE_NAME, "v1", "{\"n\": 1}");
}

static void a_revision_has_plain_characters(void **state)
{
	static const char *const good[] = { "v1", "a", "topic/x-1_2.3", "0123abc", "." };
	static const char *const bad[] = { "", "-", "--output=x", "a b", "a:b", "a~1", "a^", "@{1}",
		"a\n", "ä", "a;b", "a%b" };
	char longest[300];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++)
		assert_true(kii_layouts_git_rev(good[i]));
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		assert_false(kii_layouts_git_rev(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[201] = '\0';
	assert_false(kii_layouts_git_rev(longest));
	longest[200] = '\0';
	assert_true(kii_layouts_git_rev(longest));
}

#define with_checkout(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_checkout(a_revision_is_a_tag_a_branch_or_a_commit),
		with_checkout(packed_objects_are_read_too),
		with_checkout(links_are_followed_within_the_folder),
		with_checkout(what_there_is_not_is_not_found),
		with_checkout(a_blob_is_no_revision),
		with_checkout(a_layout_may_not_be_too_big),
		with_checkout(a_broken_checkout_is_our_fault),
		with_checkout(only_the_top_of_a_checkout_is_one),
		cmocka_unit_test(a_revision_has_plain_characters),
	};

	/* Its absence is no failure of ours. */
	if (access("/usr/bin/git", X_OK) != 0) {
		puts("1..0 # SKIP git is not installed");
		return 0;
	}
	return cmocka_run_group_tests_name("layouts_git", tests, NULL, NULL);
}
