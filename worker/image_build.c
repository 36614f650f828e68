/* SPDX-License-Identifier: MIT */
/* image_build: one recipe through the engine's builder. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "dockerfile_check.h"
#include "dockerfile_from.h"
#include "image.h"
#include "io.h"
#include "json.h"
#include "layers.h"

#define TAIL_SHOWN 1000    /* bytes of the last lines in an error */

/* --- what is heard meanwhile --- */

static bool hear(void *arg, const char *text, size_t len)
{
	struct image_work *x = arg;
	size_t shown = len < x->tail.limit ? len : x->tail.limit;

	broken_beat(x->t->w->broken);
	if (x->tail.len > x->tail.limit - shown)
		kii_buf_drop(&x->tail, x->tail.len - (x->tail.limit - shown));
	kii_buf_add(&x->tail, text + len - shown, shown);
	return task_write(x->t, text, len);
}

static void at_step(void *arg, const struct kii_build_step *step)
{
	struct image_work *x = arg;

	kii_buf_reset(&x->tail);
	if (step->stages > 1)
		task_progress(x->t, "step %u/%u of stage %u/%u: %s", step->step, step->steps,
			step->stage, step->stages, step->text);
	else
		task_progress(x->t, "step %u/%u: %s", step->step, step->steps, step->text);
}

static void at_image(void *arg, const char *id)
{
	struct image_work *x = arg;

	layers_made(x->t->w->layers, id, x->t->job->created);
}

static bool may_go_on(void *arg)
{
	struct image_work *x = arg;

	/* The janitor may be kept from it by an engine that is slow. */
	broken_beat(x->t->w->broken);
	return task_may_go_on(x->t);
}

/* --- how it ends --- */

/* The last lines, from a line's begin, fit for a person's eyes. */
static char *last_lines(const struct image_work *x)
{
	size_t from = x->tail.len > TAIL_SHOWN ? x->tail.len - TAIL_SHOWN : 0;
	const char *text = x->tail.data + from;
	const char *line = from ? strchr(text, '\n') : NULL;
	char *out = kii_xstrdup(line ? line + 1 : text);
	size_t len = strlen(out);

	while (len && strchr("\n\r ", out[len - 1]))
		out[--len] = '\0';
	for (char *p = out; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f)
			*p = '?';
	return out;
}

static int failed(struct image_work *x, const struct kii_build_result *result,
	struct kii_error *err)
{
	kii_autofree char *lines = last_lines(x);
	kii_autofree char *said = kii_xstrdup(err->msg);
	const struct kii_build_step *s = &result->last;

	if (!s->step)
		return task_fail(x->t, err, "build_failed", "%s", said);
	if (result->exit_code >= 0)
		return task_fail(x->t, err, "build_failed",
			"step %u/%u failed: %s (exit code %d). Its last lines:\n%s", s->step,
			s->steps, s->text, result->exit_code, lines);
	return task_fail(x->t, err, "build_failed", "%s. The last lines:\n%s", said, lines);
}

/* A failure that is the project's fault; others are passed on. */
static int unfit(struct image_work *x, const char *outcome, struct kii_error *err)
{
	kii_autofree char *said = kii_xstrdup(err->msg);

	if (err->code != KII_EINVAL && err->code != KII_ENOTFOUND && err->code != KII_ETOOBIG)
		return -1;
	return task_fail(x->t, err, outcome, "%s", said);
}

/* --- the call --- */

static size_t pairs_of(const json_t *object, struct kii_pair **out)
{
	const char *name;
	const json_t *value;
	size_t n = 0;

	*out = kii_xcalloc(json_object_size(object) + 1, sizeof(**out));
	json_object_foreach((json_t *)object, name, value)
		(*out)[n++] = (struct kii_pair){ name, json_string_value(value) };
	return n;
}

/*
 * The cache of Podman 4 does not heed arguments where an instruction other than RUN uses them, nor
 * labels of a stage that is not the last: what it finds may be another build's.
 */
static bool misleads(const struct image_work *x, const struct image_recipe *recipe,
	const struct kii_context *context)
{
	size_t len;
	const char *text = kii_context_recipe(context, &len);

	if (!x->about.podman || strtol(x->about.version, NULL, 10) > 4)
		return false;
	return recipe->target || (json_object_size(recipe->args) &&
		kii_dockerfile_expands(text, len));
}

/*
 * Did a step's image go while the build was on? Then the next attempt makes it anew. An ID that the
 * recipe itself names is not there for a reason of its own.
 */
static bool lost_layer(const struct kii_context *context, const char *said)
{
	static const char words[] = "No such image: sha256:";
	const char *id = strstr(said, words);
	size_t len;
	const char *text = kii_context_recipe(context, &len);
	size_t digits;

	if (!id)
		return false;
	id += sizeof(words) - 1;
	digits = strspn(id, "0123456789abcdef");
	return !digits || !memmem(text, len, id, digits);
}

/*
 * Who breaks it off may leave something; an engine whose step has failed has cleaned up, and one
 * that refuses the recipe has done nothing.
 */
static int call(struct image_work *x, const struct kii_build_spec *spec,
	const struct kii_texts *bases, struct kii_error *err)
{
	struct broken *b = x->t->w->broken;
	bool clean;
	int rc;

	broken_begin(b, x->layers, &x->clock, bases);
	rc = kii_engine_build(x->t->engine, spec, hear, x, err);
	clean = rc == 0 || (err->code == KII_EREFUSED &&
		(spec->result->exit_code >= 0 || !spec->result->last.step));
	broken_end(b, x->layers, !clean);
	return rc;
}

/* A Docker tells its time itself; what a Podman has was seen of the guard. */
static int ask_clock(struct image_work *x, struct kii_error *err)
{
	int64_t before = kii_io_now(), told;

	if (x->about.podman)
		return 0;
	if (kii_engine_clock(x->t->engine, &told, err) != 0)
		return -1;
	x->clock = broken_clock_of(told, before);
	return 0;
}

static int run(struct image_work *x, const struct image_recipe *recipe,
	struct kii_context *context, const struct kii_texts *bases, struct kii_error *err)
{
	const struct kii_conf *conf = x->t->w->conf;
	const struct kii_pair labels[] = { { WORKER_LABEL_INSTANCE, x->t->w->instance } };
	struct kii_build_result result = { .exit_code = -1 };
	struct kii_pair *args = NULL;
	size_t n_args = pairs_of(recipe->args, &args);
	const struct kii_build_spec spec = {
		.name = recipe->name, .context = context, .target = recipe->target,
		.args = args, .n_args = n_args,
		.labels = labels, .n_labels = KII_COUNT(labels),
		.no_cache = x->r.no_cache || misleads(x, recipe, context),
		.memory = x->r.memory ? x->r.memory : conf->build.memory,
		.cpus = x->r.cpus > 0 ? x->r.cpus : conf->build.cpus,
		.network = x->r.network ? x->r.network : "default",
		.guard = x->guard[0] ? x->guard : NULL,
		.mark = x->mark, .step = at_step, .made = at_image,
		.tick = may_go_on, .result = &result,
	};
	int rc = call(x, &spec, bases, err);

	free(args);
	if (rc == 0) {
		memcpy(x->image, result.image, sizeof(x->image));
		return 0;
	}
	if (x->t->stopped != STOPPED_NOT)
		return -1;
	if (err->code == KII_EREFUSED && result.exit_code < 0 && lost_layer(context, err->msg)) {
		kii_error_clear(err);
		return kii_error_set(err, KII_EBROKEN, 0, "the engine lost a layer");
	}
	if (err->code == KII_EREFUSED)
		return failed(x, &result, err);
	return unfit(x, "bad_context", err);
}

static int say_totals(struct image_work *x, const struct kii_context *context)
{
	struct kii_context_totals n;

	kii_context_totals(context, &n);
	return task_say(x->t, "[kiisrv: the context had %lld files, %lld bytes]",
		(long long)n.files, (long long)n.bytes) ? 0 : -1;
}

static int build_context(struct image_work *x, const struct image_recipe *recipe,
	struct kii_context *context, struct kii_error *err)
{
	kii_autotexts images = { .n = 0 }, bases = { .n = 0 };
	bool scratch = false;
	size_t len;
	const char *text = kii_context_recipe(context, &len);

	if (kii_dockerfile_check(text, len, &x->about, err) != 0)
		return unfit(x, "needs_buildkit", err);
	kii_dockerfile_bases(text, len, recipe->args, recipe->target, &images, &scratch);
	if (scratch)
		kii_texts_add(&bases, BROKEN_SCRATCH);
	if (image_bases(x, &images, x->r.pull, &bases, err) != 0 || ask_clock(x, err) != 0)
		return -1;
	if (run(x, recipe, context, &bases, err) != 0)
		return -1;
	return say_totals(x, context);
}

int image_build(struct image_work *x, const struct image_recipe *recipe, struct kii_error *err)
{
	struct kii_context *context = NULL;
	int rc;

	if (!task_say(x->t, "[kiisrv: build %s]", recipe->name))
		return -1;
	if (kii_context_open(&recipe->context, &context, err) != 0)
		return unfit(x, "bad_context", err);
	rc = build_context(x, recipe, context, err);
	kii_context_free(context);
	return rc;
}
