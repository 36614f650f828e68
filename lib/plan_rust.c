/* SPDX-License-Identifier: MIT */
/* Rust: one package, or the one of a workspace that has a program. */
#include <config.h>

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "rust", "docker.io/library/rust:{version}-bookworm" },
	{ NULL },
};
static const struct kii_lines lines = { "rust", "RUST_VERSION", "1", "1", 2 };

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "Cargo.toml") && !kii_node_serves(t);
}

/* rust-toolchain as text; a table's channel in rust-toolchain.toml. "stable" says nothing. */
static char *toolchain(struct kii_draft *d)
{
	const char *channel = kii_data_text(kii_tree_look(d->tree, "rust-toolchain.toml"),
		"toolchain.channel");
	kii_autofree char *line = channel ? kii_xstrdup(channel) :
		kii_tree_line(d->tree, "rust-toolchain");

	if (!line || *line == '[' || strncmp(line, "stable", 6) == 0)
		return NULL;
	return kii_steal(&line);
}

/* Nightly and beta have no image of their own: rustup of the stable one gets them. */
static char *channel_of(char **text)
{
	char *channel = NULL;

	if (*text && (strncmp(*text, "nightly", 7) == 0 || strncmp(*text, "beta", 4) == 0) &&
	    kii_draft_is_name(*text))
		channel = kii_steal(text);
	return channel;
}

/* The program of a package: default-run, the first [[bin]], the package's name. */
static const char *program(const json_t *cargo)
{
	const char *name = kii_data_text(cargo, "package.default-run");

	if (!name)
		name = kii_data_text(json_array_get(json_object_get(cargo, "bin"), 0), "name");
	return name ? name : kii_data_text(cargo, "package.name");
}

static bool has_program(struct kii_draft *d, const char *folder, const json_t *cargo)
{
	kii_autofree char *main_rs = kii_xfmt("%ssrc/main.rs", folder);
	kii_autofree char *pattern = kii_xfmt("%ssrc/bin/*.rs", folder);
	kii_autofree char *other = kii_tree_first(d->tree, pattern);

	return kii_tree_has(d->tree, main_rs) || json_object_get(cargo, "bin") || other;
}

/* src/bin/x.rs without src/main.rs and [[bin]]: the program is x. Caller frees. */
static char *program_of_bin(struct kii_draft *d, const char *folder)
{
	kii_autofree char *main_rs = kii_xfmt("%ssrc/main.rs", folder);
	kii_autofree char *pattern = kii_xfmt("%ssrc/bin/*.rs", folder);
	kii_autofree char *path = kii_tree_first(d->tree, pattern);
	const char *name;

	if (!path || kii_tree_has(d->tree, main_rs))
		return NULL;
	name = strrchr(path, '/') + 1;
	return kii_xstrndup(name, strlen(name) - strlen(".rs"));
}

static bool is_member(const json_t *members, const char *folder)
{
	for (size_t i = 0; i < json_array_size(members); i++) {
		const char *pattern = json_string_value(json_array_get(members, i));

		if (pattern && fnmatch(pattern, folder, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

/* The first member with a program: its Cargo.toml, and "folder/" into *folder. */
static const json_t *find_member(struct kii_draft *d, const json_t *members, char **folder)
{
	kii_autotexts files = { 0 };

	kii_tree_glob(d->tree, "*/Cargo.toml", &files);
	kii_tree_glob(d->tree, "*/*/Cargo.toml", &files);
	for (size_t i = 0; i < files.n; i++) {
		const json_t *cargo = kii_tree_look(d->tree, files.items[i]);
		char *slash = strrchr(files.items[i], '/');
		kii_autofree char *place = NULL;

		*slash = '\0';
		place = kii_xfmt("%s/", files.items[i]);
		if (is_member(members, files.items[i]) && has_program(d, place, cargo)) {
			*folder = kii_steal(&place);
			return cargo;
		}
	}
	return NULL;
}

/* Libraries that crates are linked with, by what the lock file names. */
static void add_libraries(struct kii_draft *d)
{
	static const struct { const char *crate, *library; } needs[] = {
		{ "openssl-sys", "libssl3" }, { "pq-sys", "libpq5" },
		{ "mysqlclient-sys", "libmariadb3" }, { "libsqlite3-sys", "libsqlite3-0" },
	};

	for (size_t i = 0; i < KII_COUNT(needs); i++) {
		if (kii_tree_mentions(d->tree, "Cargo.lock", needs[i].crate))
			kii_texts_once(&d->run_apt, needs[i].library);
	}
}

/*
 * One package that declares no targets can be fetched for before its files are there: cargo only
 * wants to see a target.
 */
static void install(struct kii_draft *d, const json_t *cargo)
{
	static const char *const targets[] = { "bin", "lib", "bench", "test", "example",
		"workspace" };

	if (!kii_tree_has(d->tree, "Cargo.lock") || !kii_tree_has(d->tree, "src/main.rs"))
		return;
	for (size_t i = 0; i < KII_COUNT(targets); i++) {
		if (json_object_get(cargo, targets[i]))
			return;
	}
	kii_draft_manifest(d, "Cargo.toml");
	kii_draft_manifest(d, "Cargo.lock");
	kii_draft_manifest(d, "rust-toolchain");
	kii_draft_manifest(d, "rust-toolchain.toml");
	kii_draft_manifest(d, ".cargo/config.toml");
	kii_draft_install(d, "mkdir -p src && echo 'fn main() {}' >src/main.rs && "
		"cargo fetch --locked");
}

static int choose_program(struct kii_draft *d, const json_t *cargo, struct kii_error *err)
{
	const char *locked = kii_tree_has(d->tree, "Cargo.lock") ? " --locked" : "";
	kii_autofree char *folder = kii_xstrdup("");
	kii_autofree char *bin = NULL;
	const json_t *package = cargo;
	const char *name;

	d->hint = "no package of the project has a src/main.rs, src/bin or [[bin]]";
	if (!has_program(d, "", cargo)) {
		free(kii_steal(&folder));
		package = find_member(d, kii_data_at(cargo, "workspace.members"), &folder);
	}
	if (!package) {
		kii_draft_build(d, "cargo build --release%s", locked);
		return 0;
	}
	bin = program_of_bin(d, folder);
	name = bin && !json_object_get(package, "bin") ? bin : program(package);
	if (!name || !kii_draft_is_name(name))
		return kii_error_field(err, "Cargo.toml", "the package's program has no plain name");
	kii_draft_build(d, "cargo build --release%s --bin %s", locked, name);
	/* the rest of target is of no use, and large */
	kii_texts_fmt(&d->collect, "mkdir -p /out && cp target/release/%s /out/ && rm -rf target && "
		"mkdir -p target/release && cp /out/%s target/release/", name, name);
	kii_draft_start(d, "./target/release/%s", name);
	return 0;
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const json_t *cargo = NULL;
	kii_autofree char *wanted = toolchain(d);
	kii_autofree char *channel = channel_of(&wanted);
	struct kii_said said[2];
	const char *value;

	if (kii_tree_data(d->tree, "Cargo.toml", &cargo, err) != 0)
		return -1;
	if (!cargo)
		return kii_error_field(err, "Cargo.toml", "is not there");
	said[0] = (struct kii_said){ "rust-toolchain", kii_steal(&wanted) };
	said[1] = (struct kii_said){ ".tool-versions", kii_tree_tool(d->tree, "rust") };
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	kii_draft_image(d, "rust", value);
	kii_draft_run_image(d, "debian", "");
	if (channel)
		kii_draft_setup(d, "rustup toolchain install %s --profile minimal && "
			"rustup default %s", channel, channel);
	kii_draft_setup(d, "mkdir -p /etc/ssl/certs");
	kii_texts_add(&d->taken, "/etc/ssl/certs");
	kii_texts_add(&d->ignore, "target");
	install(d, cargo);
	add_libraries(d);
	return choose_program(d, cargo, err);
}

const struct kii_detector kii_detect_rust = {
	.name = "rust",
	.rank = 50,
	.looks_for = "Cargo.toml",
	.images = images,
	.claims = claims,
	.plan = plan,
};
