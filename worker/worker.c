/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "worker.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "queue.h"

#define LIST_TRIES    3
#define LIST_PAUSE_MS 200

int worker_engine(const struct worker *w, int64_t timeout_ms, struct kii_engine **out,
	struct kii_error *err)
{
	const struct kii_engine_opts opts = {
		.address = w->conf->docker.socket_path,
		.tls = w->conf->docker.tls_verify,
		.cert_path = w->conf->docker.cert_path,
		.timeout_ms = timeout_ms ? timeout_ms : w->conf->docker.timeout_ms,
	};

	return kii_engine_new(&opts, out, err);
}

/* Podman's list breaks at an image that somebody is removing just then: another time it is gone. */
int worker_list_images(const struct worker *w, struct kii_engine *engine,
	struct kii_image **images, size_t *n, struct kii_error *err)
{
	const char *prefix = w->conf->firmware.image_prefix;
	int rc = kii_engine_images(engine, prefix, images, n, err);

	for (int i = 1; rc != 0 && err->detail >= 500 && i < LIST_TRIES; i++) {
		poll(NULL, 0, LIST_PAUSE_MS);
		kii_error_clear(err);
		rc = kii_engine_images(engine, prefix, images, n, err);
	}
	return rc;
}

const struct kii_image *worker_image(const struct worker *w, const char *container)
{
	kii_autofree char *name = kii_xfmt("%s%s:latest", w->conf->firmware.image_prefix,
		container);

	for (size_t i = 0; i < w->n_images; i++)
		if (!strcmp(w->images[i].name, name))
			return &w->images[i];
	return NULL;
}

void worker_wake_server(const struct worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->wake_server, &one, sizeof(one));

	(void)n;
}

void worker_announce(struct worker *w, const char *id)
{
	struct ended *e = kii_xcalloc(1, sizeof(*e));

	memcpy(e->id, id, sizeof(e->id));
	*w->ended_tail = e;
	w->ended_tail = &e->next;
	worker_wake_server(w);
	pthread_cond_broadcast(&w->job_ended);
}

int worker_job(struct worker *w, const char *id, struct kii_job *out, struct lane **lane,
	struct kii_error *err)
{
	for (size_t i = 0; kii_job_id_valid(id) && i < LANE__MAX; i++) {
		struct kii_error why = { 0 };

		if (kii_jobs_get(w->lanes[i].jobs, id, out, &why) == 0) {
			if (lane)
				*lane = &w->lanes[i];
			return 0;
		}
		if (why.code != KII_ENOTFOUND)
			return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	}
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such job");
}

int64_t worker_duration(const struct kii_job *job)
{
	return job->started ? job->finished - job->started : 0;
}

struct running *worker_running(struct worker *w, const char *id)
{
	for (size_t i = 0; i < LANE__MAX; i++) {
		struct running *slot = queue_find(&w->lanes[i], id);

		if (slot)
			return slot;
	}
	return NULL;
}

char *worker_log_path(const struct lane *lane, const char *id, int attempt)
{
	if (attempt)
		return kii_xfmt("%s/%s.%d.log", lane->logs, id, attempt);
	return kii_xfmt("%s/%s.log", lane->logs, id);
}

char *worker_container_name(const struct worker *w, const char *id, int attempt)
{
	return kii_xfmt("kiisrv-%s-%s-%d", w->instance, id, attempt);
}
