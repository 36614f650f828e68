/* SPDX-License-Identifier: MIT */
/* The keeper over reloads, crashes and the end. */
#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fcgi_world.h"
#include "io.h"
#include "testlib.h"

#define SOON_MS 20000

static const struct ask hello = { "GET", "/hello", NULL, 0, NULL, NULL, KEEP };

static int sent(const struct world *w, const char *method, const char *uri)
{
	struct ask a = { method, uri, "", 0, NULL, NULL, KEEP };
	int fd = client_open(w->socket);

	assert_true(fd >= 0);
	assert_int_equal(client_send(fd, &a), 0);
	return fd;
}

/* A request that is held: it is, and not on its way. */
static int park(const struct world *w, const char *uri)
{
	struct ask a = { "GET", "/parked", NULL, 0, NULL, NULL, 0 };
	int fd = sent(w, "POST", uri);
	int64_t end = kii_io_now() + SOON_MS;
	bool held = false;

	while (!held) {
		struct reply r;

		assert_int_equal(client_once(w->socket, &a, &r), 200);
		held = strcmp(r.body, "1") == 0;
		reply_release(&r);
		if (!held && kii_io_now() > end)
			fail_msg("%s is not held", uri);
	}
	return fd;
}

static void answered(int fd, int status, const char *words)
{
	struct reply r;

	if (client_read(fd, SOON_MS, &r))
		fail_msg("no reply");
	assert_int_equal(r.status, status);
	if (!strstr(r.text, words))
		fail_msg("'%s' is not in: %s", words, r.text);
	reply_release(&r);
}

static void ends_without_answer(int fd)
{
	struct reply r;

	assert_int_equal(client_read(fd, SOON_MS, &r), -1);
	reply_release(&r);
	close(fd);
}

/* Answer what is parked under `name` over an open connection. */
static void answer_parked(int fd, const char *name)
{
	kii_autofree char *uri = kii_xfmt("/answer/%s", name);
	struct ask a = { "POST", uri, "done", 4, NULL, NULL, KEEP };

	assert_int_equal(client_send(fd, &a), 0);
	answered(fd, 200, "\r\n\r\n1");
}

static void logged_more(const struct world *w, const char *text, size_t than)
{
	int64_t end = kii_io_now() + SOON_MS;

	while (world_log_count(w, text) <= than) {
		if (kii_io_now() > end)
			fail_msg("'%s' is not logged", text);
		poll(NULL, 0, 5);
	}
}

/* Until the new child serves and the old one accepts no more. */
static void reload(const struct world *w)
{
	size_t ready = world_log_count(w, "event=child_ready");
	size_t draining = world_log_count(w, "event=draining");

	kill(w->keeper, SIGHUP);
	logged_more(w, "event=child_ready", ready);
	logged_more(w, "event=draining", draining);
}

static void ends(pid_t pid)
{
	int64_t end = kii_io_now() + SOON_MS;

	while (world_runs(pid)) {
		assert_true(kii_io_now() < end);
		poll(NULL, 0, 5);
	}
}

/* --- start --- */
static void a_broken_configuration_refuses_the_start(void **state)
{
	struct world *w = *state;

	world_write_config(w, "[http]\nbodies = 1\n");
	world_start(w, 0);
	assert_int_equal(world_wait(w, SOON_MS), 78);
	assert_true(world_logged(w, "event=bad_config", 0));
	assert_true(world_logged(w, "kiisrv.toml:2", 0));
}

static void an_init_that_fails_refuses_the_start(void **state)
{
	struct world *w = *state;

	setenv("FCGI_APP_INIT", "fail", 1);
	world_start(w, 0);
	unsetenv("FCGI_APP_INIT");
	assert_int_equal(world_wait(w, SOON_MS), 1);
	assert_true(world_logged(w, "event=start_refused msg=\"told to fail\"", 0));
}

static void what_the_machine_denies_refuses_the_start(void **state)
{
	static const struct { const char *call, *log; } rows[] = {
		{ "epoll_create1", "event=start_refused msg=\"no descriptors to begin with\"" },
		{ "FCGX_Init", "event=start_refused msg=\"FCGX_Init failed\"" },
		{ "pthread_create", "event=start_refused msg=\"no thread to begin with\"" },
		{ "epoll_ctl", "event=start_refused msg=\"cannot watch the listening socket\"" },
		{ "fork", "event=start_failed errno=24" },
		{ "signalfd", "event=start_refused errno=24" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		setenv("FCGI_APP_INIT", rows[i].call, 1);
		world_start(w, 0);
		unsetenv("FCGI_APP_INIT");
		assert_int_equal(world_wait(w, SOON_MS), 1);
		if (!world_logged(w, rows[i].log, 0))
			fail_msg("%s: '%s' is not logged", rows[i].call, rows[i].log);
	}
}

static void without_descriptors_there_is_no_start(void **state)
{
	struct world *w = *state;

	world_start(w, 4);
	assert_int_equal(world_wait(w, SOON_MS), 1);
	assert_true(world_logged(w, "event=start_failed errno=24", 0));
}

static void a_fork_that_fails_later_is_tried_again(void **state)
{
	struct world *w = *state;
	pid_t old;

	setenv("FCGI_APP_INIT", "fork 2", 1);
	world_start(w, 0);
	unsetenv("FCGI_APP_INIT");
	old = world_child(w);
	reload(w);
	assert_true(world_logged(w, "event=start_failed errno=24", 0));
	assert_int_not_equal(world_child(w), old);
}

static void a_child_that_is_never_ready_is_given_up(void **state)
{
	struct world *w = *state;

	setenv("FCGI_APP_INIT", "hang", 1);
	world_start(w, 0);
	unsetenv("FCGI_APP_INIT");
	assert_int_equal(world_wait(w, SOON_MS), 1);
	assert_true(world_logged(w, "event=child_never_ready", 0));
}

static void the_service_manager_is_told(void **state)
{
	struct world *w = *state;
	char room[200];

	w->told = true;
	world_start(w, 0);
	assert_string_equal(world_notice(w, room, sizeof(room), SOON_MS), "READY=1");
	reload(w);
	assert_memory_equal(world_notice(w, room, sizeof(room), SOON_MS),
		"RELOADING=1\nMONOTONIC_USEC=", 27);
	assert_string_equal(world_notice(w, room, sizeof(room), SOON_MS), "READY=1");
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	assert_string_equal(world_notice(w, room, sizeof(room), SOON_MS), "STOPPING=1");
	assert_string_equal(world_notice(w, room, sizeof(room), 50), "");
}

static void a_watchdog_hears_of_the_keeper(void **state)
{
	struct world *w = *state;
	char room[200];

	w->told = true;
	setenv("WATCHDOG_USEC", "400000", 1);
	world_start(w, 0);
	unsetenv("WATCHDOG_USEC");
	/* where a start takes long, it is heard of before */
	do
		world_notice(w, room, sizeof(room), SOON_MS);
	while (strcmp(room, "WATCHDOG=1") == 0);
	assert_string_equal(room, "READY=1");
	assert_string_equal(world_notice(w, room, sizeof(room), SOON_MS), "WATCHDOG=1");
	assert_string_equal(world_notice(w, room, sizeof(room), SOON_MS), "WATCHDOG=1");
	/* only the keeper is asked: a child has no NOTIFY_SOCKET */
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
}

/* A datagram socket takes about ten, then its sender waits; the keeper must not wait for long. */
static void a_service_manager_that_does_not_listen_holds_nobody(void **state)
{
	struct world *w = *state;

	w->told = true;
	world_start(w, 0);
	for (int i = 0; i < 7; i++)
		reload(w);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
}

/* --- reload --- */
static void a_reload_lets_the_old_child_finish(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);
	int kept = sent(w, "GET", "/hello");
	int parked = park(w, "/park/r");
	pid_t new;

	answered(kept, 200, "hello");
	reload(w);
	new = world_child(w);
	assert_int_not_equal(new, old);
	assert_true(world_runs(old));
	answer_parked(kept, "r");
	answered(parked, 200, "done");
	close(parked);
	assert_true(world_runs(old));
	close(kept);
	ends(old);
	assert_int_equal(world_child(w), new);
}

static void a_draining_child_ends_idle_connections_at_last(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);
	int kept = sent(w, "GET", "/hello");

	answered(kept, 200, "hello");
	reload(w);
	assert_int_equal(client_send(kept, &hello), 0);
	answered(kept, 200, "hello");
	ends_without_answer(kept);
	ends(old);
}

static void a_reload_with_a_broken_configuration_changes_nothing(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);
	int parked = park(w, "/park/p");
	int kept = sent(w, "GET", "/hello");

	answered(kept, 200, "hello");
	world_write_config(w, "[http\n");
	kill(w->keeper, SIGHUP);
	assert_true(world_logged(w, "event=reload_refused status=78", SOON_MS));
	assert_true(world_logged(w, "event=bad_config", 0));
	assert_int_equal(world_child(w), old);
	answer_parked(kept, "p");
	answered(parked, 200, "done");
	world_write_config(w, "");
	reload(w);
	assert_int_not_equal(world_child(w), old);
	close(kept);
	close(parked);
}

/* What was built as `from` is `name` in the world's folder. Caller frees. */
static char *copied(const struct world *w, const char *from, const char *name)
{
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *exe = kii_xfmt("%s/%s", top ? top : ".", from);
	char *copy = kii_xfmt("%s/%s", w->dir, name);
	kii_autobuf bytes = KII_BUF_INIT(64 << 20);
	struct kii_error err = { 0 };

	must(kii_io_read(exe, &bytes, &err));
	must(kii_io_publish(copy, bytes.data, bytes.len, 0700, &err));
	return copy;
}

/* Its program's file, without the folders. */
static void runs(pid_t pid, const char *name)
{
	kii_autofree char *link = kii_xfmt("/proc/%d/exe", (int)pid);
	char exe[4096];
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	assert_string_equal(strrchr(exe, '/') + 1, name);
}

/* An upgrade replaces or removes the file of a process that runs. */
static void a_reload_does_without_its_file(void **state)
{
	struct world *w = *state;
	pid_t old;

	w->exe = copied(w, "tests/unit/fcgi_app", "app");
	world_start(w, 0);
	old = world_child(w);
	runs(w->keeper, "app");
	assert_int_equal(unlink(w->exe), 0);
	reload(w);
	assert_int_not_equal(world_child(w), old);
}

static void the_keeper_is_a_program_of_its_own(void **state)
{
	struct world *w = *state;
	kii_autofree char *keeper = copied(w, "cgi/kiisrv-keeper", "kiisrv-keeper");
	pid_t old;

	w->exe = copied(w, "tests/unit/fcgi_app", "app");
	world_start(w, 0);
	old = world_child(w);
	runs(w->keeper, "kiisrv-keeper");
	runs(old, "app");
	assert_true(world_logged(w, "prog=fcgi_app event=child_ready", 0));
	assert_int_equal(unlink(keeper), 0);
	kill(old, SIGKILL);
	assert_true(world_logged(w, "event=child_died", SOON_MS));
	old = world_child(w);
	assert_int_equal(unlink(w->exe), 0);
	reload(w);
	assert_int_not_equal(world_child(w), old);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
}

/* By hand there is nothing to keep. */
static void the_keeper_wants_a_name(void **state)
{
	struct world *w = *state;
	kii_autofree char *keeper = copied(w, "cgi/kiisrv-keeper", "kiisrv-keeper");

	w->exe = kii_steal(&keeper);
	world_start(w, 0);
	assert_int_equal(world_wait(w, SOON_MS), 2);
	assert_true(world_logged(w, "is started by kiisrv's own programs", 0));
}

static void reloads_in_a_row_are_one_more(void **state)
{
	struct world *w = *state;
	size_t n;

	for (int i = 0; i < 5; i++)
		kill(w->keeper, SIGHUP);
	reload(w);
	poll(NULL, 0, 500);
	n = world_log_count(w, "event=child_ready");
	assert_in_range(n, 2, 7);
	world_child(w);
}

static void too_many_drains_are_cut_short(void **state)
{
	struct world *w = *state;
	int parked[18];

	for (int i = 0; i < 18; i++) {
		parked[i] = sent(w, "POST", "/park/x");
		world_child(w);
		assert_true(i < 17 || world_logged(w, "event=drain_cut_short", SOON_MS));
		if (i < 17)
			reload(w);
	}
	answered(parked[0], 503, "Retry-After: ");
	for (int i = 0; i < 18; i++)
		close(parked[i]);
}

/* --- load, as nginx makes it: connections are kept, and ended by the client --- */
struct load {
	const struct world *w;
	atomic_bool stop;
	atomic_int done, lost;
};

static void one_connection(struct load *l)
{
	kii_autoclose int fd = client_open(l->w->socket);
	struct ask post = { "POST", "/echo", "abc", 3, NULL, NULL, KEEP };
	struct reply r;

	for (int i = 0; i < 50 && !atomic_load(&l->stop); i++) {
		bool good = fd >= 0 && !client_send(fd, i % 2 ? &post : &hello) &&
			!client_read(fd, SOON_MS, &r);

		atomic_fetch_add(good && r.status == 200 ? &l->done : &l->lost, 1);
		if (!good)
			return;
		reply_release(&r);
	}
}

static void *press(void *arg)
{
	struct load *l = arg;

	while (!atomic_load(&l->stop))
		one_connection(l);
	return NULL;
}

static void reloads_under_load_lose_nothing(void **state)
{
	struct load l = { .w = *state };
	pthread_t threads[8];
	int done;

	for (size_t i = 0; i < KII_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, press, &l), 0);
	for (int i = 0; i < 5; i++) {
		poll(NULL, 0, 100);
		reload(l.w);
	}
	done = atomic_load(&l.done);
	poll(NULL, 0, 100);
	assert_true(atomic_load(&l.done) > done);
	atomic_store(&l.stop, true);
	for (size_t i = 0; i < KII_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&l.lost), 0);
	assert_true(atomic_load(&l.done) > 100);
}

/* --- crashes --- */
static void a_killed_child_is_replaced_while_clients_wait(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);
	int parked = park(w, "/park/k");
	int next;

	world_child(w);
	kill(old, SIGKILL);
	next = sent(w, "GET", "/hello");
	answered(next, 200, "hello");
	ends_without_answer(parked);
	assert_true(world_logged(w, "event=child_died signal=9", SOON_MS));
	assert_int_not_equal(world_child(w), old);
	close(next);
}

static void a_child_that_keeps_dying_is_started_again_more_slowly(void **state)
{
	struct world *w = *state;
	int64_t began = kii_io_now();

	for (int i = 0; i < 5; i++)
		ends_without_answer(sent(w, "GET", "/die"));
	world_child(w);
	/* at once, then after 100, 200, 400 and 800 ms */
	assert_true(kii_io_now() - began >= 1400);
	assert_int_equal(world_log_count(w, "event=child_died"), 5);
}

static void a_crash_with_a_broken_configuration_is_outlived(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);

	world_write_config(w, "[http\n");
	kill(old, SIGKILL);
	assert_true(world_logged(w, "event=bad_config", SOON_MS));
	world_write_config(w, "");
	world_child(w);
}

static void a_crash_during_a_reload_is_outlived(void **state)
{
	struct world *w = *state;
	pid_t old = world_child(w);

	kill(w->keeper, SIGSTOP);
	kill(old, SIGKILL);
	kill(w->keeper, SIGHUP);
	kill(w->keeper, SIGCONT);
	assert_int_not_equal(world_child(w), old);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
}

static void no_child_outlives_its_keeper(void **state)
{
	struct world *w = *state;
	pid_t child = world_child(w);
	int parked = park(w, "/park/o");

	world_child(w);
	assert_int_equal(world_end(w, SIGKILL, SOON_MS), 128 + SIGKILL);
	answered(parked, 503, "stopping");
	close(parked);
	ends(child);
}

/* --- the end --- */
static void term_answers_parked_requests_with_503(void **state)
{
	struct world *w = *state;
	int parked[3];

	for (int i = 0; i < 3; i++)
		parked[i] = sent(w, "POST", "/park/t");
	world_child(w);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	for (int i = 0; i < 3; i++) {
		answered(parked[i], 503, "\r\nRetry-After: 2\r\n");
		close(parked[i]);
	}
	assert_true(world_logged(w, "event=quit", 0));
	assert_int_equal(world_log_count(w, "status=503"), 3);
	assert_int_equal(world_log_count(w, "event=stopped_in_work"), 0);
}

static void term_lets_running_requests_end(void **state)
{
	struct world *w = *state;
	int fd = sent(w, "GET", "/sleep/500");

	poll(NULL, 0, 200);
	assert_int_equal(world_end(w, SIGINT, SOON_MS), 0);
	answered(fd, 200, "slept");
	close(fd);
}

static void term_waits_only_so_long(void **state)
{
	struct world *w = *state;
	int fd = sent(w, "GET", "/sleep/60000");

	poll(NULL, 0, 200);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	assert_true(world_logged(w, "event=stopped_in_work busy=1", 0));
	ends_without_answer(fd);
}

static void a_child_that_does_not_hear_is_killed(void **state)
{
	struct world *w = *state;
	pid_t child = world_child(w);

	kill(child, SIGSTOP);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	assert_false(world_runs(child));
}

static void quit_drains_and_then_ends(void **state)
{
	struct world *w = *state;
	int kept = sent(w, "GET", "/hello");
	int parked = park(w, "/park/q");

	answered(kept, 200, "hello");
	kill(w->keeper, SIGQUIT);
	assert_int_equal(world_wait(w, 300), -1);
	assert_int_equal(client_open(w->socket), -1);
	answer_parked(kept, "q");
	answered(parked, 200, "done");
	close(kept);
	close(parked);
	assert_int_equal(world_wait(w, SOON_MS), 0);
	assert_true(world_logged(w, "event=quit", 0));
}

static void term_after_quit_is_term(void **state)
{
	struct world *w = *state;
	int parked = park(w, "/park/q");

	world_child(w);
	kill(w->keeper, SIGQUIT);
	kill(w->keeper, SIGQUIT);
	assert_int_equal(world_wait(w, 300), -1);
	kill(w->keeper, SIGHUP);
	assert_int_equal(world_end(w, SIGTERM, SOON_MS), 0);
	answered(parked, 503, "stopping");
	assert_int_equal(world_log_count(w, "event=child_ready"), 1);
	close(parked);
}

#define served(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
#define prepared(test) cmocka_unit_test_setup_teardown(test, world_setup_only, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		prepared(a_broken_configuration_refuses_the_start),
		prepared(an_init_that_fails_refuses_the_start),
		prepared(what_the_machine_denies_refuses_the_start),
		prepared(without_descriptors_there_is_no_start),
		prepared(a_fork_that_fails_later_is_tried_again),
		prepared(a_child_that_is_never_ready_is_given_up),
		prepared(the_service_manager_is_told),
		prepared(a_watchdog_hears_of_the_keeper),
		prepared(a_service_manager_that_does_not_listen_holds_nobody),
		served(a_reload_lets_the_old_child_finish),
		served(a_draining_child_ends_idle_connections_at_last),
		served(a_reload_with_a_broken_configuration_changes_nothing),
		prepared(a_reload_does_without_its_file),
		prepared(the_keeper_is_a_program_of_its_own),
		prepared(the_keeper_wants_a_name),
		served(reloads_in_a_row_are_one_more),
		served(too_many_drains_are_cut_short),
		served(reloads_under_load_lose_nothing),
		served(a_killed_child_is_replaced_while_clients_wait),
		served(a_child_that_keeps_dying_is_started_again_more_slowly),
		served(a_crash_with_a_broken_configuration_is_outlived),
		served(a_crash_during_a_reload_is_outlived),
		served(no_child_outlives_its_keeper),
		served(term_answers_parked_requests_with_503),
		served(term_lets_running_requests_end),
		served(term_waits_only_so_long),
		served(a_child_that_does_not_hear_is_killed),
		served(quit_drains_and_then_ends),
		served(term_after_quit_is_term),
	};

	return cmocka_run_group_tests_name("fcgi_keeper", tests, NULL, NULL);
}
