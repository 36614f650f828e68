/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "plan_in.h"

#define USER 1000

void kii_plan_free(struct kii_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_versions; i++) {
		free(plan->versions[i].name);
		free(plan->versions[i].value);
		free(plan->versions[i].source);
	}
	free(plan->versions);
	kii_texts_release(&plan->providers);
	kii_texts_release(&plan->setup);
	kii_texts_release(&plan->install);
	kii_texts_release(&plan->build);
	kii_texts_release(&plan->images);
	kii_texts_release(&plan->notes);
	json_decref(plan->variables);
	free(plan->start);
	free(plan->dockerfile);
	free(plan->ignore_before);
	free(plan->ignore_after);
	free(plan);
}

static void draft_init(struct kii_draft *d)
{
	d->plan = kii_xcalloc(1, sizeof(*d->plan));
	d->plan->variables = json_object();
	d->env = json_object();
	d->build_env = json_object();
	d->run_env = json_object();
	d->user = USER;
}

static void draft_release(struct kii_draft *d)
{
	if (d->assets) {
		/* these are the outer draft's */
		d->assets->steer = d->assets->steered = NULL;
		draft_release(d->assets);
		free(d->assets);
	}
	kii_plan_free(d->plan);
	json_decref(d->steer);
	json_decref(d->steered);
	json_decref(d->env);
	json_decref(d->build_env);
	json_decref(d->run_env);
	kii_texts_release(&d->manifests);
	kii_texts_release(&d->run_setup);
	kii_texts_release(&d->files);
	kii_texts_release(&d->apt);
	kii_texts_release(&d->run_apt);
	kii_texts_release(&d->taken);
	kii_texts_release(&d->ignore);
	kii_texts_release(&d->collect);
	kii_texts_release(&d->finish);
	free(d->build_image);
	free(d->run_image);
	free(d->tool_image);
	free(d->site);
}

const struct kii_detector *kii_detector_find(const char *name)
{
	for (size_t i = 0; kii_detectors[i]; i++) {
		if (strcmp(kii_detectors[i]->name, name) == 0)
			return kii_detectors[i];
	}
	return NULL;
}

/* The detector that claims the tree and has the lowest rank. */
static const struct kii_detector *detect(struct kii_tree *t)
{
	const struct kii_detector *best = NULL;

	for (size_t i = 0; kii_detectors[i]; i++) {
		const struct kii_detector *one = kii_detectors[i];

		if ((!best || one->rank < best->rank) && one->claims(t))
			best = one;
	}
	return best;
}

static int nobody(struct kii_error *err)
{
	kii_autotexts files = { 0 };
	kii_autofree char *list = NULL;

	for (size_t i = 0; kii_detectors[i]; i++)
		kii_texts_add(&files, kii_detectors[i]->looks_for);
	list = kii_texts_join(&files, ", ");
	return kii_error_set(err, KII_ENOTFOUND, 0, "no project that is known: its folder has none "
		"of %s. Add one of them, or a Dockerfile, or choose a provider", list);
}

static int add_provider(struct kii_draft *d, const char *field, const json_t *value,
	struct kii_error *err)
{
	const char *name = json_string_value(value);

	if (!name)
		return kii_error_field(err, field, "must be a name");
	if (strcmp(name, "...") == 0) {
		const struct kii_detector *found = detect(d->tree);

		if (!found)
			return nobody(err);
		name = found->name;
	}
	if (!kii_detector_find(name))
		return kii_error_field(err, field, "\"%.40s\" is no provider that is known",
			kii_draft_is_text(name, false) ? name : "...");
	kii_texts_once(&d->plan->providers, name);
	return 0;
}

/* The request's list, else the configuration's, else what the files say. */
static int choose_providers(struct kii_draft *d, struct kii_error *err)
{
	const json_t *given = d->opts->providers;
	const char *field = "providers";
	const struct kii_detector *found;

	if (given && !json_is_array(given))
		return kii_error_field(err, field, "must be a list of names");
	if (!json_array_size(given)) {
		given = json_object_get(d->config, "providers");
		field = d->config_file;
	}
	d->providers_given = json_array_size(given) > 0;
	for (size_t i = 0; i < json_array_size(given); i++) {
		if (add_provider(d, field, json_array_get(given, i), err) != 0)
			return -1;
	}
	if (!d->plan->providers.n) {
		found = detect(d->tree);
		if (!found)
			return nobody(err);
		kii_texts_add(&d->plan->providers, found->name);
	}
	for (size_t i = 1; i < d->plan->providers.n; i++) {
		if (strcmp(d->plan->providers.items[i], "node") != 0)
			return kii_error_field(err, field, "beside the first only node can help, "
				"not %s", d->plan->providers.items[i]);
	}
	return 0;
}

/* Of the table. */
static int run_detector(const char *name, struct kii_draft *d, struct kii_error *err)
{
	const struct kii_detector *found = kii_detector_find(name);

	assert(found);
	return found->plan(d, err);
}

/* Node beside another language: it builds assets in a stage of its own. */
static int plan_assets(struct kii_draft *d, struct kii_error *err)
{
	struct kii_draft *a;

	if (d->plan->providers.n < 2)
		return 0;
	a = d->assets = kii_xcalloc(1, sizeof(*a));
	draft_init(a);
	a->tree = d->tree;
	a->opts = d->opts;
	a->steer = d->steer;
	a->steered = d->steered;
	json_object_update(a->plan->variables, d->plan->variables);
	/* whatever it would start, the language starts something */
	a->given_start = "true";
	if (run_detector("node", a, err) != 0)
		return -1;
	kii_texts_append(&a->plan->build, &a->collect);
	return 0;
}

static void note_unused(struct kii_draft *d)
{
	const char *name;
	json_t *value;

	json_object_foreach(d->steer, name, value) {
		if (!json_object_get(d->steered, name))
			kii_draft_note(d, "NIXPACKS_%s is not used for this project", name);
	}
}

static int plan_nixpacks(struct kii_draft *d, struct kii_error *err)
{
	kii_autofree char *start = NULL;

	if (kii_plan_config(d, err) != 0 || kii_plan_given(d, &start, err) != 0 ||
	    choose_providers(d, err) != 0 ||
	    run_detector(d->plan->providers.items[0], d, err) != 0 ||
	    plan_assets(d, err) != 0 || kii_plan_override(d, err) != 0)
		return -1;
	d->given_start = NULL;
	kii_texts_append(&d->plan->build, &d->collect);
	if (!d->plan->start)
		return kii_error_field(err, "start_command", "nothing says what to start: %s, or a "
			"Procfile with a line \"web: command\", or give start_command",
			d->hint ? d->hint : "add the file that it is known by");
	note_unused(d);
	return 0;
}

/* What is to be shown: the defaults among the variables, and node's steps before the language's. */
static void round_up(struct kii_draft *d)
{
	struct kii_plan *p = d->plan;

	json_object_update_missing(p->variables, d->env);
	json_object_update_missing(p->variables, d->run_env);
	if (d->assets) {
		struct kii_plan *a = d->assets->plan;

		kii_texts_append(&a->setup, &p->setup);
		kii_texts_append(&a->install, &p->install);
		kii_texts_append(&a->build, &p->build);
#define SWAP(x) do { struct kii_texts tmp = a->x; a->x = p->x; p->x = tmp; } while (0)
		SWAP(setup);
		SWAP(install);
		SWAP(build);
#undef SWAP
		p->versions = kii_xrealloc(p->versions, (p->n_versions + a->n_versions) *
			sizeof(*p->versions));
		memcpy(p->versions + p->n_versions, a->versions,
			a->n_versions * sizeof(*a->versions));
		p->n_versions += a->n_versions;
		a->n_versions = 0;
		kii_texts_append(&p->notes, &a->notes);
	}
}

int kii_plan_make(int dirfd, const struct kii_plan_opts *opts, struct kii_plan **out,
	struct kii_error *err)
{
	struct kii_draft d = { .opts = opts };
	int rc;

	draft_init(&d);
	d.tree = kii_tree_new(dirfd);
	d.steer = json_object();
	d.steered = json_object();
	rc = kii_plan_variables(&d, err);
	if (rc == 0)
		rc = opts->kind == KII_PLAN_STATIC ? kii_plan_static(&d, err) :
			plan_nixpacks(&d, err);
	if (rc == 0)
		rc = kii_plan_dockerfile(&d, err);
	if (rc == 0) {
		round_up(&d);
		*out = kii_steal(&d.plan);
	}
	kii_tree_free(d.tree);
	draft_release(&d);
	return rc;
}

static json_t *list_json(const struct kii_texts *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		json_t *text = json_string(t->items[i]);

		json_array_append_new(list, text ? text : json_null());
	}
	return list;
}

static json_t *versions_json(const struct kii_plan *plan)
{
	json_t *all = json_object();

	for (size_t i = 0; i < plan->n_versions; i++) {
		const struct kii_plan_version *v = &plan->versions[i];
		json_t *one = json_object();

		kii_json_set_str(one, "value", v->value);
		kii_json_set_str(one, "source", v->source);
		json_object_set_new(all, v->name, one);
	}
	return all;
}

json_t *kii_plan_json(const struct kii_plan *plan)
{
	json_t *phases = json_pack("{s:{s:o}, s:{s:o}, s:{s:o}}",
		"setup", "cmds", list_json(&plan->setup),
		"install", "cmds", list_json(&plan->install),
		"build", "cmds", list_json(&plan->build));
	json_t *start = json_object();
	json_t *all;

	kii_json_set_str(start, "cmd", plan->start);
	all = json_pack("{s:o, s:o, s:o, s:o, s:O, s:o, s:o}",
		"providers", list_json(&plan->providers), "versions", versions_json(plan),
		"phases", phases, "start", start, "variables", plan->variables,
		"images", list_json(&plan->images), "notes", list_json(&plan->notes));
	kii_json_set_str(all, "dockerfile", plan->dockerfile);
	return all;
}
