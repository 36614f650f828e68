/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "workerfix.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "queue.h"
#include "start.h"
#include "testlib.h"

static void set_conf(struct fix *f)
{
	struct kii_conf *c = &f->conf;

	c->docker.socket_path = kii_xstrdup(toy_address(f->toy));
	c->docker.timeout_ms = 5000;
	c->paths.state_dir = kii_xfmt("%s/state", f->dir);
	c->paths.run_dir = kii_xfmt("%s/run", f->dir);
	c->paths.layouts[0] = test_source("layouts");
	c->paths.n_layouts = 1;
	c->firmware.image_prefix = kii_xstrdup("kiisrv-");
	c->firmware.timeout_ms = 60000;
	c->firmware.idle_timeout_ms = 60000;
	c->firmware.memory = 512 << 20;
	c->firmware.cpus = 2;
	c->firmware.pids = 128;
	c->firmware.tmp = 256 << 20;
	c->firmware.git_url = kii_xstrdup("https://example.org/c.git");
	c->firmware.git_refresh_ms = 3600000;
	c->queue.slots = 2;
	c->queue.operator_slots = c->docker.max_concurrent_pulls = 2;
	c->paths.secrets = kii_xfmt("%s/secrets", f->dir);
	c->queue.max_waiting = c->queue.per_client = 64;
	c->limits.log = 1 << 20;
	c->limits.artifact = 50000;
	c->retention.artifacts = 1 << 30;
	c->retention.artifact_days = c->retention.log_days = c->retention.audit_days = 30;
}

/* {"env", "git_tag", "config"}: what submit.c keeps of a request. */
static char *make_request(void)
{
	struct kii_error err = { 0 };
	kii_autofree char *layout = test_source("layouts/MD1-Standard.json");
	kii_autobuf text = KII_BUF_INIT(1u << 20);

	must(kii_io_read(layout, &text, &err));
	return kii_xfmt("{\"env\":\"latest\",\"git_tag\":\"v0.5.7\",\"config\":%s}", text.data);
}

int fix_open(void **state)
{
	struct fix *f = kii_xcalloc(1, sizeof(*f));
	kii_autofree char *schema = test_source("schema");
	struct kii_error err = { 0 };

	f->dir = test_dir_new();
	f->toy = toy_new();
	toy_image(f->toy, FIX_IMAGE, "kiisrv-controller-057:latest", "1000:1000");
	set_conf(f);
	must(start_worker(&f->w, &f->conf, schema, &f->lock, &err));
	f->request = make_request();
	*state = f;
	return 0;
}

int fix_close(void **state)
{
	struct fix *f = *state;

	start_release(&f->w);
	close(f->lock);
	toy_free(f->toy);
	test_dir_remove(f->dir);
	free(f->dir);
	free(f->request);
	free(f->conf.docker.socket_path);
	free(f->conf.paths.state_dir);
	free(f->conf.paths.run_dir);
	free(f->conf.paths.secrets);
	free(f->conf.paths.layouts[0]);
	free(f->conf.firmware.image_prefix);
	free(f->conf.firmware.git_url);
	free(f);
	return 0;
}

void fix_id(int n, char id[KII_JOB_ID + 1])
{
	snprintf(id, KII_JOB_ID + 1, "%032d", n);
}

void fix_queue(struct fix *f)
{
	struct kii_error err = { 0 };
	struct kii_job job = { .kind = "firmware", .client = (char *)"192.0.2.1",
		.subject = (char *)"MD1", .release = (char *)"controller-057",
		.image = (char *)FIX_IMAGE, .request = f->request, .created = kii_io_wall() };

	fix_id(++f->made, job.id);
	snprintf(job.key, sizeof(job.key), "%032d%032d", f->made, f->made);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_insert(f->w.lanes[LANE_PUBLIC].jobs, &job, &err));
	pthread_cond_signal(&f->w.lanes[LANE_PUBLIC].work_to_do);
	pthread_mutex_unlock(&f->w.lock);
}

struct running *fix_claim(struct fix *f, struct kii_job *job)
{
	struct kii_error err = { 0 };
	struct running *slot = NULL;

	assert_int_equal(queue_claim(&f->w.lanes[LANE_PUBLIC], job, &slot, &err), 1);
	return slot;
}

void fix_job(struct fix *f, int n, struct kii_job *job)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	pthread_mutex_lock(&f->w.lock);
	must(kii_jobs_get(f->w.lanes[LANE_PUBLIC].jobs, id, job, &err));
	pthread_mutex_unlock(&f->w.lock);
}

char *fix_name(const struct fix *f, int n, int attempt)
{
	char id[KII_JOB_ID + 1];

	fix_id(n, id);
	return worker_container_name(&f->w, id, attempt);
}

void fix_container(struct fix *f, int n, int attempt, enum kii_container_state state)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1], number[16];
	kii_autofree char *name = fix_name(f, n, attempt);
	const struct kii_pair labels[] = {
		{ WORKER_LABEL_INSTANCE, f->w.instance },
		{ WORKER_LABEL_JOB, id },
		{ WORKER_LABEL_ATTEMPT, number },
		{ NULL, NULL },
	};

	fix_id(n, id);
	snprintf(number, sizeof(number), "%d", attempt);
	toy_container(f->toy, name, labels, state);
	must(kii_jobs_set_container(f->w.lanes[LANE_PUBLIC].jobs, id, "0123456789abcdef", &err));
}

char *fix_log(const struct fix *f, int n, int attempt)
{
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];
	kii_autofree char *path = NULL;
	kii_autobuf text = KII_BUF_INIT(16u << 20);

	fix_id(n, id);
	path = worker_log_path(&f->w.lanes[LANE_PUBLIC], id, attempt);
	must(kii_io_read(path, &text, &err));
	return kii_buf_steal(&text);
}

bool fix_has_file(const char *folder, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

bool fix_await(bool (*what)(void *arg), void *arg)
{
	const struct timespec nap = { .tv_nsec = 2000000 };

	for (int64_t until = kii_io_now() + 10000; kii_io_now() < until; nanosleep(&nap, NULL))
		if (what(arg))
			return true;
	return false;
}
