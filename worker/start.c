/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup.h"
#include "broken.h"
#include "instance.h"
#include "io.h"
#include "layers.h"
#include "log.h"
#include "operator.h"
#include "queue.h"

#define FOLDER_MODE 02750

/*
 * A folder of ours: made where it is missing. An existing one stays as it is: a chmod by an owner
 * who is not in the folder's group would take away its setgid bit.
 */
static int folder(const char *path, mode_t mode, struct kii_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (kii_io_mkdirs(path, mode, err) != 0)
		return -1;
	/* The mask does not count: others must be able to read where the mode says so. */
	if (chmod(path, mode) != 0)
		return kii_error_set(err, KII_EIO, errno, "mode of %s: %s", path, strerror(errno));
	return 0;
}

/* Which key leads there; a service that may not write there is told what would let it. */
static int of_key(const char *key, struct kii_error *err)
{
	if (err->code == KII_EIO && err->detail == EROFS)
		return kii_error_wrap(err, "%s (ReadWritePaths= of the unit, kiisrv.toml(5))", key);
	return kii_error_wrap(err, "%s", key);
}

static int make_folders(struct worker *w, struct kii_error *err)
{
	const char *state = w->conf->paths.state_dir;
	kii_autofree char *queue = kii_xfmt("%s/queue", state);
	kii_autofree char *engine = kii_xfmt("%s/engine", state);
	kii_autofree char *run = kii_xfmt("%s/worker", w->conf->paths.run_dir);

	w->artifacts = kii_xfmt("%s/artifacts", state);
	w->lanes[LANE_PUBLIC].logs = kii_xfmt("%s/logs", state);
	w->lanes[LANE_OPERATOR].logs = kii_xfmt("%s/operator-logs", state);
	w->work = kii_xfmt("%s/engine/work", state);
	if (folder(queue, FOLDER_MODE, err) != 0 || folder(engine, 0700, err) != 0 ||
	    folder(w->work, 0700, err) != 0 || folder(w->artifacts, FOLDER_MODE, err) != 0)
		return of_key("paths.state_dir", err);
	for (size_t i = 0; i < LANE__MAX; i++)
		if (folder(w->lanes[i].logs, FOLDER_MODE, err) != 0)
			return of_key("paths.state_dir", err);
	return folder(run, FOLDER_MODE, err) != 0 ? of_key("paths.run_dir", err) : 0;
}

static int take_lock(const char *state, int *out, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/engine/lock", state);
	char text[32] = "";
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		kii_error_set(err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
		return of_key("paths.state_dir", err);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		close(fd);
		return kii_error_set(err, KII_ECONFLICT, 0,
			"another worker, process %s, has %s", text, state);
	}
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) != 0 || kii_io_write_all(fd, text, strlen(text), err) != 0) {
		close(fd);
		return kii_error_set(err, KII_EIO, errno, "write %s", path);
	}
	*out = fd;
	return 0;
}

/* 16 hex digits that this state folder has for good. */
static int get_instance(struct worker *w, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/engine/instance", w->conf->paths.state_dir);

	if (kii_instance_read(w->conf->paths.state_dir, w->instance, err) == 0)
		return 0;
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);
	kii_io_random_hex(w->instance, KII_INSTANCE / 2);
	return kii_io_publish(path, w->instance, KII_INSTANCE, 0600, err);
}

static int open_databases(struct worker *w, const char *schema_dir, struct kii_error *err)
{
	kii_autofree char *jobs = kii_xfmt("%s/queue/jobs.sqlite", w->conf->paths.state_dir);
	kii_autofree char *config = kii_xfmt("%s/queue/config.sqlite", w->conf->paths.state_dir);
	kii_autofree char *oper = kii_xfmt("%s/engine/operator.sqlite", w->conf->paths.state_dir);

	if (kii_jobs_migrate(jobs, schema_dir, err) != 0 ||
	    kii_versions_migrate(config, schema_dir, err) != 0 ||
	    kii_operator_migrate(oper, schema_dir, err) != 0)
		return -1;
	if (kii_jobs_open(jobs, KII_STORE_WRITE, &w->lanes[LANE_PUBLIC].jobs, err) != 0 ||
	    kii_jobs_open_operator(oper, KII_STORE_WRITE, &w->lanes[LANE_OPERATOR].jobs,
			err) != 0)
		return -1;
	return kii_versions_open(config, KII_STORE_WRITE, &w->versions, err);
}

static void init_locks(struct worker *w)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->janitor_wake, &attr);
	pthread_cond_init(&w->collector_wake, &attr);
	pthread_cond_init(&w->git_wake, &attr);
	pthread_cond_init(&w->job_ended, &attr);
	for (size_t i = 0; i < LANE__MAX; i++) {
		struct lane *lane = &w->lanes[i];

		lane->w = w;
		lane->turns = turns_new();
		pthread_cond_init(&lane->work_to_do, &attr);
	}
	w->lanes[LANE_PUBLIC].slots[GROUP_WORK] = w->conf->queue.slots;
	w->lanes[LANE_OPERATOR].slots[GROUP_WORK] = w->conf->queue.operator_slots;
	w->lanes[LANE_OPERATOR].slots[GROUP_PULL] = w->conf->docker.max_concurrent_pulls;
	pthread_condattr_destroy(&attr);
	w->ended_tail = &w->ended;
}

int start_worker(struct worker *w, const struct kii_conf *conf, const char *schema_dir,
	int *lock_fd, struct kii_error *err)
{
	memset(w, 0, sizeof(*w));
	w->conf = conf;
	init_locks(w);
	w->wake_server = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_server < 0)
		return kii_error_set(err, KII_EIO, errno, "eventfd: %s", strerror(errno));
	/* Folders that are on their way must not be made anew. */
	if (kii_restore_pending(conf->paths.state_dir))
		return kii_error_set(err, KII_ECONFLICT, 0,
			"a restore was interrupted: kiisrvctl restore --finish");
	umask(0027);
	if (make_folders(w, err) != 0 || take_lock(conf->paths.state_dir, lock_fd, err) != 0 ||
	    get_instance(w, err) != 0)
		return -1;
	w->layers = layers_new(conf->paths.state_dir);
	w->broken = broken_new(conf->paths.state_dir);
	if (kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts,
			&w->layouts, err) != 0)
		return -1;
	return open_databases(w, schema_dir, err);
}

void start_release(struct worker *w)
{
	while (w->ended) {
		struct ended *next = w->ended->next;

		free(w->ended);
		w->ended = next;
	}
	json_decref(w->collection.question);
	json_decref(w->collection.answer);
	kii_versions_close(w->versions);
	for (size_t i = 0; i < LANE__MAX; i++) {
		kii_jobs_close(w->lanes[i].jobs);
		turns_free(w->lanes[i].turns);
		free(w->lanes[i].logs);
	}
	kii_layouts_free(w->layouts);
	broken_free(w->broken);
	layers_free(w->layers);
	kii_images_free(w->images, w->n_images);
	if (w->wake_server >= 0)
		close(w->wake_server);
	free(w->artifacts);
	free(w->work);
}
