/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "mem.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testlib.h"

/* The sanitizers end the program by themselves where memory lacks; here we want to. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* More than there is; the compiler shall not know. */
static volatile size_t too_much = SIZE_MAX / 4;

static void want_malloc(void)
{
	free(kii_xmalloc(too_much));
}

static void want_calloc(void)
{
	free(kii_xcalloc(too_much, 1));
}

/* The product is more than a size can tell. */
static void want_overflow(void)
{
	free(kii_xcalloc(too_much, 8));
}

static void want_realloc(void)
{
	free(kii_xrealloc(malloc(1), too_much));
}

/* Run it in a child; how it ended, and what it said. */
static int end_of(void (*want)(void), char *said, size_t size)
{
	const struct rlimit no_core = { .rlim_cur = 0 };
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* cmocka's handler would take an abort for a failed test. */
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		want();
		_exit(0);
	}
	close(fds[1]);
	while (len + 1 < size && (n = read(fds[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void without_memory_it_says_so_and_aborts(void **state)
{
	static void (*const wants[])(void) = { want_malloc, want_calloc, want_overflow,
		want_realloc };
	char said[8192];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(wants); i++) {
		assert_int_equal(end_of(wants[i], said, sizeof(said)), SIGABRT);
		assert_non_null(strstr(said, "level=error event=out_of_memory\n"));
	}
}

static void nothing_may_be_asked_for(void **state)
{
	(void)state;
	free(kii_xmalloc(0));
	free(kii_xcalloc(0, 8));
	free(kii_xcalloc(8, 0));
}

static void memory_is_given_and_grows(void **state)
{
	kii_autofree char *zeros = kii_xcalloc(100, 3);
	char *more = kii_xmalloc(3);

	(void)state;
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(zeros[i], 0);
	memcpy(more, "ab", 3);
	more = kii_xrealloc(more, 1000);
	assert_string_equal(more, "ab");
	memset(more, 'x', 1000);
	free(more);
	more = kii_xrealloc(NULL, 5);
	memset(more, 'x', 5);
	free(more);
}

static void an_array_grows_as_it_is_used(void **state)
{
	int *all = NULL;
	size_t cap = 0, moves = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		size_t before = cap;

		all = kii_xgrow(all, (size_t)i, &cap, sizeof(*all));
		moves += cap != before;
		all[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(all[i], i);
	assert_in_range(cap, 1000, 2016);
	assert_in_range(moves, 6, 8);
	free(all);
}

static void texts_are_copied(void **state)
{
	static const char text[] = "a text";
	kii_autofree char *whole = kii_xstrdup(text), *part = kii_xstrndup(text, 3);
	kii_autofree char *all = kii_xstrndup(text, 100), *none = kii_xstrdup(NULL);
	kii_autofree char *made = kii_xfmt("%s-%d%%", "x", 42);

	(void)state;
	assert_string_equal(whole, text);
	assert_ptr_not_equal(whole, text);
	assert_string_equal(part, "a t");
	assert_string_equal(all, text);
	assert_null(none);
	assert_string_equal(made, "x-42%");
}

static char *taken_out(void)
{
	kii_autofree char *text = kii_xstrdup("kept");

	return kii_steal(&text);
}

static void what_is_taken_out_is_not_freed(void **state)
{
	char *text = taken_out();
	int fd, other;
	kii_autofree char *p = text;

	(void)state;
	assert_string_equal(text, "kept");
	assert_ptr_equal(kii_steal(&p), text);
	assert_null(p);
	free(text);
	{
		kii_autoclose int scoped = open("/dev/null", O_RDONLY | O_CLOEXEC);
		kii_autoclose int none = -1;

		(void)none;
		fd = scoped;
		assert_true(fcntl(fd, F_GETFD) >= 0);
	}
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	{
		kii_autofile FILE *file = fopen("/dev/null", "r");
		kii_autofile FILE *nothing = NULL;

		(void)nothing;
		other = fileno(file);
		assert_true(fcntl(other, F_GETFD) >= 0);
	}
	assert_int_equal(fcntl(other, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_it_says_so_and_aborts),
		cmocka_unit_test(nothing_may_be_asked_for),
		cmocka_unit_test(memory_is_given_and_grows),
		cmocka_unit_test(an_array_grows_as_it_is_used),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(what_is_taken_out_is_not_freed),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
