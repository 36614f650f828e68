/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "json.h"
#include "plan.h"
#include "text.h"

#define SHOWN_MAX (4u << 20)

struct options {
	struct kii_plan_opts plan;
	json_t *variables, *providers;
	const char *dir;
	bool dockerfile;
};

/* "VAR=VALUE"; what is wrong with the name, the planner says. */
static int add_variable(struct options *o, const char *text)
{
	const char *sign = strchr(text, '=');
	kii_autofree char *name = sign ? kii_xstrndup(text, (size_t)(sign - text)) : NULL;

	if (!sign || json_object_set_new(o->variables, name, json_string(sign + 1)) != 0)
		return ctl_usage("plan: --env wants VAR=VALUE, in UTF-8");
	return CTL_OK;
}

static int add_provider(struct options *o, const char *text)
{
	if (json_array_append_new(o->providers, json_string(text)) != 0)
		return ctl_usage("plan: --provider wants a name");
	return CTL_OK;
}

static int take_option(struct options *o, int c, const char *word)
{
	switch (c) {
	case 'b': o->plan.build_command = optarg; break;
	case 'd': o->dockerfile = true; break;
	case 'e': return add_variable(o, optarg);
	case 'n': o->plan.nginx_config = optarg; break;
	case 'o': o->plan.output_dir = optarg; break;
	case 'p': return add_provider(o, optarg);
	case 's': o->plan.start_command = optarg; break;
	case 'S': o->plan.kind = KII_PLAN_STATIC; break;
	case 'a': o->plan.is_spa = true; break;
	default: return ctl_usage("plan: bad option or missing value: %s", word);
	}
	return CTL_OK;
}

/* CTL_OK, or what the command ends with. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "build",        required_argument, NULL, 'b' },
		{ "dockerfile",   no_argument,       NULL, 'd' },
		{ "env",          required_argument, NULL, 'e' },
		{ "nginx-config", required_argument, NULL, 'n' },
		{ "output-dir",   required_argument, NULL, 'o' },
		{ "provider",     required_argument, NULL, 'p' },
		{ "spa",          no_argument,       NULL, 'a' },
		{ "start",        required_argument, NULL, 's' },
		{ "static",       no_argument,       NULL, 'S' },
		{ NULL }
	};
	bool site;
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		int status = take_option(o, c, argv[optind - 1]);

		if (status != CTL_OK)
			return status;
	}
	if (optind != argc - 1)
		return ctl_usage("usage: kiisrvctl plan %s", CTL_PLAN_ARGS);
	site = o->plan.output_dir || o->plan.nginx_config || o->plan.is_spa;
	if (site && o->plan.kind != KII_PLAN_STATIC)
		return ctl_usage("plan: --output-dir, --nginx-config and --spa go with --static");
	if ((o->plan.start_command || json_array_size(o->providers)) &&
	    o->plan.kind == KII_PLAN_STATIC)
		return ctl_usage("plan: --start and --provider do not go with --static");
	o->dir = argv[optind];
	return CTL_OK;
}

static int make(const struct ctl *ctl, struct options *o, struct kii_plan **plan,
	struct kii_error *err)
{
	kii_autoclose int fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kii_conf *conf;
	int rc;

	if (fd < 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"%s: %s", o->dir, strerror(errno));
	if (kii_conf_load(ctl->config_file, &conf, err) != 0)
		return -1;
	o->plan.images = &conf->images;
	o->plan.variables = o->variables;
	o->plan.providers = o->providers;
	rc = kii_plan_make(fd, &o->plan, plan, err);
	kii_conf_free(conf);
	return rc;
}

/* A file gets it as it is; for a terminal nothing may be left that could steer it. */
static void print_dockerfile(const struct kii_plan *plan)
{
	kii_autobuf shown = KII_BUF_INIT(SHOWN_MAX);
	struct ctl_filter filter;

	if (!isatty(STDOUT_FILENO)) {
		fputs(plan->dockerfile, stdout);
		return;
	}
	ctl_filter_init(&filter);
	ctl_filter_add(&filter, plan->dockerfile, strlen(plan->dockerfile), &shown);
	ctl_filter_end(&filter, &shown);
	fputs(shown.data, stdout);
}

static void print_list(const char *title, const struct kii_texts *list)
{
	for (size_t i = 0; i < list->n; i++) {
		kii_autofree char *text = ctl_clean(list->items[i]);

		printf("%-10s %s\n", i ? "" : title, text);
	}
}

static void print_text(const struct kii_plan *plan)
{
	kii_autofree char *start = ctl_clean(plan->start);
	const char *title = "versions";

	print_list("providers", &plan->providers);
	for (size_t i = 0; i < plan->n_versions; i++, title = "") {
		const struct kii_plan_version *v = &plan->versions[i];
		kii_autofree char *source = ctl_clean(v->source);

		printf("%-10s %s %s, from %s\n", title, v->name, v->value, source);
	}
	print_list("setup", &plan->setup);
	print_list("install", &plan->install);
	print_list("build", &plan->build);
	printf("%-10s %s\n", "start", start);
	print_list("images", &plan->images);
	print_list("notes", &plan->notes);
}

static void print(const struct ctl *ctl, const struct options *o, const struct kii_plan *plan)
{
	if (ctl->json) {
		kii_autojson *all = kii_plan_json(plan);

		ctl_print_json(all);
	} else if (o->dockerfile) {
		print_dockerfile(plan);
	} else {
		print_text(plan);
	}
}

int ctl_plan(struct ctl *ctl, int argc, char **argv)
{
	struct options o = { .variables = json_object(), .providers = json_array() };
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };
	int status = parse_options(&o, argc, argv);

	if (status == CTL_OK) {
		if (make(ctl, &o, &plan, &err) == 0)
			print(ctl, &o, plan);
		else
			status = ctl_fail_as_asked(ctl, &err);
	}
	kii_plan_free(plan);
	json_decref(o.variables);
	json_decref(o.providers);
	return status;
}
