/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "upload.h"

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

static void put(char id[KII_UPLOAD_ID + 1], bool good)
{
	kii_autoclose int fd = -1;
	struct kii_error err = { 0 };

	must(kii_upload_begin(dir, id, &fd, &err));
	must(kii_io_write_all(fd, "word", 4, &err));
	must(kii_upload_done(dir, id, good, &err));
}

static void one_that_is_whole_is_there(void **state)
{
	kii_autoclose int fd = -1;
	char id[KII_UPLOAD_ID + 1], text[8] = "";
	struct kii_error err = { 0 };
	struct stat st;

	(void)state;
	put(id, true);
	must(kii_upload_open(dir, id, &fd, &err));
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "word");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void one_that_is_not_leaves_nothing(void **state)
{
	kii_autofree char *part = NULL;
	kii_autoclose int writing = -1;
	char id[KII_UPLOAD_ID + 1];
	struct kii_error err = { 0 };
	int fd;

	(void)state;
	must(kii_upload_begin(dir, id, &writing, &err));
	must_fail(kii_upload_open(dir, id, &fd, &err), KII_ENOTFOUND);
	must(kii_upload_done(dir, id, false, &err));
	part = kii_xfmt("%s/engine/uploads/.part-%s", dir, id);
	assert_int_not_equal(access(part, F_OK), 0);
	must_fail(kii_upload_open(dir, id, &fd, &err), KII_ENOTFOUND);
	must_fail(kii_upload_done(dir, id, true, &err), KII_EIO);
}

static void an_id_leads_nowhere_else(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../../secret",
		"0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdef0" };
	kii_autofree char *link = NULL;
	char id[KII_UPLOAD_ID + 1];
	struct kii_error err = { 0 };
	int fd;

	(void)state;
	put(id, true);
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(kii_upload_open(dir, bad[i], &fd, &err), KII_ENOTFOUND);
	link = kii_xfmt("%s/engine/uploads/0123456789abcdef0123456789abcdef", dir);
	assert_int_equal(symlink(id, link), 0);
	must_fail(kii_upload_open(dir, "0123456789abcdef0123456789abcdef", &fd, &err), KII_EIO);
}

static void old_ones_are_collected(void **state)
{
	char id[KII_UPLOAD_ID + 1], cut[KII_UPLOAD_ID + 1];
	struct kii_error err = { 0 };
	int fd;

	(void)state;
	kii_upload_collect(dir, kii_io_wall() + 5000);
	put(id, true);
	must(kii_upload_begin(dir, cut, &fd, &err));
	close(fd);
	kii_upload_collect(dir, kii_io_wall() - 5000);
	must(kii_upload_open(dir, id, &fd, &err));
	close(fd);
	kii_upload_collect(dir, kii_io_wall() + 5000);
	must_fail(kii_upload_open(dir, id, &fd, &err), KII_ENOTFOUND);
	must_fail(kii_upload_done(dir, cut, true, &err), KII_EIO);
}

static void without_a_folder_it_fails(void **state)
{
	kii_autofree char *engine = kii_xfmt("%s/engine", dir);
	char id[KII_UPLOAD_ID + 1];
	struct kii_error err = { 0 };
	int fd;

	(void)state;
	must(kii_io_publish(engine, "", 0, 0600, &err));
	must_fail(kii_upload_begin(dir, id, &fd, &err), KII_EIO);
}

#define upload_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		upload_test(one_that_is_whole_is_there),
		upload_test(one_that_is_not_leaves_nothing),
		upload_test(an_id_leads_nowhere_else),
		upload_test(old_ones_are_collected),
		upload_test(without_a_folder_it_fails),
	};

	return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
