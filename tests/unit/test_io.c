/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "testlib.h"

static char *dir;
static int home;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return chdir(dir);
}

static int teardown(void **state)
{
	int rc = fchdir(home);

	(void)state;
	close(home);
	test_dir_remove(dir);
	free(dir);
	return rc;
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void expect_file(const char *path, const char *want)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(1000);

	must(kii_io_read(path, &got, &err));
	assert_string_equal(got.data, want);
}

/* How many entries the test's folder has. */
static int count_files(void)
{
	DIR *list = opendir(".");
	int n = 0;

	while (readdir(list))
		n++;
	closedir(list);
	return n - 2;
}

/* --- whole files --- */

static void a_file_is_appended_to_what_is_there(void **state)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(100);

	(void)state;
	must(kii_io_publish("file", "a\0b", 3, 0600, &err));
	kii_buf_str(&got, "before ");
	must(kii_io_read("file", &got, &err));
	assert_int_equal(got.len, 10);
	assert_memory_equal(got.data, "before a\0b", 11);
}

static void a_file_larger_than_a_chunk_comes_whole(void **state)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(100000);
	kii_autofree char *data = kii_xmalloc(100000);

	(void)state;
	kii_io_random(data, 100000);
	must(kii_io_publish("file", data, 100000, 0600, &err));
	must(kii_io_read("file", &got, &err));
	assert_int_equal(got.len, 100000);
	assert_memory_equal(got.data, data, 100000);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	struct kii_error err = { 0 };
	kii_autobuf got = KII_BUF_INIT(4);

	(void)state;
	must_fail(kii_io_read("missing", &got, &err), KII_ENOTFOUND);
	must(kii_io_publish("file", "12345", 5, 0600, &err));
	must_fail(kii_io_read("file/below", &got, &err), KII_EIO);
	must_fail(kii_io_read(".", &got, &err), KII_EIO);
	must_fail(kii_io_read("file", &got, &err), KII_ETOOBIG);
	kii_buf_reset(&got);
	must(kii_io_publish("file", "1234", 4, 0600, &err));
	must(kii_io_read("file", &got, &err));
}

struct reader {
	int fd;
	size_t sum;      /* of all bytes */
};

static void *read_slowly(void *arg)
{
	struct reader *r = arg;
	char chunk[3000];
	ssize_t n;

	while ((n = read(r->fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			r->sum += (unsigned char)chunk[i];
		usleep(100);
	}
	return NULL;
}

static void ignore(int sig)
{
	(void)sig;
}

/* A pipe takes a part at a time, and a signal comes in between. */
static void all_is_written_whatever_comes_between(void **state)
{
	const struct sigaction quick = { .sa_handler = ignore };
	struct kii_error err = { 0 };
	kii_autofree char *data = kii_xmalloc(400000);
	struct itimerval often = { .it_interval.tv_usec = 2000, .it_value.tv_usec = 2000 };
	const struct itimerval never = { .it_value.tv_usec = 0 };
	size_t want = 0;
	int fds[2];
	struct reader r = { .sum = 0 };
	pthread_t reader;
	sigset_t alarms, before;

	(void)state;
	kii_io_random(data, 400000);
	for (size_t i = 0; i < 400000; i++)
		want += (unsigned char)data[i];
	assert_int_equal(pipe(fds), 0);
	r.fd = fds[0];
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	/* The alarms are for the writer alone. */
	pthread_sigmask(SIG_BLOCK, &alarms, &before);
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &r), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGALRM, &quick, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	must(kii_io_write_all(fds[1], data, 400000, &err));
	setitimer(ITIMER_REAL, &never, NULL);
	close(fds[1]);
	pthread_join(reader, NULL);
	close(fds[0]);
	assert_int_equal(r.sum, want);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	kii_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_write_all(full, "", 0, &err));
	assert_int_equal(kii_io_write_all(full, "x", 1, &err), -1);
	assert_int_equal(err.code, KII_EIO);
	assert_int_equal(err.detail, ENOSPC);
	kii_error_clear(&err);
	must_fail(kii_io_write_all(-1, "x", 1, &err), KII_EIO);
}

static void a_published_file_is_whole_and_alone(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	umask(077);
	must(kii_io_publish("file", "first", 5, 0644, &err));
	assert_int_equal(mode_of("file"), 0644);
	must(kii_io_publish("file", "2", 1, 0640, &err));
	umask(022);
	expect_file("file", "2");
	assert_int_equal(mode_of("file"), 0640);
	assert_int_equal(count_files(), 1);
}

static void a_link_is_replaced_and_not_followed(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_publish("victim", "precious", 8, 0600, &err));
	assert_int_equal(symlink("victim", "file"), 0);
	must(kii_io_publish("file", "new", 3, 0600, &err));
	expect_file("victim", "precious");
	expect_file("file", "new");
}

static void what_cannot_be_published_leaves_all_as_it_was(void **state)
{
	const struct rlimit small = { .rlim_cur = 10, .rlim_max = RLIM_INFINITY };
	struct kii_error err = { 0 };
	struct rlimit before;

	(void)state;
	must_fail(kii_io_publish("missing/file", "x", 1, 0600, &err), KII_EIO);
	must(kii_io_publish("file", "old", 3, 0600, &err));
	must(kii_io_mkdirs("folder/x", 0700, &err));
	must_fail(kii_io_publish("folder", "x", 1, 0600, &err), KII_EIO);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(kii_io_publish("file", "longer than ten", 15, 0600, &err), -1);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(err.code, KII_EIO);
	assert_non_null(strstr(err.msg, "file"));
	expect_file("file", "old");
	assert_int_equal(count_files(), 2);
}

/* --- folders --- */

static void folders_are_made_with_their_parents(void **state)
{
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("%s/a/b//c", dir);

	(void)state;
	umask(0);
	must(kii_io_mkdirs(path, 0750, &err));
	assert_int_equal(mode_of("a"), 0755);
	assert_int_equal(mode_of("a/b/c"), 0750);
	must(kii_io_mkdirs("a/b/c", 0700, &err));
	assert_int_equal(mode_of("a/b/c"), 0750);
	must(kii_io_mkdirs("relative", 0700, &err));
	assert_true(is_there("relative"));
	umask(022);
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_publish("file", "", 0, 0600, &err));
	must_fail(kii_io_mkdirs("file", 0700, &err), KII_EIO);
	must_fail(kii_io_mkdirs("file/below", 0700, &err), KII_EIO);
	must_fail(kii_io_mkdirs("file/below/it", 0700, &err), KII_EIO);
	must_fail(kii_io_mkdirs("/proc/nothing/here", 0700, &err), KII_EIO);
}

static void a_tree_is_removed_but_nothing_behind_a_link(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_mkdirs("tree/a/b", 0700, &err));
	must(kii_io_mkdirs("elsewhere", 0700, &err));
	must(kii_io_publish("tree/a/file", "", 0, 0400, &err));
	must(kii_io_publish("elsewhere/file", "", 0, 0600, &err));
	assert_int_equal(symlink("../../elsewhere", "tree/a/link"), 0);
	assert_int_equal(symlink("nowhere", "tree/dangling"), 0);
	must(kii_io_remove_tree("tree", &err));
	assert_false(is_there("tree"));
	assert_true(is_there("elsewhere/file"));
	/* The link itself, when it is what is named. */
	assert_int_equal(symlink("elsewhere", "link"), 0);
	must(kii_io_remove_tree("link", &err));
	assert_false(is_there("link"));
	assert_true(is_there("elsewhere/file"));
	must(kii_io_remove_tree("elsewhere/file", &err));
	assert_false(is_there("elsewhere/file"));
	must(kii_io_remove_tree("elsewhere/file", &err));
	must(kii_io_publish("file", "", 0, 0600, &err));
	must_fail(kii_io_remove_tree("file/below", &err), KII_EIO);
	must_fail(kii_io_remove_tree("/proc/self/fd", &err), KII_EIO);
}

static void free_space_is_told(void **state)
{
	struct kii_error err = { 0 };
	uint64_t bytes = 0;

	(void)state;
	must(kii_io_free(dir, &bytes, &err));
	assert_true(bytes > 0);
	must_fail(kii_io_free("missing", &bytes, &err), KII_EIO);
}

/* --- clocks and chance --- */

static void clocks_tell_milliseconds(void **state)
{
	int64_t now = kii_io_now(), wall = kii_io_wall();
	int64_t seconds = time(NULL);

	(void)state;
	assert_in_range(wall / 1000, seconds - 1, seconds + 1);
	usleep(20000);
	assert_in_range(kii_io_now() - now, 20, 40000);
	assert_in_range(kii_io_wall() - wall, 10, 5000);
}

static void a_start_of_the_machine_has_a_name(void **state)
{
	char one[37], same[37];

	(void)state;
	kii_io_boot(one);
	kii_io_boot(same);
	assert_int_equal(strspn(one, "0123456789abcdef-"), 36);
	assert_string_equal(one, same);
}

static void a_stamp_is_a_time_of_day_in_utc(void **state)
{
	static const struct { int64_t ms; const char *want; } cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 999, "1970-01-01T00:00:00Z" },
		{ 1769860800000, "2026-01-31T12:00:00Z" },
		{ 1709164799000, "2024-02-28T23:59:59Z" },
		{ 253402300799000, "9999-12-31T23:59:59Z" },
	};
	char text[32];

	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_io_stamp(cases[i].ms, text);
		assert_string_equal(text, cases[i].want);
	}
	unsetenv("TZ");
	tzset();
}

static void chance_does_not_repeat_itself(void **state)
{
	char one[64] = "", two[64] = "", hex[70];
	size_t zeros = 0;

	(void)state;
	kii_io_random(one, sizeof(one));
	kii_io_random(two, sizeof(two));
	assert_memory_not_equal(one, two, sizeof(one));
	for (size_t i = 0; i < sizeof(one); i++)
		zeros += !one[i];
	assert_true(zeros < 16);
	memset(hex, '!', sizeof(hex));
	kii_io_random_hex(hex, 16);
	assert_int_equal(strlen(hex), 32);
	assert_int_equal(strspn(hex, "0123456789abcdef"), 32);
	assert_int_equal(hex[33], '!');
	memcpy(one, hex, 33);
	kii_io_random_hex(hex, 16);
	assert_string_not_equal(one, hex);
	kii_io_random_hex(hex, 0);
	assert_string_equal(hex, "");
}

/* --- sockets --- */

static int listen_here(int backlog)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void a_listener_is_reached(void **state)
{
	struct kii_error err = { 0 };
	struct timeval limit;
	socklen_t len = sizeof(limit);
	int listener = listen_here(5);
	int fd;

	(void)state;
	must(kii_io_connect_unix("sock", &fd, &err));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	/* The second that a full queue gets is for the connecting only. */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len), 0);
	assert_int_equal(limit.tv_sec, 0);
	close(fd);
	close(listener);
}

static void where_nobody_listens_it_is_down(void **state)
{
	struct kii_error err = { 0 };
	char longest[200];
	int fd = -7;

	(void)state;
	assert_int_equal(kii_io_connect_unix("missing", &fd, &err), -1);
	assert_int_equal(err.code, KII_EDOWN);
	assert_int_equal(err.detail, ENOENT);
	kii_error_clear(&err);
	close(listen_here(5));
	assert_int_equal(kii_io_connect_unix("sock", &fd, &err), -1);
	assert_int_equal(err.code, KII_EDOWN);
	assert_int_equal(err.detail, ECONNREFUSED);
	kii_error_clear(&err);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = '\0';
	must_fail(kii_io_connect_unix(longest, &fd, &err), KII_EINVAL);
	assert_int_equal(fd, -7);
}

static void a_full_queue_is_not_waited_for_for_ever(void **state)
{
	struct kii_error err = { 0 };
	int listener = listen_here(0);
	int64_t start;
	int fds[8];
	size_t n = 0;

	(void)state;
	start = kii_io_now();
	while (n < KII_COUNT(fds) && kii_io_connect_unix("sock", &fds[n], &err) == 0)
		n++;
	assert_int_equal(err.code, KII_EDOWN);
	assert_in_range(n, 1, 3);
	assert_in_range(kii_io_now() - start, 900, 72000);
	while (n)
		close(fds[--n]);
	close(listener);
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(a_file_is_appended_to_what_is_there),
		io_test(a_file_larger_than_a_chunk_comes_whole),
		io_test(a_file_that_cannot_be_read_says_why),
		io_test(all_is_written_whatever_comes_between),
		io_test(what_cannot_be_written_is_an_error),
		io_test(a_published_file_is_whole_and_alone),
		io_test(a_link_is_replaced_and_not_followed),
		io_test(what_cannot_be_published_leaves_all_as_it_was),
		io_test(folders_are_made_with_their_parents),
		io_test(a_folder_that_cannot_be_made_is_an_error),
		io_test(a_tree_is_removed_but_nothing_behind_a_link),
		io_test(free_space_is_told),
		io_test(clocks_tell_milliseconds),
		io_test(a_start_of_the_machine_has_a_name),
		io_test(a_stamp_is_a_time_of_day_in_utc),
		io_test(chance_does_not_repeat_itself),
		io_test(a_listener_is_reached),
		io_test(where_nobody_listens_it_is_down),
		io_test(a_full_queue_is_not_waited_for_for_ever),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
