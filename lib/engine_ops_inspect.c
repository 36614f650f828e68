/* SPDX-License-Identifier: MIT */
/* engine_ops_inspect: a container as it is. */
#include <config.h>

#include "engine_ops.h"

#include <stdlib.h>
#include <string.h>

#include "engine_handle.h"
#include "json.h"

/* Labels of what the worker runs: nobody else's to touch. */
#define OWN_JOB      "kiisrv.job"
#define OWN_INSTANCE "kiisrv.instance"

static const json_t *at(const json_t *j, const char *a, const char *b)
{
	return json_object_get(json_object_get(j, a), b);
}

static void put(json_t *o, const char *name, json_t *taken)
{
	json_object_set_new(o, name, taken ? taken : json_null());
}

static void put_copy(json_t *o, const char *name, const json_t *value)
{
	put(o, name, value ? json_deep_copy(value) : NULL);
}

static void put_text(json_t *o, const char *name, const char *text)
{
	kii_json_set_str(o, name, text && *text ? text : NULL);
}

/* A number that the engine has, and not for none. */
static void put_number(json_t *o, const char *name, const json_t *value)
{
	put(o, name, json_integer_value(value) > 0 ? json_copy((json_t *)value) : NULL);
}

/* A list that an engine may have as null. */
static json_t *list_of(const json_t *value)
{
	return json_is_array(value) ? json_deep_copy(value) : json_array();
}

static json_t *object_of(const json_t *value)
{
	return json_is_object(value) ? json_deep_copy(value) : json_object();
}

/* The engines' "0001-01-01T00:00:00Z" is never. */
static void put_time(json_t *o, const char *name, const char *text)
{
	put_text(o, name, kii_engine_time(text) ? text : NULL);
}

/* --- parts --- */

static void add_binding(json_t *list, const char *inner, const json_t *binding)
{
	const char *port = binding ? kii_json_str(binding, "HostPort") : NULL;
	json_t *o = json_object();

	put_text(o, "host_ip", binding ? kii_json_str(binding, "HostIp") : NULL);
	put(o, "host_port", port && *port ? json_integer(strtol(port, NULL, 10)) : NULL);
	put(o, "container_port", json_integer(strtol(inner, NULL, 10)));
	put_text(o, "protocol", strchr(inner, '/') ? strchr(inner, '/') + 1 : "tcp");
	json_array_append_new(list, o);
}

json_t *kii_ops_bindings_json(const json_t *bindings)
{
	json_t *list = json_array();
	const char *inner;
	json_t *ends;
	size_t i;
	json_t *end;

	json_object_foreach((json_t *)bindings, inner, ends) {
		json_array_foreach(ends, i, end)
			add_binding(list, inner, end);
	}
	return list;
}

/* Of one that runs what it has, else what it will want. */
static json_t *ports_of(const json_t *j)
{
	json_t *list = kii_ops_bindings_json(at(j, "NetworkSettings", "Ports"));

	if (json_array_size(list))
		return list;
	json_decref(list);
	return kii_ops_bindings_json(at(j, "HostConfig", "PortBindings"));
}

static json_t *environment_of(const json_t *env)
{
	json_t *o = json_object();
	const json_t *line;
	size_t i;

	json_array_foreach(env, i, line) {
		const char *text = json_string_value(line);
		const char *equals = text ? strchr(text, '=') : NULL;
		kii_autofree char *name = equals ? kii_xstrndup(text, (size_t)(equals - text))
			: NULL;

		if (name && *name)
			kii_json_set_str(o, name, equals + 1);
	}
	return o;
}

static json_t *volumes_of(const json_t *mounts)
{
	json_t *list = json_array();
	const json_t *mount;
	size_t i;

	json_array_foreach(mounts, i, mount) {
		const char *type = kii_json_str(mount, "Type");
		bool named = type && strcmp(type, "volume") == 0;
		json_t *o = json_object();

		put_text(o, "type", type);
		put_text(o, "source", kii_json_str(mount, named ? "Name" : "Source"));
		put_text(o, "target", kii_json_str(mount, "Destination"));
		put(o, "read_only", json_boolean(json_is_false(json_object_get(mount, "RW"))));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *networks_of(const json_t *networks)
{
	json_t *o = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)networks, name, value) {
		json_t *one = json_object();

		put_text(one, "ip_address", kii_json_str(value, "IPAddress"));
		put_text(one, "ipv6_address", kii_json_str(value, "GlobalIPv6Address"));
		put_text(one, "gateway", kii_json_str(value, "Gateway"));
		put_text(one, "mac_address", kii_json_str(value, "MacAddress"));
		put(o, name, one);
	}
	return o;
}

const char *kii_ops_state(const char *word)
{
	return word && strcmp(word, "stopped") == 0 ? "exited" : word;
}

static void put_state(json_t *o, const json_t *state)
{
	const char *health = kii_json_str(json_object_get(state, "Health"), "Status");

	put_text(o, "state", kii_ops_state(kii_json_str(state, "Status")));
	put_copy(o, "exit_code", json_object_get(state, "ExitCode"));
	put_text(o, "error", kii_json_str(state, "Error"));
	put(o, "oom_killed", json_boolean(json_is_true(json_object_get(state, "OOMKilled"))));
	put_number(o, "pid", json_object_get(state, "Pid"));
	put_time(o, "started", kii_json_str(state, "StartedAt"));
	put_time(o, "finished", kii_json_str(state, "FinishedAt"));
	put_text(o, "health", health);
}

static json_t *limits_of(const json_t *host)
{
	json_t *o = json_object();
	json_int_t nano = kii_json_int(host, "NanoCpus", 0);

	put_number(o, "memory", json_object_get(host, "Memory"));
	put(o, "cpus", nano > 0 ? json_real((double)nano / 1e9) : NULL);
	put_number(o, "pids", json_object_get(host, "PidsLimit"));
	return o;
}

static json_t *restart_of(const json_t *policy)
{
	const char *name = kii_json_str(policy, "Name");
	json_int_t retries = kii_json_int(policy, "MaximumRetryCount", 0);
	kii_autofree char *text = name && *name ? retries > 0 ? kii_xfmt("%s:%lld", name,
		(long long)retries) : kii_xstrdup(name) : kii_xstrdup("no");

	return json_string(text);
}

static void put_host(json_t *o, const json_t *host)
{
	put(o, "restart_policy", restart_of(json_object_get(host, "RestartPolicy")));
	put_text(o, "network_mode", kii_json_str(host, "NetworkMode"));
	put_text(o, "log_driver", kii_json_str(json_object_get(host, "LogConfig"), "Type"));
	put(o, "privileged", json_boolean(json_is_true(json_object_get(host, "Privileged"))));
	put(o, "read_only", json_boolean(json_is_true(json_object_get(host, "ReadonlyRootfs"))));
	put(o, "capabilities", list_of(json_object_get(host, "CapAdd")));
	put(o, "limits", limits_of(host));
}

static void put_config(json_t *o, const json_t *config)
{
	put_text(o, "image", kii_json_str(config, "Image"));
	put(o, "command", list_of(json_object_get(config, "Cmd")));
	put(o, "entrypoint", list_of(json_object_get(config, "Entrypoint")));
	put_text(o, "working_dir", kii_json_str(config, "WorkingDir"));
	put_text(o, "user", kii_json_str(config, "User"));
	put_text(o, "hostname", kii_json_str(config, "Hostname"));
	put(o, "environment", environment_of(json_object_get(config, "Env")));
	put(o, "labels", object_of(json_object_get(config, "Labels")));
	put(o, "tty", json_boolean(json_is_true(json_object_get(config, "Tty"))));
}

static json_t *describe(const json_t *j)
{
	const char *name = kii_json_str(j, "Name");
	json_t *o = json_object();

	put_text(o, "id", kii_json_str(j, "Id"));
	put_text(o, "name", name && *name == '/' ? name + 1 : name);
	put_text(o, "image_id", kii_json_str(j, "Image"));
	put_time(o, "created", kii_json_str(j, "Created"));
	put_state(o, json_object_get(j, "State"));
	put_copy(o, "restart_count", json_object_get(j, "RestartCount"));
	put_config(o, json_object_get(j, "Config"));
	put_host(o, json_object_get(j, "HostConfig"));
	put(o, "ports", ports_of(j));
	put(o, "networks", networks_of(at(j, "NetworkSettings", "Networks")));
	put(o, "volumes", volumes_of(json_object_get(j, "Mounts")));
	return o;
}

static int get(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	if (kii_ops_check(id, err))
		return -1;
	kii_call_path(&c, "/containers/%s/json", id);
	if (kii_ops_json(e, &c, out, err))
		return -1;
	if (kii_json_str(*out, "Id") && json_is_object(json_object_get(*out, "State")))
		return 0;
	json_decref(*out);
	*out = NULL;
	return kii_engine_odd("container", err);
}

int kii_ops_inspect(struct kii_engine *e, const char *id, json_t **out, struct kii_error *err)
{
	kii_autojson *reply = NULL;

	if (get(e, id, &reply, err))
		return -1;
	*out = describe(reply);
	return 0;
}

/* --- facts --- */

/* Of the mounts of a type, what this member says. */
static json_t *mounts_of(const json_t *mounts, const char *wanted, const char *member)
{
	json_t *list = json_array();
	const json_t *mount;
	size_t i;

	json_array_foreach(mounts, i, mount) {
		const char *type = kii_json_str(mount, "Type");
		const char *text = kii_json_str(mount, member);

		if (type && text && strcmp(type, wanted) == 0)
			json_array_append_new(list, json_string(text));
	}
	return list;
}

static enum kii_container_state state_of(const char *word)
{
	static const char *const running[] = { "running", "paused", "restarting", "stopping" };
	static const char *const created[] = { "created", "configured", "initialized" };

	for (size_t i = 0; word && i < KII_COUNT(running); i++) {
		if (strcmp(word, running[i]) == 0)
			return KII_CONTAINER_RUNNING;
	}
	for (size_t i = 0; word && i < KII_COUNT(created); i++) {
		if (strcmp(word, created[i]) == 0)
			return KII_CONTAINER_CREATED;
	}
	return KII_CONTAINER_EXITED;
}

int kii_ops_facts(struct kii_engine *e, const char *id, struct kii_ops_facts *out,
	struct kii_error *err)
{
	kii_autojson *j = NULL;
	const char *name, *word;

	if (get(e, id, &j, err))
		return -1;
	*out = (struct kii_ops_facts){ .podman = e->podman };
	name = kii_json_str(j, "Name");
	word = kii_json_str(json_object_get(j, "State"), "Status");
	kii_engine_copy(out->id, sizeof(out->id), kii_json_str(j, "Id"));
	kii_engine_copy(out->name, sizeof(out->name), name && *name == '/' ? name + 1 : name);
	out->state = state_of(word);
	out->paused = word && strcmp(word, "paused") == 0;
	out->tty = json_is_true(at(j, "Config", "Tty"));
	out->labels = object_of(at(j, "Config", "Labels"));
	out->own_job = json_object_get(out->labels, OWN_JOB) ||
		json_object_get(out->labels, OWN_INSTANCE);
	kii_engine_copy(out->api, sizeof(out->api), e->api);
	out->ports = kii_ops_bindings_json(at(j, "HostConfig", "PortBindings"));
	out->binds = mounts_of(json_object_get(j, "Mounts"), "bind", "Source");
	out->volumes = mounts_of(json_object_get(j, "Mounts"), "volume", "Name");
	return 0;
}

void kii_ops_facts_release(struct kii_ops_facts *facts)
{
	json_decref(facts->labels);
	json_decref(facts->ports);
	json_decref(facts->binds);
	json_decref(facts->volumes);
	facts->labels = facts->ports = facts->binds = facts->volumes = NULL;
}
