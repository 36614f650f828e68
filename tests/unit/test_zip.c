/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

/* Some 100,000 bytes that do not shrink. */
static char noise[100000];

static const struct kii_zip_file files[] = {
	{ "MD1-Standard-0.kll", "Name = x;\n", 10 },
	{ "empty", "", 0 },
	{ "log/build.log", "a log with \0 in it", 18 },
	{ "noise", noise, sizeof(noise) },
};

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0, x = 1; i < sizeof(noise); i++, x = x * 1103515245 + 12345)
		noise[i] = (char)(x >> 16);
	return 0;
}

/* The zip's bytes. */
static void make(const struct kii_zip_file *list, size_t n, struct kii_buf *out)
{
	kii_autofile FILE *file = tmpfile();
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("/proc/self/fd/%d", fileno(file));

	must(kii_zip_write(fileno(file), list, n, &err));
	must(kii_io_read(path, out, &err));
}

static void expect_entry(struct archive *a, const struct kii_zip_file *want)
{
	kii_autofree char *data = kii_xmalloc(want->len + 10);
	struct archive_entry *e;

	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
	assert_string_equal(archive_entry_pathname(e), want->name);
	assert_int_equal(archive_entry_filetype(e), AE_IFREG);
	assert_int_equal(archive_entry_perm(e), 0644);
	assert_int_equal(archive_read_data(a, data, want->len + 10), want->len);
	assert_memory_equal(data, want->data, want->len);
}

static void what_was_put_in_comes_out(void **state)
{
	kii_autobuf zip = KII_BUF_INIT(1u << 20);
	struct archive *a = archive_read_new();
	struct archive_entry *e;

	(void)state;
	make(files, KII_COUNT(files), &zip);
	assert_memory_equal(zip.data, "PK\3\4", 4);
	archive_read_support_format_zip(a);
	assert_int_equal(archive_read_open_memory(a, zip.data, zip.len), ARCHIVE_OK);
	for (size_t i = 0; i < KII_COUNT(files); i++)
		expect_entry(a, &files[i]);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
	archive_read_free(a);
}

static void text_shrinks(void **state)
{
	kii_autofree char *text = kii_xmalloc(100000);
	const struct kii_zip_file one = { "text", text, 100000 };
	kii_autobuf zip = KII_BUF_INIT(1u << 20);

	(void)state;
	memset(text, 'x', 100000);
	make(&one, 1, &zip);
	assert_in_range(zip.len, 100, 5000);
}

static void a_zip_may_be_empty(void **state)
{
	kii_autobuf zip = KII_BUF_INIT(1u << 20);
	struct archive *a = archive_read_new();
	struct archive_entry *e;

	(void)state;
	make(NULL, 0, &zip);
	assert_memory_equal(zip.data, "PK\5\6", 4);
	archive_read_support_format_zip(a);
	assert_int_equal(archive_read_open_memory(a, zip.data, zip.len), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
	archive_read_free(a);
}

/* Whenever it is made, wherever, and by whomever. */
static void the_same_files_give_the_same_bytes(void **state)
{
	static const char *const zones[] = { "UTC", "Asia/Tokyo", "America/Los_Angeles",
		"XYZ-14", "XYZ+12" };
	kii_autobuf first = KII_BUF_INIT(1u << 20);

	(void)state;
	make(files, KII_COUNT(files), &first);
	/* A zip knows two seconds at best. */
	usleep(2100000);
	umask(077);
	for (size_t i = 0; i < KII_COUNT(zones); i++) {
		kii_autobuf again = KII_BUF_INIT(1u << 20);

		setenv("TZ", zones[i], 1);
		tzset();
		make(files, KII_COUNT(files), &again);
		assert_int_equal(again.len, first.len);
		assert_memory_equal(again.data, first.data, first.len);
	}
	umask(022);
	unsetenv("TZ");
	tzset();
}

static void other_files_give_other_bytes(void **state)
{
	const struct kii_zip_file one = { "a", "x", 1 }, name = { "b", "x", 1 },
		text = { "a", "y", 1 };
	kii_autobuf first = KII_BUF_INIT(10000), second = KII_BUF_INIT(10000),
		third = KII_BUF_INIT(10000);

	(void)state;
	make(&one, 1, &first);
	make(&name, 1, &second);
	make(&text, 1, &third);
	assert_int_equal(first.len, second.len);
	assert_memory_not_equal(first.data, second.data, first.len);
	assert_memory_not_equal(first.data, third.data, first.len);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	kii_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	kii_autoclose int blind = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kii_error err = { 0 };

	(void)state;
	/* On the way, and only at the end. */
	must_fail(kii_zip_write(full, files, KII_COUNT(files), &err), KII_EIO);
	must_fail(kii_zip_write(full, files, 1, &err), KII_EIO);
	must_fail(kii_zip_write(full, NULL, 0, &err), KII_EIO);
	must_fail(kii_zip_write(blind, files, KII_COUNT(files), &err), KII_EIO);
	assert_int_equal(kii_zip_write(-1, files, 1, &err), -1);
	assert_int_equal(err.code, KII_EIO);
	assert_memory_equal(err.msg, "write zip: ", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_in_comes_out),
		cmocka_unit_test(text_shrinks),
		cmocka_unit_test(a_zip_may_be_empty),
		cmocka_unit_test(the_same_files_give_the_same_bytes),
		cmocka_unit_test(other_files_give_other_bytes),
		cmocka_unit_test(what_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests_name("zip", tests, setup, NULL);
}
