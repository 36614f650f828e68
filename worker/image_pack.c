/* SPDX-License-Identifier: MIT */
/* image_pack: what each buildpack makes of a project: recipes. */
#include <config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "compose.h"
#include "image.h"
#include "json.h"
#include "plan.h"

/* `first` with what `second` adds or says otherwise. Caller owns it. */
static json_t *merged(const json_t *first, const json_t *second)
{
	json_t *all = json_object();

	json_object_update(all, (json_t *)first);
	json_object_update(all, (json_t *)second);
	return all;
}

static struct kii_context_opts context_of(const struct image_work *x)
{
	const struct kii_conf *conf = x->t->w->conf;

	return (struct kii_context_opts){ .dir = x->source, .root = x->r.root,
		.max_entries = conf->build.context_files, .max_bytes = conf->build.context,
		.tick = task_may_go_on, .tick_arg = x->t };
}

/* --- a Dockerfile of the project's --- */

static int pack_dockerfile(struct image_work *x, struct kii_error *err)
{
	kii_autojson *args = merged(x->r.environment, x->r.build_args);
	struct image_recipe recipe = { .name = x->r.image, .target = x->r.target,
		.context = context_of(x), .args = args };

	recipe.context.dockerfile = x->r.dockerfile;
	return image_build(x, &recipe, err);
}

/* --- a plan of ours --- */

static int unplanned(struct image_work *x, struct kii_error *err)
{
	kii_autofree char *said = kii_xstrdup(err->msg);

	if (err->code == KII_ENOTFOUND)
		return task_fail(x->t, err, "no_plan", "%s", said);
	if (err->code == KII_EINVAL || err->code == KII_ETOOBIG)
		return task_fail(x->t, err, "bad_project", "%s", said);
	return -1;
}

int image_plan(struct image_work *x, struct kii_plan **out, struct kii_error *err)
{
	kii_autojson *variables = merged(x->r.environment, x->r.variables);
	const struct kii_plan_opts opts = {
		.kind = x->r.pack == KII_PACK_STATIC ? KII_PLAN_STATIC : KII_PLAN_NIXPACKS,
		.start_command = x->r.start_command, .build_command = x->r.build_command,
		.variables = variables, .providers = x->r.providers,
		.output_dir = x->r.output_dir, .nginx_config = x->r.nginx_config,
		.is_spa = x->r.is_spa, .images = &x->t->w->conf->images,
	};
	kii_autoclose int dir = -1;

	if (kii_beneath_open(x->source, x->r.root ? x->r.root : "", O_RDONLY | O_DIRECTORY,
			"context_root", &dir, err) != 0 ||
	    kii_plan_make(dir, &opts, out, err) != 0)
		return unplanned(x, err);
	for (size_t i = 0; i < (*out)->notes.n; i++)
		if (!task_say(x->t, "[kiisrv: %s]", (*out)->notes.items[i]))
			return -1;
	return 0;
}

static int build_plan(struct image_work *x, const struct kii_plan *plan, struct kii_error *err)
{
	kii_autofree char *folder = NULL;
	kii_autofree char *name = NULL;
	struct kii_file file = { .data = plan->dockerfile, .len = strlen(plan->dockerfile),
		.mode = 0644 };
	struct image_recipe recipe = { .name = x->r.image, .context = context_of(x) };

	if (kii_context_unused(x->source, x->r.root, &folder, err) != 0)
		return unplanned(x, err);
	name = kii_xfmt("%s/Dockerfile", folder);
	file.name = name;
	recipe.context.dockerfile = name;
	recipe.context.extra = &file;
	recipe.context.n_extra = 1;
	recipe.context.ignore_before = plan->ignore_before;
	recipe.context.ignore_after = plan->ignore_after;
	if (!task_say(x->t, "[kiisrv: the plan's Dockerfile]\n%s", plan->dockerfile))
		return -1;
	return image_build(x, &recipe, err);
}

static int pack_plan(struct image_work *x, struct kii_error *err)
{
	struct kii_plan *plan = NULL;
	int rc;

	task_progress(x->t, "plan");
	rc = image_plan(x, &plan, err);
	if (rc == 0)
		rc = build_plan(x, plan, err);
	kii_plan_free(plan);
	return rc;
}

/* --- services of a compose file --- */

/* What the project is called where the file does not say: the repository's last part. */
static char *project_of(const struct image_work *x)
{
	const char *repo = x->r.repo ? x->r.repo : "";
	size_t len = strlen(repo);
	const char *last;

	while (len && repo[len - 1] == '/')
		len--;
	if (len > 4 && strncmp(repo + len - 4, ".git", 4) == 0)
		len -= 4;
	while (len && repo[len - 1] == '/')
		len--;
	for (last = repo + len; last > repo && !strchr("/:", last[-1]); last--)
		;
	return kii_xstrndup(last, (size_t)(repo + len - last));
}

/* With a service asked for, the result is called as the request says. */
static int build_service(struct image_work *x, const struct kii_compose_service *s,
	struct kii_error *err)
{
	kii_autojson *args = merged(x->r.environment, s->args);
	kii_autofree char *name = NULL;
	struct image_recipe recipe = { .target = s->target, .context = context_of(x),
		.args = args };
	struct kii_image_ref ref;

	if (x->r.image) {
		name = kii_xstrdup(x->r.image);
	} else if (kii_image_ref_parse(s->image, "image", &ref, err) != 0 || ref.digest[0]) {
		return task_fail(x->t, err, "bad_project",
			"services.%s.image: '%s' is no name to give to an image", s->name,
			s->image);
	} else {
		name = kii_image_ref_text(&ref);
	}
	recipe.name = name;
	recipe.context.root = s->context;
	recipe.context.dockerfile = s->dockerfile;
	return image_build(x, &recipe, err);
}

static int build_services(struct image_work *x, const struct kii_compose *c,
	struct kii_error *err)
{
	for (size_t i = 0; i < c->notes.n; i++)
		if (!task_say(x->t, "[kiisrv: %s]", c->notes.items[i]))
			return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (!task_say(x->t, "[kiisrv: service %s, %zu of %zu]", c->services[i].name, i + 1,
				c->n) || build_service(x, &c->services[i], err) != 0)
			return -1;
	}
	return 0;
}

static int pack_compose(struct image_work *x, struct kii_error *err)
{
	kii_autofree char *project = project_of(x);
	const struct kii_compose_opts opts = { .dir = x->source, .root = x->r.root,
		.file = x->r.compose_file, .service = x->r.service, .project = project,
		.environment = x->r.environment };
	kii_autofree char *said = NULL;
	struct kii_compose c;
	int rc;

	if (kii_compose_read(&opts, &c, err) == 0) {
		rc = build_services(x, &c, err);
		kii_compose_release(&c);
		return rc;
	}
	if (err->code != KII_EINVAL && err->code != KII_ENOTFOUND && err->code != KII_ETOOBIG)
		return -1;
	said = kii_xstrdup(err->msg);
	return task_fail(x->t, err, "bad_project", "%s", said);
}

int image_pack(struct image_work *x, struct kii_error *err)
{
	switch (x->r.pack) {
	case KII_PACK_DOCKERFILE:
		return pack_dockerfile(x, err);
	case KII_PACK_COMPOSE:
		return pack_compose(x, err);
	case KII_PACK_NIXPACKS:
	case KII_PACK_STATIC:
	case KII_PACK__MAX:
		break;
	}
	return pack_plan(x, err);
}
