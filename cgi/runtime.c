/* SPDX-License-Identifier: MIT */
/*
 * runtime: the container engine that this server drives.
 *   GET /api/v1/runtime/info
 *       scope runtime:read; 200 {"runtime", "socket_path", "rootless", "build_dir"} as configured,
 *       and what is really there: "engine": {"runtime", "version", "rootless", "live_restore",
 *       "api": {"version", "min", "max"}, "cgroup": {"version", "driver"}, "storage_driver", "os",
 *       "kernel", "cpus", "memory"}, "limits": which of them it enforces, "architectures":
 *       {"host", "emulated"} ("emulated" is null for an engine elsewhere), "warnings"; 503, 504
 */
#include <config.h>

#include <string.h>

#include "engine_facts.h"
#include "engine_limits.h"
#include "fcgi.h"
#include "guard.h"

#define BINFMT "/proc/sys/fs/binfmt_misc"

static kii_handler get_info;

static const struct kii_route routes[] = {
	{ KII_GET, "/api/v1/runtime/info", get_info, 0, "runtime:read" },
};

static const struct kii_conf *conf;

static bool is_local(void)
{
	return strncmp(conf->docker.socket_path, "unix://", 7) == 0;
}

/* The path alone, as it is configured; an address over TCP as it is. */
static const char *socket_path(void)
{
	return conf->docker.socket_path + (is_local() ? 7 : 0);
}

static void set_text(json_t *o, const char *name, const char *text)
{
	kii_json_set_str(o, name, *text ? text : NULL);
}

static json_t *tell_engine(const struct kii_engine_facts *f)
{
	json_t *api = json_object();
	json_t *cgroup = json_object();
	json_t *o = json_object();

	set_text(api, "version", f->api);
	set_text(api, "min", f->api_min);
	set_text(api, "max", f->api_max);
	json_object_set_new(cgroup, "version", f->cgroup ? json_integer(f->cgroup) : json_null());
	set_text(cgroup, "driver", f->cgroup_driver);
	kii_json_set_str(o, "runtime", f->podman ? "podman" : "docker");
	set_text(o, "version", f->version);
	json_object_set_new(o, "rootless", json_boolean(f->rootless));
	json_object_set_new(o, "live_restore", json_boolean(f->live_restore));
	json_object_set_new(o, "api", api);
	json_object_set_new(o, "cgroup", cgroup);
	set_text(o, "storage_driver", f->storage);
	set_text(o, "os", f->os);
	set_text(o, "kernel", f->kernel);
	json_object_set_new(o, "cpus", json_integer(f->cpus));
	json_object_set_new(o, "memory", json_integer(f->memory));
	return o;
}

static json_t *tell_limits(unsigned enforced)
{
	json_t *o = json_object();

	for (unsigned i = 0; kii_limit_word(i); i++)
		json_object_set_new(o, kii_limit_word(i), json_boolean(enforced & 1u << i));
	return o;
}

static json_t *tell_architectures(const struct kii_engine_facts *f)
{
	json_t *o = json_object();

	set_text(o, "host", f->arch);
	json_object_set_new(o, "emulated", is_local() ? kii_arch_emulated(BINFMT) : json_null());
	return o;
}

static void warn(json_t *list, bool really, const char *text)
{
	if (really)
		json_array_append_new(list, json_string(text));
}

static json_t *tell_warnings(const struct kii_engine_facts *f)
{
	json_t *list = json_copy(f->warnings);

	warn(list, f->podman != conf->docker.podman,
		"docker.runtime names another engine than the one that answers");
	warn(list, f->rootless != conf->docker.rootless,
		"docker.rootless is not what the engine says of itself");
	warn(list, (f->limits & KII_LIMIT_ALL) != KII_LIMIT_ALL,
		"some limits are not enforced by this engine; asking for them is refused");
	warn(list, !f->podman && !f->live_restore,
		"live-restore is off: a restart of the engine ends all containers");
	return list;
}

static json_t *describe(const struct kii_engine_facts *f)
{
	json_t *o = json_object();

	kii_json_set_str(o, "runtime", conf->docker.podman ? "podman" : "docker");
	kii_json_set_str(o, "socket_path", socket_path());
	json_object_set_new(o, "rootless", json_boolean(conf->docker.rootless));
	kii_json_set_str(o, "build_dir", conf->docker.build_dir);
	json_object_set_new(o, "engine", tell_engine(f));
	json_object_set_new(o, "limits", tell_limits(f->limits));
	json_object_set_new(o, "architectures", tell_architectures(f));
	json_object_set_new(o, "warnings", tell_warnings(f));
	return o;
}

static int get_info(struct kii_req *req, struct kii_res *res, struct kii_error *err)
{
	const struct kii_engine_opts opts = {
		.address = conf->docker.socket_path,
		.tls = conf->docker.tls_verify,
		.cert_path = conf->docker.cert_path,
		.timeout_ms = conf->docker.timeout_ms,
	};
	struct kii_engine_facts facts = { 0 };
	struct kii_engine *engine = NULL;
	int rc;

	(void)req;
	if (kii_engine_new(&opts, &engine, err) != 0)
		return -1;
	rc = kii_engine_facts(engine, &facts, err);
	if (rc == 0)
		kii_res_json(res, 200, describe(&facts));
	kii_engine_facts_release(&facts);
	kii_engine_free(engine);
	return rc;
}

static int init(const struct kii_conf *loaded, struct kii_error *err)
{
	(void)err;
	conf = loaded;
	kii_guard_init(conf);
	return 0;
}

static void quit(void)
{
	kii_guard_quit();
}

int main(void)
{
	const struct kii_app app = { "runtime", routes, KII_COUNT(routes), init, quit };

	return kii_cgi_main(&app);
}
