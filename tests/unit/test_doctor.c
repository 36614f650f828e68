/* SPDX-License-Identifier: MIT */
/*
 * Each part of the doctor in a house that is first well, then not. Users that every Debian has
 * stand for kiisrv's. What only root can try is skipped for others.
 */
#include <config.h>

#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

static const char *const programs[] = {
	"build", "health", "jobs", "layouts", "stats", "versions"
};

/* --- file systems as they cannot be had --- */

static struct statvfs *fake;

int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out)
{
	if (!fake)
		return __real_statvfs(path, out);
	*out = *fake;
	return 0;
}

/* --- a house and its doctor --- */

struct visit {
	struct house *h;
	struct doctor d;
	int sockets[KII_COUNT(programs)];
};

static const struct doctor_user stand_ins[] = {
	[DOCTOR_ROOT]   = { "root", true, 0, 0 },
	[DOCTOR_PUBLIC] = { "games", true, 5, 60 },
	[DOCTOR_ENGINE] = { "daemon", true, 1, 1 },
	[DOCTOR_NGINX]  = { "www-data", true, 33, 33 },
};

static void forget(struct visit *v)
{
	kii_health_release(&v->d.health);
	json_decref(v->d.status);
	json_decref(v->d.findings);
	memset(&v->d, 0, sizeof(v->d));
}

/* A new visit, with nothing found yet. */
static struct doctor *again(struct visit *v)
{
	forget(v);
	memcpy(v->d.users, stand_ins, sizeof(stand_ins));
	v->d.conf = v->h->conf;
	v->d.health.reasons = json_array();
	v->d.findings = json_array();
	return &v->d;
}

static void listen_at(struct visit *v, size_t i)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/public/%s.sock", v->h->run,
		programs[i]);
	v->sockets[i] = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(v->sockets[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(v->sockets[i], 8), 0);
}

/* The place below the house becomes the users' (the others stay who they are without root). */
static void give(const struct house *h, const char *path, enum doctor_who owner,
	enum doctor_who group, mode_t mode)
{
	kii_autofree char *all = kii_xfmt("%s/%s", h->dir, path);

	if (geteuid() == 0)
		assert_int_equal(chown(all, stand_ins[owner].uid, stand_ins[group].gid), 0);
	assert_int_equal(chmod(all, mode), 0);
}

static void give_all(const struct house *h)
{
	give(h, "state", DOCTOR_ROOT, DOCTOR_ROOT, 0755);
	give(h, "state/public", DOCTOR_PUBLIC, DOCTOR_PUBLIC, 0700);
	give(h, "state/public/stats.sqlite", DOCTOR_PUBLIC, DOCTOR_PUBLIC, 0640);
	give(h, "state/queue", DOCTOR_ENGINE, DOCTOR_PUBLIC, 02750);
	give(h, "state/queue/jobs.sqlite", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640);
	give(h, "state/queue/config.sqlite", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0640);
	give(h, "state/engine", DOCTOR_ENGINE, DOCTOR_ENGINE, 0700);
	give(h, "state/engine/operator.sqlite", DOCTOR_ENGINE, DOCTOR_ENGINE, 0640);
	give(h, "state/artifacts", DOCTOR_ENGINE, DOCTOR_NGINX, 02750);
	give(h, "state/logs", DOCTOR_ENGINE, DOCTOR_NGINX, 02750);
	give(h, "run", DOCTOR_ROOT, DOCTOR_ROOT, 0755);
	give(h, "run/public", DOCTOR_PUBLIC, DOCTOR_NGINX, 02750);
	give(h, "run/worker", DOCTOR_ENGINE, DOCTOR_PUBLIC, 02750);
	give(h, "run/worker/worker.sock", DOCTOR_ENGINE, DOCTOR_PUBLIC, 0660);
	for (size_t i = 0; i < KII_COUNT(programs); i++) {
		kii_autofree char *path = kii_xfmt("run/public/%s.sock", programs[i]);

		give(h, path, DOCTOR_PUBLIC, DOCTOR_NGINX, 0660);
	}
}

static void remove_logs(const char *database)
{
	kii_autofree char *wal = kii_xfmt("%s-wal", database);
	kii_autofree char *shm = kii_xfmt("%s-shm", database);

	unlink(wal);
	unlink(shm);
}

static int set_up(void **state)
{
	struct visit *v = kii_xcalloc(1, sizeof(*v));
	static const char *const more[] = { "state/operator-logs", "run/operator" };
	struct kii_error err = { 0 };

	v->h = house_new();
	for (size_t i = 0; i < KII_COUNT(programs); i++)
		listen_at(v, i);
	/* Root made them: they come again as their readers' own. */
	remove_logs(v->h->jobs);
	remove_logs(v->h->config);
	remove_logs(v->h->stats);
	remove_logs(v->h->operators);
	give_all(v->h);
	for (size_t i = 0; i < KII_COUNT(more); i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", v->h->dir, more[i]);

		must(kii_io_mkdirs(path, 0755, &err));
		give(v->h, more[i], DOCTOR_ENGINE, DOCTOR_NGINX, 02750);
	}
	again(v);
	fake = NULL;
	*state = v;
	return 0;
}

static int tear_down(void **state)
{
	struct visit *v = *state;

	fake = NULL;
	forget(v);
	for (size_t i = 0; i < KII_COUNT(programs); i++)
		close(v->sockets[i]);
	house_free(v->h);
	free(v);
	return 0;
}

static void only_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* The finding whose text has `what`; it must be of that level. NULL level: there must be none. */
static const char *found(const struct visit *v, const char *level, const char *what)
{
	kii_autofree char *all = json_dumps(v->d.findings, JSON_INDENT(1));
	const json_t *each;
	size_t i;

	json_array_foreach(v->d.findings, i, each) {
		if (!strstr(kii_json_str(each, "what"), what))
			continue;
		if (!level || strcmp(kii_json_str(each, "level"), level) != 0)
			fail_msg("'%s' is no %s: %s", what, level ? level : "finding", all);
		return kii_json_str(each, "todo");
	}
	if (level)
		fail_msg("'%s' was not found: %s", what, all);
	return NULL;
}

static void assert_todo(const char *todo, const char *want)
{
	if (!todo || !strstr(todo, want))
		fail_msg("'%s' does not say '%s'", todo ? todo : "nothing", want);
}

static void assert_counts(const struct visit *v, size_t warnings, size_t failures)
{
	kii_autofree char *all = json_dumps(v->d.findings, JSON_INDENT(1));

	if (v->d.counts[DOCTOR_WARN] != warnings || v->d.counts[DOCTOR_FAIL] != failures)
		fail_msg("not %zu and %zu: %s", warnings, failures, all);
}

/* --- folders and files --- */

static void a_house_in_order_has_no_finding_against_it(void **state)
{
	struct visit *v = *state;

	only_root();
	doctor_files(&v->d);
	assert_counts(v, 0, 0);
	assert_true(v->d.counts[DOCTOR_OK] >= 3 + 11 + 4);
	found(v, "ok", "/state/queue: daemon:games 2750");
}

static void wrong_rights_are_told_with_the_command_that_mends_them(void **state)
{
	struct visit *v = *state;

	only_root();
	give(v->h, "state/engine", DOCTOR_ENGINE, DOCTOR_ENGINE, 0755);
	give(v->h, "state/public/stats.sqlite", DOCTOR_ROOT, DOCTOR_PUBLIC, 0640);
	give(v->h, "run/worker/worker.sock", DOCTOR_ENGINE, DOCTOR_NGINX, 0660);
	doctor_files(&v->d);
	assert_counts(v, 0, 3);
	assert_todo(found(v, "FAIL", "/state/engine is daemon:daemon 0755, not daemon:daemon 0700"),
		"chmod 0700 ");
	assert_todo(found(v, "FAIL", "/stats.sqlite is root:games 0640"), "chown games:games ");
	assert_todo(found(v, "FAIL", "/worker.sock is daemon:www-data 0660"),
		"chown daemon:games ");
}

static void owners_without_a_name_are_numbers(void **state)
{
	struct visit *v = *state;
	kii_autofree char *path = NULL;

	only_root();
	path = kii_xfmt("%s/state/logs", v->h->dir);
	assert_int_equal(chown(path, 54321, 54322), 0);
	doctor_files(&v->d);
	found(v, "FAIL", "/state/logs is 54321:54322 ");
}

static void missing_folders_fail_unless_nothing_needs_them_yet(void **state)
{
	struct visit *v = *state;
	kii_autofree char *logs = kii_xfmt("%s/state/logs", v->h->dir);
	kii_autofree char *operator = kii_xfmt("%s/run/operator", v->h->dir);

	assert_int_equal(rmdir(logs), 0);
	assert_int_equal(rmdir(operator), 0);
	doctor_files(&v->d);
	assert_todo(found(v, "FAIL", "/state/logs is not there"),
		"install -d -o daemon -g www-data -m 2750 ");
	found(v, "warn", "/run/operator is not there");
}

static void a_file_is_no_folder(void **state)
{
	struct visit *v = *state;
	kii_autofree char *logs = kii_xfmt("%s/state/logs", v->h->dir);
	struct kii_error err = { 0 };

	assert_int_equal(rmdir(logs), 0);
	must(kii_io_publish(logs, "", 0, 0644, &err));
	doctor_files(&v->d);
	found(v, "FAIL", "/state/logs is no folder");
}

static void a_user_that_is_missing_is_said_once(void **state)
{
	struct visit *v = *state;

	only_root();
	v->d.users[DOCTOR_ENGINE].known = false;
	v->d.users[DOCTOR_NGINX].known = false;
	doctor_files(&v->d);
	assert_counts(v, 0, 2);
	assert_todo(found(v, "FAIL", "user daemon is not there"), "adduser --system");
	assert_todo(found(v, "FAIL", "user www-data is not there"), "install nginx");
	found(v, NULL, "/state/queue:");
}

static void the_systems_users_are_found(void **state)
{
	struct visit *v = *state;

	doctor_find_users(&v->d);
	assert_true(v->d.users[DOCTOR_ROOT].known);
	assert_int_equal(v->d.users[DOCTOR_ROOT].uid, 0);
	assert_string_equal(v->d.users[DOCTOR_PUBLIC].name, "kiisrv");
	assert_string_equal(v->d.users[DOCTOR_ENGINE].name, "kiisrv-engine");
	assert_int_equal(v->d.users[DOCTOR_PUBLIC].known, getpwnam("kiisrv") != NULL);
}

/* In a child that is nobody: the parent must stay who it is. */
static void as_nobody(struct visit *v, void (*part)(struct doctor *d), const char *level,
	const char *what)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const json_t *each;
		size_t i;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		part(again(v));
		json_array_foreach(v->d.findings, i, each)
			if (strstr(kii_json_str(each, "what"), what) &&
			    !strcmp(kii_json_str(each, "level"), level))
				_exit(0);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("as nobody, '%s' is no %s", what, level);
}

static void what_a_plain_user_cannot_see_is_a_warning(void **state)
{
	struct visit *v = *state;

	only_root();
	as_nobody(v, doctor_files, "warn", "jobs.sqlite cannot be looked at");
	as_nobody(v, doctor_databases, "warn",
		"database queue/jobs.sqlite: this user may not read it");
	as_nobody(v, doctor_sockets, "warn", "worker: this user may not ask it");
	as_nobody(v, doctor_sockets, "warn", "build: could not be tried as nginx");
	as_nobody(v, doctor_images, "warn", "images: it is not known");
	as_nobody(v, doctor_walls, "warn", "whether user games reaches the engine's socket");
	as_nobody(v, doctor_disk, "ok", "are free");
}

/* --- walls --- */

/* A socket that stands for the engine's. */
static int engine_socket(struct visit *v, char path[108], mode_t mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/engine.sock", v->h->dir);
	snprintf(path, 108, "%s", addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(chmod(path, mode), 0);
	return fd;
}

/* The worker says where its engine is, and is asked. */
static void ask_worker(struct visit *v, const char *address)
{
	house_says(v->h, "engine_address", json_string(address));
	doctor_sockets(again(v));
	assert_non_null(v->d.status);
}

static void an_engine_that_only_its_user_reaches_is_fine(void **state)
{
	struct visit *v = *state;
	char path[108];
	int fd;
	kii_autofree char *address = NULL;

	only_root();
	fd = engine_socket(v, path, 0600);
	address = kii_xfmt("unix://%s", path);
	ask_worker(v, address);
	doctor_walls(&v->d);
	found(v, "ok", "user games does not reach the engine's socket");
	found(v, "ok", "user www-data does not reach the engine's socket");
	found(v, "ok", "user games cannot write ");
	assert_counts(v, 0, 0);
	/* It is down: nothing can be said. */
	close(fd);
	assert_int_equal(unlink(path), 0);
	ask_worker(v, address);
	doctor_walls(&v->d);
	found(v, NULL, "engine's socket");
}

static void an_engine_that_the_public_zone_reaches_fails(void **state)
{
	struct visit *v = *state;
	char path[108];
	int fd;
	kii_autofree char *address = NULL;

	only_root();
	fd = engine_socket(v, path, 0666);
	address = kii_xfmt("unix://%s", path);
	ask_worker(v, address);
	doctor_walls(&v->d);
	assert_todo(found(v, "FAIL", "user games reaches the engine's socket"),
		"take games out of the socket's group");
	found(v, "FAIL", "user www-data reaches the engine's socket");
	/* Whether the engine listens at the moment makes no difference. */
	close(fd);
	ask_worker(v, address);
	doctor_walls(&v->d);
	found(v, "FAIL", "user games reaches the engine's socket");
}

static void groups_count_too(void **state)
{
	struct visit *v = *state;
	char path[108];
	int fd;
	kii_autofree char *address = NULL;

	only_root();
	fd = engine_socket(v, path, 0660);
	address = kii_xfmt("unix://%s", path);
	assert_int_equal(chown(path, 0, 60), 0);
	ask_worker(v, address);
	doctor_walls(&v->d);
	found(v, "FAIL", "user games reaches the engine's socket");
	found(v, "ok", "user www-data does not reach");
	close(fd);
}

static void an_engine_over_tcp_needs_keys(void **state)
{
	struct visit *v = *state;
	kii_autofree char *key = NULL;
	struct kii_error err = { 0 };

	only_root();
	key = kii_xfmt("%s/key.pem", v->h->dir);
	house_worker_stop(v->h);
	house_configure(v->h, "[docker]\nsocket_path = \"tcp://127.0.0.1:2375\"\n");
	doctor_walls(again(v));
	found(v, "warn", "tcp://127.0.0.1:2375 asks nobody who he is");
	must(kii_io_publish(key, "x", 1, 0644, &err));
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_CERT_PATH", v->h->dir, 1);
	house_configure(v->h, "[docker]\nsocket_path = \"tcp://127.0.0.1:2376\"\n");
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_CERT_PATH");
	doctor_walls(again(v));
	found(v, "FAIL", "reads the engine's key");
	assert_int_equal(chmod(key, 0600), 0);
	doctor_walls(again(v));
	found(v, "ok", "does not read the engine's key");
}

static void a_configuration_of_the_public_zones_fails(void **state)
{
	struct visit *v = *state;
	kii_autofree char *layouts = NULL;

	only_root();
	layouts = kii_xfmt("%s/layouts", v->h->dir);
	assert_int_equal(chmod(v->h->file, 0666), 0);
	assert_int_equal(chmod(layouts, 0700), 0);
	doctor_walls(&v->d);
	assert_todo(found(v, "FAIL", "user games may write "), "chmod go-w ");
	assert_todo(found(v, "FAIL", "user games cannot read "), "chmod a+rX ");
	found(v, "FAIL", "user www-data cannot read ");
	assert_int_equal(chmod(v->h->file, 0600), 0);
	doctor_walls(again(v));
	found(v, "FAIL", "user daemon cannot read ");
}

static void what_cannot_be_tried_is_not_claimed(void **state)
{
	struct visit *v = *state;
	struct doctor_user nobody = { "no-such-user", false, 4, 4 };
	char loop[] = "/proc/self/fd/0/x";

	assert_int_equal(doctor_try(&nobody, DOCTOR_READ, "/"), DOCTOR_UNTRIED);
	assert_int_equal(doctor_try(&v->d.users[DOCTOR_ROOT], DOCTOR_READ, "/nonexistent"),
		geteuid() == 0 ? DOCTOR_ABSENT : DOCTOR_UNTRIED);
	only_root();
	assert_int_equal(doctor_try(&v->d.users[DOCTOR_PUBLIC], DOCTOR_READ, "/"), DOCTOR_CAN);
	assert_int_equal(doctor_try(&v->d.users[DOCTOR_PUBLIC], DOCTOR_WRITE, "/"), DOCTOR_CANNOT);
	assert_int_equal(doctor_try(&v->d.users[DOCTOR_PUBLIC], DOCTOR_READ, loop), DOCTOR_ABSENT);
	/* A path that is no socket's. */
	memset(v->d.users, 0, sizeof(v->d.users));
	nobody = (struct doctor_user){ "root", true, 0, 0 };
	assert_int_equal(doctor_try(&nobody, DOCTOR_CONNECT, "/dev/null"), DOCTOR_REFUSED);
}

/* --- programs --- */

static void programs_that_run_are_fine(void **state)
{
	struct visit *v = *state;

	only_root();
	doctor_sockets(&v->d);
	assert_counts(v, 0, 0);
	found(v, "ok", "worker: process 1, 2 queued, 1 of 4 slots busy");
	found(v, "ok", "user games reaches the worker");
	found(v, "ok", "health: nginx reaches it");
}

static void programs_that_do_not_run_fail(void **state)
{
	struct visit *v = *state;
	kii_autofree char *jobs = NULL;

	only_root();
	jobs = kii_xfmt("%s/public/jobs.sock", v->h->run);
	house_worker_stop(v->h);
	close(v->sockets[0]);
	assert_int_equal(unlink(jobs), 0);
	doctor_sockets(&v->d);
	assert_counts(v, 0, 3);
	assert_todo(found(v, "FAIL", "worker: connect "), "systemctl start kiisrv-worker");
	assert_todo(found(v, "FAIL", "build does not run"), "systemctl start kiisrv-build");
	found(v, "FAIL", "jobs does not run");
	v->sockets[0] = -1;
}

static void sockets_with_wrong_rights_fail(void **state)
{
	struct visit *v = *state;

	only_root();
	give(v->h, "run/public/layouts.sock", DOCTOR_PUBLIC, DOCTOR_PUBLIC, 0660);
	give(v->h, "run/worker/worker.sock", DOCTOR_ENGINE, DOCTOR_ENGINE, 0660);
	doctor_sockets(&v->d);
	assert_counts(v, 0, 2);
	assert_todo(found(v, "FAIL", "layouts: nginx may not use "), "chown ");
	found(v, "FAIL", "user games does not reach the worker");
}

/* One that was never started is no fault; one that has died is. */
static void operators_programs_are_looked_at_where_they_were_started(void **state)
{
	struct visit *v = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	doctor_sockets(&v->d);
	found(v, NULL, "audit: ");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/operator/audit.sock", v->h->run);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	give(v->h, "run/operator/audit.sock", DOCTOR_ENGINE, DOCTOR_NGINX, 0660);
	doctor_sockets(again(v));
	found(v, "ok", "audit: nginx reaches it");
	if (geteuid() == 0) {
		give(v->h, "run/operator/audit.sock", DOCTOR_ENGINE, DOCTOR_ENGINE, 0660);
		doctor_sockets(again(v));
		assert_todo(found(v, "FAIL", "audit: nginx may not use"), "chown ");
	}
	close(fd);
	give(v->h, "run/operator/audit.sock", DOCTOR_ENGINE, DOCTOR_NGINX, 0660);
	doctor_sockets(again(v));
	assert_todo(found(v, "FAIL", "audit does not run"), "start kiisrv-operator-audit");
}

static void a_worker_without_its_queue_fails(void **state)
{
	struct visit *v = *state;

	house_says(v->h, "queued", json_integer(-1));
	doctor_sockets(&v->d);
	found(v, "FAIL", "worker: it cannot read its queue");
	house_says(v->h, "workspace_error", json_string("docker.build_dir: make folder /srv/x: "
		"Read-only file system"));
	doctor_sockets(again(v));
	assert_todo(found(v, "FAIL", "no image can be built: docker.build_dir: make folder /srv/x"),
		"ReadWritePaths=");
}

/* --- databases --- */

static void whole_databases_are_fine(void **state)
{
	struct visit *v = *state;

	doctor_databases(&v->d);
	assert_counts(v, 0, 0);
	found(v, "ok", "database queue/jobs.sqlite: version 2, whole");
	found(v, "ok", "database queue/config.sqlite: version 2, whole");
	found(v, "ok", "database public/stats.sqlite: version 3, whole");
	found(v, "ok", "database engine/operator.sqlite: version 1, whole");
}

static void databases_that_are_not_fail(void **state)
{
	struct visit *v = *state;
	sqlite3 *db;

	assert_int_equal(unlink(v->h->jobs), 0);
	house_sql(v->h->config, "PRAGMA user_version = 99");
	house_sql(v->h->stats, "PRAGMA writable_schema = ON; UPDATE sqlite_schema "
		"SET rootpage = 999 WHERE name = 'Totals'");
	doctor_databases(&v->d);
	assert_counts(v, 0, 3);
	assert_todo(found(v, "FAIL", "database queue/jobs.sqlite is not there"), "kiisrv-worker");
	assert_todo(found(v, "FAIL", "has version 99"), "restart kiisrv-worker");
	found(v, "FAIL", "database public/stats.sqlite: ");
	house_sql(v->h->config, "PRAGMA user_version = 1");
	assert_int_equal(sqlite3_open(v->h->config, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
		NULL, NULL, NULL), SQLITE_OK);
	doctor_databases(again(v));
	assert_todo(found(v, "FAIL", "database queue/config.sqlite is locked"), "fuser");
	sqlite3_close(db);
}

/* --- engine --- */

static void told_of_engine(struct visit *v)
{
	doctor_sockets(again(v));
	doctor_engine(&v->d);
}

static void an_engine_that_is_up_is_fine(void **state)
{
	struct visit *v = *state;

	told_of_engine(v);
	found(v, "ok", "engine: Docker 20.10.24");
	found(v, "ok", "engine: live-restore is on");
}

static void docker_without_live_restore_is_a_warning(void **state)
{
	struct visit *v = *state;

	house_says(v->h, "live_restore", json_false());
	told_of_engine(v);
	assert_todo(found(v, "warn", "engine: live-restore is off"), "daemon.json");
	/* Podman's containers have no daemon. */
	house_says(v->h, "podman", json_true());
	told_of_engine(v);
	found(v, NULL, "live-restore");
	assert_todo(found(v, "warn", "it is Podman, the configuration says docker"),
		"docker.runtime = \"podman\"");
	house_configure(v->h, "[docker]\nruntime = \"podman\"\n");
	house_says(v->h, "podman", json_false());
	told_of_engine(v);
	assert_todo(found(v, "warn", "it is Docker, the configuration says podman"),
		"docker.runtime = \"docker\"");
}

static void an_engine_that_is_down_fails_with_its_words(void **state)
{
	struct visit *v = *state;

	house_says(v->h, "engine_up", json_false());
	house_says(v->h, "engine_error", json_string("connect /run/x: refused"));
	told_of_engine(v);
	assert_todo(found(v, "FAIL", "engine: connect /run/x: refused"), "start the engine");
	house_says(v->h, "engine_seen", json_integer(kii_io_wall() - 90000));
	told_of_engine(v);
	found(v, "FAIL", "engine: the worker's last look was 9");
	house_says(v->h, "engine_seen", json_integer(0));
	told_of_engine(v);
	found(v, "warn", "engine: the worker has not looked at it yet");
	house_worker_stop(v->h);
	told_of_engine(v);
	found(v, "warn", "engine: nothing is known of it");
}

/* --- images, disk, layouts --- */

static void images_are_told_for_each_version(void **state)
{
	struct visit *v = *state;

	doctor_images(&v->d);
	found(v, "ok", "version latest: image kiisrv-controller-057:latest");
	found(v, "ok", "version v0.5.7: image");
	assert_todo(found(v, "warn", "version lts: the engine has no image "
		"kiisrv-controller-050:latest"), "kiisrvctl versions remove lts");
	assert_counts(v, 5, 0);
	house_sql(v->h->config, "DELETE FROM Images");
	doctor_images(again(v));
	found(v, "FAIL", "no version can be built");
	house_sql(v->h->config, "DELETE FROM Versions");
	doctor_images(again(v));
	found(v, "FAIL", "no version can be built");
	house_sql(v->h->config, "DROP TABLE Images");
	doctor_images(again(v));
	found(v, "warn", "images: it is not known which there should be");
	assert_counts(v, 1, 0);
}

static void the_disk_is_measured_against_its_floor(void **state)
{
	struct visit *v = *state;
	struct statvfs fs = { .f_frsize = 1024, .f_bavail = 100, .f_files = 100000,
		.f_favail = 50000 };

	house_configure(v->h, "[limits]\ndisk_floor = \"50 KiB\"\n");
	fake = &fs;
	doctor_disk(again(v));
	found(v, "ok", "disk: 100.0 KiB are free, the floor is 50.0 KiB");
	found(v, "ok", "disk: 50000 inodes are left");
	fs.f_bavail = 99;
	fs.f_favail = 4999;
	doctor_disk(again(v));
	assert_todo(found(v, "warn", "disk: 99.0 KiB are free"), "kiisrvctl gc");
	found(v, "warn", "disk: 4999 of 100000 inodes are left");
	fs.f_bavail = 49;
	fs.f_favail = 999;
	doctor_disk(again(v));
	assert_todo(found(v, "FAIL", "no new work is taken"), "kiisrvctl gc");
	found(v, "FAIL", "disk: 999 inodes are left");
	/* btrfs counts none. */
	fs.f_files = fs.f_favail = 0;
	doctor_disk(again(v));
	found(v, NULL, "inodes");
}

static void a_state_folder_that_is_not_there_fails(void **state)
{
	struct visit *v = *state;
	kii_autofree char *moved = kii_xfmt("%s/moved", v->h->dir);

	assert_int_equal(rename(v->h->state, moved), 0);
	doctor_disk(&v->d);
	found(v, "FAIL", "disk: ");
}

static void layouts_must_be_there_and_good(void **state)
{
	static const char good[] = "{\"header\": {\"Name\": \"MD1\", \"Variant\": \"Standard\", "
		"\"Layout\": \"Blank\", \"Base\": \"Blank\", \"Version\": \"1\", "
		"\"Author\": \"a\", \"KLL\": \"0.5\", \"Date\": \"2020-01-01\", "
		"\"Generator\": \"g\"}, \"matrix\": [{\"code\": \"0x01\", \"layers\": {\"0\": "
		"{\"key\": \"A\", \"label\": \"A\"}}}]}";
	struct visit *v = *state;
	kii_autofree char *file = kii_xfmt("%s/layouts/MD1-Blank.json", v->h->dir);
	struct kii_error err = { 0 };

	doctor_layouts(&v->d);
	found(v, "FAIL", "layouts: there are none");
	must(kii_io_publish(file, good, strlen(good), 0644, &err));
	doctor_layouts(again(v));
	found(v, "ok", "layouts: 1");
	must(kii_io_publish(file, "{", 1, 0644, &err));
	doctor_layouts(again(v));
	found(v, "FAIL", "MD1-Blank.json");
}

/* --- the command --- */

/* kiisrvctl with these arguments; its output in `out`. The exit status. */
static int run(const char *const args[], struct kii_buf *out)
{
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *program = kii_xfmt("%s/kiisrvctl", top ? top : ".");
	char *argv[8] = { program };
	int fds[2], status = 0;
	char chunk[4096];
	ssize_t n;
	pid_t pid;

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = (char *)args[i];
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execv(program, argv);
		_exit(127);
	}
	close(fds[1]);
	kii_buf_reset(out);
	while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
		kii_buf_add(out, chunk, (size_t)n);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_command_prints_all_and_fails_on_a_failure(void **state)
{
	struct visit *v = *state;
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	kii_autojson *told = NULL;
	struct kii_error err = { 0 };

	setenv("LC_ALL", "C.UTF-8", 1);
	assert_int_equal(run((const char *const[]){ "-c", v->h->file, "doctor", NULL }, &out), 1);
	assert_non_null(strstr(out.data, "ok    configuration: "));
	assert_non_null(strstr(out.data, "\nok    worker: process 1, "));
	assert_non_null(strstr(out.data, "\nwarn  version lts: the engine has no image "
		"kiisrv-controller-050:latest \u2014 build or pull it"));
	assert_non_null(strstr(out.data, "\nFAIL  layouts: there are none \u2014 see that "));
	assert_non_null(strstr(out.data, " failure"));
	setenv("LC_ALL", "C", 1);
	assert_int_equal(run((const char *const[]){ "-c", v->h->file, "doctor", NULL }, &out), 1);
	assert_non_null(strstr(out.data, "\nFAIL  layouts: there are none -- see that "));
	assert_int_equal(run((const char *const[]){ "-c", v->h->file, "--json", "doctor", NULL },
		&out), 1);
	must(kii_json_parse(out.data, out.len, "out", &told, &err));
	assert_true(json_is_false(json_object_get(told, "ok")));
	assert_true(kii_json_int(told, "failures", 0) >= 1);
	assert_true(kii_json_int(told, "warnings", 0) >= 5);
	assert_true(json_array_size(json_object_get(told, "findings")) > 20);
}

static void a_broken_configuration_is_the_only_finding(void **state)
{
	struct visit *v = *state;
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };

	must(kii_io_publish(v->h->file, "[x", 2, 0644, &err));
	assert_int_equal(run((const char *const[]){ "-c", v->h->file, "doctor", NULL }, &out), 1);
	assert_int_equal(strncmp(out.data, "FAIL  configuration: ", 21), 0);
	assert_non_null(strstr(out.data, "kiisrv.toml:1:"));
	assert_non_null(strstr(out.data, "\n0 ok, 0 warnings, 1 failure\n"));
	assert_int_equal(run((const char *const[]){ "doctor", "x", NULL }, &out), CTL_USAGE);
}

#define with_house(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_house(a_house_in_order_has_no_finding_against_it),
		with_house(wrong_rights_are_told_with_the_command_that_mends_them),
		with_house(owners_without_a_name_are_numbers),
		with_house(missing_folders_fail_unless_nothing_needs_them_yet),
		with_house(a_file_is_no_folder),
		with_house(a_user_that_is_missing_is_said_once),
		with_house(the_systems_users_are_found),
		with_house(what_a_plain_user_cannot_see_is_a_warning),
		with_house(an_engine_that_only_its_user_reaches_is_fine),
		with_house(an_engine_that_the_public_zone_reaches_fails),
		with_house(groups_count_too),
		with_house(an_engine_over_tcp_needs_keys),
		with_house(a_configuration_of_the_public_zones_fails),
		with_house(what_cannot_be_tried_is_not_claimed),
		with_house(programs_that_run_are_fine),
		with_house(programs_that_do_not_run_fail),
		with_house(sockets_with_wrong_rights_fail),
		with_house(operators_programs_are_looked_at_where_they_were_started),
		with_house(a_worker_without_its_queue_fails),
		with_house(whole_databases_are_fine),
		with_house(databases_that_are_not_fail),
		with_house(an_engine_that_is_up_is_fine),
		with_house(docker_without_live_restore_is_a_warning),
		with_house(an_engine_that_is_down_fails_with_its_words),
		with_house(images_are_told_for_each_version),
		with_house(the_disk_is_measured_against_its_floor),
		with_house(a_state_folder_that_is_not_there_fails),
		with_house(layouts_must_be_there_and_good),
		with_house(the_command_prints_all_and_fails_on_a_failure),
		with_house(a_broken_configuration_is_the_only_finding),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
