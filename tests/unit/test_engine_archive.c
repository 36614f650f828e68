/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fakeengine.h"
#include "io.h"
#include "testlib.h"

/* --- what the engine may send --- */

static la_ssize_t grow(struct archive *a, void *arg, const void *data, size_t len)
{
	(void)a;
	kii_buf_add(arg, data, len);
	return (la_ssize_t)len;
}

struct part {
	const char *name;
	mode_t type;
	const char *data;
	const char *link;      /* symbolic */
	const char *hard;
	int64_t hole;          /* a GNU sparse file of that size */
	int64_t time;          /* with nanoseconds, so that it gets a pax header */
};

static void tar_of(struct kii_buf *tar, const struct part *parts, size_t n)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax(a);
	archive_write_set_bytes_per_block(a, 512);
	archive_write_set_bytes_in_last_block(a, 512);
	archive_write_open(a, tar, NULL, grow, NULL);
	for (size_t i = 0; i < n; i++) {
		struct archive_entry *entry = archive_entry_new();
		const struct part *p = &parts[i];
		size_t len = p->data ? strlen(p->data) : 0;

		archive_entry_set_pathname(entry, p->name);
		archive_entry_set_filetype(entry, p->type);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, p->hole ? p->hole : (la_int64_t)len);
		if (p->link)
			archive_entry_set_symlink(entry, p->link);
		if (p->hard)
			archive_entry_set_hardlink(entry, p->hard);
		if (p->time)
			archive_entry_set_mtime(entry, p->time, 1);
		if (p->hole)
			archive_entry_sparse_add_entry(entry, 0, (la_int64_t)len);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		if (len)
			archive_write_data(a, p->data, len);
		archive_entry_free(entry);
	}
	archive_write_close(a);
	archive_write_free(a);
}

static char *stat_of(const char *json)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	kii_autobuf text = KII_BUF_INIT(4096);
	size_t len = strlen(json);

	kii_buf_str(&text, "X-Docker-Container-Path-Stat: ");
	for (size_t i = 0; i < len; i += 3) {
		unsigned a = (unsigned char)json[i];
		unsigned b = i + 1 < len ? (unsigned char)json[i + 1] : 0;
		unsigned c = i + 2 < len ? (unsigned char)json[i + 2] : 0;

		kii_buf_char(&text, digits[a >> 2]);
		kii_buf_char(&text, digits[(a & 3) << 4 | b >> 4]);
		kii_buf_char(&text, (char)(i + 1 < len ? digits[(b & 15) << 2 | c >> 6] : '='));
		kii_buf_char(&text, (char)(i + 2 < len ? digits[c & 63] : '='));
	}
	kii_buf_str(&text, "\r\n");
	return kii_buf_steal(&text);
}

#define PLAIN "{\"name\":\"a\",\"size\":3,\"mode\":420}"

/* Get "a" of at most 100 bytes; what was written is in `out`. */
static void get(struct fake_pair *p, const char *stat, const char *data, size_t len, size_t chunk,
	enum kii_code want, struct kii_buf *out)
{
	kii_autofree char *header = stat ? stat_of(stat) : kii_xstrdup("");
	kii_autoclose int fd = memfd_create("test", MFD_CLOEXEC);
	struct kii_error err = { 0 };
	uint64_t size = 999;
	char back[200];

	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, header, data, len, chunk);
	if (want) {
		must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 100, fd, &size, &err),
			want);
		assert_int_equal(size, 999);
		return;
	}
	must(kii_engine_get(p->engine, "abc", "/out", "a", 100, fd, &size, &err));
	assert_int_equal(lseek(fd, 0, SEEK_END), size);
	assert_int_equal(pread(fd, back, sizeof(back), 0), size);
	kii_buf_reset(out);
	kii_buf_add(out, back, size);
}

static void one_file_is_taken_however_it_is_split(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf out = KII_BUF_INIT(1000);

	tar_of(&tar, &file, 1);
	for (size_t chunk = 1; chunk < tar.len + 200; chunk += 1 + chunk / 3) {
		get(*state, PLAIN, tar.data, tar.len, chunk, KII_OK, &out);
		assert_string_equal(out.data, "one");
	}
}

static void a_name_may_have_a_root(void **state)
{
	static const char *const names[] = { "/a", "./a", "a" };
	kii_autobuf out = KII_BUF_INIT(1000);

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		const struct part file = { .name = names[i], .type = AE_IFREG, .data = "x" };
		kii_autobuf tar = KII_BUF_INIT(1 << 20);

		tar_of(&tar, &file, 1);
		get(*state, PLAIN, tar.data, tar.len, 1000, KII_OK, &out);
	}
}

#define TEN "0123456789"

static void what_is_not_one_file_is_refused(void **state)
{
	static const struct {
		struct part parts[2];
		enum kii_code code;
	} rows[] = {
		{ { { "a", AE_IFLNK, .link = "/etc/passwd" } }, KII_EINVAL },
		{ { { "a", AE_IFDIR } }, KII_EINVAL },
		{ { { "a", AE_IFIFO } }, KII_EINVAL },
		{ { { "a", AE_IFCHR } }, KII_EINVAL },
		{ { { "a", AE_IFREG, .hard = "b" } }, KII_EINVAL },
		{ { { "b", AE_IFREG, "other" } }, KII_EINVAL },
		{ { { "a/b", AE_IFREG, "below" } }, KII_EINVAL },
		{ { { "../a", AE_IFREG, "above" } }, KII_EINVAL },
		{ { { "a", AE_IFREG, "one" }, { "b", AE_IFREG, "two" } }, KII_EINVAL },
		{ { { "a", AE_IFREG, "one" }, { "a", AE_IFREG, "again" } }, KII_EINVAL },
		{ { { "a", AE_IFREG, "one" }, { "a", AE_IFLNK, .link = "b" } }, KII_EINVAL },
		{ { { "a", AE_IFREG, TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "x" } }, KII_ETOOBIG },
		{ { { "a", AE_IFREG, "x", .hole = 1LL << 40 } }, KII_ETOOBIG },
	};

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autobuf tar = KII_BUF_INIT(1 << 20);

		tar_of(&tar, rows[i].parts, rows[i].parts[1].name ? 2 : 1);
		get(*state, PLAIN, tar.data, tar.len, 1000, rows[i].code, NULL);
	}
}

/* A hard link that has data as well, as pax allows: libarchive calls it a regular file. */
static void a_hard_link_with_data_is_refused(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one", .time = 1 };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	unsigned sum = 0;
	char *head;

	tar_of(&tar, &file, 1);
	head = tar.data + 1024;   /* behind the pax header and its data */
	assert_string_equal(head, "a");
	head[156] = '1';
	head[157] = 'b';
	memset(head + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	get(*state, PLAIN, tar.data, tar.len, 1000, KII_EINVAL, NULL);
}

static void holes_are_zeros(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "x", .hole = 90 };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf out = KII_BUF_INIT(1000);

	tar_of(&tar, &file, 1);
	get(*state, PLAIN, tar.data, tar.len, 1000, KII_OK, &out);
	assert_int_equal(out.len, 90);
	assert_memory_equal(out.data, "x\0\0\0\0", 5);
}

/* Podman follows a link and sends what it leads to: only the header tells. */
static void the_stat_of_the_path_is_judged_first(void **state)
{
	static const struct { const char *stat; enum kii_code code; } rows[] = {
		{ "{\"name\":\"passwd\",\"size\":3,\"mode\":134218239}", KII_EINVAL },
		{ "{\"mode\":2147484141}", KII_EINVAL },
		{ "{\"mode\":33554852}", KII_EINVAL },
		{ "{\"mode\":67109284}", KII_EINVAL },
		{ "{\"mode\":69206436}", KII_EINVAL },
		{ "{\"mode\":16777636}", KII_EINVAL },
		{ "{\"mode\":524708}", KII_EINVAL },
		{ "{\"mode\":420,\"size\":101}", KII_ETOOBIG },
		{ "{\"mode\":\"420\"}", KII_EBROKEN },
		{ "{\"size\":3}", KII_EBROKEN },
		{ "[420]", KII_EBROKEN },
		{ "nonsense", KII_EBROKEN },
		{ "", KII_EBROKEN },
		{ NULL, KII_EBROKEN },
	};
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	struct fake_pair *p = *state;
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf out = KII_BUF_INIT(1000);

	tar_of(&tar, &file, 1);
	for (size_t i = 0; i < KII_COUNT(rows); i++)
		get(p, rows[i].stat, tar.data, tar.len, 1000, rows[i].code, NULL);
	/* Set-user-ID and the like are no types. */
	get(p, "{\"mode\":12583332,\"size\":100}", tar.data, tar.len, 1000, KII_OK, &out);
}

static void a_stat_that_is_no_base64_is_broken(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	uint64_t size;

	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "X-Docker-Container-Path-Stat: ?!\r\n", "x", 1, 1);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 9, -1, &size, &err), KII_EBROKEN);
}

static void what_is_no_archive_is_broken(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	kii_autobuf tar = KII_BUF_INIT(8 << 20);
	kii_autobuf zeros = KII_BUF_INIT(4 << 20);

	get(*state, PLAIN, "", 0, 10, KII_EBROKEN, NULL);
	get(*state, PLAIN, "{\"not\":\"a tar\"}", 15, 10, KII_EBROKEN, NULL);
	tar_of(&tar, &file, 1);
	get(*state, PLAIN, tar.data, 100, 50, KII_EBROKEN, NULL);
	get(*state, PLAIN, tar.data, 514, 500, KII_EBROKEN, NULL);
	for (size_t i = 0; i < 3 << 20; i++)
		kii_buf_char(&zeros, '\0');
	get(*state, PLAIN, zeros.data, 1024, 500, KII_ENOTFOUND, NULL);
	/* More behind its end than padding can be. */
	kii_buf_add(&tar, zeros.data, 3 << 20);
	get(*state, PLAIN, tar.data, tar.len, 60000, KII_EBROKEN, NULL);
}

static void padding_keeps_the_connection(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autobuf out = KII_BUF_INIT(1000);
	static const char padding[20480];

	tar_of(&tar, &file, 1);
	kii_buf_add(&tar, padding, sizeof(padding));
	get(p, PLAIN, tar.data, tar.len, 600, KII_OK, &out);
	fake_reply(p->fake, 204, "", "");
	must(kii_engine_start(p->engine, "abc", &err));
	assert_int_equal(fake_connections(p->fake), 1);
}

static void what_cannot_be_written_is_said(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *header = stat_of(PLAIN);
	kii_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	uint64_t size;

	tar_of(&tar, &file, 1);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, header, tar.data, tar.len, 600);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 9, full, &size, &err), KII_EIO);
}

static void errors_of_the_engine_come_through(void **state)
{
	const struct part file = { .name = "a", .type = AE_IFREG, .data = "one" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *header = stat_of(PLAIN);
	kii_autobuf tar = KII_BUF_INIT(1 << 20);
	kii_autoclose int fd = memfd_create("test", MFD_CLOEXEC);
	uint64_t size;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 404, "", "{\"message\":\"no such file\"}");
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 9, fd, &size, &err), KII_ENOTFOUND);
	/* A stale version is negotiated anew here as well. */
	tar_of(&tar, &file, 1);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HANGUP, "");
	fake_reply(p->fake, 400, "", "{\"message\":\"too old\"}");
	fake_ping(p->fake, "1.45", false);
	fake_stream(p->fake, header, tar.data, tar.len, 600);
	must(kii_engine_get(p->engine, "abc", "/out", "a", 9, fd, &size, &err));
	assert_int_equal(size, 3);
	must_fail(kii_engine_get(p->engine, "a/b", "/out", "a", 9, fd, &size, &err), KII_EINVAL);
	must_fail(kii_engine_get(p->engine, "abc", "out", "a", 9, fd, &size, &err), KII_EINVAL);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a/b", 9, fd, &size, &err), KII_EINVAL);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "..", 9, fd, &size, &err), KII_EINVAL);
}

static void silence_in_an_archive_times_out(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *stat = stat_of(PLAIN);
	kii_autofree char *reply = kii_xfmt("HTTP/1.1 200 OK\r\n%sContent-Length: 2048\r\n\r\na",
		stat);
	atomic_bool stop = false;
	uint64_t size;

	fake_pair_patience(p, 300);
	fake_ping(p->fake, "1.41", false);
	fake_text(p->fake, FAKE_HOLD, reply);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 9, -1, &size, &err), KII_ETIMEOUT);
	atomic_store(&stop, true);
	kii_engine_stop_flag(p->engine, &stop);
	must_fail(kii_engine_get(p->engine, "abc", "/out", "a", 9, -1, &size, &err), KII_ETIMEOUT);
	kii_engine_stop_flag(p->engine, NULL);
}

/* --- in --- */

static void put_sends_a_tar(void **state)
{
	const struct kii_file files[] = {
		{ "a b.kll", "one\n", 4, 0640 }, { "empty", NULL, 0, 0755 },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "");
	must(kii_engine_put(p->engine, "abc", "/mnt/config", "job", files, 2, 1000, 1001, &err));
	seen = fake_seen(p->fake);
	assert_string_equal(strchr(seen, '\n'),
		"\nPUT /v1.41/containers/abc/archive?path=%2Fmnt%2Fconfig\njob/");
	free(seen);
}

static void put_refuses_what_is_no_plain_name(void **state)
{
	static const char *const names[] = { "", ".", "..", "a/b", "/a", "a\n" };
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_file file = { "a", "x", 1, 0644 };

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		file.name = "a";
		must_fail(kii_engine_put(p->engine, "abc", "/in", names[i], &file, 1, 0, 0, &err),
			KII_EINVAL);
		file.name = names[i];
		must_fail(kii_engine_put(p->engine, "abc", "/in", NULL, &file, 1, 0, 0, &err),
			KII_EINVAL);
	}
	file.name = "a";
	must_fail(kii_engine_put(p->engine, "abc", "in", NULL, &file, 1, 0, 0, &err), KII_EINVAL);
	must_fail(kii_engine_put(p->engine, "a/c", "/in", NULL, &file, 1, 0, 0, &err), KII_EINVAL);
	assert_int_equal(fake_connections(p->fake), 0);
}

static void put_has_a_cap(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *big = kii_xcalloc(1, 65u << 20);
	const struct kii_file file = { "a", big, 65u << 20, 0644 };

	must_fail(kii_engine_put(p->engine, "abc", "/in", NULL, &file, 1, 0, 0, &err), KII_ETOOBIG);
	assert_int_equal(fake_connections(p->fake), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(one_file_is_taken_however_it_is_split),
		FAKE_TEST(a_name_may_have_a_root),
		FAKE_TEST(what_is_not_one_file_is_refused),
		FAKE_TEST(a_hard_link_with_data_is_refused),
		FAKE_TEST(holes_are_zeros),
		FAKE_TEST(the_stat_of_the_path_is_judged_first),
		FAKE_TEST(a_stat_that_is_no_base64_is_broken),
		FAKE_TEST(what_is_no_archive_is_broken),
		FAKE_TEST(padding_keeps_the_connection),
		FAKE_TEST(what_cannot_be_written_is_said),
		FAKE_TEST(errors_of_the_engine_come_through),
		FAKE_TEST(silence_in_an_archive_times_out),
		FAKE_TEST(put_sends_a_tar),
		FAKE_TEST(put_refuses_what_is_no_plain_name),
		FAKE_TEST(put_has_a_cap),
	};

	return cmocka_run_group_tests_name("engine_archive", tests, NULL, NULL);
}
