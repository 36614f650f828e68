/* SPDX-License-Identifier: MIT */
/* The stronger voices: what the request, NIXPACKS_* and nixpacks.toml put in a detector's place. */
#include <config.h>

#include "plan_in.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 16384

/* Packages of nixpkgs by the name of Debian's. */
static const struct { const char *nix, *debian; } packages[] = {
	{ "cairo", "libcairo2-dev" }, { "chromium", "chromium" }, { "cmake", "cmake" },
	{ "curl", "curl" }, { "ffmpeg", "ffmpeg" }, { "fontconfig", "fontconfig" },
	{ "gcc", "build-essential" }, { "gdal", "gdal-bin" }, { "ghostscript", "ghostscript" },
	{ "git", "git" }, { "gnumake", "make" }, { "gnupg", "gnupg" },
	{ "graphicsmagick", "graphicsmagick" }, { "graphviz", "graphviz" },
	{ "imagemagick", "imagemagick" }, { "jq", "jq" }, { "libffi", "libffi-dev" },
	{ "libmysqlclient", "default-libmysqlclient-dev" }, { "libsodium", "libsodium-dev" },
	{ "libuv", "libuv1-dev" }, { "libwebp", "webp" }, { "libxml2", "libxml2-dev" },
	{ "libxslt", "libxslt1-dev" }, { "openssh", "openssh-client" }, { "openssl", "openssl" },
	{ "pandoc", "pandoc" }, { "pango", "libpango1.0-dev" }, { "pkg-config", "pkg-config" },
	{ "poppler_utils", "poppler-utils" }, { "postgresql", "postgresql-client" },
	{ "redis", "redis-tools" }, { "rsync", "rsync" }, { "sqlite", "sqlite3" },
	{ "tesseract", "tesseract-ocr" }, { "tzdata", "tzdata" }, { "unzip", "unzip" },
	{ "vips", "libvips-tools" }, { "wget", "wget" }, { "wkhtmltopdf", "wkhtmltopdf" },
	{ "xvfb-run", "xvfb" }, { "yt-dlp", "yt-dlp" }, { "zip", "zip" },
	{ "zlib", "zlib1g-dev" },
};

/* Languages and their tools: the base image has them. */
static const char *const tools[] = { "bun", "bundler", "cargo", "clojure", "composer", "corepack",
	"crystal", "dart", "deno", "dotnet", "elixir", "erlang", "ghc", "gleam", "go", "gradle",
	"jdk", "jre", "leiningen", "maven", "mix", "nginx", "node", "npm", "openjdk", "php",
	"pip", "pipenv", "pnpm", "poetry", "python", "ruby", "rustc", "sbt", "shards", "stack",
	"swift", "temurin", "uv", "yarn", "zig" };

static bool is_package(const char *name)
{
	return strlen(name) <= 100 && isalnum((unsigned char)name[0]) &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.+:=~-_") == strlen(name);
}

static int add_apt(struct kii_draft *d, const char *field, const char *name,
	struct kii_error *err)
{
	if (!is_package(name))
		return kii_error_field(err, field, "\"%.60s\" is no name of a Debian package",
			name);
	kii_texts_once(&d->apt, name);
	return 0;
}

static int add_nix(struct kii_draft *d, const char *field, const char *name,
	struct kii_error *err)
{
	const char *base = strncmp(name, "nixpkgs.", 8) == 0 ? name + 8 : name;

	for (size_t i = 0; i < KII_COUNT(packages); i++) {
		if (strcmp(base, packages[i].nix) == 0)
			return add_apt(d, field, packages[i].debian, err);
	}
	for (size_t i = 0; i < KII_COUNT(tools); i++) {
		if (strncmp(base, tools[i], strlen(tools[i])) == 0 && is_package(base)) {
			kii_draft_note(d, "%s: %s comes with the base image; NIXPACKS_*_VERSION "
				"chooses its version", field, base);
			return 0;
		}
	}
	return kii_error_field(err, field, "\"%.60s\" of nixpkgs has no Debian package that is "
		"known here; name one in aptPkgs or NIXPACKS_APT_PKGS", name);
}

typedef int add_package(struct kii_draft *, const char *, const char *, struct kii_error *);

/* A list; "..." stands for what is there already. */
static int add_listed(struct kii_draft *d, const char *field, const json_t *list, add_package *add,
	struct kii_error *err)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (strcmp(name, "...") != 0 && add(d, field, name, err) != 0)
			return -1;
	}
	return 0;
}

/* Words between commas and blanks. */
static int add_words(struct kii_draft *d, const char *variable, add_package *add,
	struct kii_error *err)
{
	kii_autofree char *field = kii_xfmt("variables.NIXPACKS_%s", variable);
	const char *text = kii_draft_steer(d, variable);

	while (text && *(text += strspn(text, ", \t"))) {
		size_t n = strcspn(text, ", \t");
		kii_autofree char *word = kii_xstrndup(text, n);

		if (strcmp(word, "...") != 0 && add(d, field, word, err) != 0)
			return -1;
		text += n;
	}
	return 0;
}

static void replace(struct kii_texts *phase, const char *command)
{
	kii_texts_release(phase);
	kii_texts_add(phase, command);
}

/* The list in the detector's place; its "..." is what the detector said. */
static void splice(struct kii_texts *phase, const json_t *cmds)
{
	struct kii_texts old = *phase;

	memset(phase, 0, sizeof(*phase));
	for (size_t i = 0; i < json_array_size(cmds); i++) {
		const char *command = json_string_value(json_array_get(cmds, i));

		if (strcmp(command, "...") == 0)
			kii_texts_append(phase, &old);
		else if (*command)
			kii_texts_add(phase, command);
	}
	kii_texts_release(&old);
}

/* Commands that we did not choose may need any file. */
static void install_needs_all(struct kii_draft *d)
{
	kii_texts_release(&d->manifests);
}

static int from_config(struct kii_draft *d, struct kii_error *err)
{
	static const char *const names[] = { "setup", "install", "build" };
	struct kii_texts *phases[] = { &d->plan->setup, &d->plan->install, &d->plan->build };

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		const json_t *phase = kii_data_at(json_object_get(d->config, "phases"), names[i]);
		const json_t *cmds = json_object_get(phase, "cmds");

		if (add_listed(d, d->config_file, json_object_get(phase, "aptPkgs"), add_apt,
			err) != 0 ||
		    add_listed(d, d->config_file, json_object_get(phase, "nixPkgs"), add_nix,
			err) != 0)
			return -1;
		if (!cmds)
			continue;
		splice(phases[i], cmds);
		if (i == 0)
			splice(&d->run_setup, cmds);
		if (i == 1)
			install_needs_all(d);
	}
	return 0;
}

int kii_plan_override(struct kii_draft *d, struct kii_error *err)
{
	const char *install = kii_draft_steer(d, "INSTALL_CMD");
	const char *build = kii_draft_steer(d, "BUILD_CMD");
	const char *asked = d->opts->build_command;

	if (from_config(d, err) != 0 || add_words(d, "PKGS", add_nix, err) != 0 ||
	    add_words(d, "APT_PKGS", add_apt, err) != 0)
		return -1;
	if (install) {
		replace(&d->plan->install, install);
		install_needs_all(d);
	}
	if (asked && *asked && (!kii_draft_is_text(asked, true) || strlen(asked) > COMMAND_MAX))
		return kii_error_field(err, "build_command", "must be text of at most 16 KiB");
	if (asked && *asked)
		replace(&d->plan->build, asked);
	else if (build)
		replace(&d->plan->build, build);
	if (d->given_start) {
		free(d->plan->start);
		d->plan->start = kii_xstrdup(d->given_start);
	}
	return 0;
}
