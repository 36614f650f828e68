/* SPDX-License-Identifier: MIT */
/* Go: modules, the root's program or one below cmd. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "go", "docker.io/library/golang:{version}-bookworm" },
	{ NULL },
};
static const struct kii_lines lines = {
	"go", "GO_VERSION", "1.23", "1.23 1.24 1.22 1.21 1.20", 2,
};

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "go.mod") || kii_tree_has(t, "main.go");
}

/* The word behind `name` at the beginning of a line; caller frees. */
static char *directive(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text && *text) {
		if (strncmp(text, name, len) == 0 && (text[len] == ' ' || text[len] == '\t')) {
			text += len + strspn(text + len, " \t");
			return kii_xstrndup(text, strcspn(text, " \t\r\n"));
		}
		text += strcspn(text, "\n");
		text += *text ? 1 : 0;
	}
	return NULL;
}

static bool is_main(struct kii_tree *t, const char *path)
{
	const char *text = kii_tree_peek(t, path);
	kii_autofree char *package = directive(text, "package");

	return package && strcmp(package, "main") == 0;
}

/* Does the root hold a program? */
static bool root_is_main(struct kii_draft *d)
{
	kii_autotexts files = { 0 };

	kii_tree_glob(d->tree, "*.go", &files);
	for (size_t i = 0; i < files.n; i++) {
		if (is_main(d->tree, files.items[i]))
			return true;
	}
	return false;
}

/* How well a folder's name suits: the module's own name best, then what servers are called. */
static int suits(const char *name, const char *module)
{
	static const char *const names[] = { "server", "web", "api", "app", "main" };
	const char *last = module ? strrchr(module, '/') : NULL;

	last = last ? last + 1 : module;
	if (last && strcmp(name, last) == 0)
		return 100;
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return 50 - (int)i;
	}
	return 0;
}

/* "./cmd/server", the best of several; caller frees, NULL: there is none. */
static char *command_folder(struct kii_draft *d, const char *module)
{
	kii_autotexts files = { 0 };
	kii_autotexts folders = { 0 };
	const char *best = NULL;
	int most = -1;

	kii_tree_glob(d->tree, "cmd/*.go", &files);
	kii_tree_glob(d->tree, "cmd/*/*.go", &files);
	for (size_t i = 0; i < files.n; i++) {
		if (!is_main(d->tree, files.items[i]))
			continue;
		*strrchr(files.items[i], '/') = '\0';
		kii_texts_once(&folders, files.items[i]);
	}
	for (size_t i = 0; i < folders.n; i++) {
		const char *slash = strrchr(folders.items[i], '/');
		int points = suits(slash ? slash + 1 : folders.items[i], module);

		if (points > most) {
			best = folders.items[i];
			most = points;
		}
	}
	if (folders.n > 1)
		kii_draft_note(d, "Go: several programs below cmd; %s is built, "
			"NIXPACKS_BUILD_CMD chooses another", best);
	return best ? kii_xfmt("./%s", best) : NULL;
}

/* Where the start command expects the program: "out", or what it names below bin. */
static char *output(const struct kii_draft *d)
{
	const char *start = d->given_start;
	size_t n;

	if (start && strncmp(start, "./", 2) == 0)
		start += 2;
	if (start && strncmp(start, "bin/", 4) == 0) {
		kii_autofree char *name = NULL;

		n = strcspn(start + 4, " \t\n;&|");
		name = kii_xstrndup(start + 4, n);
		if (kii_draft_is_name(name))
			return kii_xfmt("bin/%s", name);
	}
	return kii_xstrdup(kii_tree_folder(d->tree, "out") ? "out.bin" : "out");
}

/* Modules beside the project's own cannot be fetched before its files are there. */
static bool has_local_modules(const char *text)
{
	const char *arrow = text;

	while ((arrow = strstr(arrow, "=>"))) {
		arrow += 2;
		arrow += strspn(arrow, " \t");
		if (*arrow == '.' || *arrow == '/')
			return true;
	}
	return false;
}

static void install(struct kii_draft *d, const char *text)
{
	if (!text || kii_tree_folder(d->tree, "vendor"))
		return;
	kii_draft_install(d, "go mod download");
	if (has_local_modules(text))
		return;
	kii_draft_manifest(d, "go.mod");
	kii_draft_manifest(d, "go.sum");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *text = NULL, *value;
	kii_autofree char *module = NULL;
	kii_autofree char *package = NULL;
	kii_autofree char *out = output(d);
	struct kii_said said[] = {
		{ ".go-version", kii_tree_line(d->tree, ".go-version") },
		{ ".tool-versions", kii_tree_tool(d->tree, "golang") },
		{ "go.mod", NULL },
	};

	if (kii_tree_text(d->tree, "go.mod", &text, err) == 0)
		said[2].text = directive(text, "go");
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	module = directive(text, "module");
	kii_draft_image(d, "go", value);
	kii_draft_run_image(d, "debian", "");
	/* a program that needs no library of the image it is built in */
	kii_draft_env(d->build_env, "CGO_ENABLED", "0");
	install(d, text);
	package = text && !root_is_main(d) ? command_folder(d, module) :
		kii_xstrdup(text ? "." : "*.go");
	d->hint = "there is no file of package main in the project's folder or below cmd";
	if (package) {
		kii_draft_build(d, "go build -ldflags='-s -w' -o %s %s", out, package);
		kii_draft_start(d, "./%s", out);
	}
	kii_texts_add(&d->taken, "/etc/ssl/certs");
	kii_draft_setup(d, "mkdir -p /etc/ssl/certs");
	return 0;
}

const struct kii_detector kii_detect_go = {
	.name = "go",
	.rank = 45,
	.looks_for = "go.mod",
	.images = images,
	.claims = claims,
	.plan = plan,
};
