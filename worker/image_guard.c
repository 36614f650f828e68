/* SPDX-License-Identifier: MIT */
/*
 * image_guard: Podman goes on with a step whose build was given up, whoever asks for what. So the
 * steps of a build run in the PID namespace of a container that does nothing, and end with it.
 */
#include <config.h>

#include <string.h>

#include "image.h"
#include "io.h"
#include "log.h"

#define CLEAN_MS 20000
#define MEMORY   (INT64_C(32) << 20)
#define PIDS     16

/* By when it says that it has made the guard, which was after `before` of kii_io_now. */
static int tell_time(struct image_work *x, int64_t before, struct kii_error *err)
{
	struct kii_container guard = { .labels = NULL };

	if (kii_engine_inspect(x->t->engine, x->guard, &guard, err) != 0)
		return kii_error_wrap(err, "guard");
	x->clock = broken_clock_of(guard.created_ms, before);
	kii_container_release(&guard);
	if (!guard.created_ms)
		return kii_error_set(err, KII_EBROKEN, 0, "guard: the engine tells no time");
	return 0;
}

static int start(struct image_work *x, const char *image, struct kii_error *err)
{
	struct task *t = x->t;
	kii_autofree char *name = worker_container_name(t->w, t->job->id, t->job->attempts);
	const char *sleep[] = { "sleep", NULL };
	const char *cmd[] = { "86400", NULL };
	char attempt[16];
	int64_t before;
	const struct kii_pair labels[] = {
		{ WORKER_LABEL_INSTANCE, t->w->instance },
		{ WORKER_LABEL_JOB, t->job->id },
		{ WORKER_LABEL_ATTEMPT, attempt },
	};
	const struct kii_container_spec spec = {
		.name = name, .image = image, .entrypoint = sleep, .cmd = cmd,
		.labels = labels, .n_labels = KII_COUNT(labels),
		.memory = MEMORY, .cpus = 1, .pids = PIDS,
	};

	snprintf(attempt, sizeof(attempt), "%d", t->job->attempts);
	before = kii_io_now();
	if (kii_engine_create(t->engine, &spec, x->guard, err) != 0)
		return kii_error_wrap(err, "guard");
	if (tell_time(x, before, err) != 0)
		return -1;
	return kii_engine_start(t->engine, x->guard, err);
}

int image_guard(struct image_work *x, struct kii_error *err)
{
	char image[TASK_IMAGE];

	if (!x->about.podman)
		return 0;
	if (task_helper(x->t, image, err) != 0)
		return -1;
	return start(x, image, err);
}

void image_unguard(struct image_work *x)
{
	struct worker *w = x->t->w;
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	if (!x->guard[0])
		return;
	/* By a handle of its own: the other one ends when the worker does. */
	if (worker_engine(w, CLEAN_MS, &engine, &err) != 0 ||
	    kii_engine_remove(engine, x->guard, &err) != 0) {
		kii_log_warn("clean_later", "job=%s container=%s error=%s", x->t->job->id,
			x->guard, kii_q(err.msg));
		pthread_mutex_lock(&w->lock);
		w->untidy = true;
		pthread_mutex_unlock(&w->lock);
	}
	kii_engine_free(engine);
	x->guard[0] = '\0';
}
