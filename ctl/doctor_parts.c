/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "layouts.h"
#include "stats.h"
#include "text.h"

#define INODES_LEAST 1000
#define AS_ROOT "run it as root"

/* --- programs --- */

/* nginx' way to them. */
static const struct program {
	const char *zone, *unit, *name;
	enum doctor_who owner;
	bool optional;      /* one that was never started is no fault */
} programs[] = {
	{ "public", "", "build", DOCTOR_PUBLIC, false },
	{ "public", "", "health", DOCTOR_PUBLIC, false },
	{ "public", "", "jobs", DOCTOR_PUBLIC, false },
	{ "public", "", "layouts", DOCTOR_PUBLIC, false },
	{ "public", "", "stats", DOCTOR_PUBLIC, false },
	{ "public", "", "versions", DOCTOR_PUBLIC, false },
	{ "operator", "operator-", "audit", DOCTOR_ENGINE, true },
	{ "operator", "operator-", "containers", DOCTOR_ENGINE, true },
	{ "operator", "operator-", "images", DOCTOR_ENGINE, true },
	{ "operator", "operator-", "operator", DOCTOR_ENGINE, true },
	{ "operator", "operator-", "runtime", DOCTOR_ENGINE, true },
};

static void check_program(struct doctor *d, const struct program *p)
{
	const char *name = p->name;
	kii_autofree char *path = kii_xfmt("%s/%s/%s.sock", d->conf->paths.run_dir, p->zone, name);
	kii_autofree char *start = kii_xfmt("start it (systemctl start kiisrv-%s%s); its log says "
		"what hinders", p->unit, name);
	kii_autofree char *rights = kii_xfmt("chown %s:%s %s && chmod 0660 %s",
		d->users[p->owner].name, d->users[DOCTOR_NGINX].name, path, path);
	enum doctor_can got = doctor_try(&d->users[DOCTOR_NGINX], DOCTOR_CONNECT, path);

	if (got == DOCTOR_ABSENT && p->optional)
		return;
	switch (got) {
	case DOCTOR_CAN:
		doctor_say(d, DOCTOR_OK, NULL, "%s: nginx reaches it", name);
		break;
	case DOCTOR_CANNOT:
		doctor_say(d, DOCTOR_FAIL, rights, "%s: nginx may not use %s", name, path);
		break;
	case DOCTOR_ABSENT:
	case DOCTOR_REFUSED:
		doctor_say(d, DOCTOR_FAIL, start, "%s does not run", name);
		break;
	case DOCTOR_UNTRIED:
		doctor_say(d, DOCTOR_WARN, AS_ROOT, "%s: could not be tried as nginx", name);
		break;
	}
}

static void check_worker(struct doctor *d)
{
	struct kii_error err = { 0 };
	int64_t now = kii_io_wall();

	if (kii_health_ask(d->conf, &d->status, &err) == 0) {
		const char *said = kii_json_str(d->status, "workspace_error");
		const char *workspace = said ? said : "";

		kii_health_take(&d->health, d->status, now);
		doctor_say(d, DOCTOR_OK, NULL,
			"worker: process %lld, %lld queued, %lld of %lld slots busy",
			(long long)kii_json_int(d->status, "pid", 0), (long long)d->health.queued,
			(long long)d->health.running, (long long)d->health.slots);
		if (d->health.queued < 0)
			doctor_say(d, DOCTOR_FAIL, "look into its log",
				"worker: it cannot read its queue");
		if (*workspace)
			doctor_say(d, DOCTOR_FAIL, "let its user write there, and its unit "
				"(ReadWritePaths= in a drop-in: kiisrv.toml(5), build_dir)",
				"worker: no image can be built: %s", workspace);
		return;
	}
	if (err.code == KII_EDOWN && err.detail == EACCES && geteuid() != 0)
		doctor_say(d, DOCTOR_WARN, AS_ROOT, "worker: this user may not ask it");
	else
		doctor_say(d, DOCTOR_FAIL,
			"start it (systemctl start kiisrv-worker); its log says what hinders",
			"worker: %s", err.msg);
}

/* The worker's door is open to the public zone, or no build is ever asked for. */
static void check_door(struct doctor *d)
{
	kii_autofree char *path = kii_xfmt("%s/worker/worker.sock", d->conf->paths.run_dir);
	const char *name = d->users[DOCTOR_PUBLIC].name;
	kii_autofree char *todo = kii_xfmt("chown %s:%s %s && chmod 0660 %s",
		d->users[DOCTOR_ENGINE].name, name, path, path);

	switch (doctor_try(&d->users[DOCTOR_PUBLIC], DOCTOR_CONNECT, path)) {
	case DOCTOR_CAN:
		doctor_say(d, DOCTOR_OK, NULL, "user %s reaches the worker", name);
		break;
	case DOCTOR_CANNOT:
		doctor_say(d, DOCTOR_FAIL, todo, "user %s does not reach the worker", name);
		break;
	default:
		break;   /* said by check_worker */
	}
}

void doctor_sockets(struct doctor *d)
{
	check_worker(d);
	check_door(d);
	for (size_t i = 0; i < KII_COUNT(programs); i++)
		check_program(d, &programs[i]);
}

/* --- databases --- */

static void check_database(struct doctor *d, const char *file, int newest, const char *maker)
{
	kii_autofree char *path = kii_xfmt("%s/%s", d->conf->paths.state_dir, file);
	kii_autofree char *start = kii_xfmt("start %s: it makes it", maker);
	kii_autofree char *upgrade = kii_xfmt("restart %s: it brings an older one up; a newer one "
		"needs the newer kiisrv", maker);
	struct kii_error err = { 0 };

	if (access(path, R_OK) != 0 && errno == EACCES && geteuid() != 0) {
		doctor_say(d, DOCTOR_WARN, AS_ROOT, "database %s: this user may not read it", file);
		return;
	}
	if (kii_store_verify(path, newest, &err) == 0) {
		doctor_say(d, DOCTOR_OK, NULL, "database %s: version %d, whole", file, newest);
		return;
	}
	switch (err.code) {
	case KII_ENOTFOUND:
		doctor_say(d, DOCTOR_FAIL, start, "database %s is not there", file);
		break;
	case KII_ECONFLICT:
		doctor_say(d, DOCTOR_FAIL, upgrade, "database %s: %s", file, err.msg);
		break;
	case KII_EBUSY:
		doctor_say(d, DOCTOR_FAIL, "find who holds it: fuser -v on the file",
			"database %s is locked", file);
		break;
	default:
		doctor_say(d, DOCTOR_FAIL, "stop everything, restore the file or move it away",
			"database %s: %s", file, err.msg);
	}
}

void doctor_databases(struct doctor *d)
{
	check_database(d, "queue/jobs.sqlite", KII_JOBS_VERSION, "kiisrv-worker");
	check_database(d, "queue/config.sqlite", KII_VERSIONS_VERSION, "kiisrv-worker");
	check_database(d, "engine/operator.sqlite", KII_OPERATOR_VERSION, "kiisrv-worker");
	check_database(d, "public/stats.sqlite", KII_STATS_VERSION, "kiisrv-build");
}

/* --- engine and images --- */

static void check_kind(struct doctor *d)
{
	const struct kii_health *h = &d->health;

	if (h->podman != d->conf->docker.podman)
		doctor_say(d, DOCTOR_WARN, h->podman ? "set docker.runtime = \"podman\""
			: "set docker.runtime = \"docker\"",
			"engine: it is %s, the configuration says %s",
			h->podman ? "Podman" : "Docker",
			d->conf->docker.podman ? "podman" : "docker");
	if (!h->podman && !h->live_restore)
		doctor_say(d, DOCTOR_WARN,
			"put \"live-restore\": true into /etc/docker/daemon.json",
			"engine: live-restore is off, so a restart of Docker ends running builds, "
			"which begin anew");
	else if (!h->podman)
		doctor_say(d, DOCTOR_OK, NULL, "engine: live-restore is on");
}

void doctor_engine(struct doctor *d)
{
	const struct kii_health *h = &d->health;

	if (!h->worker_up) {
		doctor_say(d, DOCTOR_WARN, "start the worker: it looks at the engine",
			"engine: nothing is known of it");
	} else if (!h->engine_seen) {
		doctor_say(d, DOCTOR_WARN, "run it again in a few seconds",
			"engine: the worker has not looked at it yet");
	} else if (h->engine_age_ms > KII_HEALTH_STALE_MS) {
		doctor_say(d, DOCTOR_FAIL, "see whether the engine hangs, and restart it",
			"engine: the worker's last look was %lld s ago",
			(long long)(h->engine_age_ms / 1000));
	} else if (!h->engine_up) {
		doctor_say(d, DOCTOR_FAIL, "start the engine; docker.socket_path says where the "
			"worker looks for it, and its user must be in the socket's group",
			"engine: %s", h->engine_error);
	} else {
		doctor_say(d, DOCTOR_OK, NULL, "engine: %s %s", h->podman ? "Podman" : "Docker",
			h->engine_version);
		check_kind(d);
	}
}

static bool is_there(const struct kii_health *h, const char *container)
{
	for (size_t i = 0; i < h->n_images; i++)
		if (strcmp(h->images[i].container, container) == 0)
			return h->images[i].there;
	return false;
}

static void check_versions(struct doctor *d, const struct kii_version *list, size_t n)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		kii_autofree char *image = kii_xfmt("%s%s:latest",
			d->conf->firmware.image_prefix, list[i].container);
		kii_autofree char *todo = kii_xfmt("build or pull it, or: kiisrvctl versions "
			"remove %s", list[i].name);

		if (is_there(&d->health, list[i].container)) {
			good++;
			doctor_say(d, DOCTOR_OK, NULL, "version %s: image %s", list[i].name, image);
		} else {
			doctor_say(d, DOCTOR_WARN, todo, "version %s: the engine has no image %s",
				list[i].name, image);
		}
	}
	if (!good)
		doctor_say(d, DOCTOR_FAIL, "give the engine an image of a version",
			"no version can be built");
}

void doctor_images(struct doctor *d)
{
	kii_autofree char *path = kii_xfmt("%s/queue/config.sqlite", d->conf->paths.state_dir);
	struct kii_error err = { 0 };
	struct kii_versions *v = NULL;
	struct kii_version *list = NULL;
	size_t n = 0;

	/* What hinders was said of the database. */
	if (kii_versions_open(path, KII_STORE_READ, &v, &err) == 0 &&
	    kii_versions_list(v, &list, &n, &err) == 0 &&
	    kii_health_images(v, kii_io_wall(), &d->health.images, &d->health.n_images, &err) == 0)
		check_versions(d, list, n);
	else
		doctor_say(d, DOCTOR_WARN, "mend the database first",
			"images: it is not known which there should be");
	kii_version_list_free(list, n);
	kii_versions_close(v);
}

/* --- disk and layouts --- */

static void check_inodes(struct doctor *d, const struct statvfs *fs)
{
	unsigned long long left = fs->f_favail;
	const char *todo = "remove files there, many small ones (kiisrvctl gc)";

	/* Some file systems make them as they need them. */
	if (!fs->f_files)
		return;
	if (left < INODES_LEAST)
		doctor_say(d, DOCTOR_FAIL, todo, "disk: %llu inodes are left", left);
	else if (left < fs->f_files / 20)
		doctor_say(d, DOCTOR_WARN, todo, "disk: %llu of %llu inodes are left", left,
			(unsigned long long)fs->f_files);
	else
		doctor_say(d, DOCTOR_OK, NULL, "disk: %llu inodes are left", left);
}

void doctor_disk(struct doctor *d)
{
	int64_t floor = d->conf->limits.disk_floor;
	kii_autofree char *floor_text = ctl_bytes(floor);
	kii_autofree char *text = NULL;
	struct statvfs fs;
	int64_t left;

	if (statvfs(d->conf->paths.state_dir, &fs) != 0) {
		doctor_say(d, DOCTOR_FAIL, "see that the state folder is there",
			"disk: %s: %s", d->conf->paths.state_dir, strerror(errno));
		return;
	}
	left = (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize);
	text = ctl_bytes(left);
	if (left < floor)
		doctor_say(d, DOCTOR_FAIL, "make room (kiisrvctl gc), or lower limits.disk_floor",
			"disk: %s are free, the floor is %s: no new work is taken", text,
			floor_text);
	else if (left / 2 < floor)
		doctor_say(d, DOCTOR_WARN, "make room (kiisrvctl gc) before long",
			"disk: %s are free, the floor is %s", text, floor_text);
	else
		doctor_say(d, DOCTOR_OK, NULL, "disk: %s are free, the floor is %s", text,
			floor_text);
	check_inodes(d, &fs);
}

void doctor_layouts(struct doctor *d)
{
	const struct kii_conf *conf = d->conf;
	struct kii_layouts *layouts = NULL;
	struct kii_error err = { 0 };

	if (kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
			&layouts, &err) != 0)
		doctor_say(d, DOCTOR_FAIL, "mend or remove the file: nothing starts before that",
			"layouts: %s", err.msg);
	else if (kii_layouts_count(layouts) == 0)
		doctor_say(d, DOCTOR_FAIL, "see that paths.layouts names their folders",
			"layouts: there are none");
	else
		doctor_say(d, DOCTOR_OK, NULL, "layouts: %zu", kii_layouts_count(layouts));
	kii_layouts_free(layouts);
}
