/* SPDX-License-Identifier: MIT */
/* Ruby: Bundler; Rails, Rack, or a program. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

static const struct kii_base images[] = {
	{ "ruby", "docker.io/library/ruby:{version}-bookworm" },
	{ "ruby-run", "docker.io/library/ruby:{version}-slim-bookworm" },
	{ NULL },
};
static const struct kii_lines lines = {
	"ruby", "RUBY_VERSION", "3.3", "3.3 3.4 3.2 3.1", 2,
};

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "Gemfile");
}

/* `ruby "3.2.2"` of a Gemfile; caller frees. */
static char *gemfile_ruby(const char *text)
{
	while (text && *text) {
		text += strspn(text, " \t");
		if (strncmp(text, "ruby", 4) == 0 && strchr(" \t(", text[4])) {
			const char *p = text + 4 + strspn(text + 4, " \t(");

			if (*p == '"' || *p == '\'')
				return kii_xstrndup(p + 1, strcspn(p + 1, "\"'\n"));
		}
		text += strcspn(text, "\n");
		text += *text ? 1 : 0;
	}
	return NULL;
}

/* "ruby 3.2.2p53" below RUBY VERSION of a lock file; caller frees. */
static char *locked_ruby(const char *text)
{
	kii_autofree char *line = kii_draft_between(text, "RUBY VERSION\n", "\r\n");
	const char *p = line ? line + strspn(line, " ") : "";

	if (strncmp(p, "ruby ", 5) != 0)
		return NULL;
	return kii_xstrndup(p + 5, strspn(p + 5, "0123456789."));
}

/* rbenv's file may say "ruby-3.2.2"; other implementations have no image. */
static char *rbenv_version(char *text_take)
{
	char *version = NULL;
	const char *p = text_take;

	if (p && strncmp(p, "ruby-", 5) == 0)
		p += 5;
	if (p && *p >= '0' && *p <= '9')
		version = kii_xstrndup(p, strspn(p, "0123456789."));
	free(text_take);
	return version;
}

static bool has_gem(struct kii_draft *d, const char *name)
{
	return kii_tree_mentions(d->tree, "Gemfile.lock", name) ||
		kii_tree_mentions(d->tree, "Gemfile", name);
}

static void add_libraries(struct kii_draft *d)
{
	static const struct { const char *gem, *library; } needs[] = {
		{ "pg", "libpq5" }, { "mysql2", "libmariadb3" }, { "sqlite3", "libsqlite3-0" },
		{ "ruby-vips", "libvips42" }, { "rmagick", "libmagickwand-6.q16-6" },
		{ "mini_magick", "imagemagick" }, { "charlock_holmes", "libicu72" },
	};

	for (size_t i = 0; i < KII_COUNT(needs); i++) {
		if (has_gem(d, needs[i].gem))
			kii_texts_once(&d->run_apt, needs[i].library);
	}
}

static void plan_rails(struct kii_draft *d)
{
	kii_draft_env(d->env, "RAILS_ENV", "production");
	kii_draft_env(d->run_env, "RAILS_LOG_TO_STDOUT", "enabled");
	kii_draft_env(d->run_env, "RAILS_SERVE_STATIC_FILES", "1");
	/* node has made these in its own stage */
	kii_draft_env(d->build_env, "SKIP_JS_BUILD", "1");
	kii_draft_env(d->build_env, "SKIP_CSS_BUILD", "1");
	kii_draft_env(d->build_env, "SKIP_YARN_INSTALL", "1");
	if (has_gem(d, "sprockets-rails") || has_gem(d, "propshaft") || has_gem(d, "shakapacker"))
		kii_draft_build(d, "SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=none "
			"bundle exec rails assets:precompile");
	kii_draft_note(d, "Rails: migrations are not run by the image; run \"bundle exec rails "
		"db:migrate\" before a new version starts");
	kii_draft_start(d, "bundle exec rails server -b 0.0.0.0 -p $PORT");
}

static void choose_start(struct kii_draft *d)
{
	static const char *const files[] = { "app.rb", "main.rb", "server.rb" };

	d->hint = "there is no config/application.rb, config.ru, app.rb, main.rb or server.rb";
	if (kii_tree_has(d->tree, "config/application.rb") && has_gem(d, "rails")) {
		plan_rails(d);
		return;
	}
	kii_draft_env(d->run_env, "RACK_ENV", "production");
	if (kii_tree_has(d->tree, "config.ru")) {
		if (has_gem(d, "puma"))
			kii_draft_start(d, "bundle exec puma -b tcp://0.0.0.0:$PORT");
		else
			kii_draft_start(d, "bundle exec rackup config.ru -o 0.0.0.0 -p $PORT");
		return;
	}
	for (size_t i = 0; i < KII_COUNT(files); i++) {
		if (kii_tree_has(d->tree, files[i]))
			kii_draft_start(d, "bundle exec ruby %s", files[i]);
	}
}

static void install(struct kii_draft *d)
{
	kii_draft_env(d->env, "BUNDLE_PATH", "/opt/bundle");
	kii_draft_env(d->env, "BUNDLE_WITHOUT", "development:test");
	if (kii_tree_has(d->tree, "Gemfile.lock"))
		kii_draft_env(d->env, "BUNDLE_FROZEN", "true");
	/* a gem of the project's own is one of its files */
	if (!kii_tree_mentions(d->tree, "Gemfile", "path") &&
	    !kii_tree_mentions(d->tree, "Gemfile", "gemspec")) {
		kii_draft_manifest(d, "Gemfile");
		kii_draft_manifest(d, "Gemfile.lock");
		kii_draft_manifest(d, ".ruby-version");
		kii_draft_manifest(d, ".tool-versions");
	}
	kii_draft_setup(d, "mkdir -p /opt/bundle");
	kii_texts_add(&d->taken, "/opt/bundle");
	kii_draft_install(d, "bundle install");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const char *text = NULL, *value;
	struct kii_said said[] = {
		{ ".ruby-version", rbenv_version(kii_tree_line(d->tree, ".ruby-version")) },
		{ "Gemfile", NULL },
		{ "Gemfile.lock", locked_ruby(kii_tree_peek(d->tree, "Gemfile.lock")) },
		{ ".tool-versions", kii_tree_tool(d->tree, "ruby") },
	};

	if (kii_tree_text(d->tree, "Gemfile", &text, err) == 0)
		said[1].text = gemfile_ruby(text);
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	kii_draft_image(d, "ruby", value);
	kii_draft_run_image(d, "ruby-run", value);
	install(d);
	add_libraries(d);
	kii_draft_add_node(d);
	choose_start(d);
	return 0;
}

const struct kii_detector kii_detect_ruby = {
	.name = "ruby",
	.rank = 60,
	.looks_for = "Gemfile",
	.images = images,
	.claims = claims,
	.plan = plan,
};
