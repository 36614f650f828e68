/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctlrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

void ctlrun_init(struct ctlrun *r)
{
	static const char *const folders[] = { "state/queue", "state/logs", "run/worker" };
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *text = NULL;
	struct kii_error err = { 0 };

	unsetenv("DOCKER_HOST");
	*r = (struct ctlrun){ .dir = test_dir_new(), .master = -1 };
	kii_buf_init(&r->out, 16u << 20);
	kii_buf_init(&r->err, 16u << 20);
	r->conf = kii_xfmt("%s/kiisrv.toml", r->dir);
	r->program = kii_xfmt("%s/kiisrvctl", top ? top : ".");
	text = kii_xfmt("[paths]\nstate_dir = \"%s/state\"\nrun_dir = \"%s/run\"\n"
		"[queue]\nslots = 1\n", r->dir, r->dir);
	must(kii_io_publish(r->conf, text, strlen(text), 0600, &err));
	setenv("KIISRV_CONFIG", r->conf, 1);
	for (size_t i = 0; i < KII_COUNT(folders); i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", r->dir, folders[i]);

		must(kii_io_mkdirs(path, 0700, &err));
	}
}

void ctlrun_release(struct ctlrun *r)
{
	unsetenv("KIISRV_CONFIG");
	test_dir_remove(r->dir);
	free(r->dir);
	free(r->conf);
	free(r->program);
	kii_buf_release(&r->out);
	kii_buf_release(&r->err);
}

static void open_terminal(struct ctlrun *r)
{
	struct termios t;

	r->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(r->master >= 0);
	assert_int_equal(grantpt(r->master), 0);
	assert_int_equal(unlockpt(r->master), 0);
	assert_int_equal(tcgetattr(r->master, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(r->master, TCSANOW, &t), 0);
}

/* Only what may be called behind a fork with threads. */
static void become(struct ctlrun *r, const char *const outputs[2], char **argv)
{
	for (int i = 0; i < 2; i++) {
		int fd = open(outputs[i], O_RDWR | O_NOCTTY | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || dup2(fd, STDOUT_FILENO + i) < 0)
			_exit(126);
		close(fd);
	}
	execv(r->program, argv);
	_exit(127);
}

void ctlrun_start(struct ctlrun *r, int on_tty, const char *const args[CTLRUN_ARGS + 1])
{
	char *argv[CTLRUN_ARGS + 2] = { r->program };
	kii_autofree char *out = kii_xfmt("%s/out", r->dir);
	kii_autofree char *err = kii_xfmt("%s/err", r->dir);
	const char *outputs[2] = { r->out_to ? r->out_to : out, err };
	char tty[128];

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = (char *)args[i];
	r->on_tty = on_tty;
	if (on_tty) {
		open_terminal(r);
		assert_int_equal(ptsname_r(r->master, tty, sizeof(tty)), 0);
		outputs[on_tty - STDOUT_FILENO] = tty;
	}
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		become(r, outputs, argv);
}

/* Until the program has closed it: before it has opened it, a read fails as after its end. */
static void read_terminal(struct ctlrun *r, struct kii_buf *out)
{
	char chunk[4096];
	bool ended = false;
	siginfo_t info = { 0 };

	for (;;) {
		ssize_t n = read(r->master, chunk, sizeof(chunk));

		if (n > 0) {
			kii_buf_add(out, chunk, (size_t)n);
			continue;
		}
		if (ended)
			break;
		usleep(5000);
		waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT);
		ended = info.si_pid == r->pid;
	}
	close(r->master);
	r->master = -1;
}

static void slurp(struct ctlrun *r, const char *name, struct kii_buf *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", r->dir, name);
	struct kii_error err = { 0 };

	must(kii_io_read(path, text, &err));
}

int ctlrun_wait(struct ctlrun *r)
{
	int status = 0;

	kii_buf_reset(&r->out);
	kii_buf_reset(&r->err);
	if (r->on_tty)
		read_terminal(r, r->on_tty == STDOUT_FILENO ? &r->out : &r->err);
	while (waitpid(r->pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (r->on_tty != STDOUT_FILENO && !r->out_to)
		slurp(r, "out", &r->out);
	if (r->on_tty != STDERR_FILENO)
		slurp(r, "err", &r->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
