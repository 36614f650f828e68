/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

/* How something must lie below the state or run folder. */
struct place {
	bool run;
	const char *path;
	enum doctor_who owner, group;
	mode_t mode;
	bool optional;      /* nothing fails without it */
};

static const struct place folders[] = {
	{ false, "", DOCTOR_ROOT, DOCTOR_ROOT, 0755, false },
	{ false, "/public", DOCTOR_PUBLIC, DOCTOR_PUBLIC, 0700, false },
	{ false, "/queue", DOCTOR_ENGINE, DOCTOR_PUBLIC, 02750, false },
	{ false, "/engine", DOCTOR_ENGINE, DOCTOR_ENGINE, 0700, false },
	{ false, "/artifacts", DOCTOR_ENGINE, DOCTOR_NGINX, 02750, false },
	{ false, "/logs", DOCTOR_ENGINE, DOCTOR_NGINX, 02750, false },
	{ false, "/operator-logs", DOCTOR_ENGINE, DOCTOR_NGINX, 02750, true },
	{ true, "", DOCTOR_ROOT, DOCTOR_ROOT, 0755, false },
	{ true, "/public", DOCTOR_PUBLIC, DOCTOR_NGINX, 02750, false },
	{ true, "/worker", DOCTOR_ENGINE, DOCTOR_PUBLIC, 02750, false },
	{ true, "/operator", DOCTOR_ENGINE, DOCTOR_NGINX, 02750, true },
};

/* Whether they must be there, others say. */
static const struct place files[] = {
	{ false, "/queue/jobs.sqlite", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/queue/jobs.sqlite-wal", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/queue/jobs.sqlite-shm", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/queue/config.sqlite", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/queue/config.sqlite-wal", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/queue/config.sqlite-shm", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640, true },
	{ false, "/public/stats.sqlite", DOCTOR_PUBLIC, DOCTOR_PUBLIC, 0640, true },
	{ false, "/engine/operator.sqlite", DOCTOR_ENGINE, DOCTOR_ENGINE, 0640, true },
	{ false, "/engine/operator.sqlite-wal", DOCTOR_ENGINE, DOCTOR_ENGINE, 0640, true },
	{ false, "/engine/operator.sqlite-shm", DOCTOR_ENGINE, DOCTOR_ENGINE, 0640, true },
	{ false, "/engine/instance", DOCTOR_ENGINE, DOCTOR_ENGINE, 0600, true },
	{ true, "/worker/worker.sock", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0660, true },
};

static void check_users(struct doctor *d)
{
	for (int i = DOCTOR_PUBLIC; i < DOCTOR__WHO; i++) {
		kii_autofree char *todo = i == DOCTOR_NGINX ? kii_xstrdup("install nginx")
			: kii_xfmt("adduser --system --group --no-create-home %s",
				d->users[i].name);

		if (d->users[i].known)
			doctor_say(d, DOCTOR_OK, NULL, "user %s", d->users[i].name);
		else
			doctor_say(d, DOCTOR_FAIL, todo, "user %s is not there", d->users[i].name);
	}
}

/* "owner:group 0640" as it is. Caller frees. */
static char *describe(const struct stat *st)
{
	const struct passwd *user = getpwuid(st->st_uid);
	kii_autofree char *owner = user ? kii_xstrdup(user->pw_name)
		: kii_xfmt("%u", (unsigned)st->st_uid);
	const struct group *group = getgrgid(st->st_gid);
	kii_autofree char *of = group ? kii_xstrdup(group->gr_name)
		: kii_xfmt("%u", (unsigned)st->st_gid);

	return kii_xfmt("%s:%s %04o", owner, of, (unsigned)st->st_mode & 07777);
}

static void check_absent(struct doctor *d, const struct place *p, const char *path, int number,
	bool folder)
{
	kii_autofree char *todo = kii_xfmt("install -d -o %s -g %s -m %04o %s",
		d->users[p->owner].name, d->users[p->group].name, (unsigned)p->mode, path);

	if (number != ENOENT)
		doctor_say(d, DOCTOR_WARN, "run it as root", "%s cannot be looked at: %s", path,
			strerror(number));
	else if (folder && p->optional)
		doctor_say(d, DOCTOR_WARN, todo, "folder %s is not there", path);
	else if (folder)
		doctor_say(d, DOCTOR_FAIL, todo, "folder %s is not there", path);
}

static void check_place(struct doctor *d, const struct place *p, bool folder)
{
	const struct doctor_user *owner = &d->users[p->owner];
	const struct doctor_user *group = &d->users[p->group];
	const char *top = p->run ? d->conf->paths.run_dir : d->conf->paths.state_dir;
	kii_autofree char *path = kii_xfmt("%s%s", top, p->path);
	kii_autofree char *todo = NULL;
	kii_autofree char *is = NULL;
	struct stat st;

	/* That a user is missing was said. */
	if (!owner->known || !group->known)
		return;
	if (lstat(path, &st) != 0) {
		check_absent(d, p, path, errno, folder);
		return;
	}
	is = describe(&st);
	todo = kii_xfmt("chown %s:%s %s && chmod %04o %s", owner->name, group->name, path,
		(unsigned)p->mode, path);
	if (folder && !S_ISDIR(st.st_mode))
		doctor_say(d, DOCTOR_FAIL, "move it away", "%s is no folder", path);
	else if (st.st_uid != owner->uid || st.st_gid != group->gid ||
		 (st.st_mode & 07777) != p->mode)
		doctor_say(d, DOCTOR_FAIL, todo, "%s is %s, not %s:%s %04o", path, is,
			owner->name, group->name, (unsigned)p->mode);
	else
		doctor_say(d, DOCTOR_OK, NULL, "%s: %s", path, is);
}

void doctor_files(struct doctor *d)
{
	check_users(d);
	for (size_t i = 0; i < KII_COUNT(folders); i++)
		check_place(d, &folders[i], true);
	for (size_t i = 0; i < KII_COUNT(files); i++)
		check_place(d, &files[i], false);
}
