/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static void put(const char *name, const char *text, mode_t mode)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), mode, &err));
	assert_int_equal(chmod(path, mode), 0);
}

static void refused(const char *folder, const char *name, const char *why)
{
	kii_autosecret out = KII_BUF_INIT(KII_SECRET_MAX);
	struct kii_error err = { 0 };

	if (kii_secret_read(folder, name, "auth", &out, &err) == 0)
		fail_msg("'%s' was read", name);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "auth");
	if (!strstr(err.msg, why))
		fail_msg("'%s': %s", name, err.msg);
	assert_int_equal(out.len, 0);
}

static void a_secret_is_read(void **state)
{
	static const mode_t modes[] = { 0400, 0600, 0640, 0440 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(modes); i++) {
		kii_autosecret out = KII_BUF_INIT(KII_SECRET_MAX);
		struct kii_error err = { 0 };

		put("a.b-c_1", "word", modes[i]);
		must(kii_secret_read(dir, "a.b-c_1", "auth", &out, &err));
		assert_string_equal(out.data, "word");
	}
}

static void a_name_leads_nowhere_else(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../x", "a/b", "/etc/shadow", "A", "-a",
		"_a", ".a", "a b", "a\n", "$(id)",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

	(void)state;
	put(".a", "word", 0600);
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		refused(dir, bad[i], "a secret's name is");
}

static void what_is_not_there_is_said(void **state)
{
	(void)state;
	put("file", "word", 0600);
	refused(dir, "none", "there is no such secret");
	refused("/nonexistent", "none", "there is no such secret");
}

static void a_file_that_others_can_touch_is_refused(void **state)
{
	static const mode_t modes[] = { 0604, 0602, 0601, 0660, 0620 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(modes); i++) {
		put("open", "word", modes[i]);
		refused(dir, "open", "open to others");
	}
}

static void a_file_of_somebody_else_is_refused(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/theirs", dir);

	(void)state;
	if (geteuid() != 0)
		skip();
	put("theirs", "word", 0600);
	assert_int_equal(chown(path, 65534, 65534), 0);
	refused(dir, "theirs", "belongs neither to");
}

static void what_is_no_regular_file_is_refused(void **state)
{
	kii_autofree char *link = kii_xfmt("%s/link", dir);
	kii_autofree char *folder = kii_xfmt("%s/folder", dir);
	kii_autofree char *fifo = kii_xfmt("%s/fifo", dir);

	(void)state;
	put("target", "word", 0600);
	assert_int_equal(symlink("target", link), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refused(dir, "link", "cannot be read");
	refused(dir, "folder", "no regular file");
	refused(dir, "fifo", "no regular file");
}

static void a_big_file_is_refused(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/big", dir);

	(void)state;
	put("big", "word", 0600);
	assert_int_equal(truncate(path, KII_SECRET_MAX + 1), 0);
	refused(dir, "big", "too big");
}

#define secret_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		secret_test(a_secret_is_read),
		secret_test(a_name_leads_nowhere_else),
		secret_test(what_is_not_there_is_said),
		secret_test(a_file_that_others_can_touch_is_refused),
		secret_test(a_file_of_somebody_else_is_refused),
		secret_test(what_is_no_regular_file_is_refused),
		secret_test(a_big_file_is_refused),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
