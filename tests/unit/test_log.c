/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

/* Standard error goes into a file of the test's meanwhile. */
static char *dir, *path;
static int own_stderr = -1;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	path = kii_xfmt("%s/log", dir);
	kii_log_name("kiisrv");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(dir);
	free(path);
	return 0;
}

static void capture(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	own_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* What was logged since. Caller frees. */
static char *captured(void)
{
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(4u << 20);

	dup2(own_stderr, STDERR_FILENO);
	close(own_stderr);
	must(kii_io_read(path, &text, &err));
	return kii_buf_steal(&text);
}

static void an_event_is_a_line(void **state)
{
	kii_autofree char *got = NULL;

	(void)state;
	capture();
	kii_log_info("started", "pid=%d", 7);
	kii_log_name("kiisrv-worker");
	kii_log_warn("odd", "a=%s b=%s", kii_q("x"), kii_q("y z"));
	kii_log_error("lost", NULL);
	got = captured();
	assert_string_equal(got, "level=info prog=kiisrv event=started pid=7\n"
		"level=warn prog=kiisrv-worker event=odd a=x b=\"y z\"\n"
		"level=error prog=kiisrv-worker event=lost\n");
}

/* What has been written so far. */
static void written(const char *want)
{
	kii_autobuf text = KII_BUF_INIT(4u << 20);
	struct kii_error err = { 0 };

	must(kii_io_read(path, &text, &err));
	assert_string_equal(text.data, want);
}

static void *gather(void *arg)
{
	kii_autobuf want = KII_BUF_INIT(4u << 20);

	(void)arg;
	kii_log_gather();
	kii_log_info("a", NULL);
	kii_log_info("b", NULL);
	assert_true(kii_log_waiting());
	written("");
	kii_log_flush();
	assert_false(kii_log_waiting());
	kii_buf_str(&want, "level=info prog=kiisrv event=a\nlevel=info prog=kiisrv event=b\n");
	written(want.data);
	/* Trouble waits for nothing, and what was before it comes before it. */
	kii_log_info("c", NULL);
	kii_log_warn("d", NULL);
	kii_buf_str(&want, "level=info prog=kiisrv event=c\nlevel=warn prog=kiisrv event=d\n");
	written(want.data);
	assert_false(kii_log_waiting());
	/* The 4096 bytes are full with 91 lines, of 45. */
	for (int i = 0; i < 100; i++)
		kii_log_info("many", "number=%03d", i);
	for (int i = 0; i < 91; i++)
		kii_buf_fmt(&want, "level=info prog=kiisrv event=many number=%03d\n", i);
	return kii_buf_steal(&want);
}

static void lines_may_wait_for_each_other(void **state)
{
	kii_autofree char *want = NULL, *got = NULL;
	pthread_t thread;
	void *result;

	(void)state;
	capture();
	assert_int_equal(pthread_create(&thread, NULL, gather, NULL), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	want = result;
	written(want);
	/* Those of other threads do not. */
	kii_log_info("e", NULL);
	got = captured();
	assert_string_equal(got + strlen(want), "level=info prog=kiisrv event=e\n");
}

static void a_request_is_named_until_it_is_over(void **state)
{
	kii_autofree char *got = NULL, *many = kii_xmalloc(101);

	(void)state;
	memset(many, 'x', 100);
	many[100] = '\0';
	capture();
	kii_log_id("r1");
	kii_log_info("one", "n=1");
	kii_log_info("two", NULL);
	kii_log_id(many);
	kii_log_info("three", NULL);
	kii_log_id(NULL);
	kii_log_info("four", NULL);
	got = captured();
	many[64] = '\0';
	free(kii_steal(&path));
	path = kii_xfmt("level=info prog=kiisrv event=one id=r1 n=1\n"
		"level=info prog=kiisrv event=two id=r1\n"
		"level=info prog=kiisrv event=three id=%s\n"
		"level=info prog=kiisrv event=four\n", many);
	assert_string_equal(got, path);
}

static void *log_as(void *arg)
{
	kii_log_id(arg);
	for (int i = 0; i < 300; i++)
		kii_log_info("busy", "i=%d text=%s", i,
			kii_q("some words that make the line a longer one than most"));
	kii_log_id(NULL);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	static const char *const names[] = { "aaaa", "bbbb", "cccc", "dddd" };
	kii_autofree char *got = NULL;
	pthread_t threads[KII_COUNT(names)];
	int next[KII_COUNT(names)] = { 0 };
	int n = 0;

	(void)state;
	capture();
	for (size_t i = 0; i < KII_COUNT(names); i++)
		pthread_create(&threads[i], NULL, log_as, (void *)names[i]);
	for (size_t i = 0; i < KII_COUNT(names); i++)
		pthread_join(threads[i], NULL);
	got = captured();
	for (char *line = got, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		char name[5];
		int i, used = 0;

		*end = '\0';
		assert_int_equal(sscanf(line, "level=info prog=kiisrv event=busy id=%4s i=%d "
			"text=\"some words that make the line a longer one than most\"%n", name, &i,
			&used), 2);
		assert_int_equal(used, end - line);
		assert_int_equal(i, next[name[0] - 'a']++);
	}
	assert_int_equal(n, 1200);
}

static void too_long_a_line_is_cut_and_ends(void **state)
{
	(void)state;
	/* Around the room that there is, 2048 bytes with what comes before the text. */
	for (size_t n = 1990; n < 2050; n++) {
		kii_autofree char *text = kii_xmalloc(n + 1);
		kii_autofree char *got = NULL;
		size_t len;

		memset(text, 'x', n);
		text[n] = '\0';
		unlink(path);
		capture();
		kii_log_info("big", "%s", text);
		kii_log_info("next", NULL);
		got = captured();
		len = strcspn(got, "\n");
		assert_in_range(len, 2000, 2047);
		/* Whole, where it fits. */
		assert_true(len == 2047 || strspn(strstr(got, "xxx"), "x") == n);
		assert_string_equal(got + len, "\nlevel=info prog=kiisrv event=next\n");
	}
}

static void an_event_may_be_too_long_itself(void **state)
{
	kii_autofree char *text = kii_xmalloc(5001), *got = NULL;

	(void)state;
	memset(text, 'e', 5000);
	text[5000] = '\0';
	capture();
	kii_log_info(text, "a=%d", 1);
	got = captured();
	assert_int_equal(strcspn(got, "\n"), strlen(got) - 1);
	assert_in_range(strlen(got), 2000, 2048);
}

static void a_value_is_quoted_where_it_must_be(void **state)
{
	static const struct { const char *value, *want; } cases[] = {
		{ NULL, "-" },
		{ "", "\"\"" },
		{ "plain", "plain" },
		{ "192.0.2.1:80/a-b_c@D", "192.0.2.1:80/a-b_c@D" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"hi\" \\o/", "\"say \\\"hi\\\" \\\\o/\"" },
		{ "line\nlevel=error\r\t\x1b[31m\x7f", "\"line?level=error???[31m?\"" },
		{ "\xc3\xa9t\xc3\xa9", "\"\xc3\xa9t\xc3\xa9\"" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++)
		assert_string_equal(kii_q(cases[i].value), cases[i].want);
}

static void a_long_value_is_cut(void **state)
{
	kii_autofree char *plain = kii_xmalloc(1001), *quotes = kii_xmalloc(1001);
	struct kii_quoted room;

	(void)state;
	memset(plain, 'p', 1000);
	memset(quotes, '"', 1000);
	plain[1000] = quotes[1000] = '\0';
	assert_ptr_equal(kii_log_quote(&room, plain), room.text);
	assert_int_equal(strlen(room.text), 302);
	assert_int_equal(strspn(room.text + 1, "p"), 300);
	plain[300] = '\0';
	assert_string_equal(kii_log_quote(&room, plain), plain);
	/* The worst that there is fits. */
	kii_log_quote(&room, quotes);
	assert_int_equal(strlen(room.text), 602);
}

#define log_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		log_test(an_event_is_a_line),
		log_test(lines_may_wait_for_each_other),
		log_test(a_request_is_named_until_it_is_over),
		log_test(lines_of_threads_do_not_mix),
		log_test(too_long_a_line_is_cut_and_ends),
		log_test(an_event_may_be_too_long_itself),
		log_test(a_value_is_quoted_where_it_must_be),
		log_test(a_long_value_is_cut),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
