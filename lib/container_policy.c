/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_policy.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static bool refuse(struct kii_refusal *out, const char *rule, const char *field, const char *fmt,
	...) KII_PRINTF(4, 5);

/* Always false. */
static bool refuse(struct kii_refusal *out, const char *rule, const char *field, const char *fmt,
	...)
{
	va_list ap;
	int n;

	out->rule = rule;
	snprintf(out->field, sizeof(out->field), "%s", field);
	n = snprintf(out->msg, sizeof(out->msg), "%s: ", rule);
	va_start(ap, fmt);
	vsnprintf(out->msg + n, sizeof(out->msg) - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

void kii_refusal_answer(const struct kii_refusal *refusal, struct kii_res *res)
{
	json_t *o = json_object();

	kii_json_set_str(o, "error", refusal->msg);
	kii_json_set_str(o, "code", "policy");
	kii_json_set_str(o, "field", *refusal->field ? refusal->field : NULL);
	kii_json_set_str(o, "rule", refusal->rule);
	kii_res_json(res, 403, o);
}

static bool listed(const struct kii_conf_list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

/* Is `path` the folder or below it? */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (len == 1)
		return true;
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || !path[len]);
}

/* --- binds --- */

static const char *socket_of(const struct kii_conf *conf)
{
	const char *address = conf->docker.socket_path;

	return strncmp(address, "unix://", 7) == 0 ? address + 7 : NULL;
}

/* The engine's socket, where Docker and Podman have theirs by default, and what leads to them. */
static bool holds_socket(const struct kii_conf *conf, const char *path)
{
	const char *const sockets[] = { socket_of(conf), "/run/docker.sock",
		"/run/podman/podman.sock", "/run/containerd/containerd.sock" };
	char real[PATH_MAX];

	for (size_t i = 0; i < KII_COUNT(sockets); i++) {
		if (sockets[i] && (is_below(sockets[i], path) ||
				(realpath(sockets[i], real) && is_below(real, path))))
			return true;
	}
	return false;
}

/* A root may be a link itself: it is what it points to that counts. */
static bool in_roots(const struct kii_conf *conf, const char *path)
{
	const struct kii_conf_list *roots = &conf->containers.bind_roots;
	char real[PATH_MAX];

	for (size_t i = 0; i < roots->n; i++) {
		if (realpath(roots->items[i], real) && is_below(path, real))
			return true;
	}
	return false;
}

bool kii_container_policy_bind(const struct kii_conf *conf, const char *path, const char *field,
	char **resolved, struct kii_refusal *refusal)
{
	char real[PATH_MAX];

	if (!socket_of(conf))
		return refuse(refusal, "bind_roots", field, "the engine is on another machine, "
			"whose paths cannot be judged from here");
	/* What is not there is told from what is not allowed only within the roots. */
	if (!realpath(path, real)) {
		if (errno == ENOENT && in_roots(conf, path))
			return refuse(refusal, "bind_roots", field, "there is no such folder "
				"or file");
		return refuse(refusal, "bind_roots", field, "this path of the host may not be "
			"bound");
	}
	if (holds_socket(conf, real))
		return refuse(refusal, "engine_socket", field, "who has the engine's socket has "
			"the host");
	if (!in_roots(conf, real))
		return refuse(refusal, "bind_roots", field, "this path of the host may not be "
			"bound");
	*resolved = kii_xstrdup(real);
	return true;
}

/*
 * What stands in "o": "bind" makes a bind of a tmpfs, too, and "loop" has the host's kernel read a
 * file system that anybody made.
 */
static bool is_option(const char *word, size_t len, bool bind)
{
	static const char *const plain[] = { "ro", "rw", "noexec", "nosuid", "nodev", "noatime" };
	static const char *const binds[] = { "bind", "rbind" };
	static const char *const sizes[] = { "size=", "nr_inodes=", "mode=", "uid=", "gid=" };

	for (size_t i = 0; i < KII_COUNT(plain); i++) {
		if (strlen(plain[i]) == len && memcmp(plain[i], word, len) == 0)
			return true;
	}
	for (size_t i = 0; bind && i < KII_COUNT(binds); i++) {
		if (strlen(binds[i]) == len && memcmp(binds[i], word, len) == 0)
			return true;
	}
	for (size_t i = 0; !bind && i < KII_COUNT(sizes); i++) {
		if (strlen(sizes[i]) < len && memcmp(sizes[i], word, strlen(sizes[i])) == 0)
			return true;
	}
	return false;
}

static bool are_options(const json_t *options, bool bind)
{
	const char *text = kii_json_str(options, "o");

	while (text && *text) {
		size_t len = strcspn(text, ",");

		if (!is_option(text, len, bind))
			return false;
		text += len + (text[len] == ',');
	}
	return true;
}

/* Its device is a word of the engine's mount command: nothing but a name for it. */
static bool is_tmpfs(const json_t *options)
{
	const char *device = kii_json_str(options, "device");

	return are_options(options, false) && (!device || strcmp(device, "tmpfs") == 0 ||
		strcmp(device, "none") == 0);
}

/* And says so: a mount of a plain file would have the host's kernel read it as a file system. */
static bool is_bind(const json_t *options, const char *type, const char *device)
{
	const char *o = kii_json_str(options, "o");

	if (!device || *device != '/' || !are_options(options, true))
		return false;
	if (type && strcmp(type, "bind") == 0)
		return true;
	/* of the words that may stand there none but "bind" and "rbind" has it */
	return (!type || strcmp(type, "none") == 0) && o && strstr(o, "bind");
}

/* Only what is known to take nothing of the host: "tmpfs", and what has no path in it. */
bool kii_container_policy_options(const struct kii_conf *conf, const char *driver,
	const json_t *options, const char *field, struct kii_refusal *refusal)
{
	const char *type = kii_json_str(options, "type");
	const char *device = kii_json_str(options, "device");
	kii_autofree char *resolved = NULL;

	if (driver && strcmp(driver, "local") != 0)
		return refuse(refusal, "volume_driver", field, "only the driver \"local\" is "
			"allowed");
	if (!json_object_size(options) || (type && strcmp(type, "tmpfs") == 0 &&
			is_tmpfs(options)))
		return true;
	if (!is_bind(options, type, device))
		return refuse(refusal, "volume_options", field, "these options of a volume are "
			"not allowed");
	return kii_container_policy_bind(conf, device, field, &resolved, refusal);
}

static bool allows_volumes(const struct kii_conf *conf, struct kii_container_request *r,
	struct kii_refusal *refusal)
{
	for (size_t i = 0; i < r->n_volumes; i++) {
		struct kii_container_volume *v = &r->volumes[i];
		char *resolved = NULL;

		if (!kii_container_policy_options(conf, v->driver, v->options, v->field, refusal))
			return false;
		if (!v->bind)
			continue;
		if (!kii_container_policy_bind(conf, v->source, v->field, &resolved, refusal))
			return false;
		free(v->source);
		v->source = resolved;
	}
	return true;
}

/* --- the rest --- */

static bool allows_lists(const struct kii_conf *conf, const struct kii_container_request *r,
	struct kii_refusal *refusal)
{
	const json_t *item;
	size_t i;

	json_array_foreach(r->capabilities, i, item) {
		const char *name = json_string_value(item);

		name += strncmp(name, "CAP_", 4) == 0 ? 4 : 0;
		if (!listed(&conf->containers.capabilities, name))
			return refuse(refusal, "capabilities", "capabilities", "%s may not be "
				"added", name);
	}
	json_array_foreach(r->devices, i, item) {
		if (!listed(&conf->containers.devices, json_string_value(item)))
			return refuse(refusal, "devices", "devices", "this device may not be "
				"handed on");
	}
	json_array_foreach(r->security_options, i, item) {
		if (!conf->containers.privileged &&
		    strcmp(json_string_value(item), "no-new-privileges") != 0)
			return refuse(refusal, "privileged", "security_options", "only "
				"\"no-new-privileges\" is allowed");
	}
	return true;
}

static bool allows_namespace(const struct kii_conf *conf, const char *mode, const char *field,
	struct kii_refusal *refusal)
{
	if (mode && strcmp(mode, "host") == 0 && !conf->containers.host_namespaces)
		return refuse(refusal, "host_namespaces", field, "the host's own may not be used");
	if (mode && strncmp(mode, "container:", 10) == 0 && !conf->containers.container_namespaces)
		return refuse(refusal, "container_namespaces", field, "another container's may "
			"not be used");
	return true;
}

static bool allows_namespaces(const struct kii_conf *conf, const struct kii_container_request *r,
	struct kii_refusal *refusal)
{
	const struct { const char *mode, *field; } all[] = {
		{ r->network_mode, "network_mode" }, { r->pid_mode, "pid_mode" },
		{ r->ipc_mode, "ipc_mode" }, { r->uts_mode, "uts_mode" },
		{ r->userns_mode, "userns_mode" }, { r->cgroupns_mode, "cgroupns_mode" },
	};
	const json_t *network;
	size_t i;

	for (i = 0; i < KII_COUNT(all); i++) {
		if (!allows_namespace(conf, all[i].mode, all[i].field, refusal))
			return false;
	}
	json_array_foreach(r->networks, i, network) {
		if (!allows_namespace(conf, json_string_value(network), "networks", refusal))
			return false;
	}
	return true;
}

bool kii_container_policy_allows(const struct kii_conf *conf, struct kii_container_request *r,
	struct kii_refusal *refusal)
{
	if (r->privileged && !conf->containers.privileged)
		return refuse(refusal, "privileged", "privileged", "privileged containers are not "
			"allowed");
	return allows_lists(conf, r, refusal) && allows_namespaces(conf, r, refusal) &&
		allows_volumes(conf, r, refusal);
}
