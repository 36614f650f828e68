/* SPDX-License-Identifier: MIT */
/* kiisrvctl images build: a builder's image, on the engine that the worker uses. */
#include <config.h>

#include "ctl_images.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "json.h"
#include "recipe.h"
#include "text.h"

#define FETCH "fetch"

struct options {
	const char *base, *url, *layouts, *kll, *recipe;
	bool no_cache;
	const char *release;
};

struct build {
	struct options o;
	struct kii_conf *conf;
	struct kii_version version;     /* container and tag are what is built */
	struct ctl_recipe recipe;
	struct ctl_filter filter;
	bool quiet;
	struct kii_image image;
	char *name;
};

static int set_option(struct options *o, int c)
{
	switch (c) {
	case 'b': o->base = optarg; break;
	case 'u': o->url = optarg; break;
	case 'l': o->layouts = optarg; break;
	case 'k': o->kll = optarg; break;
	case 'r': o->recipe = optarg; break;
	case 'n': o->no_cache = true; break;
	default:  return -1;
	}
	return 0;
}

static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "base", required_argument, NULL, 'b' },
		{ "url", required_argument, NULL, 'u' },
		{ "layouts", required_argument, NULL, 'l' },
		{ "kll", required_argument, NULL, 'k' },
		{ "recipe", required_argument, NULL, 'r' },
		{ "no-cache", no_argument, NULL, 'n' },
		{ NULL }
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (set_option(o, c) != 0)
			return ctl_usage("images build: %s: %s",
				c == ':' ? "missing value" : "bad option", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return ctl_usage("usage: kiisrvctl images build %s", CTL_IMAGES_BUILD_ARGS);
	o->release = argv[optind];
	return CTL_OK;
}

/* --- which image --- */

static void take(struct kii_version *out, const char *container, const char *tag)
{
	out->container = kii_xstrdup(container);
	out->git_tag = kii_xstrdup(tag);
}

/* By a version's name, container or tag. */
static int find_version(struct build *b, struct kii_error *err)
{
	struct kii_versions *v = NULL;
	struct kii_version *list = NULL;
	size_t n = 0;
	int rc = ctl_images_open(b->conf, &v, err);

	if (rc == 0)
		rc = kii_versions_list(v, &list, &n, err);
	for (size_t i = 0; i < n && !b->version.container; i++) {
		if (!strcmp(list[i].name, b->o.release) ||
		    !strcmp(list[i].container, b->o.release) ||
		    !strcmp(list[i].git_tag, b->o.release))
			take(&b->version, list[i].container, list[i].git_tag);
	}
	kii_version_list_free(list, n);
	kii_versions_close(v);
	if (rc == 0 && !b->version.container)
		return kii_error_field(err, "RELEASE", "neither name, container nor tag of a "
			"version: kiisrvctl versions list (versions add makes one)");
	return rc;
}

/* --- what is told meanwhile --- */

static bool say(void *arg, const char *text, size_t len)
{
	struct build *b = arg;
	kii_autobuf out = KII_BUF_INIT(16u << 20);

	if (b->quiet)
		return true;
	ctl_filter_add(&b->filter, text, len, &out);
	fwrite(out.data, 1, out.len, stderr);
	return true;
}

static void say_rest(struct build *b)
{
	kii_autobuf out = KII_BUF_INIT(64);

	ctl_filter_end(&b->filter, &out);
	fwrite(out.data, 1, out.len, stderr);
}

/* --- the build --- */

static size_t arguments(const struct build *b, struct kii_pair *args)
{
	const struct kii_pair all[] = {
		{ "BASE", b->o.base },
		{ "CONTROLLER_TAG", b->version.git_tag },
		{ "CONTROLLER_URL", b->o.url },
		{ "KLL_VERSION", b->o.kll },
		{ "LAYOUTS_URL", b->o.layouts },
	};
	size_t n = 0;

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		if (all[i].value && *all[i].value)
			args[n++] = all[i];
	}
	return n;
}

static int run(struct build *b, struct kii_engine *engine, struct kii_error *err)
{
	struct kii_pair args[5];
	struct kii_build_spec spec = { .name = b->name, .files = b->recipe.files,
		.n_files = b->recipe.n, .args = args, .no_cache = b->o.no_cache };
	int rc;

	spec.n_args = arguments(b, args);
	ctl_filter_init(&b->filter);
	rc = kii_engine_build(engine, &spec, say, b, err);
	say_rest(b);
	return rc != 0 ? -1 : kii_engine_image_inspect(engine, b->name, &b->image, err);
}

static int build_image(struct build *b, struct kii_error *err)
{
	const struct kii_engine_opts opts = { .address = b->conf->docker.socket_path,
		.tls = b->conf->docker.tls_verify, .cert_path = b->conf->docker.cert_path,
		.timeout_ms = b->conf->docker.timeout_ms };
	bool fetch = strcmp(b->version.container, FETCH) == 0;
	kii_autofree char *folder = b->o.recipe ? kii_xstrdup(b->o.recipe)
		: kii_xfmt("%s/images/%s", KII_DATADIR, fetch ? FETCH : "controller");
	struct kii_engine *engine = NULL;
	int rc;

	b->name = kii_xfmt("%s%s:latest", b->conf->firmware.image_prefix, b->version.container);
	if (ctl_recipe_read(&b->recipe, folder, err) != 0)
		return kii_error_wrap(err, "recipe");
	rc = kii_engine_new(&opts, &engine, err);
	if (rc == 0)
		rc = run(b, engine, err);
	kii_engine_free(engine);
	return rc;
}

static int prepare(const struct ctl *ctl, struct build *b, struct kii_error *err)
{
	if (kii_conf_load(ctl->config_file, &b->conf, err) != 0)
		return -1;
	if (strcmp(b->o.release, FETCH) != 0)
		return find_version(b, err);
	if (b->o.url || b->o.layouts || b->o.kll)
		return kii_error_field(err, "RELEASE", "--url, --layouts and --kll are for a "
			"controller's image");
	take(&b->version, FETCH, "");
	return 0;
}

static void print_result(const struct ctl *ctl, const struct build *b)
{
	kii_autofree char *id = ctl_images_id(b->image.id);
	kii_autofree char *size = ctl_bytes(b->image.size);
	kii_autojson *o = json_object();

	if (!ctl->json) {
		printf("%s  %s  %s\n", b->name, id, size);
		return;
	}
	kii_json_set_str(o, "image", b->name);
	kii_json_set_str(o, "id", b->image.id);
	json_object_set_new(o, "size", json_integer(b->image.size));
	kii_json_set_str(o, "container", b->version.container);
	kii_json_set_str(o, "git_tag", b->version.git_tag);
	ctl_print_json(o);
}

int ctl_images_build(struct ctl *ctl, int argc, char **argv)
{
	/* With --json its readers get one document, be it an error. */
	struct build b = { .quiet = ctl->json };
	struct kii_error err = { 0 };
	int status = parse_options(&b.o, argc, argv);

	if (status != CTL_OK)
		return status;
	if (prepare(ctl, &b, &err) == 0 && build_image(&b, &err) == 0)
		print_result(ctl, &b);
	else
		status = ctl_fail_as_asked(ctl, &err);
	ctl_recipe_release(&b.recipe);
	kii_image_release(&b.image);
	kii_version_release(&b.version);
	kii_conf_free(b.conf);
	free(b.name);
	return status;
}
