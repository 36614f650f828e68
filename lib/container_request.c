/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_take.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

#define MIB             (INT64_C(1) << 20)
#define MEMORY_MIN      (6 * MIB)            /* less is refused by the engines */
#define MEMORY_MAX      (MIB << 30)
#define NS              1e9
#define STOP_MAX        3600
#define RETRIES_MAX     1000

/* --- texts --- */

/* Names joined by "/", ":" and "@": "registry:5000/a/b:tag", "name@sha256:...". */
static bool is_image(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "/:@");
		kii_autofree char *part = kii_xstrndup(text, len);

		if (!kii_take_is_name(part) || (text[len] && !text[len + 1]))
			return false;
		text += len + (text[len] != '\0');
	}
	return true;
}

static int take_image(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	if (kii_take_text(&r->image, value, 512, at, err))
		return -1;
	if (is_image(r->image))
		return 0;
	return kii_path_fail(at, err, "must be an image's name, with a tag or digest behind it or "
		"not");
}

static int take_name(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_name(&r->name, value, at, err);
}

static int take_hostname(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	if (kii_take_name(&r->hostname, value, at, err))
		return -1;
	return strlen(r->hostname) <= 63 ? 0 : kii_path_fail(at, err, "is longer than 63 bytes");
}

/* "name", "1000" or "name:group". */
static int take_user(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-";
	const char *text = NULL;
	size_t len;

	if (kii_take_text(&text, value, 128, at, err))
		return -1;
	len = strspn(text, set);
	if (text[len] == ':' && text[len + 1] != '-')
		len += 1 + strspn(text + len + 1, set);
	if (*text == '-' || *text == ':' || text[len] || text[len - 1] == ':')
		return kii_path_fail(at, err, "must be a user's name or number, with \":\" and a "
			"group behind it or not");
	r->user = text;
	return 0;
}

static int take_working_dir(struct kii_container_request *r, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	return kii_take_path(&r->working_dir, value, at, err);
}

static int take_restart(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	static const char *const words[] = { "no", "always", "unless-stopped", "on-failure", NULL };
	static const char counted[] = "on-failure:";
	const char *text = NULL;
	int word;

	if (kii_take_text(&text, value, 64, at, err))
		return -1;
	if (strncmp(text, counted, strlen(counted)) == 0) {
		const char *digits = text + strlen(counted);
		size_t len = strlen(digits);

		if (!len || len > 4 || strspn(digits, "0123456789") != len)
			return kii_path_fail(at, err, "must have a number of 1 to 4 digits behind "
				"\"on-failure:\"");
		r->restart = "on-failure";
		r->restart_retries = strtol(digits, NULL, 10);
		return 0;
	}
	if (kii_take_word(&word, words, value, at, err))
		return -1;
	r->restart = words[word];
	return 0;
}

/* --- namespaces: what they may be is a matter of policy --- */

static const char *after(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0 ? text + strlen(start) : NULL;
}

static int take_namespace(const char **out, const json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	const char *other;

	if (kii_take_text(out, value, 256, at, err))
		return -1;
	other = after(*out, "container:");
	if (strcmp(*out, "private") == 0 || strcmp(*out, "host") == 0 ||
	    (other && kii_take_is_name(other)))
		return 0;
	return kii_path_fail(at, err, "must be \"private\", \"host\" or \"container:\" and a name");
}

static int take_network_mode(struct kii_container_request *r, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	const char *other;

	if (kii_take_text(&r->network_mode, value, 256, at, err))
		return -1;
	other = after(r->network_mode, "container:");
	if (kii_take_is_name(other ? other : r->network_mode))
		return 0;
	return kii_path_fail(at, err, "must be \"bridge\", \"none\", \"host\", a network's name, "
		"or \"container:\" and a name");
}

#define NAMESPACE(member) \
	static int take_##member(struct kii_container_request *r, json_t *value, \
		const struct kii_path *at, struct kii_error *err) \
	{ \
		return take_namespace(&r->member, value, at, err); \
	}
NAMESPACE(pid_mode)
NAMESPACE(ipc_mode)
NAMESPACE(uts_mode)
NAMESPACE(userns_mode)
NAMESPACE(cgroupns_mode)

/* --- lists --- */

static int check_network(const char *text, const struct kii_path *at, struct kii_error *err)
{
	if (kii_take_is_name(text))
		return 0;
	return kii_path_fail(at, err, "must be a network's name");
}

static int check_capability(const char *text, const struct kii_path *at, struct kii_error *err)
{
	size_t len = strlen(text);

	if (len && len <= 40 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == len)
		return 0;
	return kii_path_fail(at, err, "must be a capability such as \"NET_ADMIN\"");
}

static int check_device(const char *text, const struct kii_path *at, struct kii_error *err)
{
	const char *fault = strchr(text, ':') ? "must not hold \":\"" : kii_take_path_fault(text);

	return fault ? kii_path_fail(at, err, "%s", fault) : 0;
}

static int check_variable(const char *name, const struct kii_path *at, struct kii_error *err)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
		"0123456789";
	size_t len = strlen(name);

	if (len && len <= 256 && strspn(name, set) == len && !(*name >= '0' && *name <= '9'))
		return 0;
	return kii_path_fail(at, err, "must be named with letters, digits and \"_\", and not "
		"begin with a digit");
}

static int check_label(const char *name, const struct kii_path *at, struct kii_error *err)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._/-";
	size_t len = strlen(name);

	if (after(name, "kiisrv."))
		return kii_path_fail(at, err, "labels of kiisrv's own cannot be given");
	if (len && len <= 256 && strspn(name, set) == len && !strchr("._/-", *name))
		return 0;
	return kii_path_fail(at, err, "must be named with letters, digits, \".\", \"_\", \"-\" "
		"and \"/\", and begin with a letter or a digit");
}

#define TEXTS(member, max, check) \
	static int take_##member(struct kii_container_request *r, json_t *value, \
		const struct kii_path *at, struct kii_error *err) \
	{ \
		return kii_take_texts(&r->member, value, max, check, at, err); \
	}
TEXTS(command, KII_TAKE_ARGS, NULL)
TEXTS(entrypoint, KII_TAKE_ARGS, NULL)
TEXTS(networks, KII_TAKE_LIST, check_network)
TEXTS(capabilities, KII_TAKE_LIST, check_capability)
TEXTS(capabilities_drop, KII_TAKE_LIST, check_capability)
TEXTS(devices, KII_TAKE_LIST, check_device)
TEXTS(security_options, KII_TAKE_LIST, NULL)

static int take_environment(struct kii_container_request *r, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	return kii_take_pairs(&r->environment, value, KII_TAKE_ENV, check_variable, at, err);
}

static int take_labels(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_pairs(&r->labels, value, KII_TAKE_LABELS, check_label, at, err);
}

/* --- limits --- */

static int take_memory(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_integer(&r->memory, value, MEMORY_MIN, MEMORY_MAX, at, err);
}

static int take_cpus(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_number(&r->cpus, value, 0.01, 1024, at, err);
}

static int take_pids(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_integer(&r->pids, value, 1, 4194304, at, err);
}

static int take_limits(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	static const struct kii_take_row rows[] = {
		{ "memory", take_memory }, { "cpus", take_cpus }, { "pids", take_pids }, { NULL },
	};

	return kii_take_members(r, rows, value, at, err);
}

/* --- health check --- */

static int take_test(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	const char *first;
	size_t n;

	if (kii_take_texts(&r->health.test, value, KII_TAKE_ARGS, NULL, at, err))
		return -1;
	first = json_string_value(json_array_get(value, 0));
	n = json_array_size(value);
	if ((strcmp(first, "NONE") == 0 && n == 1) || (strcmp(first, "CMD-SHELL") == 0 && n == 2) ||
	    (strcmp(first, "CMD") == 0 && n > 1))
		return 0;
	return kii_path_fail(at, err, "must be [\"CMD\", a program, ...], [\"CMD-SHELL\", a line] "
		"or [\"NONE\"]");
}

static int take_seconds(int64_t *out, const json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	double seconds = 0;

	if (kii_take_number(&seconds, value, 0.001, 86400, at, err))
		return -1;
	*out = (int64_t)(seconds * NS + 0.5);
	return 0;
}

#define SECONDS(member) \
	static int take_##member(struct kii_container_request *r, json_t *value, \
		const struct kii_path *at, struct kii_error *err) \
	{ \
		return take_seconds(&r->health.member, value, at, err); \
	}
SECONDS(interval_ns)
SECONDS(timeout_ns)
SECONDS(start_ns)

static int take_retries(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	return kii_take_integer(&r->health.retries, value, 1, RETRIES_MAX, at, err);
}

static int take_healthcheck(struct kii_container_request *r, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	static const struct kii_take_row rows[] = {
		{ "test", take_test }, { "interval", take_interval_ns },
		{ "timeout", take_timeout_ns }, { "start_period", take_start_ns },
		{ "retries", take_retries }, { NULL },
	};

	if (kii_take_members(r, rows, value, at, err))
		return -1;
	if (r->health.test)
		return 0;
	return kii_path_fail(KII_PATH_NAME(at, "test"), err, "is missing");
}

/* --- the rest --- */

static int take_stop_timeout(struct kii_container_request *r, json_t *value,
	const struct kii_path *at, struct kii_error *err)
{
	return kii_take_integer(&r->stop_timeout, value, 0, STOP_MAX, at, err);
}

static int take_pull(struct kii_container_request *r, json_t *value, const struct kii_path *at,
	struct kii_error *err)
{
	static const char *const words[] = { "missing", "always", "never", NULL };
	int word;

	if (kii_take_word(&word, words, value, at, err))
		return -1;
	r->pull = (enum kii_pull)word;
	return 0;
}

#define FLAG(member) \
	static int take_##member(struct kii_container_request *r, json_t *value, \
		const struct kii_path *at, struct kii_error *err) \
	{ \
		return kii_take_bool(&r->member, value, at, err); \
	}
FLAG(privileged)
FLAG(read_only)
FLAG(init)
FLAG(start)

static const struct kii_take_row members[] = {
	{ "image", take_image }, { "name", take_name }, { "ports", kii_take_ports },
	{ "environment", take_environment }, { "restart_policy", take_restart },
	{ "volumes", kii_take_volumes }, { "networks", take_networks },
	{ "network_mode", take_network_mode }, { "command", take_command },
	{ "entrypoint", take_entrypoint }, { "working_dir", take_working_dir },
	{ "user", take_user }, { "hostname", take_hostname }, { "labels", take_labels },
	{ "limits", take_limits }, { "healthcheck", take_healthcheck },
	{ "stop_timeout", take_stop_timeout }, { "read_only", take_read_only },
	{ "init", take_init }, { "start", take_start }, { "pull", take_pull },
	{ "privileged", take_privileged }, { "capabilities", take_capabilities },
	{ "capabilities_drop", take_capabilities_drop }, { "devices", take_devices },
	{ "security_options", take_security_options }, { "pid_mode", take_pid_mode },
	{ "ipc_mode", take_ipc_mode }, { "uts_mode", take_uts_mode },
	{ "userns_mode", take_userns_mode }, { "cgroupns_mode", take_cgroupns_mode },
	{ NULL },
};

/* A container in no network, or in another's, has neither ports nor networks of its own. */
static int check_network_mode(const struct kii_container_request *r, struct kii_error *err)
{
	const char *mode = r->network_mode;

	if (!mode || (strcmp(mode, "none") != 0 && strcmp(mode, "host") != 0 &&
			!after(mode, "container:")))
		return 0;
	if (r->networks)
		return kii_error_field(err, "networks", "cannot be joined in this network_mode");
	if (r->n_ports)
		return kii_error_field(err, "ports", "cannot be published in this network_mode");
	return 0;
}

static int read_body(struct kii_container_request *r, json_t *body, struct kii_error *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(body))
		return kii_error_field(err, "body", "must be an object");
	json_object_foreach(body, name, value) {
		json_t *one = json_pack("{s:O}", name, value);
		int rc = kii_take_members(r, members, one, NULL, err);

		json_decref(one);
		if (rc)
			return rc;
	}
	if (!r->image)
		return kii_error_field(err, "image", "is missing");
	return check_network_mode(r, err);
}

int kii_container_request_read(const json_t *body, struct kii_container_request **out,
	struct kii_error *err)
{
	struct kii_container_request *r = kii_xcalloc(1, sizeof(*r));

	r->json = json_deep_copy(body);
	r->stop_timeout = -1;
	if (read_body(r, r->json, err)) {
		kii_container_request_free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void kii_container_request_free(struct kii_container_request *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_volumes; i++) {
		free(r->volumes[i].source);
		free(r->volumes[i].target);
		json_decref(r->volumes[i].options);
	}
	json_decref(r->environment);
	json_decref(r->labels);
	json_decref(r->command);
	json_decref(r->entrypoint);
	json_decref(r->networks);
	json_decref(r->capabilities);
	json_decref(r->capabilities_drop);
	json_decref(r->devices);
	json_decref(r->security_options);
	json_decref(r->health.test);
	json_decref(r->json);
	free(r->working_dir);
	free(r->ports);
	free(r->volumes);
	free(r);
}
