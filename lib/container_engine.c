/* SPDX-License-Identifier: MIT */
/* container_engine: a checked request as the JSON that both engines make a container from. */
#include <config.h>

#include "container_request.h"

#include <string.h>

#include "json.h"

/* All texts were checked: they are UTF-8, so nothing here can fail. */
static void put(json_t *object, const char *name, json_t *taken)
{
	json_object_set_new(object, name, taken);
}

static void put_text(json_t *object, const char *name, const char *text)
{
	if (text)
		put(object, name, json_string(text));
}

static void put_ref(json_t *object, const char *name, json_t *borrowed)
{
	if (borrowed)
		json_object_set(object, name, borrowed);
}

static json_t *environment_json(json_t *environment)
{
	json_t *list = json_array();
	const char *name;
	json_t *value;

	json_object_foreach(environment, name, value) {
		kii_autofree char *text = kii_xfmt("%s=%s", name, json_string_value(value));

		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *labels_json(json_t *labels, const char *who)
{
	json_t *all = labels ? json_copy(labels) : json_object();

	kii_json_set_str(all, KII_CONTAINER_BY, who);
	return all;
}

static void put_ports(json_t *body, json_t *host, const struct kii_container_request *r)
{
	json_t *exposed = json_object();
	json_t *bindings = json_object();

	for (size_t i = 0; i < r->n_ports; i++) {
		const struct kii_container_port *p = &r->ports[i];
		kii_autofree char *inner = kii_xfmt("%d/%s", p->container, p->protocol);
		kii_autofree char *outer = p->host ? kii_xfmt("%d", p->host) : kii_xstrdup("");
		json_t *list = json_object_get(bindings, inner);

		if (!list) {
			list = json_array();
			put(bindings, inner, list);
		}
		json_array_append_new(list, json_pack("{s:s, s:s}", "HostIp", p->ip, "HostPort",
			outer));
		put(exposed, inner, json_object());
	}
	put(body, "ExposedPorts", exposed);
	put(host, "PortBindings", bindings);
}

static json_t *mounts_json(const struct kii_container_request *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_volumes; i++) {
		const struct kii_container_volume *v = &r->volumes[i];
		json_t *mount = json_pack("{s:s, s:s, s:b}", "Type", v->bind ? "bind" : "volume",
			"Target", v->target, "ReadOnly", (int)v->read_only);

		put_text(mount, "Source", v->source);
		json_array_append_new(list, mount);
	}
	return list;
}

static void put_limits(json_t *host, const struct kii_container_request *r)
{
	if (r->memory) {
		put(host, "Memory", json_integer(r->memory));
		put(host, "MemorySwap", json_integer(r->memory));
	}
	if (r->cpus > 0)
		put(host, "NanoCpus", json_integer((json_int_t)(r->cpus * 1e9 + 0.5)));
	if (r->pids)
		put(host, "PidsLimit", json_integer(r->pids));
}

static json_t *health_json(const struct kii_container_health *h)
{
	json_t *o = json_pack("{s:O}", "Test", h->test);

	if (h->interval_ns)
		put(o, "Interval", json_integer(h->interval_ns));
	if (h->timeout_ns)
		put(o, "Timeout", json_integer(h->timeout_ns));
	if (h->start_ns)
		put(o, "StartPeriod", json_integer(h->start_ns));
	if (h->retries)
		put(o, "Retries", json_integer(h->retries));
	return o;
}

static json_t *devices_json(const json_t *devices)
{
	json_t *list = json_array();
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device) {
		const char *path = json_string_value(device);

		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "PathOnHost", path,
			"PathInContainer", path, "CgroupPermissions", "rwm"));
	}
	return list;
}

/*
 * "private" is what an engine does by itself here, and it has no word for it. Not so for IPC and
 * cgroups: there it is one of the engine's words, and a default may be another.
 */
static void put_namespace(json_t *host, const char *name, const char *mode)
{
	if (mode && strcmp(mode, "private") != 0)
		put_text(host, name, mode);
}

static const char *network_of(const struct kii_container_request *r)
{
	if (r->network_mode)
		return r->network_mode;
	return r->networks ? json_string_value(json_array_get(r->networks, 0)) : "default";
}

static json_t *host_json(const struct kii_container_request *r)
{
	json_t *host = json_pack("{s:s, s:b, s:b, s:b, s:{s:s, s:I}}",
		"NetworkMode", network_of(r), "AutoRemove", 0,
		"Privileged", (int)r->privileged, "ReadonlyRootfs", (int)r->read_only,
		"RestartPolicy", "Name", r->restart ? r->restart : "no",
		"MaximumRetryCount", (json_int_t)r->restart_retries);

	if (r->init)
		put(host, "Init", json_true());
	put(host, "Mounts", mounts_json(r));
	put_limits(host, r);
	put_ref(host, "CapAdd", r->capabilities);
	put_ref(host, "CapDrop", r->capabilities_drop);
	put_ref(host, "SecurityOpt", r->security_options);
	if (r->devices)
		put(host, "Devices", devices_json(r->devices));
	put_namespace(host, "PidMode", r->pid_mode);
	put_text(host, "IpcMode", r->ipc_mode);
	put_namespace(host, "UTSMode", r->uts_mode);
	put_namespace(host, "UsernsMode", r->userns_mode);
	put_text(host, "CgroupnsMode", r->cgroupns_mode);
	return host;
}

json_t *kii_container_request_engine(const struct kii_container_request *r, const char *who)
{
	json_t *body = json_pack("{s:s, s:o}", "Image", r->image, "Labels",
		labels_json(r->labels, who));
	json_t *host = host_json(r);

	if (r->environment)
		put(body, "Env", environment_json(r->environment));
	put_ref(body, "Cmd", r->command);
	put_ref(body, "Entrypoint", r->entrypoint);
	put_text(body, "WorkingDir", r->working_dir);
	put_text(body, "User", r->user);
	put_text(body, "Hostname", r->hostname);
	if (r->stop_timeout >= 0)
		put(body, "StopTimeout", json_integer(r->stop_timeout));
	if (r->health.test)
		put(body, "Healthcheck", health_json(&r->health));
	put_ports(body, host, r);
	put(body, "HostConfig", host);
	return body;
}
