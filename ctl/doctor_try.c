/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "io.h"

static const char *const names[] = {
	[DOCTOR_ROOT]   = "root",
	[DOCTOR_PUBLIC] = "kiisrv",
	[DOCTOR_ENGINE] = "kiisrv-engine",
	[DOCTOR_NGINX]  = "www-data",
};

void doctor_find_users(struct doctor *d)
{
	for (int i = 0; i < DOCTOR__WHO; i++) {
		const struct passwd *user = getpwnam(names[i]);
		const struct group *group;

		d->users[i] = (struct doctor_user){ .name = names[i], .known = user };
		if (!user)
			continue;
		d->users[i].uid = user->pw_uid;
		d->users[i].gid = user->pw_gid;
		group = getgrnam(names[i]);
		if (group)
			d->users[i].gid = group->gr_gid;
	}
}

static enum doctor_can of_errno(int number)
{
	switch (number) {
	case 0:            return DOCTOR_CAN;
	case EACCES:
	case EPERM:
	case EROFS:        return DOCTOR_CANNOT;
	case ENOENT:
	case ENOTDIR:      return DOCTOR_ABSENT;
	case ECONNREFUSED: return DOCTOR_REFUSED;
	default:           return DOCTOR_UNTRIED;
	}
}

/* As who we are. */
static enum doctor_can act_here(enum doctor_act act, const char *path)
{
	struct kii_error err = { 0 };
	int fd = -1;

	if (act != DOCTOR_CONNECT)
		return of_errno(access(path, act == DOCTOR_READ ? R_OK : W_OK) == 0 ? 0 : errno);
	if (kii_io_connect_unix(path, &fd, &err) != 0)
		return of_errno(err.detail ? err.detail : EINVAL);
	close(fd);
	return DOCTOR_CAN;
}

/* All groups that the system gives the user, since one of them may be the engine's. */
static enum doctor_can act_as(const struct doctor_user *user, enum doctor_act act,
	const char *path)
{
	if (initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 ||
	    setuid(user->uid) != 0)
		return DOCTOR_UNTRIED;
	return act_here(act, path);
}

enum doctor_can doctor_try(const struct doctor_user *user, enum doctor_act act, const char *path)
{
	int status = 0;
	pid_t pid;

	if (!user->known)
		return DOCTOR_UNTRIED;
	if (geteuid() != 0)
		return user->uid == geteuid() ? act_here(act, path) : DOCTOR_UNTRIED;
	pid = fork();
	if (pid < 0)
		return DOCTOR_UNTRIED;
	if (pid == 0)
		_exit((int)act_as(user, act, path));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return DOCTOR_UNTRIED;
	}
	return WIFEXITED(status) ? (enum doctor_can)WEXITSTATUS(status) : DOCTOR_UNTRIED;
}
