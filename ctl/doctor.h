/* SPDX-License-Identifier: MIT */
/*
 * doctor: "kiisrvctl doctor" looks at everything that an installation needs, says what is wrong and
 * what to do about it. It changes nothing. What this user may not see is a warning.
 */
#ifndef KII_CTL_DOCTOR_H
#define KII_CTL_DOCTOR_H

#include <sys/types.h>

#include "conf.h"
#include "ctl.h"
#include "health.h"

ctl_run ctl_doctor;

/* --- what its parts share --- */

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR__LEVELS };

enum doctor_who { DOCTOR_ROOT, DOCTOR_PUBLIC, DOCTOR_ENGINE, DOCTOR_NGINX, DOCTOR__WHO };

struct doctor_user {
	const char *name;
	bool known;          /* the system has that user */
	uid_t uid;
	gid_t gid;           /* of the group of the same name, else the user's own */
};

struct doctor {
	const struct kii_conf *conf;
	struct doctor_user users[DOCTOR__WHO];
	json_t *status;      /* the worker's answer, or NULL */
	struct kii_health health;
	json_t *findings;
	size_t counts[DOCTOR__LEVELS];
};

/* A finding. `todo` is borrowed; NULL: there is nothing to do. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *todo, const char *fmt, ...)
	KII_PRINTF(4, 5);

/* Look users up. */
void doctor_find_users(struct doctor *d);

enum doctor_act { DOCTOR_READ, DOCTOR_WRITE, DOCTOR_CONNECT };
enum doctor_can {
	DOCTOR_CAN,
	DOCTOR_CANNOT,       /* the rights say no */
	DOCTOR_ABSENT,       /* there is no such thing */
	DOCTOR_REFUSED,      /* may connect, but nobody listens */
	DOCTOR_UNTRIED,      /* who we are, we cannot try it */
};
/* What comes of it when this user tries: in a child that has become the user. */
enum doctor_can doctor_try(const struct doctor_user *user, enum doctor_act act, const char *path);

/* Each says what it finds. */
void doctor_files(struct doctor *d);      /* users, folders, files */
void doctor_walls(struct doctor *d);      /* who may what: configuration, layouts, engine */
void doctor_sockets(struct doctor *d);    /* the programs: worker and public ones */
void doctor_databases(struct doctor *d);
void doctor_engine(struct doctor *d);
void doctor_images(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_layouts(struct doctor *d);

#endif
