/* SPDX-License-Identifier: MIT */
/* A draft as a multi-stage Dockerfile, and what its context needs. */
#include <config.h>

#include "plan_dockerfile.h"

#include <stdlib.h>
#include <string.h>

#include "plan_in.h"

#define DOCKERFILE_MAX (1u << 20)
#define LINE_MAX_BYTES 65000     /* classic builders read lines of less than 64 KiB */
#define SITE           "/srv/site"
#define SITE_CONF      "/etc/kiisrv/nginx.conf"
#define HTML           "/usr/share/nginx/html"

/* A whole configuration that a plain user can run: the port is put in when it starts. */
static const char site_head[] =
	"worker_processes auto;\n"
	"error_log stderr;\n"
	"pid /tmp/nginx.pid;\n"
	"events { }\n"
	"http {\n"
	"include /etc/nginx/mime.types;\n"
	"default_type application/octet-stream;\n"
	"access_log off;\n"
	"sendfile on;\n"
	"client_body_temp_path /tmp/body;\n"
	"proxy_temp_path /tmp/proxy;\n"
	"fastcgi_temp_path /tmp/fastcgi;\n"
	"uwsgi_temp_path /tmp/uwsgi;\n"
	"scgi_temp_path /tmp/scgi;\n";

static void run_all(struct kii_buf *out, const struct kii_texts *commands)
{
	for (size_t i = 0; i < commands->n; i++)
		kii_dockerfile_run(out, commands->items[i]);
}

static void apt(struct kii_buf *out, const struct kii_texts *first, const struct kii_texts *more)
{
	kii_autotexts all = { 0 };
	kii_autofree char *names = NULL;
	kii_autofree char *command = NULL;

	kii_texts_append(&all, first);
	for (size_t i = 0; more && i < more->n; i++)
		kii_texts_once(&all, more->items[i]);
	if (!all.n)
		return;
	names = kii_texts_join(&all, " ");
	command = kii_xfmt("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "
		"--no-install-recommends %s && rm -rf /var/lib/apt/lists/*", names);
	kii_dockerfile_run(out, command);
}

/* Defaults that the variables do not name, then those. */
static void variables(struct kii_buf *out, const struct kii_draft *d, const json_t *defaults)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)defaults, name, value) {
		if (!json_object_get(d->plan->variables, name))
			kii_dockerfile_env(out, name, json_string_value(value));
	}
}
static void own_variables(struct kii_buf *out, const struct kii_draft *d)
{
	const char *name;
	json_t *value;

	json_object_foreach(d->plan->variables, name, value)
		kii_dockerfile_env(out, name, json_string_value(value));
}

static void copy_one(struct kii_buf *out, const char *from, unsigned owner, const char *path,
	const char *folder)
{
	kii_autotexts one = { 0 };

	kii_texts_add(&one, path);
	kii_dockerfile_copy(out, from, owner, &one, folder);
}

/* "a/b/" of "a/b/c", "./" of "c"; caller frees. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? kii_xfmt("%.*s/", (int)(slash - path), path) : kii_xstrdup("./");
}

/* One COPY a folder: it flattens what it takes. */
static void copy_manifests(struct kii_buf *out, const struct kii_texts *manifests)
{
	kii_autotexts done = { 0 };

	for (size_t i = 0; i < manifests->n; i++) {
		kii_autofree char *folder = folder_of(manifests->items[i]);
		kii_autotexts files = { 0 };

		if (kii_texts_has(&done, folder))
			continue;
		for (size_t k = i; k < manifests->n; k++) {
			kii_autofree char *other = folder_of(manifests->items[k]);

			if (strcmp(other, folder) == 0)
				kii_texts_add(&files, manifests->items[k]);
		}
		kii_dockerfile_copy(out, NULL, 0, &files, folder);
		kii_texts_add(&done, folder);
	}
}

/* Where all files of the project come from: the context, or the stage that has added to it. */
static void copy_tree(struct kii_buf *out, const struct kii_draft *d)
{
	if (d->assets)
		copy_one(out, "assets", 0, "/app/", "./");
	else
		copy_one(out, NULL, 0, ".", "./");
}

static void build_stage(struct kii_buf *out, const struct kii_draft *d, const char *name)
{
	kii_buf_fmt(out, "FROM %s AS %s\nWORKDIR /app\n", d->build_image, name);
	apt(out, &d->apt, NULL);
	if (d->tool_image)
		copy_one(out, d->tool_image, 0, d->tool, d->tool);
	run_all(out, &d->plan->setup);
	variables(out, d, d->env);
	variables(out, d, d->build_env);
	own_variables(out, d);
	if (d->manifests.n && d->plan->install.n) {
		copy_manifests(out, &d->manifests);
		run_all(out, &d->plan->install);
		copy_tree(out, d);
	} else {
		copy_tree(out, d);
		run_all(out, &d->plan->install);
	}
	run_all(out, &d->plan->build);
	kii_buf_char(out, '\n');
}

static void run_stage(struct kii_buf *out, const struct kii_draft *d, const char *port)
{
	kii_autofree char *own = kii_xfmt("chown %u:%u /app", d->user, d->user);

	kii_buf_fmt(out, "FROM %s\nWORKDIR /app\n", d->run_image ? d->run_image : d->build_image);
	apt(out, &d->apt, &d->run_apt);
	run_all(out, &d->run_setup);
	for (size_t i = 0; i + 1 < d->files.n; i += 2)
		kii_dockerfile_write(out, d->files.items[i], d->files.items[i + 1]);
	variables(out, d, d->env);
	variables(out, d, d->run_env);
	own_variables(out, d);
	if (d->user)
		kii_dockerfile_run(out, own);
	copy_one(out, "build", d->user, "/app/", "/app/");
	for (size_t i = 0; i < d->taken.n; i++) {
		kii_autofree char *into = kii_xfmt("%s/", d->taken.items[i]);

		copy_one(out, "build", 0, into, into);
	}
	run_all(out, &d->finish);
	if (d->user)
		kii_buf_fmt(out, "USER %u:%u\n", d->user, d->user);
	kii_buf_fmt(out, "EXPOSE %s\nENTRYPOINT []\n", port);
	kii_dockerfile_cmd(out, d->plan->start);
}

static void server_block(struct kii_buf *out, const char *listen, const char *root, bool spa)
{
	kii_buf_fmt(out, "server {\n"
		"listen %s;\n"
		"server_name _;\n"
		"root %s;\n"
		"index index.html;\n"
		"gzip on;\n"
		"gzip_min_length 1024;\n"
		"gzip_types text/plain text/css text/javascript application/javascript "
		"application/json application/xml image/svg+xml;\n"
		"location ~ /\\.(?!well-known/) { return 404; }\n"
		"location / { try_files $uri $uri/ %s; }\n"
		"%s"
		"}\n", listen, root, spa ? "/index.html" : "$uri.html =404",
		spa ? "" : "error_page 404 /404.html;\n");
}

static bool has_build(const struct kii_draft *d)
{
	return d->plan->setup.n || d->plan->install.n || d->plan->build.n || d->assets;
}

/* The site's files into `folder`, from the build or from the context. */
static void copy_site(struct kii_buf *out, const struct kii_draft *d, const char *folder)
{
	const char *site = strcmp(d->site, ".") == 0 ? "" : d->site;
	kii_autofree char *built = kii_xfmt("/app/%s%s", site, *site ? "/" : "");
	kii_autofree char *plain = kii_xfmt("%s/", *site ? site : ".");

	if (has_build(d))
		copy_one(out, "build", 0, built, folder);
	else
		copy_one(out, NULL, 0, plain, folder);
}

/* The static buildpack: nginx as the image has it, port 80, as its users expect it. */
static void own_site_stage(struct kii_buf *out, const struct kii_draft *d)
{
	kii_autobuf block = KII_BUF_INIT(1 << 16);

	kii_buf_fmt(out, "FROM %s\n", d->run_image);
	own_variables(out, d);
	kii_dockerfile_run(out, "rm -rf " HTML "/*");
	if (d->nginx_config) {
		copy_one(out, NULL, 0, d->nginx_config, "/etc/nginx/conf.d/default.conf");
	} else {
		server_block(&block, "80", HTML, d->spa);
		kii_dockerfile_write(out, "/etc/nginx/conf.d/default.conf", block.data);
	}
	copy_site(out, d, HTML "/");
	kii_buf_str(out, "EXPOSE 80\nENTRYPOINT []\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n");
}

/* A site of nixpacks: nginx as a plain user, at PORT as it is when the container starts. */
static void site_stage(struct kii_buf *out, const struct kii_draft *d, const char *port)
{
	kii_autobuf conf = KII_BUF_INIT(1 << 16);

	kii_buf_str(&conf, site_head);
	server_block(&conf, "@PORT@", SITE, d->spa);
	kii_buf_str(&conf, "}\n");
	kii_buf_fmt(out, "FROM %s\n", d->run_image);
	variables(out, d, d->run_env);
	own_variables(out, d);
	kii_dockerfile_write(out, SITE_CONF, conf.data);
	copy_site(out, d, SITE "/");
	kii_buf_fmt(out, "USER %u:%u\nEXPOSE %s\nENTRYPOINT []\n", d->user, d->user, port);
	kii_dockerfile_cmd(out, d->plan->start);
}

static void ignore_lines(struct kii_draft *d)
{
	kii_autobuf before = KII_BUF_INIT(DOCKERFILE_MAX);
	kii_autobuf after = KII_BUF_INIT(DOCKERFILE_MAX);

	kii_buf_str(&before, "**/.git\n.env\n.env.local\n.env.*.local\n");
	for (size_t i = 0; i < d->ignore.n; i++)
		kii_buf_fmt(&before, "%s\n", d->ignore.items[i]);
	for (size_t i = 0; d->assets && i < d->assets->ignore.n; i++)
		kii_buf_fmt(&before, "%s\n", d->assets->ignore.items[i]);
	for (size_t i = 0; i < d->manifests.n; i++)
		kii_buf_fmt(&after, "!%s\n", d->manifests.items[i]);
	for (size_t i = 0; d->assets && i < d->assets->manifests.n; i++)
		kii_buf_fmt(&after, "!%s\n", d->assets->manifests.items[i]);
	if (d->nginx_config)
		kii_buf_fmt(&after, "!%s\n", d->nginx_config);
	d->plan->ignore_before = kii_buf_steal(&before);
	d->plan->ignore_after = kii_buf_steal(&after);
}

/* PORT as the image will have it; borrowed, NULL: it is no port. */
static const char *port_of(const struct kii_draft *d)
{
	const char *port = json_string_value(json_object_get(d->plan->variables, "PORT"));
	size_t len;
	long number;

	if (!port)
		return KII_PLAN_PORT;
	len = strlen(port);
	number = len && strspn(port, "0123456789") == len ? strtol(port, NULL, 10) : 0;
	return len <= 5 && number >= 1 && number <= 65535 ? port : NULL;
}

static void list_images(struct kii_draft *d, bool builds)
{
	struct kii_texts *images = &d->plan->images;

	if (d->assets)
		kii_texts_once(images, d->assets->build_image);
	if (builds && d->build_image)
		kii_texts_once(images, d->build_image);
	if (builds && d->tool_image)
		kii_texts_once(images, d->tool_image);
	if (d->run_image)
		kii_texts_once(images, d->run_image);
}

static int check_lines(const struct kii_buf *out, struct kii_error *err)
{
	const char *p = out->data;

	if (kii_buf_check(out, "the Dockerfile", err) != 0)
		return -1;
	for (size_t n; *p; p += n + 1) {
		n = strcspn(p, "\n");
		if (n > LINE_MAX_BYTES)
			return kii_error_set(err, KII_ETOOBIG, 0, "the Dockerfile: a line of "
				"more than %d bytes, which begins with %.40s", LINE_MAX_BYTES, p);
	}
	return 0;
}

int kii_plan_dockerfile(struct kii_draft *d, struct kii_error *err)
{
	kii_autobuf out = KII_BUF_INIT(DOCKERFILE_MAX);
	kii_autofree char *providers = kii_texts_join(&d->plan->providers, ", ");
	const char *port = port_of(d);

	if (!port)
		return kii_error_field(err, "variables.PORT", "must be a port, 1 to 65535");
	if (d->user)
		kii_draft_env(d->run_env, "HOME", "/app");
	if (!d->own_site)
		kii_draft_env(d->run_env, "PORT", port);
	kii_buf_fmt(&out, "# Made by kiisrv for: %s\n", providers);
	if (d->assets)
		build_stage(&out, d->assets, "assets");
	if (!d->site || has_build(d))
		build_stage(&out, d, "build");
	if (d->site && d->own_site)
		own_site_stage(&out, d);
	else if (d->site)
		site_stage(&out, d, port);
	else
		run_stage(&out, d, port);
	if (check_lines(&out, err) != 0)
		return -1;
	ignore_lines(d);
	list_images(d, !d->site || has_build(d));
	d->plan->dockerfile = kii_buf_steal(&out);
	return 0;
}
