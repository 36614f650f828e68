/* SPDX-License-Identifier: MIT */
/* Frameworks of Node: what they build, and what serves that. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_dockerfile.h"
#include "plan_node.h"

/* Those whose build is a folder of files. The first that is a dependency counts. */
static const struct {
	const char *package, *folder;
	bool spa;
} sites[] = {
	{ "gatsby", "public", false },
	{ "@docusaurus/core", "build", false },
	{ "vitepress", "docs/.vitepress/dist", false },
	{ "@11ty/eleventy", "_site", false },
	{ "hexo", "public", false },
	{ "react-scripts", "build", true },
	{ "@vue/cli-service", "dist", true },
	{ "@angular/cli", "dist", true },
	{ "parcel", "dist", true },
	{ "preact-cli", "build", true },
	{ "vite", "dist", true },
};

/* Those that build a server, and what starts it where no script does. */
static const struct {
	const char *package, *start;
} servers[] = {
	{ "nuxt", "node .output/server/index.mjs" },
	{ "@astrojs/node", "node dist/server/entry.mjs" },
	{ "@sveltejs/adapter-node", "node build" },
	{ "@remix-run/serve", "remix-serve build/server/index.js" },
	{ "@react-router/serve", "react-router-serve build/server/index.js" },
	{ "@nestjs/core", "node dist/main" },
	{ "vinxi", "node .output/server/index.mjs" },
};

/* A script that serves while someone edits, or shows what was built: not for users. */
static bool is_for_developers(const char *script)
{
	static const char *const words[] = { "vite", "vite preview", "vite dev", "vite serve",
		"react-scripts start", "vue-cli-service serve", "ng serve", "astro dev",
		"astro preview", "gatsby develop", "docusaurus start", "eleventy --serve",
		"parcel", "svelte-kit dev", "nuxt dev", "next dev", "webpack serve",
		"webpack-dev-server" };

	for (size_t i = 0; i < KII_COUNT(words); i++) {
		size_t len = strlen(words[i]);

		if (strncmp(script, words[i], len) == 0 && (!script[len] || script[len] == ' '))
			return true;
	}
	return false;
}

static bool starts(const struct kii_node *n)
{
	const char *script = kii_node_script(n, "start");

	return script && !is_for_developers(script);
}

/* nginx in front of a built folder; the port is put in when it starts. */
static void serve_site(struct kii_draft *d, const char *folder, bool spa)
{
	d->site = kii_xstrdup(folder);
	d->spa = spa;
	kii_draft_run_image(d, "nginx", "");
	json_object_clear(d->run_env);
	kii_texts_release(&d->run_setup);
	kii_draft_start(d, KII_SITE_START);
}

/* A program of node_modules. */
static void start_tool(struct kii_draft *d, const char *command)
{
	if (strncmp(command, "node ", 5) == 0)
		kii_draft_start(d, "%s", command);
	else
		kii_draft_start(d, "./node_modules/.bin/%s", command);
}

static void plan_next(struct kii_draft *d, const struct kii_node *n)
{
	static const char *const configs[] = { "next.config.js", "next.config.mjs",
		"next.config.ts", "next.config.cjs" };

	kii_texts_add(&d->ignore, "**/.next");
	kii_draft_env(d->env, "NEXT_TELEMETRY_DISABLED", "1");
	for (size_t i = 0; i < KII_COUNT(configs); i++) {
		const char *text = kii_tree_peek(d->tree, configs[i]);
		kii_autofree char *output = kii_draft_between(text, "output:", ",\n}");

		if (output && strstr(output, "export")) {
			serve_site(d, "out", false);
			return;
		}
	}
	if (!starts(n))
		start_tool(d, "next start");
}

/* angular.json says where: <outputPath>, with the application builder in its folder browser. */
static void plan_angular(struct kii_draft *d)
{
	const json_t *config = kii_tree_look(d->tree, "angular.json");
	const char *name;
	json_t *project;

	json_object_foreach(json_object_get(config, "projects"), name, project) {
		const json_t *build = kii_data_at(project, "architect.build");
		const char *builder = kii_data_text(build, "builder");
		const char *path = kii_data_text(build, "options.outputPath");
		kii_autofree char *own = kii_draft_is_name(name) ? kii_xfmt("dist/%s", name) : NULL;
		bool application = builder && strstr(builder, ":application");
		kii_autofree char *folder = NULL;

		if (!path)
			path = own;
		if (!path || !kii_tree_inside(path) || !kii_dockerfile_is_path(path))
			continue;
		folder = kii_xfmt("%s%s", path, application ? "/browser" : "");
		serve_site(d, folder, true);
		return;
	}
	serve_site(d, "dist", true);
}

/* Astro and SvelteKit: an adapter makes a server, without one it is a site. */
static bool plan_adapted(struct kii_draft *d, const struct kii_node *n)
{
	if (kii_node_depends(n, "astro") && !kii_node_depends(n, "@astrojs/node")) {
		serve_site(d, "dist", false);
		return true;
	}
	if (kii_node_depends(n, "@sveltejs/adapter-static")) {
		serve_site(d, "build", true);
		return true;
	}
	if (kii_node_depends(n, "@sveltejs/kit") &&
	    !kii_node_depends(n, "@sveltejs/adapter-node")) {
		kii_draft_note(d, "SvelteKit: add @sveltejs/adapter-node for a server or "
			"@sveltejs/adapter-static for a site");
		d->hint = "SvelteKit needs @sveltejs/adapter-node or @sveltejs/adapter-static";
		return true;
	}
	return false;
}

static void plan_server(struct kii_draft *d, const struct kii_node *n)
{
	for (size_t i = 0; i < KII_COUNT(servers); i++) {
		if (!kii_node_depends(n, servers[i].package))
			continue;
		kii_draft_env(d->run_env, "HOST", "0.0.0.0");
		if (!starts(n))
			start_tool(d, servers[i].start);
		else
			kii_draft_start(d, "%s run start", n->name);
		return;
	}
}

static void plan_site(struct kii_draft *d, const struct kii_node *n)
{
	for (size_t i = 0; i < KII_COUNT(sites); i++) {
		if (!kii_node_depends(n, sites[i].package))
			continue;
		if (strcmp(sites[i].package, "@angular/cli") == 0)
			plan_angular(d);
		else
			serve_site(d, sites[i].folder, sites[i].spa);
		return;
	}
}

/* Nuxt's "generate" makes files where "build" would make a server. */
static bool is_generated(const struct kii_node *n)
{
	const char *build = kii_node_script(n, "build");

	return kii_node_depends(n, "nuxt") && build && strstr(build, "nuxt generate");
}

void kii_node_framework(struct kii_draft *d, const struct kii_node *n)
{
	const char *folder = kii_draft_steer(d, "SPA_OUT_DIR");

	if (d->given_start) {
		if (kii_node_depends(n, "next"))
			kii_draft_env(d->env, "NEXT_TELEMETRY_DISABLED", "1");
		return;
	}
	if (folder && kii_tree_inside(folder) && kii_dockerfile_is_path(folder)) {
		serve_site(d, folder, true);
		return;
	}
	if (kii_node_depends(n, "next")) {
		plan_next(d, n);
		return;
	}
	if (is_generated(n)) {
		serve_site(d, ".output/public", false);
		return;
	}
	plan_server(d, n);
	if (d->plan->start || starts(n) || kii_draft_steer(d, "NO_SPA") || plan_adapted(d, n))
		return;
	if (kii_node_script(n, "build"))
		plan_site(d, n);
}
