/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "house.h"

#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "jobs.h"
#include "json.h"
#include "operator.h"
#include "stats.h"
#include "testlib.h"
#include "versions.h"

void house_sql(const char *path, const char *sql)
{
	char *why = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", path, why);
	sqlite3_close(db);
}

static void make_databases(struct house *h)
{
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *image = kii_xfmt("INSERT INTO Images VALUES ('controller-057', "
		"'sha256:1', 1000, 1, %lld)", (long long)kii_io_wall());
	struct kii_error err = { 0 };

	h->jobs = kii_xfmt("%s/queue/jobs.sqlite", h->state);
	h->config = kii_xfmt("%s/queue/config.sqlite", h->state);
	h->stats = kii_xfmt("%s/public/stats.sqlite", h->state);
	h->operators = kii_xfmt("%s/engine/operator.sqlite", h->state);
	must(kii_operator_migrate(h->operators, schema, &err));
	must(kii_jobs_migrate(h->jobs, schema, &err));
	must(kii_versions_migrate(h->config, schema, &err));
	must(kii_stats_migrate(h->stats, schema, &err));
	house_sql(h->config, image);
}

void house_configure(struct house *h, const char *more)
{
	kii_autofree char *text = kii_xfmt("[paths]\nstate_dir = \"%s\"\nrun_dir = \"%s\"\n"
		"layouts = [\"%s/layouts\"]\n%s", h->state, h->run, h->dir, more);
	struct kii_error err = { 0 };

	must(kii_io_publish(h->file, text, strlen(text), 0644, &err));
	kii_conf_free(h->conf);
	must(kii_conf_load(h->file, &h->conf, &err));
}

struct house *house_new(void)
{
	static const char *const folders[] = { "state/public", "state/queue", "state/engine",
		"state/artifacts", "state/logs", "run/public", "run/worker", "layouts" };
	struct house *h = kii_xcalloc(1, sizeof(*h));
	struct kii_error err = { 0 };

	unsetenv("DOCKER_HOST");
	unsetenv("KIISRV_CONFIG");
	h->dir = test_dir_new();
	h->state = kii_xfmt("%s/state", h->dir);
	h->run = kii_xfmt("%s/run", h->dir);
	h->file = kii_xfmt("%s/kiisrv.toml", h->dir);
	assert_int_equal(chmod(h->dir, 0755), 0);
	for (size_t i = 0; i < KII_COUNT(folders); i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", h->dir, folders[i]);

		must(kii_io_mkdirs(path, 0755, &err));
	}
	make_databases(h);
	house_configure(h, "[limits]\ndisk_floor = \"1 KiB\"\n");
	pthread_mutex_init(&h->lock, NULL);
	h->answer = json_pack("{s:b, s:i, s:i, s:i, s:i, s:b, s:I, s:b, s:b, s:s, s:s}", "ok", 1,
		"pid", 1, "queued", 2, "running", 1, "slots", 4, "engine_up", 1, "engine_seen",
		(json_int_t)kii_io_wall(), "podman", 0, "live_restore", 1, "engine_version",
		"20.10.24", "engine_error", "");
	assert_non_null(h->answer);
	h->listener = -1;
	house_worker_start(h);
	return h;
}

void house_free(struct house *h)
{
	house_worker_stop(h);
	pthread_mutex_destroy(&h->lock);
	json_decref(h->answer);
	kii_conf_free(h->conf);
	test_dir_remove(h->dir);
	free(h->dir);
	free(h->state);
	free(h->run);
	free(h->file);
	free(h->jobs);
	free(h->config);
	free(h->stats);
	free(h->operators);
	free(h);
}

/* --- the worker --- */

static void answer_one(struct house *h, int fd)
{
	kii_autobuf line = KII_BUF_INIT(100000);
	struct kii_error err = { 0 };
	char question[4096];
	bool silent;

	if (read(fd, question, sizeof(question)) <= 0)
		return;
	pthread_mutex_lock(&h->lock);
	silent = h->silent;
	if (h->answer && kii_json_dump(h->answer, 0, &line, &err) == 0)
		kii_buf_char(&line, '\n');
	pthread_mutex_unlock(&h->lock);
	/* The end of the connection, or of the test. */
	if (silent)
		poll((struct pollfd[]){ { fd, POLLIN, 0 }, { h->wake[0], POLLIN, 0 } }, 2, -1);
	else if (line.len && kii_io_write_all(fd, line.data, line.len, &err) != 0)
		kii_error_clear(&err);
}

static void *serve(void *arg)
{
	struct house *h = arg;

	for (;;) {
		struct pollfd p[] = { { h->listener, POLLIN, 0 }, { h->wake[0], POLLIN, 0 } };
		int fd;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return NULL;
		fd = accept(h->listener, NULL, NULL);
		if (fd < 0)
			continue;
		answer_one(h, fd);
		close(fd);
	}
}

void house_worker_start(struct house *h)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/worker/worker.sock", h->run);
	unlink(addr.sun_path);
	h->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(h->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(h->listener, 4), 0);
	assert_int_equal(pipe(h->wake), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, serve, h), 0);
}

void house_worker_stop(struct house *h)
{
	if (h->listener < 0)
		return;
	assert_int_equal(write(h->wake[1], "x", 1), 1);
	pthread_join(h->thread, NULL);
	close(h->wake[0]);
	close(h->wake[1]);
	close(h->listener);
	h->listener = -1;
}

void house_says(struct house *h, const char *name, json_t *taken)
{
	pthread_mutex_lock(&h->lock);
	json_object_set_new(h->answer, name, taken);
	pthread_mutex_unlock(&h->lock);
}

void house_falls_silent(struct house *h, bool silent)
{
	pthread_mutex_lock(&h->lock);
	h->silent = silent;
	json_decref(h->answer);
	h->answer = NULL;
	pthread_mutex_unlock(&h->lock);
}
