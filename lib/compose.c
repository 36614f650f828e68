/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "compose.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "buf.h"
#include "build_request.h"
#include "json.h"
#include "path.h"

#define FILE_MAX     (1u << 20)
#define SERVICES_MAX 100
#define ARGS_MAX     256
#define NOTE_MAX     1000

struct compose {
	const struct kii_compose_opts *opts;
	struct kii_compose *out;
	json_t *env;             /* of the project's .env */
	char *name;              /* of the file, from the source's top */
	char *base;              /* its folder */
	char *project;
	size_t bytes;            /* of what values have become so far */
};

void kii_compose_release(struct kii_compose *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct kii_compose_service *s = &c->services[i];

		free(s->name);
		free(s->image);
		free(s->context);
		free(s->dockerfile);
		free(s->target);
		json_decref(s->args);
	}
	free(c->services);
	kii_texts_release(&c->notes);
	memset(c, 0, sizeof(*c));
}

/* With few of them the search costs nothing; behind the last nothing is even printed. */
void kii_compose_note(struct kii_texts *notes, const char *fmt, ...)
{
	kii_autobuf text = KII_BUF_INIT(NOTE_MAX);
	va_list ap;

	if (notes->n > KII_COMPOSE_NOTES)
		return;
	va_start(ap, fmt);
	kii_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	if (kii_texts_has(notes, text.data))
		return;
	kii_texts_add(notes, notes->n < KII_COMPOSE_NOTES ? text.data :
		"there is more of that kind");
}

/* --- values --- */

/* Everything that is kept goes through here: a value may be used any number of times. */
static int charge(struct compose *c, const char *text, const struct kii_path *at,
	struct kii_error *err)
{
	c->bytes += strlen(text);
	if (c->bytes > KII_COMPOSE_BYTES)
		return kii_path_fail(at, err, "becomes too much text, with what is before it");
	return 0;
}

/* A text with its variables; NULL is absent. */
static int take_text(struct compose *c, const json_t *value, const struct kii_path *at,
	char **out, struct kii_error *err)
{
	char field[128];

	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return kii_path_fail(at, err, "must be a text");
	kii_path_text(at, field, sizeof(field));
	if (kii_compose_expand(json_string_value(value), c->opts->environment, c->env, field,
			&c->out->notes, out, err) != 0)
		return -1;
	return charge(c, *out, at, err);
}

static int put_arg(struct compose *c, json_t *args, const char *name, const json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	kii_autofree char *text = NULL;
	const char *given;

	if (!kii_variable_name(name))
		return kii_path_fail(at, err, "a name is of A-Z a-z 0-9 _ and does not begin "
			"with a digit");
	/* Without a value it is what the environment has, if that has it. */
	if (!value || json_is_null(value)) {
		given = kii_json_str(c->opts->environment, name);
		given = given ? given : kii_json_str(c->env, name);
		if (!given)
			return 0;
		kii_json_set_str(args, name, given);
		return charge(c, given, at, err);
	}
	if (take_text(c, value, at, &text, err) != 0)
		return -1;
	kii_json_set_str(args, name, text);
	return 0;
}

/* A mapping, or a list of "NAME=value" and "NAME". */
static int take_args(struct compose *c, const json_t *value, const struct kii_path *at,
	json_t *args, struct kii_error *err)
{
	const json_t *item;
	const char *name;
	size_t i;

	if (!value || json_is_null(value))
		return 0;
	if (json_object_size(value) > ARGS_MAX || json_array_size(value) > ARGS_MAX)
		return kii_path_fail(at, err, "has more than %d members", ARGS_MAX);
	json_object_foreach((json_t *)value, name, item)
		if (put_arg(c, args, name, item, KII_PATH_NAME(at, name), err) != 0)
			return -1;
	json_array_foreach(value, i, item) {
		const char *text = json_string_value(item);
		const char *equal = text ? strchr(text, '=') : NULL;
		kii_autofree char *key = text ? kii_xstrndup(text, strcspn(text, "=")) : NULL;
		kii_autojson *rest = equal ? json_string(equal + 1) : NULL;

		if (put_arg(c, args, key ? key : "", rest, KII_PATH_ITEM(at, i), err) != 0)
			return -1;
	}
	return json_is_object(value) || json_is_array(value) ? 0
		: kii_path_fail(at, err, "must be a mapping or a list");
}

/* --- a service --- */

static bool is_one_of(const char *const *words, const char *name)
{
	while (*words && strcmp(*words, name) != 0)
		words++;
	return *words;
}

/* What would make another image is an error, what would not is left aside. */
static int check_build(struct compose *c, const json_t *build, const struct kii_path *at,
	struct kii_error *err)
{
	static const char *const known[] = { "context", "dockerfile", "args", "target", NULL };
	static const char *const aside[] = { "cache_from", "cache_to", "no_cache", "pull",
		"shm_size", "isolation", "labels", "tags", "platforms", "provenance", "sbom",
		NULL };
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)build, name, value) {
		char where[128];

		if (is_one_of(known, name) || strncmp(name, "x-", 2) == 0)
			continue;
		if (!is_one_of(aside, name))
			return kii_path_fail(KII_PATH_NAME(at, name), err, "is not supported");
		kii_path_text(KII_PATH_NAME(at, name), where, sizeof(where));
		kii_compose_note(&c->out->notes, "%s is left aside", where);
	}
	return 0;
}

static int take_context(struct compose *c, const json_t *value, const struct kii_path *at,
	char **out, struct kii_error *err)
{
	kii_autofree char *text = NULL;
	char field[128];

	if (take_text(c, value, at, &text, err) != 0)
		return -1;
	kii_path_text(at, field, sizeof(field));
	if (text && (strstr(text, "://") || strncmp(text, "git@", 4) == 0))
		return kii_error_field(err, field, "must be a folder of the project, not a URL");
	return kii_beneath_clean(c->base, text ? text : ".", field, out, err);
}

static int take_build(struct compose *c, const json_t *build, const struct kii_path *at,
	struct kii_compose_service *s, struct kii_error *err)
{
	s->args = json_object();
	if (json_is_string(build))
		return take_context(c, build, at, &s->context, err);
	if (!json_is_object(build))
		return kii_path_fail(at, err, "must be a folder or a mapping");
	if (check_build(c, build, at, err) != 0 ||
	    take_context(c, json_object_get(build, "context"), KII_PATH_NAME(at, "context"),
			&s->context, err) != 0 ||
	    take_text(c, json_object_get(build, "dockerfile"), KII_PATH_NAME(at, "dockerfile"),
			&s->dockerfile, err) != 0 ||
	    take_text(c, json_object_get(build, "target"), KII_PATH_NAME(at, "target"),
			&s->target, err) != 0)
		return -1;
	return take_args(c, json_object_get(build, "args"), KII_PATH_NAME(at, "args"), s->args,
		err);
}

/* What else a service may say is not ours; what nobody knows may be a slip of the pen. */
static void note_unknown(struct compose *c, const json_t *service, const struct kii_path *at)
{
	static const char *const known[] = { "annotations", "attach", "blkio_config", "build",
		"cap_add", "cap_drop", "cgroup", "cgroup_parent", "command", "configs",
		"container_name", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota",
		"cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
		"credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules",
		"devices", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "env_file",
		"environment", "expose", "external_links", "extra_hosts", "gpus", "group_add",
		"healthcheck", "hostname", "image", "init", "ipc", "isolation", "label_file",
		"labels", "links", "logging", "mac_address", "mem_limit", "mem_reservation",
		"mem_swappiness", "memswap_limit", "models", "network_mode", "networks",
		"oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "platform", "ports",
		"post_start", "pre_stop", "privileged", "profiles", "provider", "pull_policy",
		"read_only", "restart", "runtime", "scale", "secrets", "security_opt", "shm_size",
		"stdin_open", "stop_grace_period", "stop_signal", "storage_opt", "sysctls",
		"tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode", "uts",
		"volumes", "volumes_from", "working_dir", NULL };
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)service, name, value) {
		char where[128];

		if (is_one_of(known, name) || strncmp(name, "x-", 2) == 0)
			continue;
		kii_path_text(KII_PATH_NAME(at, name), where, sizeof(where));
		kii_compose_note(&c->out->notes, "%s is not known and is left aside", where);
	}
}

static int take_service(struct compose *c, const char *name, const json_t *service,
	const struct kii_path *at, struct kii_error *err)
{
	struct kii_compose_service *s = &c->out->services[c->out->n++];

	s->name = kii_xstrdup(name);
	if (json_object_get(service, "extends"))
		return kii_path_fail(KII_PATH_NAME(at, "extends"), err, "is not supported");
	note_unknown(c, service, at);
	if (take_build(c, json_object_get(service, "build"), KII_PATH_NAME(at, "build"), s,
			err) != 0 ||
	    take_text(c, json_object_get(service, "image"), KII_PATH_NAME(at, "image"),
			&s->image, err) != 0)
		return -1;
	if (s->image)
		return 0;
	s->image = kii_xfmt("%s-%s", c->project, name);
	return charge(c, s->image, at, err);
}

static bool is_built(const json_t *service)
{
	const json_t *build = json_object_get(service, "build");

	return build && !json_is_null(build);
}

static int take_services(struct compose *c, const json_t *services, struct kii_error *err)
{
	const struct kii_path *at = KII_PATH_NAME(NULL, "services");
	const char *only = c->opts->service;
	const char *name;
	const json_t *service;

	if (!json_is_object(services))
		return kii_error_field(err, "services", "is missing in %s", c->name);
	if (json_object_size(services) > SERVICES_MAX)
		return kii_error_field(err, "services", "has more than %d members", SERVICES_MAX);
	if (only && !json_object_get(services, only)) {
		kii_error_field(err, "compose_config.service", "%s has no service %s", c->name,
			only);
		err->code = KII_ENOTFOUND;
		return -1;
	}
	c->out->services = kii_xcalloc(json_object_size(services) + 1,
		sizeof(*c->out->services));
	json_object_foreach((json_t *)services, name, service) {
		const struct kii_path *here = KII_PATH_NAME(at, name);

		if (only && strcmp(only, name) != 0)
			continue;
		if (!json_is_object(service))
			return kii_path_fail(here, err, "must be a mapping");
		if (is_built(service) && take_service(c, name, service, here, err) != 0)
			return -1;
	}
	if (c->out->n)
		return 0;
	if (only)
		return kii_error_field(err, "compose_config.service",
			"service %s has no build section", only);
	return kii_error_field(err, "services", "none of %s has a build section", c->name);
}

/* --- the files --- */

static int read_env(struct compose *c, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);
	kii_autofree char *path = kii_xfmt("%s%s.env", c->base, *c->base ? "/" : "");

	if (kii_beneath_read(c->opts->dir, path, ".env", &text, NULL, err) == 0)
		return kii_compose_env(text.data, c->opts->environment, &c->env, err);
	if (err->code != KII_ENOTFOUND)
		return -1;
	kii_error_clear(err);
	c->env = json_object();
	return 0;
}

/* The first of its usual names, or the one that is asked for. */
static int read_file(struct compose *c, struct kii_buf *out, struct kii_error *err)
{
	static const char field[] = "compose_config.compose_file";
	static const char *const usual[] = { "compose.yaml", "compose.yml", "docker-compose.yaml",
		"docker-compose.yml" };
	kii_autofree char *root = NULL;
	size_t n = c->opts->file ? 1 : KII_COUNT(usual);

	if (kii_beneath_clean("", c->opts->root ? c->opts->root : "", "context_root", &root,
			err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		kii_error_clear(err);
		free(c->name);
		c->name = NULL;
		if (kii_beneath_clean(root, c->opts->file ? c->opts->file : usual[i], field,
				&c->name, err) != 0)
			return -1;
		if (kii_beneath_read(c->opts->dir, c->name, field, out, NULL, err) == 0)
			return 0;
		if (err->code != KII_ENOTFOUND)
			return -1;
	}
	if (!c->opts->file) {
		kii_error_clear(err);
		kii_error_field(err, field, "there is neither compose.yaml nor "
			"docker-compose.yml");
		err->code = KII_ENOTFOUND;
	}
	return -1;
}

/* What a project may be called: a-z 0-9 _ -, and a letter or digit first. */
static char *project_name(const char *text)
{
	char *name = kii_xstrdup(text ? text : "");
	size_t n = 0;

	for (const char *p = text; p && *p; p++) {
		char ch = (char)(*p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);

		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", ch) ||
		    (n && strchr("_-", ch)))
			name[n++] = ch;
	}
	while (n && strchr("_-", name[n - 1]))
		n--;
	name[n] = '\0';
	if (n)
		return name;
	free(name);
	return kii_xstrdup("app");
}

static void note_unknown_top(struct compose *c, const json_t *all)
{
	static const char *const known[] = { "configs", "models", "name", "networks", "secrets",
		"services", "version", "volumes", NULL };
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)all, name, value) {
		char where[128];

		if (is_one_of(known, name) || strncmp(name, "x-", 2) == 0)
			continue;
		kii_path_text(KII_PATH_NAME(NULL, name), where, sizeof(where));
		kii_compose_note(&c->out->notes, "%s is not known and is left aside", where);
	}
}

static int take_all(struct compose *c, const json_t *all, struct kii_error *err)
{
	kii_autofree char *name = NULL;

	if (!json_is_object(all))
		return kii_error_field(err, c->name, "must be a mapping");
	if (json_object_get(all, "include"))
		return kii_error_field(err, "include", "is not supported");
	note_unknown_top(c, all);
	if (take_text(c, json_object_get(all, "name"), KII_PATH_NAME(NULL, "name"), &name,
			err) != 0)
		return -1;
	c->project = project_name(name ? name : c->opts->project);
	return take_services(c, json_object_get(all, "services"), err);
}

static int read_all(struct compose *c, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);
	kii_autojson *all = NULL;
	const char *slash;

	if (read_file(c, &text, err) != 0)
		return -1;
	slash = strrchr(c->name, '/');
	c->base = kii_xstrndup(c->name, slash ? (size_t)(slash - c->name) : 0);
	if (strlen(text.data) != text.len)
		return kii_error_field(err, c->name, "is no text");
	if (read_env(c, err) != 0 || kii_compose_yaml(text.data, c->name, &all, err) != 0)
		return -1;
	return take_all(c, all, err);
}

int kii_compose_read(const struct kii_compose_opts *opts, struct kii_compose *out,
	struct kii_error *err)
{
	struct compose c = { .opts = opts, .out = out };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = read_all(&c, err);
	json_decref(c.env);
	free(c.name);
	free(c.base);
	free(c.project);
	if (rc != 0)
		kii_compose_release(out);
	return rc;
}
