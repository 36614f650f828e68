/* SPDX-License-Identifier: MIT */
/* Archives of people who mean well, and of those who do not. */
#include <config.h>

#include "archive_check.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

enum pack { TAR, GZIP, XZ, ZSTD, ZIP, CPIO };

struct item {
	const char *path;
	mode_t type, perm;
	const char *text;        /* content, or the link's target */
	const char *hardlink;
	int64_t size;            /* where it is more than the text: zeros */
	bool sparse;             /* and these are a hole */
};

#define FILE_(p, t)  { .path = (p), .type = AE_IFREG, .perm = 0644, .text = (t) }
#define DIR_(p)      { .path = (p), .type = AE_IFDIR, .perm = 0755 }
#define LINK_(p, t)  { .path = (p), .type = AE_IFLNK, .perm = 0777, .text = (t) }

struct place {
	char *dir, *out;
	int fd;                  /* the archive */
};

static int setup(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	kii_autofree char *path = NULL;

	p->dir = test_dir_new();
	p->out = kii_xfmt("%s/out", p->dir);
	path = kii_xfmt("%s/archive", p->dir);
	p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p->out);
	free(p);
	return 0;
}

static void add(struct archive *a, const struct item *item)
{
	static const char zeros[65536];
	struct archive_entry *e = archive_entry_new();
	size_t len = item->text ? strlen(item->text) : 0;
	int64_t size = item->size ? item->size : (int64_t)len;

	archive_entry_set_pathname(e, item->path);
	archive_entry_set_filetype(e, item->type);
	archive_entry_set_perm(e, item->perm);
	archive_entry_set_mtime(e, 1000000000, 5);
	if (item->hardlink)
		archive_entry_set_hardlink(e, item->hardlink);
	if (item->type == AE_IFLNK)
		archive_entry_set_symlink(e, item->text);
	archive_entry_set_size(e, item->type == AE_IFREG ? size : 0);
	if (item->sparse)
		archive_entry_sparse_add_entry(e, 0, (int64_t)len);
	assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
	if (item->type == AE_IFREG && !item->hardlink) {
		if (len)
			assert_int_equal(archive_write_data(a, item->text, len), len);
		for (int64_t left = size - (int64_t)len; left > 0;) {
			size_t n = left < (int64_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);

			assert_int_equal(archive_write_data(a, zeros, n), n);
			left -= (int64_t)n;
		}
	}
	archive_entry_free(e);
}

static void make(struct place *p, enum pack pack, const struct item *items, size_t n)
{
	struct archive *a = archive_write_new();

	if (pack == ZIP)
		archive_write_set_format_zip(a);
	else if (pack == CPIO)
		archive_write_set_format_cpio(a);
	else
		archive_write_set_format_pax_restricted(a);
	if (pack == GZIP)
		archive_write_add_filter_gzip(a);
	if (pack == XZ)
		archive_write_add_filter_xz(a);
	if (pack == ZSTD)
		archive_write_add_filter_zstd(a);
	assert_int_equal(ftruncate(p->fd, 0), 0);
	assert_int_equal(lseek(p->fd, 0, SEEK_SET), 0);
	assert_int_equal(archive_write_open_fd(a, p->fd), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++)
		add(a, &items[i]);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static const struct kii_archive_limits limits = { .entries = 1000, .bytes = 20 << 20,
	.ratio = 100 };

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static char *read_file(const struct place *p, const char *name, mode_t *mode)
{
	kii_autofree char *path = kii_xfmt("%s/%s", p->out, name);
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	struct stat st;

	must(kii_io_read(path, &text, &err));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mtime, 1000000000);
	*mode = st.st_mode & 07777;
	return kii_buf_steal(&text);
}

static void every_kind_of_archive_is_unpacked(void **state)
{
	static const struct item items[] = {
		DIR_("./"), DIR_("a/"), FILE_("a/x", "text"),
		{ .path = "./run.sh", .type = AE_IFREG, .perm = 06777, .text = "#!" },
		{ .path = "secret", .type = AE_IFREG, .perm = 0400, .text = "s" },
		FILE_("new/folder/\xc3\xa9", "umlaut"), FILE_("empty", ""), LINK_("a/l",
			"../run.sh"),
		LINK_("dangling", "a/none"),
	};
	struct place *p = *state;
	struct kii_archive_totals totals;
	struct kii_error err = { 0 };

	for (enum pack pack = TAR; pack <= ZIP; pack++) {
		kii_autofree char *link = kii_xfmt("%s/a/l", p->out);
		kii_autofree char *x = NULL, *run = NULL, *secret = NULL, *umlaut = NULL;
		char target[20] = "";
		mode_t mode;

		make(p, pack, items, KII_COUNT(items));
		must(kii_archive_unpack(p->fd, p->out, &limits, &totals, &err));
		x = read_file(p, "a/x", &mode);
		assert_string_equal(x, "text");
		assert_int_equal(mode, 0644);
		run = read_file(p, "run.sh", &mode);
		assert_string_equal(run, "#!");
		assert_int_equal(mode, 0755);
		secret = read_file(p, "secret", &mode);
		assert_string_equal(secret, "s");
		assert_int_equal(mode, 0600);
		umlaut = read_file(p, "new/folder/\xc3\xa9", &mode);
		assert_string_equal(umlaut, "umlaut");
		assert_int_equal(readlink(link, target, sizeof(target)), 9);
		assert_string_equal(target, "../run.sh");
		assert_in_range(totals.entries, 8, 9);   /* zip drops "./" */
		assert_int_equal(totals.files, 5);
		assert_int_equal(totals.bytes, 13);
		must(kii_io_remove_tree(p->out, &err));
	}
}

static int64_t size_of(const struct place *p, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", p->out, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void a_hole_at_the_end_is_a_part_of_the_file(void **state)
{
	static const struct item items[] = {
		{ .path = "tail", .type = AE_IFREG, .perm = 0644, .text = "head", .size = 1 << 20,
		  .sparse = true },
		{ .path = "all", .type = AE_IFREG, .perm = 0644, .size = 300000, .sparse = true },
		FILE_("none", "text"),
	};
	const struct kii_archive_limits small = { .entries = 9, .bytes = 1 << 20, .ratio = 0 };
	const struct kii_archive_limits none = { .ratio = 0 };
	struct place *p = *state;
	struct kii_archive_totals totals;
	struct kii_error err = { 0 };

	make(p, TAR, items, 3);
	assert_in_range(lseek(p->fd, 0, SEEK_END), 1, 1 << 16);
	must(kii_archive_unpack(p->fd, p->out, &none, &totals, &err));
	assert_int_equal(size_of(p, "tail"), 1 << 20);
	assert_int_equal(size_of(p, "all"), 300000);
	assert_int_equal(size_of(p, "none"), 4);
	assert_int_equal(totals.bytes, (1 << 20) + 300000 + 4);
	must(kii_io_remove_tree(p->out, &err));
	/* It counts like other bytes. */
	must_fail(kii_archive_unpack(p->fd, p->out, &small, NULL, &err), KII_ETOOBIG);
	assert_false(exists(p->out));
}

struct bad {
	struct item items[2];
	const char *why;         /* in the message */
};

static void entries_that_may_not_be_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ { FILE_("ok", "1"), FILE_("../x", "") }, "\"..\" in its name" },
		{ { FILE_("ok", "1"), FILE_("a/../x", "") }, "\"..\" in its name" },
		{ { FILE_("ok", "1"), FILE_("..", "") }, "\"..\" in its name" },
		{ { FILE_("ok", "1"), FILE_("/etc/x", "") }, "an absolute name" },
		{ { FILE_("ok", "1"), FILE_("a\nb", "") }, "control character" },
		{ { FILE_("ok", "1"), FILE_(".", "") }, "no name" },
		{ { FILE_("ok", "1"), LINK_("l", "/etc/passwd") }, "leads out" },
		{ { FILE_("ok", "1"), LINK_("l", "..") }, "leads out" },
		{ { FILE_("ok", "1"), LINK_("a/l", "../../x") }, "leads out" },
		/* Text alone would have it inside; behind the first link it is not. */
		{ { LINK_("x/d", ".."), LINK_("x/y/l", "../d/../secret") }, "behind a name" },
		{ { FILE_("ok", "1"), LINK_("l", "./a/./../ok") }, "behind a name" },
		{ { LINK_("l", "a"), FILE_("l/x", "") }, "below a file or a link" },
		{ { FILE_("l", ""), FILE_("l/x", "") }, "below a file or a link" },
		{ { FILE_("l", ""), DIR_("l/") }, "not as a folder" },
		{ { LINK_("l", "a"), DIR_("l/") }, "not as a folder" },
		{ { DIR_("l/"), FILE_("l", "") }, "once as a folder" },
		{ { FILE_("ok", "1"), { .path = "h", .type = AE_IFREG, .hardlink = "ok" } },
		  "a hard link" },
		{ { FILE_("ok", "1"), { .path = "p", .type = AE_IFIFO } }, "a device, a pipe" },
		{ { FILE_("ok", "1"), { .path = "c", .type = AE_IFCHR } }, "a device, a pipe" },
		{ { FILE_("ok", "1"), { .path = "b", .type = AE_IFBLK } }, "a device, a pipe" },
	};
	struct place *p = *state;
	struct kii_error err = { 0 };

	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		make(p, TAR, bad[i].items, 2);
		assert_int_equal(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), -1);
		if (err.code != KII_EINVAL || !strstr(err.msg, bad[i].why))
			fail_msg("%zu: %s", i, err.msg);
		assert_string_equal(err.field, "archive");
		assert_false(exists(p->out));
		kii_error_clear(&err);
	}
	assert_int_equal(access("/etc/x", F_OK), -1);
}

static void names_have_a_length_and_a_depth(void **state)
{
	struct place *p = *state;
	kii_autobuf deep = KII_BUF_INIT(2000);
	kii_autobuf deeper = KII_BUF_INIT(2000);
	struct item item = { .type = AE_IFREG, .perm = 0644, .text = "x" };
	struct kii_error err = { 0 };

	for (int i = 0; i < 64; i++)
		kii_buf_str(&deep, "d/");
	kii_buf_fmt(&deeper, "d/%sx", deep.data);
	kii_buf_str(&deep, "x");
	item.path = deep.data;
	make(p, TAR, &item, 1);
	must(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err));
	must(kii_io_remove_tree(p->out, &err));
	item.path = deeper.data;
	make(p, TAR, &item, 1);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
	kii_buf_reset(&deep);
	while (deep.len < 1100)
		kii_buf_str(&deep, "a-folder-with-a-long-name/");
	item.path = deep.data;
	item.type = AE_IFDIR;
	make(p, TAR, &item, 1);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
	/* One that no file system takes. */
	kii_buf_reset(&deep);
	while (deep.len < 300)
		kii_buf_char(&deep, 'n');
	item.path = deep.data;
	item.type = AE_IFREG;
	make(p, TAR, &item, 1);
	assert_int_equal(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_non_null(strstr(err.msg, "too long"));
	kii_error_clear(&err);
	item.path = "s";
	item.type = AE_IFDIR;
	make(p, TAR, &item, 1);
	assert_false(exists(p->out));
}

static void what_comes_twice_counts_as_it_came_last(void **state)
{
	static const struct item items[] = { FILE_("a", "first"), LINK_("b", "a"), DIR_("d"),
		DIR_("d"),
		FILE_("b", "second"), LINK_("a", "b") };
	struct place *p = *state;
	kii_autofree char *link = kii_xfmt("%s/a", p->out);
	kii_autofree char *text = NULL;
	struct kii_error err = { 0 };
	struct stat st;
	mode_t mode;

	make(p, GZIP, items, KII_COUNT(items));
	must(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err));
	text = read_file(p, "b", &mode);
	assert_string_equal(text, "second");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void bombs_do_not_go_off(void **state)
{
	static const struct item big[] = { { .path = "zeros", .type = AE_IFREG, .perm = 0644,
		.size = 19 << 20 } };
	static const struct item bigger[] = { FILE_("x", "x"), { .path = "zeros", .type = AE_IFREG,
		.perm = 0644, .size = 20 << 20 } };
	struct kii_archive_limits l = limits;
	struct place *p = *state;
	struct kii_error err = { 0 };
	atomic_bool stop = true;

	for (enum pack pack = GZIP; pack <= ZIP; pack++) {
		make(p, pack, big, 1);
		must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_ETOOBIG);
		assert_false(exists(p->out));
	}
	make(p, TAR, bigger, 2);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_ETOOBIG);
	l.entries = 1;
	make(p, TAR, bigger, 2);
	must_fail(kii_archive_unpack(p->fd, p->out, &l, NULL, &err), KII_ETOOBIG);
	l = (struct kii_archive_limits){ .stop = &stop };
	must_fail(kii_archive_unpack(p->fd, p->out, &l, NULL, &err), KII_ETIMEOUT);
	stop = false;
	must(kii_archive_unpack(p->fd, p->out, &l, NULL, &err));
	must(kii_io_remove_tree(p->out, &err));
	assert_false(exists(p->out));
}

/* A zip may leave out the sizes in front of its entries, and lie in them at its end. */
static void sizes_that_are_lies_do_not_help(void **state)
{
	static const struct item item = { .path = "zeros", .type = AE_IFREG, .perm = 0644,
		.size = 3 << 20 };
	const struct kii_archive_limits l = { .bytes = 2 << 20 };
	struct place *p = *state;
	struct kii_error err = { 0 };
	unsigned char data[200000];
	ssize_t n;
	unsigned found = 0;

	make(p, ZIP, &item, 1);
	n = pread(p->fd, data, sizeof(data), 0);
	assert_in_range(n, 100, sizeof(data) - 1);
	for (ssize_t i = 0; i + 4 <= n; i++) {
		const unsigned char size[4] = { 0, 0, 0x30, 0 };

		if (memcmp(data + i, size, 4) != 0)
			continue;
		data[i + 2] = 1;
		found++;
	}
	assert_true(found >= 1);
	assert_int_equal(pwrite(p->fd, data, (size_t)n, 0), n);
	assert_int_equal(kii_archive_unpack(p->fd, p->out, &l, NULL, &err), -1);
	assert_true(err.code == KII_ETOOBIG || err.code == KII_EINVAL);
	assert_false(exists(p->out));
}

static void what_is_no_archive_or_damaged_is_refused(void **state)
{
	static const struct item items[] = { FILE_("a", "text"), { .path = "b", .type = AE_IFREG,
		.perm = 0644, .text = "begin", .size = 30000 } };
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct stat st;

	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
	assert_int_equal(write(p->fd, "hello, this is a text", 21), 21);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
	make(p, CPIO, items, 2);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
	for (enum pack pack = TAR; pack <= ZIP; pack++) {
		make(p, pack, items, 2);
		assert_int_equal(fstat(p->fd, &st), 0);
		assert_int_equal(ftruncate(p->fd, pack == TAR ? 3000 : st.st_size / 2), 0);
		must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
		assert_false(exists(p->out));
	}
	make(p, TAR, items, 0);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_EINVAL);
}

static void a_folder_that_is_there_stays_as_it_is(void **state)
{
	static const struct item items[] = { FILE_("a", "text") };
	struct place *p = *state;
	kii_autofree char *below = kii_xfmt("%s/none/out", p->dir);
	struct kii_error err = { 0 };

	make(p, TAR, items, 1);
	assert_int_equal(mkdir(p->out, 0755), 0);
	must_fail(kii_archive_unpack(p->fd, p->out, &limits, NULL, &err), KII_ECONFLICT);
	assert_true(exists(p->out));
	must_fail(kii_archive_unpack(p->fd, below, &limits, NULL, &err), KII_EIO);
	assert_int_equal(rmdir(p->out), 0);
	must_fail(kii_archive_unpack(-1, p->out, &limits, NULL, &err), KII_EIO);
	assert_false(exists(p->out));
}

static void without_descriptors_or_room_nothing_is_left(void **state)
{
	static const struct item items[] = { FILE_("a/b/c", "text"), FILE_("d", "text") };
	struct place *p = *state;
	struct rlimit old, low;
	unsigned failures = 0;

	make(p, TAR, items, 2);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = (rlim_t)p->fd + 1; n < (rlim_t)p->fd + 8; n++) {
		struct kii_error err = { 0 };
		int rc;

		low = (struct rlimit){ n, old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		rc = kii_archive_unpack(p->fd, p->out, &limits, NULL, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (rc == 0)
			must(kii_io_remove_tree(p->out, &err));
		else
			assert_int_equal(err.code, KII_EIO);
		failures += rc != 0;
		if (exists(p->out)) {
			/* Where removing needs a descriptor, too: the error says so. */
			assert_non_null(strstr(err.msg, "is left"));
			kii_error_clear(&err);
			must(kii_io_remove_tree(p->out, &err));
		}
	}
	assert_in_range(failures, 2, 6);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(every_kind_of_archive_is_unpacked),
		PLACE_TEST(a_hole_at_the_end_is_a_part_of_the_file),
		PLACE_TEST(entries_that_may_not_be_are_refused),
		PLACE_TEST(names_have_a_length_and_a_depth),
		PLACE_TEST(what_comes_twice_counts_as_it_came_last),
		PLACE_TEST(bombs_do_not_go_off),
		PLACE_TEST(sizes_that_are_lies_do_not_help),
		PLACE_TEST(what_is_no_archive_or_damaged_is_refused),
		PLACE_TEST(a_folder_that_is_there_stays_as_it_is),
		PLACE_TEST(without_descriptors_or_room_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
