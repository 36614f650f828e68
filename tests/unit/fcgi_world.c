/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

static int bound(const char *path, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(path) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void world_write_config(const struct world *w, const char *text)
{
	struct kii_error err = { 0 };

	must(kii_io_publish(w->config, text, strlen(text), 0600, &err));
}

struct world *world_new(void)
{
	struct world *w = kii_xcalloc(1, sizeof(*w));
	kii_autofree char *text = kii_xfmt("[http]\nbody = %d\n", BODY_MAX);

	w->dir = test_dir_new();
	w->socket = kii_xfmt("%s/app.sock", w->dir);
	w->config = kii_xfmt("%s/kiisrv.toml", w->dir);
	w->log = kii_xfmt("%s/log", w->dir);
	w->notify = kii_xfmt("%s/notify", w->dir);
	w->notices = bound(w->notify, SOCK_DGRAM);
	world_write_config(w, text);
	return w;
}

void world_free(struct world *w)
{
	if (w->keeper)
		world_end(w, SIGKILL, 5000);
	close(w->notices);
	test_dir_remove(w->dir);
	free(w->dir);
	free(w->socket);
	free(w->config);
	free(w->log);
	free(w->notify);
	free(w->exe);
	free(w);
}

static void become_app(const struct world *w, int listening, unsigned files)
{
	struct rlimit limit = { files, files };
	int log = open(w->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *exe = w->exe ? kii_xstrdup(w->exe)
		: kii_xfmt("%s/tests/unit/fcgi_app", top ? top : ".");

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("KIISRV_CONFIG", w->config, 1);
	if (w->told)
		setenv("NOTIFY_SOCKET", w->notify, 1);
	else
		unsetenv("NOTIFY_SOCKET");
	dup2(listening, STDIN_FILENO);
	dup2(log, STDERR_FILENO);
	/* What make hands down to its children would count against `files`. */
	closefrom(STDERR_FILENO + 1);
	if (files)
		setrlimit(RLIMIT_NOFILE, &limit);
	execl(exe, exe, (char *)NULL);
	_exit(126);
}

void world_start(struct world *w, unsigned files)
{
	kii_autoclose int listening = -1;
	siginfo_t ended = { 0 };

	unlink(w->socket);
	listening = bound(w->socket, SOCK_STREAM);
	assert_int_equal(listen(listening, 4096), 0);
	w->keeper = fork();
	assert_true(w->keeper >= 0);
	if (w->keeper == 0)
		become_app(w, listening, files);
	for (int i = 0; i < 2000 && !world_logged(w, "event=child_ready", 10) && !ended.si_pid; i++)
		waitid(P_PID, (id_t)w->keeper, &ended, WEXITED | WNOHANG | WNOWAIT);
}

int world_wait(struct world *w, int limit_ms)
{
	int64_t end = kii_io_now() + limit_ms;
	int status = 0;

	while (waitpid(w->keeper, &status, WNOHANG) != w->keeper) {
		if (kii_io_now() > end)
			return -1;
		poll(NULL, 0, 5);
	}
	w->keeper = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int world_end(struct world *w, int sig, int limit_ms)
{
	kill(w->keeper, sig);
	return world_wait(w, limit_ms);
}

size_t world_log_count(const struct world *w, const char *text)
{
	struct kii_error err = { 0 };
	kii_autobuf log = KII_BUF_INIT(64 << 20);
	size_t n = 0;

	if (kii_io_read(w->log, &log, &err))
		return 0;
	for (const char *at = log.data; (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}

bool world_logged(const struct world *w, const char *text, int limit_ms)
{
	int64_t end = kii_io_now() + limit_ms;

	while (!world_log_count(w, text)) {
		if (kii_io_now() > end)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

pid_t world_child(const struct world *w)
{
	static const struct ask pid = { "GET", "/pid", NULL, 0, NULL, NULL, 0 };
	struct reply r;
	pid_t child;

	assert_int_equal(client_once(w->socket, &pid, &r), 200);
	child = (pid_t)strtol(r.body, NULL, 10);
	reply_release(&r);
	return child;
}

const char *world_notice(const struct world *w, char *room, size_t len, int limit_ms)
{
	struct pollfd p = { w->notices, POLLIN, 0 };
	ssize_t n = 0;

	if (poll(&p, 1, limit_ms) > 0)
		n = read(w->notices, room, len - 1);
	room[n > 0 ? n : 0] = '\0';
	return room;
}

static bool field_of(const char *file, const char *format, pid_t pid, void *out)
{
	kii_autofree char *path = kii_xfmt("/proc/%d/%s", (int)pid, file);
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(65536);
	const char *at;

	if (kii_io_read(path, &text, &err))
		return false;
	at = strstr(text.data, format);
	if (at && strcmp(format, "State:") == 0)
		return sscanf(at, "State: %c", (char *)out) == 1;
	return at && sscanf(at, "VmRSS: %ld", (long *)out) == 1;
}

long world_memory(pid_t pid)
{
	long kb = -1;

	return field_of("status", "VmRSS:", pid, &kb) ? kb : -1;
}

bool world_runs(pid_t pid)
{
	char state = 0;

	return field_of("status", "State:", pid, &state) && state != 'Z';
}

int world_setup_only(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	*state = world_new();
	return 0;
}

int world_setup(void **state)
{
	world_setup_only(state);
	world_start(*state, 0);
	return 0;
}

/* Ends it properly, so that a sanitizer can say what it found. */
int world_teardown(void **state)
{
	struct world *w = *state;
	size_t found;

	if (w->keeper)
		world_end(w, SIGTERM, 20000);
	found = world_log_count(w, "Sanitizer");
	if (found)
		print_error("a sanitizer complains: see %s\n", w->log);
	else
		world_free(w);
	return found ? -1 : 0;
}
