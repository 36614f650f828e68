/* SPDX-License-Identifier: MIT */
/* What lies below a folder of strangers, and what only seems to. */
#include <config.h>

#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

struct place {
	char *dir;
	int fd;
};

static void write_file(const struct place *p, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", p->dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

static int setup(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *sub = NULL;
	struct kii_error err = { 0 };

	p->dir = test_dir_new();
	sub = kii_xfmt("%s/in/sub", p->dir);
	must(kii_io_mkdirs(sub, 0755, &err));
	free(sub);
	sub = kii_xfmt("%s/in", p->dir);
	p->fd = open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	write_file(p, "outside", "secret");
	write_file(p, "in/file", "text");
	write_file(p, "in/sub/deep", "deep text");
	assert_int_equal(symlinkat("../outside", p->fd, "out"), 0);
	assert_int_equal(symlinkat("/etc/passwd", p->fd, "absolute"), 0);
	assert_int_equal(symlinkat("..", p->fd, "up"), 0);
	assert_int_equal(symlinkat("sub/deep", p->fd, "inner"), 0);
	assert_int_equal(symlinkat("sub", p->fd, "folder"), 0);
	assert_int_equal(symlinkat("loop", p->fd, "loop"), 0);
	assert_int_equal(symlinkat("/proc/self/cwd", p->fd, "magic"), 0);
	assert_int_equal(mkfifoat(p->fd, "pipe", 0644), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p);
	return 0;
}

static void files_inside_are_read_and_their_place_is_known(void **state)
{
	static const struct { const char *path, *text, *real; } cases[] = {
		{ "file", "text", "file" }, { "sub/deep", "deep text", "sub/deep" },
		{ "inner", "deep text", "sub/deep" }, { "folder/deep", "deep text", "sub/deep" },
		{ "sub/../file", "text", "file" },
	};
	struct place *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autobuf out = KII_BUF_INIT(100);
		kii_autofree char *real = NULL;

		must(kii_beneath_read(p->fd, cases[i].path, "f", &out, &real, &err));
		assert_string_equal(out.data, cases[i].text);
		assert_string_equal(real, cases[i].real);
	}
}

static void nothing_leads_out(void **state)
{
	static const struct { const char *path; enum kii_code code; } cases[] = {
		{ "out", KII_EINVAL }, { "absolute", KII_EINVAL }, { "up/outside", KII_EINVAL },
		{ "../outside", KII_EINVAL }, { "/etc/passwd", KII_EINVAL }, { "loop", KII_EINVAL },
		{ "magic/x", KII_EINVAL }, { "none", KII_ENOTFOUND }, { "file/x", KII_EINVAL },
		{ "pipe", KII_EINVAL }, { "sub", KII_EINVAL }, { "", KII_EINVAL },
	};
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf out = KII_BUF_INIT(100);
	kii_autobuf small = KII_BUF_INIT(3);
	kii_autobuf name = KII_BUF_INIT(10000);

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		assert_int_equal(kii_beneath_read(p->fd, cases[i].path, "f", &out, NULL, &err), -1);
		if (err.code != cases[i].code || strcmp(err.field, "f") != 0)
			fail_msg("%s: %s", cases[i].path, err.msg);
		kii_error_clear(&err);
	}
	assert_string_equal(out.data, "");
	must_fail(kii_beneath_read(p->fd, "file", "f", &small, NULL, &err), KII_ETOOBIG);
	must_fail(kii_beneath_read(-1, "file", "f", &out, NULL, &err), KII_EIO);
	while (name.len < 5000)
		kii_buf_str(&name, "a/");
	must_fail(kii_beneath_read(p->fd, name.data, "f", &out, NULL, &err), KII_EINVAL);
	name.data[300] = '\0';
	memset(name.data, 'a', 300);
	must_fail(kii_beneath_read(p->fd, name.data, "f", &out, NULL, &err), KII_EINVAL);
}

static void a_place_that_went_elsewhere_is_no_place(void **state)
{
	struct place *p = *state;
	kii_autoclose int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	kii_autofree char *real = NULL;
	struct kii_error err = { 0 };

	must_fail(kii_beneath_real(p->fd, other, &real, &err), KII_EIO);
	must_fail(kii_beneath_real(p->fd, -1, &real, &err), KII_EIO);
	must_fail(kii_beneath_real(-1, p->fd, &real, &err), KII_EIO);
	must(kii_beneath_real(p->fd, p->fd, &real, &err));
	assert_string_equal(real, "");
	free(real);
	must(kii_beneath_real(other, p->fd, &real, &err));
	assert_string_equal(real, p->dir[0] == '/' ? real : "");
	assert_non_null(strstr(real, "/in"));
}

static void paths_have_one_form(void **state)
{
	static const struct { const char *base, *path, *clean; } cases[] = {
		{ "", "a", "a" }, { "", "./a//b/.", "a/b" }, { "", "", "" }, { "", ".", "" },
		{ "a/b", "../c", "a/c" }, { "a", "..", "" }, { "a/b", "../..", "" },
		{ "a", "b/../c", "a/c" }, { "", "a/..", "" }, { "x", "./", "x" },
		{ "", "..a", "..a" }, { "", "a/...", "a/..." }, { "a", "../b/../../c", NULL },
		{ "", "..", NULL }, { "", "a/../../b", NULL }, { "", "/a", NULL },
		{ "", "a\nb", NULL },
		{ "", "a\x7f", NULL },
	};
	struct kii_error err = { 0 };
	kii_autobuf big = KII_BUF_INIT(10000);
	char *out = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		if (!cases[i].clean) {
			must_fail(kii_beneath_clean(cases[i].base, cases[i].path, "f", &out, &err),
				KII_EINVAL);
			continue;
		}
		must(kii_beneath_clean(cases[i].base, cases[i].path, "f", &out, &err));
		assert_string_equal(out, cases[i].clean);
		free(out);
	}
	while (big.len < 5000)
		kii_buf_str(&big, "ab/");
	must_fail(kii_beneath_clean("", big.data, "f", &out, &err), KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_inside_are_read_and_their_place_is_known,
			setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_leads_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_place_that_went_elsewhere_is_no_place, setup,
			teardown),
		cmocka_unit_test(paths_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
