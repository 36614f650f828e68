/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

static char *dir, *path;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	path = kii_xfmt("%s/notify", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	test_dir_remove(dir);
	free(dir);
	free(path);
	return 0;
}

/* A manager that listens at `name`; '@' begins an abstract one. */
static int manager(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void expect_told(int fd, const char *want)
{
	char got[100] = "";

	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), strlen(want));
	assert_string_equal(got, want);
}

static void expect_untold(int fd)
{
	char got[100];

	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void a_manager_is_told_a_message_a_call(void **state)
{
	int fd = manager(path);

	(void)state;
	kii_notify("READY=1");
	kii_notify("STOPPING=1");
	expect_told(fd, "READY=1");
	expect_told(fd, "STOPPING=1");
	expect_untold(fd);
	close(fd);
}

static void a_manager_may_have_an_abstract_name(void **state)
{
	kii_autofree char *name = kii_xfmt("@%s", path);
	int fd = manager(name);

	(void)state;
	kii_notify("READY=1");
	expect_told(fd, "READY=1");
	close(fd);
}

static void without_a_manager_nothing_happens(void **state)
{
	char longest[200];
	int fd = manager(path);
	int next = dup(fd);

	(void)state;
	close(next);
	unsetenv("NOTIFY_SOCKET");
	kii_notify("READY=1");
	setenv("NOTIFY_SOCKET", "", 1);
	kii_notify("READY=1");
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	kii_notify("READY=1");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	kii_notify("READY=1");
	expect_untold(fd);
	/* And no descriptor is left open. */
	assert_int_equal(dup(fd), next);
	close(next);
	close(fd);
}

/* Its queue is full: a second is lost, not the program. */
static void a_manager_that_does_not_read_is_not_waited_for(void **state)
{
	int fd = manager(path);
	int64_t start, took = 0;

	(void)state;
	for (int i = 0; i < 2000 && took < 500; i++) {
		start = kii_io_now();
		kii_notify("WATCHDOG=1");
		took = kii_io_now() - start;
	}
	assert_in_range(took, 500, 5000);
	expect_told(fd, "WATCHDOG=1");
	close(fd);
}

static void a_reload_is_told_with_its_time(void **state)
{
	int64_t before = kii_io_now(), at;
	int fd = manager(path);
	char got[100] = "";

	(void)state;
	kii_notify_reloading();
	assert_in_range(recv(fd, got, sizeof(got) - 1, 0), 30, 99);
	assert_int_equal(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%ld", &at), 1);
	assert_in_range(at, before * 1000, kii_io_now() * 1000);
	close(fd);
}

static void a_watchdog_is_told_in_half_its_time(void **state)
{
	kii_autofree char *own = kii_xfmt("%d", (int)getpid());

	(void)state;
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(kii_notify_watchdog(), 0);
	setenv("WATCHDOG_USEC", "60000000", 1);
	assert_int_equal(kii_notify_watchdog(), 30000);
	setenv("WATCHDOG_PID", own, 1);
	assert_int_equal(kii_notify_watchdog(), 30000);
	/* another process is watched */
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(kii_notify_watchdog(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(kii_notify_watchdog(), 1);
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(kii_notify_watchdog(), 0);
	unsetenv("WATCHDOG_USEC");
}

#define notify_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		notify_test(a_manager_is_told_a_message_a_call),
		notify_test(a_manager_may_have_an_abstract_name),
		notify_test(without_a_manager_nothing_happens),
		notify_test(a_manager_that_does_not_read_is_not_waited_for),
		notify_test(a_reload_is_told_with_its_time),
		notify_test(a_watchdog_is_told_in_half_its_time),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
