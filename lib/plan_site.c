/* SPDX-License-Identifier: MIT */
/* The static buildpack: perhaps a build, then nginx serves a folder at port 80. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_dockerfile.h"
#include "plan_in.h"

/* A folder or file of the project as the request has it: "./a//b/" and "a/b" are the same. */
static int clean_path(const char *text, const char *field, char **out, struct kii_error *err)
{
	kii_autobuf clean = KII_BUF_INIT(1024);

	if (!kii_tree_inside(text) || !kii_dockerfile_is_path(text))
		return kii_error_field(err, field, "must be a path inside the project: relative, "
			"no .., of letters, digits, blanks and . _ + @ / -");
	while (*text) {
		size_t n = strcspn(text, "/");

		if (n && !(n == 1 && *text == '.'))
			kii_buf_fmt(&clean, "%s%.*s", clean.len ? "/" : "", (int)n, text);
		text += n + (text[n] ? 1 : 0);
	}
	*out = clean.len ? kii_buf_steal(&clean) : kii_xstrdup(".");
	return 0;
}

static bool given(const char *text)
{
	return text && *text;
}

/* "dist" where something builds it or has built it, else the project itself. */
static const char *default_folder(struct kii_draft *d)
{
	return given(d->opts->build_command) || kii_tree_folder(d->tree, "dist") ? "dist" : ".";
}

static int find_config(struct kii_draft *d, struct kii_error *err)
{
	kii_autofree char *path = NULL;

	if (!given(d->opts->nginx_config))
		return 0;
	if (clean_path(d->opts->nginx_config, "nginx_config", &path, err) != 0)
		return -1;
	if (!kii_tree_has(d->tree, path))
		return kii_error_field(err, "nginx_config", "there is no such file in the project "
			"(links are not followed); it is the path of a file with a server block");
	d->nginx_config = d->opts->nginx_config;
	return 0;
}

/* With a package.json the build is node's, its packages first; else plain Debian's. */
static int plan_build(struct kii_draft *d, struct kii_error *err)
{
	if (!given(d->opts->build_command))
		return 0;
	d->given_start = "true";
	if (kii_tree_has(d->tree, "package.json")) {
		if (kii_detector_find("node")->plan(d, err) != 0)
			return -1;
		kii_texts_add(&d->plan->providers, "node");
	} else {
		kii_draft_image(d, "debian", "");
	}
	kii_texts_release(&d->plan->build);
	return kii_plan_override(d, err);
}

/* What the build's language would run has no say here. */
static void serve(struct kii_draft *d)
{
	free(d->plan->start);
	d->plan->start = kii_xstrdup("nginx -g 'daemon off;'");
	json_object_clear(d->run_env);
	kii_draft_run_image(d, "nginx", "");
	d->spa = d->opts->is_spa;
	d->own_site = true;
	d->user = 0;
}

int kii_plan_static(struct kii_draft *d, struct kii_error *err)
{
	const char *folder = d->opts->output_dir;
	char *site = NULL;

	d->config_file = "nixpacks.toml";
	kii_texts_add(&d->plan->providers, "static");
	if (clean_path(given(folder) ? folder : default_folder(d), "output_dir", &site, err) != 0)
		return -1;
	d->site = site;
	if (!given(d->opts->build_command) && strcmp(site, ".") != 0 &&
	    !kii_tree_folder(d->tree, site))
		return kii_error_field(err, "output_dir", "there is no such folder in the project, "
			"and no build_command makes it");
	if (find_config(d, err) != 0 || plan_build(d, err) != 0)
		return -1;
	serve(d);
	return 0;
}
