/* SPDX-License-Identifier: MIT */
/* engine_inspect: what became of a container, and which there are. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "json.h"

static const struct {
	const char *word;
	enum kii_container_state state;
} states[] = {
	{ "created",     KII_CONTAINER_CREATED },
	{ "configured",  KII_CONTAINER_CREATED },
	{ "initialized", KII_CONTAINER_CREATED },
	{ "running",     KII_CONTAINER_RUNNING },
	{ "paused",      KII_CONTAINER_RUNNING },
	{ "restarting",  KII_CONTAINER_RUNNING },
	{ "stopping",    KII_CONTAINER_RUNNING },
	{ "exited",      KII_CONTAINER_EXITED },
	{ "stopped",     KII_CONTAINER_EXITED },
	{ "dead",        KII_CONTAINER_EXITED },
	{ "removing",    KII_CONTAINER_EXITED },
};

static int read_state(const char *word, enum kii_container_state *out, struct kii_error *err)
{
	for (size_t i = 0; word && i < KII_COUNT(states); i++) {
		if (strcmp(word, states[i].word) == 0) {
			*out = states[i].state;
			return 0;
		}
	}
	return kii_engine_odd("container state that we know", err);
}

static int read_id(const json_t *j, char id[128], struct kii_error *err)
{
	const char *text = kii_json_str(j, "Id");
	struct kii_error ignored = { 0 };

	if (kii_engine_name(KII_NAME_PLAIN, "container", text, &ignored) || strlen(text) >= 128)
		return kii_engine_odd("container Id", err);
	memcpy(id, text, strlen(text) + 1);
	return 0;
}

static void read_name(const char *name, struct kii_container *out)
{
	kii_engine_copy(out->name, sizeof(out->name), name && name[0] == '/' ? name + 1 : name);
}

static void read_labels(json_t *labels, struct kii_container *out)
{
	out->labels = json_is_object(labels) ? json_incref(labels) : json_object();
}

/* "NAME:ADDRESS", the first that there is. */
static void read_mark(const json_t *host_config, struct kii_container *out)
{
	const char *host = json_string_value(json_array_get(json_object_get(host_config,
		"ExtraHosts"), 0));
	kii_autofree char *name = kii_xstrndup(host ? host : "", host ? strcspn(host, ":") : 0);

	if (strlen(name) < sizeof(out->mark))
		kii_engine_copy(out->mark, sizeof(out->mark), name);
}

/* Borrowed arrays and objects stay json_t *, so that the labels can be kept. */
static int read_inspect(const json_t *j, struct kii_container *out, struct kii_error *err)
{
	const json_t *state = json_object_get(j, "State");

	if (read_id(j, out->id, err) || read_state(kii_json_str(state, "Status"), &out->state, err))
		return -1;
	if (!json_is_integer(json_object_get(state, "ExitCode")))
		return kii_engine_odd("ExitCode", err);
	out->exit_code = (int)kii_json_int(state, "ExitCode", 0);
	out->oom = json_is_true(json_object_get(state, "OOMKilled"));
	out->created_ms = kii_engine_time(kii_json_str(j, "Created"));
	out->started_ms = kii_engine_time(kii_json_str(state, "StartedAt"));
	out->finished_ms = kii_engine_time(kii_json_str(state, "FinishedAt"));
	read_name(kii_json_str(j, "Name"), out);
	read_mark(json_object_get(j, "HostConfig"), out);
	read_labels(json_object_get(json_object_get(j, "Config"), "Labels"), out);
	return 0;
}

bool kii_engine_has_remnant(const struct kii_engine *e, const struct kii_call *c)
{
	return kii_engine_is_podman(e) && c->status == 500 &&
		strstr(c->refusal.data, "container not known");
}

int kii_engine_inspect(struct kii_engine *e, const char *id, struct kii_container *out,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	struct kii_container found = { 0 };

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err))
		return -1;
	kii_call_path(&c, "/containers/%s/json", id);
	if (kii_call_json(e, &c, &reply, err)) {
		if (kii_engine_has_remnant(e, &c))
			err->detail = KII_LOST_STORAGE;
		return -1;
	}
	if (read_inspect(reply, &found, err))
		return -1;
	*out = found;
	return 0;
}

struct containers {
	struct kii_container *all;
	size_t n, cap;
};

static int add_listed(void *arg, const json_t *j, struct kii_error *err)
{
	struct containers *l = arg;
	struct kii_container *out;

	l->all = kii_xgrow(l->all, l->n, &l->cap, sizeof(*l->all));
	out = &l->all[l->n];
	*out = (struct kii_container){ 0 };
	if (read_id(j, out->id, err) || read_state(kii_json_str(j, "State"), &out->state, err))
		return -1;
	read_name(json_string_value(json_array_get(json_object_get(j, "Names"), 0)), out);
	read_labels(json_object_get(j, "Labels"), out);
	l->n++;
	return 0;
}

/* In Docker's words or, where Podman has none, in its own, which are the same as far as we read. */
static int ask_list(struct kii_engine *e, const char *label, const char *value,
	struct containers *found, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autocall own = KII_CALL_INIT("GET");

	kii_call_path(&c, "/containers/json?all=1");
	if (label && kii_call_label(&c, label, value, err))
		return -1;
	if (kii_call_list(e, &c, add_listed, found, err) == 0)
		return 0;
	if (!kii_engine_has_remnant(e, &c))
		return -1;
	kii_error_clear(err);
	own.plain = true;
	kii_call_path(&own, "/v4.0.0/libpod/containers/json?all=true");
	if (label && kii_call_label(&own, label, value, err))
		return -1;
	return kii_call_list(e, &own, add_listed, found, err);
}

int kii_engine_list(struct kii_engine *e, const char *label, const char *value,
	struct kii_container **out, size_t *n, struct kii_error *err)
{
	struct containers found = { 0 };

	if (ask_list(e, label, value, &found, err)) {
		kii_containers_free(found.all, found.n);
		return -1;
	}
	*out = found.all;
	*n = found.n;
	return 0;
}

void kii_container_release(struct kii_container *c)
{
	json_decref(c->labels);
	c->labels = NULL;
}

void kii_containers_free(struct kii_container *c, size_t n)
{
	for (size_t i = 0; c && i < n; i++)
		kii_container_release(&c[i]);
	free(c);
}
