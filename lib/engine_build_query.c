/* SPDX-License-Identifier: MIT */
/* engine_build_query: what a build is asked for, in Docker's words and in Podman's. */
#include <config.h>

#include <string.h>

#include "context.h"
#include "engine_handle.h"
#include "json.h"

#define QUERY_MAX  (256u << 10)   /* engines read heads of up to a megabyte */
#define PAIRS_MAX  (64u << 10)
#define CPU_PERIOD 100000         /* microseconds */

/* Paths below the context's folder; the Dockerfile is among them. */
static int check_files(const struct kii_build_spec *spec, struct kii_error *err)
{
	bool recipe = false;

	for (size_t i = 0; i < spec->n_files; i++) {
		kii_autofree char *path = kii_xfmt("/%s", spec->files[i].name);

		if (kii_engine_name(KII_NAME_PATH, "file", path, err) != 0)
			return -1;
		recipe = recipe || strcmp(spec->files[i].name, "Dockerfile") == 0;
	}
	return recipe ? 0 : kii_error_field(err, "files", "there is no Dockerfile");
}

static int add_pairs(struct kii_call *c, const char *name, const struct kii_pair *pairs, size_t n,
	struct kii_error *err)
{
	kii_autojson *object = json_object();
	kii_autobuf text = KII_BUF_INIT(PAIRS_MAX);

	for (size_t i = 0; i < n; i++) {
		if (json_object_set_new(object, pairs[i].name, json_string(pairs[i].value)) != 0)
			return kii_error_field(err, name, "a text that is no UTF-8");
	}
	if (kii_json_dump(object, JSON_ENSURE_ASCII, &text, err) != 0)
		return -1;
	kii_call_query(c, name, text.data);
	return 0;
}

static void add_limits(struct kii_call *c, const struct kii_build_spec *spec)
{
	if (spec->memory > 0)
		kii_call_path(c, "&memory=%lld&memswap=%lld", (long long)spec->memory,
			(long long)spec->memory);
	if (spec->cpus > 0)
		kii_call_path(c, "&cpuperiod=%d&cpuquota=%lld", CPU_PERIOD,
			(long long)(spec->cpus * CPU_PERIOD));
}

/* --- Podman's namespaces --- */

static int guard_pid(struct kii_engine *e, const char *guard, json_int_t *pid,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *j = NULL;

	if (kii_engine_name(KII_NAME_PLAIN, "guard", guard, err) != 0)
		return -1;
	kii_call_path(&c, "/containers/%s/json", guard);
	if (kii_call_json(e, &c, &j, err) != 0)
		return -1;
	*pid = kii_json_int(json_object_get(j, "State"), "Pid", 0);
	if (*pid <= 1)
		return kii_error_set(err, KII_ECONFLICT, 0, "container %s does not run", guard);
	return 0;
}

static int podman_namespaces(struct kii_engine *e, struct kii_call *c,
	const struct kii_build_spec *spec, struct kii_error *err)
{
	kii_autojson *list = json_array();
	kii_autobuf text = KII_BUF_INIT(PAIRS_MAX);
	const char *network = spec->network;
	json_int_t pid;

	if (network && strcmp(network, "none") != 0 && strcmp(network, "default") != 0)
		return kii_error_field(err, "network",
			"Podman builds with \"none\" or \"default\"");
	/* Where the option is there at all, it says everything: without it, it is the host's. */
	json_array_append_new(list, json_pack("{s:s, s:b}", "Name", "network", "Host", !network));
	if (network && strcmp(network, "none") == 0)
		kii_call_query(c, "networkmode", "NetworkDisabled");
	if (spec->guard) {
		kii_autofree char *path = NULL;

		if (guard_pid(e, spec->guard, &pid, err) != 0)
			return kii_error_wrap(err, "guard");
		path = kii_xfmt("/proc/%lld/ns/pid", (long long)pid);
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "Name", "pid", "Host", 0,
			"Path", path));
	}
	if (kii_json_dump(list, JSON_ENSURE_ASCII, &text, err) != 0)
		return -1;
	if (network || spec->guard)
		kii_call_query(c, "nsoptions", text.data);
	return 0;
}

static int docker_network(struct kii_call *c, const struct kii_build_spec *spec,
	struct kii_error *err)
{
	if (!spec->network || strcmp(spec->network, "default") == 0)
		return 0;
	if (strcmp(spec->network, "host") == 0)
		return kii_error_field(err, "network", "a build does not get the host's");
	if (kii_engine_name(KII_NAME_PLAIN, "network", spec->network, err) != 0)
		return -1;
	kii_call_query(c, "networkmode", spec->network);
	return 0;
}

/* Of what a build may ask for, a host's name alone is words of ours that its containers show. */
static int docker_mark(struct kii_call *c, const struct kii_build_spec *spec, struct kii_error *err)
{
	kii_autofree char *host = NULL;

	if (!spec->mark)
		return 0;
	if (kii_engine_name(KII_NAME_PLAIN, "mark", spec->mark, err) != 0)
		return -1;
	host = kii_xfmt("%s:127.0.0.1", spec->mark);
	kii_call_query(c, "extrahosts", host);
	return 0;
}

/* --- all of it --- */

static int check(const struct kii_build_spec *spec, struct kii_error *err)
{
	if (spec->name && kii_engine_name(KII_NAME_IMAGE, "name", spec->name, err) != 0)
		return -1;
	if (spec->target && kii_engine_name(KII_NAME_PLAIN, "target", spec->target, err) != 0)
		return -1;
	return spec->context ? 0 : check_files(spec, err);
}

static void add_flags(struct kii_call *c, const struct kii_build_spec *spec)
{
	kii_call_path(c, "/build?version=1&rm=1&forcerm=1&nocache=%d", (int)spec->no_cache);
	if (spec->pull)
		kii_call_path(c, "&pull=1");
	if (spec->name)
		kii_call_query(c, "t", spec->name);
	if (spec->context)
		kii_call_query(c, "dockerfile", kii_context_dockerfile(spec->context));
	if (spec->target)
		kii_call_query(c, "target", spec->target);
	add_limits(c, spec);
}

int kii_engine_build_query(struct kii_engine *e, struct kii_call *c,
	const struct kii_build_spec *spec, struct kii_error *err)
{
	c->path.limit = QUERY_MAX;
	if (check(spec, err) != 0)
		return -1;
	add_flags(c, spec);
	if (add_pairs(c, "buildargs", spec->args, spec->n_args, err) != 0 ||
	    (spec->n_labels && add_pairs(c, "labels", spec->labels, spec->n_labels, err) != 0))
		return -1;
	if (!spec->network && !spec->guard && !spec->mark)
		return 0;
	if (kii_engine_negotiate(e, err) != 0)
		return -1;
	if (e->podman)
		return podman_namespaces(e, c, spec, err);
	return docker_network(c, spec, err) != 0 ? -1 : docker_mark(c, spec, err);
}
