/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl_build.h"

#define ARTIFACT_CAP (1u << 30)

/* The unfinished file; a handler may but unlink it. */
static char doomed[4096];
static volatile sig_atomic_t is_doomed;

static void on_signal(int number)
{
	if (is_doomed)
		unlink(doomed);
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction old;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < KII_COUNT(numbers); i++) {
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

/* --out: a folder takes the file's own name. */
static char *target_of(const struct ctl_build *b)
{
	size_t len = b->out ? strlen(b->out) : 0;
	struct stat st;

	if (!len)
		return kii_xstrdup(b->artifact);
	if (b->out[len - 1] == '/')
		return kii_xfmt("%s%s", b->out, b->artifact);
	if (stat(b->out, &st) == 0 && S_ISDIR(st.st_mode))
		return kii_xfmt("%s/%s", b->out, b->artifact);
	return kii_xstrdup(b->out);
}

/* Beside the target, so that it can be renamed. */
static int open_part(const char *target, int *fd, struct kii_error *err)
{
	const char *slash = strrchr(target, '/');
	int dir = slash ? (int)(slash - target) + 1 : 0;

	if (snprintf(doomed, sizeof(doomed), "%.*s.kiisrvctl-XXXXXX", dir, target)
		>= (int)sizeof(doomed))
		return kii_error_set(err, KII_EIO, ENAMETOOLONG, "write %.150s: name too long",
			target);
	*fd = mkostemp(doomed, O_CLOEXEC);
	if (*fd < 0)
		return kii_error_set(err, KII_EIO, errno, "write into %.*s: %s",
			dir < 1 ? 1 : dir < 150 ? dir : 150, dir ? target : ".", strerror(errno));
	is_doomed = 1;
	return 0;
}

static int download(struct ctl_build *b, int fd, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("/tmp/%s", b->artifact);
	struct kii_httpc_answer answer = { .status = 0 };
	int rc = kii_httpc_ask(b->http, &(struct kii_httpc_request){ .path = path,
		.cap = ARTIFACT_CAP, .sink = kii_httpc_to_fd, .sink_arg = &fd }, &answer, err);

	if (rc == 0 && answer.status != 200)
		rc = ctl_build_refused(&answer, err);
	kii_httpc_answer_release(&answer);
	return rc;
}

static int publish(int fd, const char *target, struct kii_error *err)
{
	mode_t mask = umask(0);

	umask(mask);
	if (fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0 && rename(doomed, target) == 0)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "write %.150s: %s", target, strerror(errno));
}

int ctl_build_save(struct ctl_build *b, char **path, struct kii_error *err)
{
	kii_autofree char *target = target_of(b);
	kii_autoclose int fd = -1;

	catch_signals();
	if (open_part(target, &fd, err) != 0)
		return -1;
	if (download(b, fd, err) != 0 || publish(fd, target, err) != 0) {
		unlink(doomed);
		is_doomed = 0;
		return -1;
	}
	is_doomed = 0;
	*path = kii_steal(&target);
	return 0;
}
