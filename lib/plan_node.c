/* SPDX-License-Identifier: MIT */
/* Node: npm, pnpm, yarn and bun; servers, and frameworks whose result is a static site. */
#include <config.h>

#include "plan_node.h"

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "node", "docker.io/library/node:{version}-bookworm" },
	{ "node-run", "docker.io/library/node:{version}-bookworm-slim" },
	{ "bun", "docker.io/oven/bun:{version}" },
	{ NULL },
};
static const struct kii_lines node_lines = {
	"node", "NODE_VERSION", "22", "22 24 20 18 16", 1,
};
static const struct kii_lines bun_lines = { "bun", "BUN_VERSION", "1", "1", 1 };

bool kii_node_serves(struct kii_tree *t)
{
	return kii_data_text(kii_tree_look(t, "package.json"), "scripts.start");
}

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "package.json");
}

bool kii_node_depends(const struct kii_node *n, const char *package)
{
	return json_object_get(json_object_get(n->package, "dependencies"), package) ||
		json_object_get(json_object_get(n->package, "devDependencies"), package);
}

const char *kii_node_script(const struct kii_node *n, const char *name)
{
	return json_string_value(json_object_get(json_object_get(n->package, "scripts"), name));
}

/* "lts/iron", "node", "stable": names that nvm knows; NULL: none of those. */
static char *named_version(char *text_take)
{
	static const struct { const char *name, *version; } names[] = {
		{ "lts/*", "22" }, { "lts", "22" }, { "node", "22" }, { "stable", "22" },
		{ "latest", "24" }, { "current", "24" }, { "lts/krypton", "24" },
		{ "lts/jod", "22" }, { "lts/iron", "20" }, { "lts/hydrogen", "18" },
		{ "lts/gallium", "16" },
	};

	for (size_t i = 0; text_take && i < KII_COUNT(names); i++) {
		if (strcasecmp(text_take, names[i].name) == 0) {
			free(text_take);
			return kii_xstrdup(names[i].version);
		}
	}
	return text_take;
}

static int version(struct kii_draft *d, const struct kii_node *n, const char **value,
	struct kii_error *err)
{
	struct kii_said said[] = {
		{ "package.json engines.node",
		  kii_xstrdup(kii_data_text(n->package, "engines.node")) },
		{ ".nvmrc", named_version(kii_tree_line(d->tree, ".nvmrc")) },
		{ ".node-version", named_version(kii_tree_line(d->tree, ".node-version")) },
		{ ".tool-versions", kii_tree_tool(d->tree, "nodejs") },
	};

	return kii_draft_version(d, &node_lines, said, KII_COUNT(said), value, err);
}

/* The field, then the lock files. */
static int find_manager(struct kii_draft *d, struct kii_node *n, struct kii_error *err)
{
	static const struct { const char *file; enum kii_manager manager; } locks[] = {
		{ "pnpm-lock.yaml", KII_PNPM }, { "bun.lock", KII_BUN }, { "bun.lockb", KII_BUN },
		{ "yarn.lock", KII_YARN }, { "package-lock.json", KII_NPM },
		{ "npm-shrinkwrap.json", KII_NPM },
	};
	static const char *const names[] = { "npm", "pnpm", "yarn", "bun" };
	const char *field = kii_data_text(n->package, "packageManager");
	bool named = false;

	for (size_t i = 0; field && i < KII_COUNT(names); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(field, names[i], len) != 0 || (field[len] && field[len] != '@'))
			continue;
		n->manager = (enum kii_manager)i;
		named = true;
		if (field[len])
			n->wanted = kii_xstrndup(field + len + 1, strcspn(field + len + 1, "+"));
	}
	if (field && (!named || (n->wanted && !kii_version_is_plain(n->wanted))))
		return kii_error_field(err, "package.json", "packageManager must be npm, pnpm, "
			"yarn or bun with a version, as in \"pnpm@9.1.0\"");
	for (size_t i = 0; i < KII_COUNT(locks) && !n->lock; i++) {
		if ((named && locks[i].manager != n->manager) ||
		    !kii_tree_has(d->tree, locks[i].file))
			continue;
		n->manager = locks[i].manager;
		n->lock = locks[i].file;
	}
	n->name = names[n->manager];
	return 0;
}

/* Scripts that npm runs at install, and packages of the project itself, need its files. */
static bool needs_sources(const struct kii_node *n)
{
	static const char *const scripts[] = { "preinstall", "install", "postinstall", "prepare" };
	const json_t *lists[] = { json_object_get(n->package, "dependencies"),
		json_object_get(n->package, "devDependencies") };
	const char *name;
	json_t *value;

	for (size_t i = 0; i < KII_COUNT(scripts); i++) {
		if (kii_node_script(n, scripts[i]))
			return true;
	}
	for (size_t i = 0; i < KII_COUNT(lists); i++) {
		json_object_foreach((json_t *)lists[i], name, value) {
			const char *from = json_string_value(value);

			if (from && (strncmp(from, "file:", 5) == 0 ||
			    strncmp(from, "link:", 5) == 0))
				return true;
		}
	}
	return false;
}

static void find_manifests(struct kii_draft *d, const struct kii_node *n)
{
	static const char *const files[] = { ".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml",
		".pnpmfile.cjs", "pnpm-workspace.yaml", ".node-version", ".nvmrc",
		"prisma/schema.prisma" };

	if (needs_sources(n))
		return;
	kii_draft_manifest(d, "package.json");
	if (n->lock)
		kii_draft_manifest(d, n->lock);
	for (size_t i = 0; i < KII_COUNT(files); i++)
		kii_draft_manifest(d, files[i]);
	kii_draft_manifests(d, "patches/*.patch");
	kii_draft_manifests(d, ".yarn/releases/*.cjs");
	if (json_object_get(n->package, "workspaces") ||
	    kii_tree_has(d->tree, "pnpm-workspace.yaml")) {
		kii_draft_manifests(d, "*/package.json");
		kii_draft_manifests(d, "*/*/package.json");
		kii_draft_manifests(d, "*/*/*/package.json");
	}
}

/* The pnpm that wrote the lock file. */
static const char *pnpm_version(struct kii_draft *d)
{
	const char *text = kii_tree_peek(d->tree, "pnpm-lock.yaml");
	kii_autofree char *format = kii_draft_between(text, "lockfileVersion:", "\n\r");
	const char *p = format ? format + strspn(format, "'\" ") : "9";

	return p[0] == '5' ? "7" : p[0] == '6' ? "8" : "9";
}

/* yarn 2 and later come by corepack, and say so in the project. */
static bool is_berry(struct kii_draft *d, const struct kii_node *n)
{
	return kii_tree_has(d->tree, ".yarnrc.yml") || (n->wanted && n->wanted[0] != '1');
}

static void install_npm(struct kii_draft *d, const struct kii_node *n)
{
	if (n->lock)
		kii_draft_install(d, "npm ci --include=dev");
	else
		kii_draft_install(d, "npm install --include=dev");
}

static void install_pnpm(struct kii_draft *d, const struct kii_node *n)
{
	kii_draft_setup_both(d, "command -v pnpm >/dev/null || npm install -g pnpm@%s",
		n->wanted ? n->wanted : pnpm_version(d));
	kii_draft_install(d, "pnpm install --prod=false%s", n->lock ? " --frozen-lockfile" : "");
}

static void install_yarn(struct kii_draft *d, const struct kii_node *n)
{
	if (is_berry(d, n)) {
		kii_draft_env(d->env, "COREPACK_ENABLE_DOWNLOAD_PROMPT", "0");
		kii_draft_setup_both(d, "command -v corepack >/dev/null || "
			"npm install -g corepack; corepack enable");
		kii_draft_install(d, "yarn install%s", n->lock ? " --immutable" : "");
	} else {
		kii_draft_setup_both(d, "command -v yarn >/dev/null || npm install -g yarn@1");
		kii_draft_install(d, "yarn install --production=false%s",
			n->lock ? " --frozen-lockfile" : "");
	}
}

static void install_bun(struct kii_draft *d, const struct kii_node *n)
{
	kii_draft_install(d, "bun install%s", n->lock ? " --frozen-lockfile" : "");
}

static int choose_images(struct kii_draft *d, struct kii_node *n, struct kii_error *err)
{
	const char *value;

	if (n->manager == KII_BUN) {
		struct kii_said said[] = { { "package.json packageManager",
			kii_xstrdup(n->wanted) } };

		if (kii_draft_version(d, &bun_lines, said, 1, &value, err) != 0)
			return -1;
		kii_draft_image(d, "bun", value);
		kii_draft_run_image(d, "bun", value);
		return 0;
	}
	if (version(d, n, &value, err) != 0)
		return -1;
	kii_draft_image(d, "node", value);
	kii_draft_run_image(d, "node-run", value);
	return 0;
}

/* A program of the project that node can run; caller frees. */
static char *main_file(struct kii_draft *d, const struct kii_node *n)
{
	static const char *const files[] = { "index.js", "server.js", "app.js", "main.js",
		"index.mjs", "server.mjs", "src/index.js", "src/server.js", "src/app.js",
		"src/main.js", "index.ts", "server.ts", "src/index.ts", "src/server.ts" };
	const char *named = kii_data_text(n->package, "main");
	kii_autofree char *with_end = named ? kii_xfmt("%s.js", named) : NULL;

	if (named && kii_tree_has(d->tree, named) && kii_tree_inside(named))
		return kii_xstrdup(named);
	if (with_end && kii_tree_has(d->tree, with_end))
		return kii_steal(&with_end);
	for (size_t i = 0; i < KII_COUNT(files); i++) {
		/* only bun runs TypeScript as it is */
		if ((n->manager == KII_BUN || !strstr(files[i], ".ts")) &&
		    kii_tree_has(d->tree, files[i]))
			return kii_xstrdup(files[i]);
	}
	return NULL;
}

static bool is_file_word(const char *path)
{
	for (const char *p = path; *p; p++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-@",
			*p))
			return false;
	}
	return path[0] != '-';
}

static int choose_start(struct kii_draft *d, const struct kii_node *n, struct kii_error *err)
{
	kii_autofree char *file = NULL;

	d->hint = "package.json has no script \"start\", and none of main, index.js, server.js and "
		"the like is there; add one";
	kii_node_framework(d, n);
	if (d->site || d->plan->start)
		return 0;
	if (kii_node_script(n, "start")) {
		kii_draft_start(d, "%s run start", n->name);
		return 0;
	}
	file = main_file(d, n);
	if (file && !is_file_word(file))
		return kii_error_field(err, "package.json", "main must be a plain path");
	if (file)
		kii_draft_start(d, "%s %s", n->manager == KII_BUN ? "bun" : "node", file);
	return 0;
}

static void node_release(struct kii_node *n)
{
	free(n->wanted);
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	static void (*const install[])(struct kii_draft *, const struct kii_node *) = {
		[KII_NPM] = install_npm, [KII_PNPM] = install_pnpm, [KII_YARN] = install_yarn,
		[KII_BUN] = install_bun,
	};
	__attribute__((cleanup(node_release))) struct kii_node n = { .manager = KII_NPM };

	if (kii_tree_data(d->tree, "package.json", &n.package, err) != 0)
		return -1;
	if (!json_is_object(n.package))
		return kii_error_field(err, "package.json", "must be there and be an object");
	if (find_manager(d, &n, err) != 0 || choose_images(d, &n, err) != 0)
		return -1;
	find_manifests(d, &n);
	install[n.manager](d, &n);
	if (kii_node_script(&n, "build"))
		kii_draft_build(d, "%s run build", n.name);
	kii_texts_add(&d->ignore, "**/node_modules");
	kii_draft_env(d->build_env, "CI", "true");
	kii_draft_env(d->run_env, "NODE_ENV", "production");
	return choose_start(d, &n, err);
}

const struct kii_detector kii_detect_node = {
	.name = "node",
	.rank = 70,
	.looks_for = "package.json",
	.images = images,
	.claims = claims,
	.plan = plan,
};
