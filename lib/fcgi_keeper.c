/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "notify.h"

#define DRAINING_MAX  16
#define LONG_LIFE_MS  10000   /* a child that lived so long died by accident */
#define RETRY_MS      1000    /* after a fork that failed */
#define BACKOFF_MS    100     /* doubled at each death in a row ... */
#define BACKOFF_STEPS 6       /* ... so often */

/* Times that the tests' own build of this file makes shorter. */
#ifndef READY_MS
#define READY_MS      30000   /* a child that is not ready by then never will be */
#endif
#ifndef STOP_MS
#define STOP_MS       30000   /* after TERM; a child's own grace is shorter */
#endif

/* The process that holds the listening socket (fd 0) over reloads and crashes of its children. */
struct keeper {
	const char *exe;
	int file;             /* of exe, -1: unknown */
	sigset_t inherited;   /* the signal mask to give to children */
	int signals;
	pid_t current;        /* serves; 0: none */
	int64_t born_ms;
	pid_t starting;       /* not ready yet; 0: none */
	int ready;            /* its pipe, -1: none */
	int64_t ready_by_ms;
	pid_t draining[DRAINING_MAX];
	size_t n_draining;
	int64_t start_at_ms;  /* when to start again after a crash; 0: not */
	unsigned deaths;      /* in a row */
	bool again;           /* a HUP came while a child was starting */
	bool served;          /* some child has been ready */
	int stopping;         /* SIGTERM or SIGQUIT; 0: not */
	int64_t kill_at_ms;
	int64_t alive_ms;     /* how often the manager wants to hear of us; 0: never */
	int64_t alive_at_ms;
	int status;           /* how to exit */
};

/* --- children --- */
static void run_child(const struct keeper *k, int ready, pid_t keeper)
{
	char number[16], file[32];

	sigprocmask(SIG_SETMASK, &k->inherited, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper)
		_exit(1);
	fcntl(ready, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", ready);
	setenv(KII_READY_ENV, number, 1);
	unsetenv("NOTIFY_SOCKET");
	execl(k->exe, k->exe, (char *)NULL);
	/* an upgrade may have taken the file away; what ran is still there */
	snprintf(file, sizeof(file), "/proc/self/fd/%d", k->file);
	execl(file, k->exe, (char *)NULL);
	_exit(127);
}

/* The machine has no process or descriptor left: no first start, but later ones wait for it. */
static void cannot_start(struct keeper *k)
{
	kii_log_error("start_failed", "errno=%d", errno);
	if (k->served) {
		k->start_at_ms = kii_io_now() + RETRY_MS;
		return;
	}
	k->status = 1;
	k->stopping = SIGTERM;
}

static void start_child(struct keeper *k)
{
	pid_t keeper = getpid();
	int ends[2];
	pid_t pid;

	k->start_at_ms = 0;
	if (pipe2(ends, O_CLOEXEC)) {
		cannot_start(k);
		return;
	}
	pid = fork();
	if (pid == 0)
		run_child(k, ends[1], keeper);
	close(ends[1]);
	if (pid < 0) {
		cannot_start(k);
		close(ends[0]);
		return;
	}
	k->starting = pid;
	k->ready = ends[0];
	k->ready_by_ms = kii_io_now() + READY_MS;
}

/* With too many reloads at once the longest-draining child has had its time. */
static void drain_child(struct keeper *k, pid_t pid)
{
	if (k->n_draining == DRAINING_MAX) {
		kii_log_warn("drain_cut_short", "pid=%d", (int)k->draining[0]);
		kill(k->draining[0], SIGTERM);
		memmove(k->draining, k->draining + 1, (DRAINING_MAX - 1) * sizeof(pid_t));
		k->n_draining--;
	}
	k->draining[k->n_draining++] = pid;
	kill(pid, SIGQUIT);
}

static void close_ready(struct keeper *k)
{
	if (k->ready >= 0)
		close(k->ready);
	k->ready = -1;
}

/* The pipe speaks: the new child is ready, or it has gone (and SIGCHLD says more). */
static void hear_ready(struct keeper *k)
{
	pid_t old = k->current;
	char byte;
	ssize_t n = read(k->ready, &byte, 1);

	close_ready(k);
	if (n != 1)
		return;
	k->current = k->starting;
	k->starting = 0;
	k->born_ms = kii_io_now();
	k->served = true;
	if (old)
		drain_child(k, old);
	kii_log_info("child_ready", "pid=%d old=%d", (int)k->current, (int)old);
	kii_notify("READY=1");
}

static int exit_code(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static void schedule_start(struct keeper *k)
{
	unsigned n = k->deaths < BACKOFF_STEPS ? k->deaths : BACKOFF_STEPS;

	k->start_at_ms = kii_io_now() + (n ? BACKOFF_MS << (n - 1) : 0);
	k->deaths++;
}

/* The child that was to take over will not: its own log line, just before, says why. */
static void start_ended(struct keeper *k, int status)
{
	close_ready(k);
	k->starting = 0;
	if (k->stopping)
		return;
	if (k->current) {
		kii_log_error("reload_refused", "status=%d kept=%d", exit_code(status),
			(int)k->current);
		kii_notify("READY=1");
	} else if (k->served) {
		kii_log_error("start_failed", "status=%d", exit_code(status));
		schedule_start(k);
	} else {
		k->status = exit_code(status);
		k->stopping = SIGTERM;
	}
}

static void current_ended(struct keeper *k, int status)
{
	k->current = 0;
	if (k->stopping)
		return;
	kii_log_error("child_died", "signal=%d status=%d",
		WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	if (kii_io_now() - k->born_ms >= LONG_LIFE_MS)
		k->deaths = 0;
	if (!k->starting)
		schedule_start(k);
}

static void reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		/* it may have been ready, served and died since we last looked */
		if (pid == k->starting && k->ready >= 0)
			hear_ready(k);
		if (pid == k->starting)
			start_ended(k, status);
		else if (pid == k->current)
			current_ended(k, status);
		for (size_t i = 0; i < k->n_draining; i++)
			if (k->draining[i] == pid)
				k->draining[i] = k->draining[--k->n_draining];
	}
}

/* --- events --- */
static void signal_all(const struct keeper *k, int sig)
{
	if (k->current)
		kill(k->current, sig);
	if (k->starting)
		kill(k->starting, sig == SIGQUIT ? SIGTERM : sig);
	for (size_t i = 0; i < k->n_draining; i++)
		kill(k->draining[i], sig);
}

/* From now on nobody listens but the child, and it not for long: clients learn it at once. */
static void stop(struct keeper *k, int sig)
{
	if (!k->stopping)
		kii_notify("STOPPING=1");
	k->stopping = sig;
	k->start_at_ms = 0;
	if (sig == SIGTERM)
		k->kill_at_ms = kii_io_now() + STOP_MS;
	signal_all(k, sig);
	close(STDIN_FILENO);
}

static void reload(struct keeper *k)
{
	k->again = k->starting > 0;
	if (k->again)
		return;
	kii_notify_reloading();
	start_child(k);
}

static void hear_signal(struct keeper *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		if (!k->stopping)
			reload(k);
		break;
	case SIGQUIT:
		if (!k->stopping)
			stop(k, SIGQUIT);
		break;
	case SIGTERM:
	case SIGINT:
		if (k->stopping != SIGTERM)
			stop(k, SIGTERM);
		break;
	default:
		reap(k);
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return !b || (a && a < b) ? a : b;
}

/* Milliseconds until a clock wants to be looked at; -1: never. */
static int next_clock(const struct keeper *k)
{
	int64_t at = earlier(k->start_at_ms, k->kill_at_ms);
	int64_t left;

	at = earlier(at, k->alive_at_ms);
	if (k->ready >= 0)
		at = earlier(at, k->ready_by_ms);
	if (!at)
		return -1;
	left = at - kii_io_now();
	return left < 0 ? 0 : (int)left;
}

static void look_at_clocks(struct keeper *k)
{
	int64_t now = kii_io_now();

	if (k->alive_at_ms && now >= k->alive_at_ms) {
		k->alive_at_ms = now + k->alive_ms;
		kii_notify("WATCHDOG=1");
	}
	if (k->ready >= 0 && now >= k->ready_by_ms) {
		kii_log_error("child_never_ready", "pid=%d", (int)k->starting);
		close_ready(k);
		kill(k->starting, SIGKILL);
	}
	if (k->kill_at_ms && now >= k->kill_at_ms) {
		k->kill_at_ms = 0;
		signal_all(k, SIGKILL);
	}
	if (k->stopping || k->starting)
		return;
	if ((k->start_at_ms && now >= k->start_at_ms) || k->again) {
		k->again = false;
		start_child(k);
	}
}

static bool finished(const struct keeper *k)
{
	return k->stopping && !k->current && !k->starting && !k->n_draining;
}

static void loop(struct keeper *k)
{
	while (!finished(k)) {
		struct pollfd fds[] = { { k->signals, POLLIN, 0 }, { k->ready, POLLIN, 0 } };

		if (poll(fds, KII_COUNT(fds), next_clock(k)) < 0)
			continue;
		if (fds[1].revents)
			hear_ready(k);
		if (fds[0].revents)
			hear_signal(k);
		look_at_clocks(k);
	}
}

/* Where the program is that runs; false: nobody knows. */
static bool find_exe(char exe[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", exe, PATH_MAX - 1);

	exe[n > 0 ? n : 0] = '\0';
	return n > 0;
}

int kii_keeper_become(const char *name)
{
	char exe[PATH_MAX];
	const char *slash = find_exe(exe) ? strrchr(exe, '/') : NULL;
	kii_autofree char *keeper = NULL;

	if (slash) {
		keeper = kii_xfmt("%.*s/kiisrv-keeper", (int)(slash - exe), exe);
		execl(keeper, exe, name, (char *)NULL);
	}
	return kii_keeper_run(exe);
}

int kii_keeper_run(const char *exe)
{
	struct keeper k = { .exe = exe, .ready = -1 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &k.inherited);
	k.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k.signals < 0) {
		kii_log_error("start_refused", "errno=%d", errno);
		return 1;
	}
	k.file = open(exe, O_PATH | O_CLOEXEC);
	k.alive_ms = kii_notify_watchdog();
	k.alive_at_ms = k.alive_ms ? kii_io_now() + k.alive_ms : 0;
	start_child(&k);
	loop(&k);
	close(k.signals);
	if (k.file >= 0)
		close(k.file);
	return k.status;
}
