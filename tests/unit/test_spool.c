/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "spool.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

#define CAP 200

struct fixture {
	char *dir, *path;
};

static int setup(void **state)
{
	struct fixture *f = kii_xcalloc(1, sizeof(*f));

	f->dir = test_dir_new();
	f->path = kii_xfmt("%s/job.log", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_dir_remove(f->dir);
	free(f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void expect_file(const struct fixture *f, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(10000);

	must(kii_io_read(f->path, &got, &err));
	assert_string_equal(got.data, want);
}

/* `len` bytes of a log whose every byte tells its place. */
static char *make_log(size_t len)
{
	char *s = kii_xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		s[i] = (char)('a' + i % 26);
	s[len] = '\0';
	return s;
}

static void a_short_log_is_the_engines_bytes(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	struct kii_spool s;

	must(kii_spool_open(&s, f->path, CAP, &err));
	must(kii_spool_feed(&s, "one\ntw", 6, &err));
	must(kii_spool_feed(&s, "o\n", 2, &err));
	must(kii_spool_finish(&s, NULL, &err));
	must(kii_spool_finish(&s, "only once", &err));
	kii_spool_release(&s);
	expect_file(f, "one\ntwo\n");
}

static void every_pass_goes_on_where_the_last_one_ended(void **state)
{
	struct fixture *f = *state;
	kii_autofree char *log = make_log(150);

	for (size_t cut = 0; cut <= 150; cut++) {
		struct kii_error err = { 0 };
		struct kii_spool s;

		unlink(f->path);
		must(kii_spool_open(&s, f->path, CAP, &err));
		must(kii_spool_feed(&s, log, cut, &err));
		kii_spool_rewind(&s);
		must(kii_spool_feed(&s, log, cut / 2, &err));
		must(kii_spool_feed(&s, log + cut / 2, 150 - cut / 2, &err));
		must(kii_spool_finish(&s, "note\n", &err));
		kii_spool_release(&s);
		log[150] = '\0';
		kii_autofree char *want = kii_xfmt("%snote\n", log);
		expect_file(f, want);
	}
}

static void another_worker_goes_on_with_the_file(void **state)
{
	struct fixture *f = *state;
	kii_autofree char *log = make_log(1000);
	kii_autofree char *want = kii_xfmt("%.100s\n[kiisrv: 800 bytes left out]\n%s", log,
		log + 900);

	for (size_t cut = 0; cut <= 1000; cut += 7) {
		struct kii_error err = { 0 };
		struct kii_spool s;

		unlink(f->path);
		must(kii_spool_open(&s, f->path, CAP, &err));
		must(kii_spool_feed(&s, log, cut, &err));
		if (cut % 2 && cut > CAP / 2)
			must(kii_spool_finish(&s, "of the dead worker", &err));
		kii_spool_release(&s);
		must(kii_spool_open(&s, f->path, CAP, &err));
		kii_spool_rewind(&s);
		must(kii_spool_feed(&s, log, 500, &err));
		must(kii_spool_feed(&s, log + 500, 500, &err));
		must(kii_spool_finish(&s, NULL, &err));
		assert_int_equal(s.seen, 1000);
		kii_spool_release(&s);
		expect_file(f, want);
	}
}

static void lines_of_a_dead_worker_are_not_doubled(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		struct kii_error err = { 0 };
		struct kii_spool s;

		must(kii_spool_open(&s, f->path, CAP, &err));
		kii_spool_rewind(&s);
		must(kii_spool_feed(&s, "the log\n", 8, &err));
		must(kii_spool_finish(&s, "a note\n", &err));
		assert_int_equal(s.seen, 8);
		kii_spool_release(&s);
	}
	expect_file(f, "the log\na note\n");
}

static void head_and_tail_are_kept_and_the_rest_counted(void **state)
{
	struct fixture *f = *state;

	for (size_t len = 90; len < 420; len += 5) {
		struct kii_error err = { 0 };
		kii_autofree char *log = make_log(len);
		kii_autofree char *want = len <= 200 ? kii_xstrdup(log) :
			kii_xfmt("%.100s\n[kiisrv: %zu bytes left out]\n%s", log, len - 200,
				log + len - 100);
		struct kii_spool s;

		unlink(f->path);
		must(kii_spool_open(&s, f->path, CAP, &err));
		for (size_t i = 0; i < len; i += 33)
			must(kii_spool_feed(&s, log + i, len - i < 33 ? len - i : 33, &err));
		must(kii_spool_finish(&s, NULL, &err));
		kii_spool_release(&s);
		expect_file(f, want);
	}
}

static void one_piece_longer_than_the_tail_is_cut(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	kii_autofree char *log = make_log(1000);
	kii_autofree char *want = kii_xfmt("%.100s\n[kiisrv: 800 bytes left out]\n%s", log,
		log + 900);
	struct kii_spool s;

	must(kii_spool_open(&s, f->path, CAP, &err));
	must(kii_spool_feed(&s, log, 1000, &err));
	must(kii_spool_finish(&s, NULL, &err));
	kii_spool_release(&s);
	expect_file(f, want);
}

static void a_folder_or_a_link_is_no_log(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	struct kii_spool s;

	must_fail(kii_spool_open(&s, f->dir, CAP, &err), KII_EIO);
	assert_int_equal(symlink("/dev/null", f->path), 0);
	must_fail(kii_spool_open(&s, f->path, CAP, &err), KII_EIO);
}

static void a_full_disk_is_reported_and_leaves_a_prefix(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small = { 50, 50 };
	struct kii_error err = { 0 };
	kii_autofree char *log = make_log(400);
	struct kii_spool s;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	must(kii_spool_open(&s, f->path, CAP, &err));
	setrlimit(RLIMIT_FSIZE, &small);
	int fed = kii_spool_feed(&s, log, 400, &err);
	setrlimit(RLIMIT_FSIZE, &old);
	must_fail(fed, KII_EIO);
	kii_spool_release(&s);

	unlink(f->path);
	must(kii_spool_open(&s, f->path, CAP, &err));
	must(kii_spool_feed(&s, log, 400, &err));
	small.rlim_cur = 110;
	setrlimit(RLIMIT_FSIZE, &small);
	int finished = kii_spool_finish(&s, NULL, &err);
	setrlimit(RLIMIT_FSIZE, &old);
	must_fail(finished, KII_EIO);
	kii_spool_release(&s);

	unlink(f->path);
	must(kii_spool_open(&s, f->path, CAP, &err));
	must(kii_spool_feed(&s, log, 20, &err));
	small.rlim_cur = 22;
	setrlimit(RLIMIT_FSIZE, &small);
	finished = kii_spool_finish(&s, "a note", &err);
	setrlimit(RLIMIT_FSIZE, &old);
	must_fail(finished, KII_EIO);
	kii_spool_release(&s);
}

static void a_cut_leaves_a_prefix_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	struct kii_spool s;

	must(kii_spool_open(&s, f->path, CAP, &err));
	must(kii_spool_feed(&s, "one\ntwo\n", 8, &err));
	kii_spool_cut(&s, 3);
	assert_int_equal(s.seen, 8);
	expect_file(f, "one\nt");
	must(kii_spool_finish(&s, "no more", &err));
	expect_file(f, "one\nt");
	kii_spool_cut(&s, 1000);
	expect_file(f, "");
	kii_spool_release(&s);
	/* Without a file there is nothing to cut. */
	kii_spool_cut(&s, 1);
}

static void what_is_emptied_begins_anew(void **state)
{
	struct fixture *f = *state;
	kii_autofree char *log = make_log(CAP + 50);
	struct kii_error err = { 0 };
	struct kii_spool s;

	must(kii_spool_open(&s, f->path, CAP, &err));
	/* past the head, so that there is a tail as well */
	must(kii_spool_feed(&s, log, CAP + 50, &err));
	kii_spool_rewind(&s);
	must(kii_spool_empty(&s, &err));
	must(kii_spool_feed(&s, "another\n", 8, &err));
	kii_spool_rewind(&s);
	must(kii_spool_feed(&s, "another\nline\n", 13, &err));
	must(kii_spool_finish(&s, NULL, &err));
	kii_spool_release(&s);
	expect_file(f, "another\nline\n");
	/* A file that is not there for writing. */
	must_fail(kii_spool_empty(&s, &err), KII_EIO);
}

#define spool_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		spool_test(a_short_log_is_the_engines_bytes),
		spool_test(every_pass_goes_on_where_the_last_one_ended),
		spool_test(another_worker_goes_on_with_the_file),
		spool_test(lines_of_a_dead_worker_are_not_doubled),
		spool_test(head_and_tail_are_kept_and_the_rest_counted),
		spool_test(one_piece_longer_than_the_tail_is_cut),
		spool_test(a_folder_or_a_link_is_no_log),
		spool_test(a_full_disk_is_reported_and_leaves_a_prefix),
		spool_test(a_cut_leaves_a_prefix_or_nothing),
		spool_test(what_is_emptied_begins_anew),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
