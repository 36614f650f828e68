/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_kll.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "io.h"
#include "json.h"
#include "kll.h"
#include "request.h"

struct options {
	const char *env;      /* NULL: the file's */
	const char *layouts;  /* NULL: the configuration's folders */
	const char *out;
	const char *file;
	bool reference;
};

/* CTL_OK, or what the command ends with. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "env",       required_argument, NULL, 'e' },
		{ "layouts",   required_argument, NULL, 'l' },
		{ "out",       required_argument, NULL, 'o' },
		{ "reference", no_argument,       NULL, 'r' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (c == 'e')
			o->env = optarg;
		else if (c == 'l')
			o->layouts = optarg;
		else if (c == 'o')
			o->out = optarg;
		else if (c == 'r')
			o->reference = true;
		else
			return ctl_usage("kll: bad option or missing value: %s", argv[optind - 1]);
	}
	if (!o->out || optind != argc - 1)
		return ctl_usage("usage: kiisrvctl kll %s", CTL_KLL_ARGS);
	o->file = argv[optind];
	return CTL_OK;
}

static int load_layouts(const struct ctl *ctl, const struct options *o, struct kii_layouts **out,
	struct kii_error *err)
{
	struct kii_conf *conf;
	int rc;

	if (o->layouts)
		return kii_layouts_load(&o->layouts, 1, out, err);
	if (kii_conf_load(ctl->config_file, &conf, err))
		return -1;
	rc = kii_layouts_load((const char *const *)conf->paths.layouts, conf->paths.n_layouts, out,
		err);
	kii_conf_free(conf);
	return rc;
}

static int make(const struct ctl *ctl, const struct options *o, struct kii_kll **out,
	struct kii_error *err)
{
	kii_autojson *request = NULL;
	struct kii_layouts *layouts;
	const char *env;
	int rc;

	if (ctl_request_read(o->file, o->env, &request, err) || load_layouts(ctl, o, &layouts, err))
		return -1;
	env = kii_json_str(request, "env");
	if (!env)
		env = "";   /* which is refused */
	/* Releases are asked for by their git tag; the reference knows lts only. */
	rc = kii_kll_make(request, kii_kll_dialect(env, o->reference ? NULL : env, o->reference),
		layouts, out, err);
	kii_layouts_free(layouts);
	return rc;
}

static int write_files(const char *dir, const struct kii_kll *k, struct kii_error *err)
{
	if (kii_io_mkdirs(dir, 0755, err))
		return -1;
	for (size_t n = 0; n < k->n_files; n++) {
		const struct kii_kll_file *file = &k->files[n];
		kii_autofree char *path = kii_xfmt("%s/%s", dir, file->name);

		if (kii_io_publish(path, file->text, file->len, 0644, err))
			return -1;
	}
	return 0;
}

static void print_text(const struct kii_kll *k)
{
	char *env[4];
	size_t n = kii_kll_env(k, env);

	for (size_t i = 0; i < k->n_files; i++)
		printf("%s\n", k->files[i].name);
	for (size_t i = 0; i < n; i++) {
		printf("%s\n", env[i]);
		free(env[i]);
	}
	printf("script=%s\n", k->script);
}

static void print_json(const struct kii_kll *k)
{
	kii_autojson *result = json_object();
	json_t *files = json_array();
	char *env[4];
	size_t n = kii_kll_env(k, env);

	for (size_t i = 0; i < k->n_files; i++)
		json_array_append_new(files, json_string(k->files[i].name));
	json_object_set_new(result, "files", files);
	for (size_t i = 0; i < n; i++) {
		size_t name_len = strcspn(env[i], "=");

		env[i][name_len] = '\0';
		kii_json_set_str(result, env[i], env[i] + name_len + 1);
		free(env[i]);
	}
	kii_json_set_str(result, "script", k->script);
	json_dumpf(result, stdout, JSON_COMPACT);
	printf("\n");
}

/* As the server answers, whatever was asked for: {"error", "code", "field"}. */
static int fail(const struct kii_error *err)
{
	const struct ctl as_json = { .json = true };

	return ctl_fail_as_asked(&as_json, err);
}

int ctl_kll(struct ctl *ctl, int argc, char **argv)
{
	struct options o = { 0 };
	struct kii_error err = { 0 };
	struct kii_kll *k = NULL;
	int rc = parse_options(&o, argc, argv);

	if (rc != CTL_OK)
		return rc;
	rc = make(ctl, &o, &k, &err);
	if (!rc)
		rc = write_files(o.out, k, &err);
	if (!rc && ctl->json)
		print_json(k);
	else if (!rc)
		print_text(k);
	kii_kll_free(k);
	return rc ? fail(&err) : CTL_OK;
}
