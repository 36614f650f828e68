/* SPDX-License-Identifier: MIT */
/* Deno: a task "start", or a program. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "deno", "docker.io/denoland/deno:{version}" },
	{ NULL },
};
static const struct kii_lines lines = { "deno", "DENO_VERSION", "2.1.4", "2.1.4 1.46.3", 3 };

static const char *config_file(struct kii_tree *t)
{
	return kii_tree_has(t, "deno.json") ? "deno.json" :
		kii_tree_has(t, "deno.jsonc") ? "deno.jsonc" : NULL;
}

/* Projects of Node that only format their files by Deno have a lock file of npm's or the like. */
static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "deno.lock") || (config_file(t) && !kii_node_serves(t));
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	static const char *const programs[] = { "main.ts", "mod.ts", "server.ts", "index.ts",
		"app.ts", "src/main.ts", "src/index.ts", "main.js" };
	const char *file = config_file(d->tree);
	const json_t *config = NULL;
	const char *program = NULL, *value;
	struct kii_said said[] = {
		{ ".dvmrc", kii_tree_line(d->tree, ".dvmrc") },
		{ ".deno-version", kii_tree_line(d->tree, ".deno-version") },
		{ ".tool-versions", kii_tree_tool(d->tree, "deno") },
	};

	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0 ||
	    (file && kii_tree_data(d->tree, file, &config, err) != 0))
		return -1;
	kii_draft_image(d, "deno", value);
	kii_draft_run_image(d, "deno", value);
	/* the cache goes along with the project */
	kii_draft_env(d->env, "DENO_DIR", "/app/.deno");
	kii_draft_env(d->env, "DENO_NO_UPDATE_CHECK", "1");
	for (size_t i = 0; i < KII_COUNT(programs) && !program; i++)
		program = kii_tree_has(d->tree, programs[i]) ? programs[i] : NULL;
	if (program)
		kii_draft_install(d, "deno cache %s", program);
	if (kii_data_text(config, "tasks.build"))
		kii_draft_build(d, "deno task build");
	d->hint = "deno.json has no task \"start\", and there is no main.ts, mod.ts or server.ts";
	if (kii_data_text(config, "tasks.start"))
		kii_draft_start(d, "deno task start");
	else if (program)
		kii_draft_start(d, "deno run --allow-all %s", program);
	return 0;
}

const struct kii_detector kii_detect_deno = {
	.name = "deno",
	.rank = 18,
	.looks_for = "deno.json",
	.images = images,
	.claims = claims,
	.plan = plan,
};
