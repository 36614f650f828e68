/* SPDX-License-Identifier: MIT */
/* PHP behind Apache, as PHP's own image has it: Composer, Laravel, Symfony, or plain files. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "plan_dockerfile.h"
#include "plan_in.h"

#define WWW_DATA 33        /* of Debian */

static const struct kii_base images[] = {
	{ "php", "docker.io/library/php:{version}-apache-bookworm" },
	{ "composer", "docker.io/library/composer:2" },
	{ NULL },
};
static const struct kii_lines lines = { "php", "PHP_VERSION", "8.3", "8.3 8.4 8.2 8.1", 2 };

/* Extensions that the image has to compile, and the packages for that. */
static const struct { const char *name, *packages; } extensions[] = {
	{ "bcmath", "" }, { "calendar", "" }, { "exif", "" },
	{ "gd", "libpng-dev libjpeg-dev libfreetype-dev" }, { "gettext", "" }, { "gmp", "libgmp-dev" },
	{ "intl", "libicu-dev" }, { "ldap", "libldap2-dev" }, { "mysqli", "" },
	{ "opcache", "" }, { "pcntl", "" }, { "pdo_mysql", "" }, { "pdo_pgsql", "libpq-dev" },
	{ "pgsql", "libpq-dev" }, { "soap", "libxml2-dev" }, { "sockets", "" },
	{ "xsl", "libxslt1-dev" }, { "zip", "libzip-dev" },
};

static bool claims(struct kii_tree *t)
{
	return kii_tree_has(t, "composer.json") || kii_tree_has(t, "index.php") ||
		kii_tree_has(t, "public/index.php");
}

static bool requires(const json_t *composer, const char *package)
{
	return json_object_get(json_object_get(composer, "require"), package);
}

static void add_extensions(struct kii_draft *d, const json_t *composer)
{
	kii_autotexts names = { 0 };
	kii_autotexts packages = { 0 };
	kii_autofree char *list = NULL;

	for (size_t i = 0; i < KII_COUNT(extensions); i++) {
		kii_autofree char *package = kii_xfmt("ext-%s", extensions[i].name);

		if (!requires(composer, package))
			continue;
		kii_texts_add(&names, extensions[i].name);
		if (*extensions[i].packages)
			kii_texts_add(&packages, extensions[i].packages);
	}
	if (!names.n)
		return;
	list = kii_texts_join(&names, " ");
	if (packages.n) {
		kii_autofree char *debian = kii_texts_join(&packages, " ");

		kii_draft_setup_both(d, "apt-get update && apt-get install -y "
			"--no-install-recommends %s && rm -rf /var/lib/apt/lists/*", debian);
	}
	kii_draft_setup_both(d, "docker-php-ext-install %s", list);
}

static void install(struct kii_draft *d, const json_t *composer)
{
	if (!json_object_size(json_object_get(composer, "require")) &&
	    !json_object_get(composer, "autoload"))
		return;
	d->tool_image = kii_bases_reference(d->opts->images, "composer", "2");
	d->tool = "/usr/bin/composer";
	kii_draft_setup(d, "command -v unzip >/dev/null || (apt-get update && apt-get install -y "
		"--no-install-recommends git unzip && rm -rf /var/lib/apt/lists/*)");
	kii_draft_env(d->build_env, "COMPOSER_ALLOW_SUPERUSER", "1");
	/* its scripts and its class map need the files, its packages do not */
	kii_draft_manifest(d, "composer.json");
	if (kii_draft_manifest(d, "composer.lock"))
		kii_draft_manifest(d, "auth.json");
	kii_draft_install(d, "composer install --no-dev --no-interaction --no-progress --no-scripts "
		"--no-autoloader");
	kii_draft_build(d, "composer install --no-dev --no-interaction --no-progress "
		"--optimize-autoloader");
	if (json_array_size(kii_data_at(composer, "repositories")))
		kii_texts_release(&d->manifests);
}

/* The folder that is served, below /app; borrowed. */
static const char *root(struct kii_draft *d)
{
	const char *asked = kii_draft_steer(d, "PHP_ROOT_DIR");

	if (asked && strncmp(asked, "/app/", 5) == 0)
		asked += 5;
	if (asked && kii_tree_inside(asked) && kii_dockerfile_is_path(asked))
		return asked;
	return kii_tree_has(d->tree, "public/index.php") ? "public" :
		kii_tree_has(d->tree, "web/index.php") ? "web" : "";
}

/* Apache as a plain user: another port, and what it writes to is that user's. */
static void serve(struct kii_draft *d, const char *folder)
{
	kii_texts_add(&d->files, "/etc/apache2/sites-available/000-default.conf");
	kii_texts_fmt(&d->files, "<VirtualHost *:${PORT}>\n"
		"DocumentRoot \"/app%s%s\"\n"
		"ErrorLog /dev/stderr\n"
		"CustomLog /dev/stdout common\n"
		"<Directory /app>\n"
		"Options -Indexes +FollowSymLinks\n"
		"AllowOverride All\n"
		"Require all granted\n"
		"FallbackResource /index.php\n"
		"</Directory>\n"
		"<DirectoryMatch \"/\\.\">\n"
		"Require all denied\n"
		"</DirectoryMatch>\n"
		"<FilesMatch \"^\\.\">\n"
		"Require all denied\n"
		"</FilesMatch>\n"
		"</VirtualHost>\n", *folder ? "/" : "", folder);
	kii_texts_add(&d->files, "/etc/apache2/ports.conf");
	kii_texts_add(&d->files, "Listen ${PORT}\nServerName localhost\n");
	kii_texts_add(&d->run_setup, "a2enmod rewrite && "
		"mkdir -p /var/run/apache2 /var/lock/apache2 /var/log/apache2 && "
		"chown -R www-data /var/run/apache2 /var/lock/apache2 /var/log/apache2");
	d->user = WWW_DATA;
	kii_draft_start(d, ". /etc/apache2/envvars && exec apache2 -D FOREGROUND");
}

static void plan_laravel(struct kii_draft *d)
{
	kii_draft_env(d->run_env, "LOG_CHANNEL", "stderr");
	kii_draft_note(d, "Laravel: APP_KEY has to be among the variables of the container; run "
		"\"php artisan migrate --force\" before a new version starts");
	kii_draft_build(d, "mkdir -p storage/framework/cache storage/framework/sessions "
		"storage/framework/views storage/logs bootstrap/cache");
	kii_texts_add(&d->finish, "php artisan storage:link || true");
}

static int plan(struct kii_draft *d, struct kii_error *err)
{
	const json_t *composer = NULL;
	const char *value;
	struct kii_said said[] = {
		{ "composer.json config.platform.php", NULL }, { "composer.json require.php", NULL },
		{ ".php-version", kii_tree_line(d->tree, ".php-version") },
		{ ".tool-versions", kii_tree_tool(d->tree, "php") },
	};

	if (kii_tree_data(d->tree, "composer.json", &composer, err) == 0) {
		said[0].text = kii_xstrdup(kii_data_text(composer, "config.platform.php"));
		said[1].text = kii_xstrdup(kii_data_text(composer, "require.php"));
	}
	if (kii_draft_version(d, &lines, said, KII_COUNT(said), &value, err) != 0)
		return -1;
	kii_draft_image(d, "php", value);
	kii_draft_run_image(d, "php", value);
	add_extensions(d, composer);
	/* directories first: composer's scripts write there */
	if (kii_tree_has(d->tree, "artisan"))
		plan_laravel(d);
	install(d, composer);
	kii_texts_add(&d->ignore, "vendor");
	kii_draft_add_node(d);
	serve(d, root(d));
	return 0;
}

const struct kii_detector kii_detect_php = {
	.name = "php",
	.rank = 55,
	.looks_for = "composer.json, index.php",
	.images = images,
	.claims = claims,
	.plan = plan,
};
