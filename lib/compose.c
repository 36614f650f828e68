/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "compose.h"

#include <stdlib.h>
#include <string.h>

#include "beneath.h"
#include "compose_in.h"
#include "json.h"
#include "path.h"

#define SERVICE "compose_config.service"

struct reader {
	const struct kii_compose_opts *opts;
	struct kii_compose_vars vars;
	struct kii_compose *out;
	struct kii_error *err;
};

/* Everything else that a service may say; it is not ours. */
static const char *const known[] = {
	"annotations", "attach", "blkio_config", "build", "cap_add", "cap_drop", "cgroup",
	"cgroup_parent", "command", "configs", "container_name", "cpu_count", "cpu_percent",
	"cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus",
	"cpuset", "credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules",
	"devices", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "env_file",
	"environment", "expose", "external_links", "extra_hosts", "gpus", "group_add",
	"healthcheck", "hostname", "image", "init", "ipc", "isolation", "label_file", "labels",
	"links", "logging", "mac_address", "mem_limit", "mem_reservation", "mem_swappiness",
	"memswap_limit", "models", "network_mode", "networks", "oom_kill_disable",
	"oom_score_adj", "pid", "pids_limit", "platform", "ports", "post_start", "pre_stop",
	"privileged", "profiles", "provider", "pull_policy", "read_only", "restart", "runtime",
	"scale", "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period",
	"stop_signal", "storage_opt", "sysctls", "tmpfs", "tty", "ulimits", "use_api_socket",
	"user", "userns_mode", "uts", "volumes", "volumes_from", "working_dir",
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < KII_COUNT(known); i++) {
		if (strcmp(known[i], key) == 0)
			return true;
	}
	return strncmp(key, "x-", 2) == 0;
}

/* "docker-compose.yml: services.web.build.args: <reason>" */
static int refuse(struct reader *r, const struct kii_path *at, const char *why)
{
	char where[sizeof(r->err->field)];

	kii_path_text(at, where, sizeof(where));
	return kii_error_field(r->err, r->opts->name, "%s: %s", where, why);
}

/* --- values --- */

/* A text with its variables filled in; NULL (and 0) for what is absent or null. */
static int take_text(struct reader *r, const json_t *value, const struct kii_path *at, char **out)
{
	char where[sizeof(r->err->field)];

	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return refuse(r, at, "must be a text");
	kii_path_text(at, where, sizeof(where));
	if (kii_compose_expand(&r->vars, json_string_value(value), where, out, r->err) == 0)
		return 0;
	/* The file is the field; the place in it is told behind that. */
	snprintf(r->err->field, sizeof(r->err->field), "%s", r->opts->name);
	return kii_error_wrap(r->err, "%s", r->opts->name);
}

static int add_arg(struct reader *r, struct kii_compose_service *s, const char *name,
	const char *value, const struct kii_path *at)
{
	if (s->n_args == KII_COMPOSE_ARGS)
		return refuse(r, at, "too many arguments");
	if (!*name || strpbrk(name, "= \t\r\n"))
		return refuse(r, at, "an argument without a name");
	s->args = kii_xrealloc(s->args, (s->n_args + 1) * sizeof(*s->args));
	s->args[s->n_args++] = (struct kii_compose_arg){ kii_xstrdup(name), kii_xstrdup(value) };
	return 0;
}

/* An argument without a value has that of the variable of its name, or is none. */
static int add_bare(struct reader *r, struct kii_compose_service *s, const char *name,
	const struct kii_path *at)
{
	const char *value = kii_compose_variable(&r->vars, name);

	return value ? add_arg(r, s, name, value, at) : 0;
}

static int take_arg_list(struct reader *r, struct kii_compose_service *s, const json_t *list,
	const struct kii_path *at)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) {
		const struct kii_path *here = KII_PATH_ITEM(at, i);
		kii_autofree char *text = NULL;
		char *equals;
		int rc;

		if (take_text(r, item, here, &text) != 0)
			return -1;
		if (!text)
			return refuse(r, here, "must be NAME=value");
		equals = strchr(text, '=');
		if (equals)
			*equals++ = '\0';
		rc = equals ? add_arg(r, s, text, equals, here) : add_bare(r, s, text, here);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int take_arg_map(struct reader *r, struct kii_compose_service *s, json_t *map,
	const struct kii_path *at)
{
	const char *name;
	json_t *item;

	json_object_foreach(map, name, item) {
		const struct kii_path *here = KII_PATH_NAME(at, name);
		kii_autofree char *text = NULL;
		int rc;

		if (take_text(r, item, here, &text) != 0)
			return -1;
		rc = text ? add_arg(r, s, name, text, here) : add_bare(r, s, name, here);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int take_args(struct reader *r, struct kii_compose_service *s, json_t *args,
	const struct kii_path *at)
{
	if (!args || json_is_null(args))
		return 0;
	if (json_is_array(args))
		return take_arg_list(r, s, args, at);
	return json_is_object(args) ? take_arg_map(r, s, args, at) :
		refuse(r, at, "must be a mapping or a list");
}

/* --- the build section --- */

static int take_context(struct reader *r, struct kii_compose_service *s, const json_t *value,
	const struct kii_path *at)
{
	kii_autofree char *text = NULL;
	struct kii_error ignored = { 0 };

	if (take_text(r, value, at, &text) != 0)
		return -1;
	if (!text || !*text)
		return refuse(r, at, "a folder is needed");
	if (strstr(text, "://") || strchr(text, '@') || strncmp(text, "git:", 4) == 0)
		return refuse(r, at, "must be a folder of the source, not an address");
	if (kii_beneath_clean(r->opts->folder ? r->opts->folder : "", text, "context", &s->context,
			&ignored) != 0)
		return refuse(r, at, "must be a folder of the source: relative, and not out of it");
	return 0;
}

static int take_build_map(struct reader *r, struct kii_compose_service *s, json_t *build,
	const struct kii_path *at)
{
	const char *key;
	json_t *value;

	json_object_foreach(build, key, value) {
		const struct kii_path *here = KII_PATH_NAME(at, key);
		int rc = 0;

		if (strcmp(key, "context") == 0)
			rc = take_context(r, s, value, here);
		else if (strcmp(key, "dockerfile") == 0)
			rc = take_text(r, value, here, &s->dockerfile);
		else if (strcmp(key, "target") == 0)
			rc = take_text(r, value, here, &s->target);
		else if (strcmp(key, "args") == 0)
			rc = take_args(r, s, value, here);
		else if (strncmp(key, "x-", 2) != 0)
			rc = refuse(r, here,
				"is not known here: context, dockerfile, args and target are");
		if (rc != 0)
			return -1;
	}
	if (!s->context)
		s->context = kii_xstrdup(r->opts->folder ? r->opts->folder : "");
	return 0;
}

static int take_build(struct reader *r, struct kii_compose_service *s, json_t *build,
	const struct kii_path *at)
{
	if (json_is_string(build))
		return take_context(r, s, build, at);
	return json_is_object(build) ? take_build_map(r, s, build, at) :
		refuse(r, at, "must be a folder or a mapping");
}

/* --- services --- */

static void note_unknown(struct reader *r, json_t *service, const struct kii_path *at)
{
	const char *key;
	json_t *value;
	char where[128];

	json_object_foreach(service, key, value) {
		if (is_known(key))
			continue;
		kii_path_text(KII_PATH_NAME(at, key), where, sizeof(where));
		kii_texts_fmt(&r->out->notes, "%s is not known and was passed over", where);
	}
}

/* The row is the list's from the start, so that a failure loses nothing of it. */
static struct kii_compose_service *new_service(struct kii_compose *c, const char *name)
{
	c->services = kii_xrealloc(c->services, (c->n + 1) * sizeof(*c->services));
	c->services[c->n] = (struct kii_compose_service){ .name = kii_xstrdup(name) };
	return &c->services[c->n++];
}

static int take_service(struct reader *r, const char *name, json_t *service,
	const struct kii_path *at)
{
	json_t *build = json_object_get(service, "build");
	struct kii_compose_service *s;

	if (!json_is_object(service))
		return refuse(r, at, "must be a mapping");
	if (json_object_get(service, "extends"))
		return refuse(r, KII_PATH_NAME(at, "extends"),
			"is not known here: anchors and \"<<\" are");
	note_unknown(r, service, at);
	if (!build || json_is_null(build))
		return 0;
	if (r->out->n == KII_COMPOSE_SERVICES)
		return refuse(r, at, "too many services");
	s = new_service(r->out, name);
	if (take_text(r, json_object_get(service, "image"), KII_PATH_NAME(at, "image"),
			&s->image) != 0)
		return -1;
	return take_build(r, s, build, KII_PATH_NAME(at, "build"));
}

static int no_such_service(struct reader *r, json_t *services)
{
	kii_autotexts names = { NULL, 0, 0 };
	kii_autofree char *all = NULL;
	const char *name;
	json_t *service;

	json_object_foreach(services, name, service) {
		if (json_object_get(service, "build"))
			kii_texts_add(&names, name);
	}
	all = kii_texts_join(&names, ", ");
	kii_error_set(r->err, KII_ENOTFOUND, 0, SERVICE ": %.40s has no service %.60s with a build "
		"section: there are %.90s", r->opts->name, r->opts->service,
		names.n ? all : "none");
	snprintf(r->err->field, sizeof(r->err->field), SERVICE);
	return -1;
}

static int take_services(struct reader *r, json_t *services, const struct kii_path *at)
{
	const char *name;
	json_t *service;

	if (!json_is_object(services))
		return refuse(r, at, "must be a mapping of services");
	json_object_foreach(services, name, service) {
		if (r->opts->service && strcmp(r->opts->service, name) != 0)
			continue;
		if (take_service(r, name, service, KII_PATH_NAME(at, name)) != 0)
			return -1;
	}
	if (r->out->n)
		return 0;
	return r->opts->service ? no_such_service(r, services) :
		refuse(r, at, "no service has a build section");
}

static int take_file(struct reader *r, json_t *file)
{
	static const struct kii_path top = { NULL, "services", 0 };
	static const struct kii_path name = { NULL, "name", 0 };
	static const struct kii_path include = { NULL, "include", 0 };

	if (!json_is_object(file))
		return kii_error_field(r->err, r->opts->name, "it is no mapping");
	if (json_object_get(file, "include"))
		return refuse(r, &include, "is not known here");
	if (take_text(r, json_object_get(file, "name"), &name, &r->out->project) != 0)
		return -1;
	return take_services(r, json_object_get(file, "services"), &top);
}

int kii_compose_read(const char *text, size_t len, const struct kii_compose_opts *opts,
	struct kii_compose **out, struct kii_error *err)
{
	struct kii_compose *c = kii_xcalloc(1, sizeof(*c));
	kii_autojson *dotenv = json_object();
	kii_autojson *file = NULL;
	struct reader r = { .opts = opts, .out = c, .err = err,
		.vars = { opts->variables, dotenv, &c->notes } };
	int rc = 0;

	if (len > KII_COMPOSE_BYTES)
		rc = kii_error_set(err, KII_ETOOBIG, 0, "%s: more than %u bytes", opts->name,
			KII_COMPOSE_BYTES);
	if (rc == 0 && opts->dotenv)
		rc = kii_compose_dotenv(&r.vars, opts->dotenv, err);
	if (rc == 0)
		rc = kii_compose_yaml(text, len, opts->name, &file, err);
	if (rc == 0)
		rc = take_file(&r, file);
	if (rc == 0)
		*out = c;
	else
		kii_compose_free(c);
	return rc;
}

static void free_service(struct kii_compose_service *s)
{
	for (size_t i = 0; i < s->n_args; i++) {
		free(s->args[i].name);
		free(s->args[i].value);
	}
	free(s->args);
	free(s->name);
	free(s->image);
	free(s->context);
	free(s->dockerfile);
	free(s->target);
}

void kii_compose_free(struct kii_compose *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free_service(&c->services[i]);
	free(c->services);
	free(c->project);
	kii_texts_release(&c->notes);
	free(c);
}
