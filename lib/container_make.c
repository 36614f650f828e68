/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_make.h"

#include <stdlib.h>
#include <string.h>

#include "engine_limits.h"
#include "engine_ops.h"
#include "io.h"
#include "json.h"
#include "log.h"

#define STOP_DEFAULT 10      /* seconds; Podman makes it 0 where none is said */
#define LIST_MAX     (64u << 20)
/* What could not be taken away is tried again, so often and so many times. */
#ifndef AGAIN_MS
#define AGAIN_MS     1000
#endif
#define AGAIN_MAX    900

/* What a request has come to so far. */
struct making {
	const struct kii_conf *conf;
	const struct kii_container_request *r;
	char mark[33];               /* of this request alone */
	json_t *volumes;             /* names of those that it made */
	bool tried;                  /* there may be a container */
};

/* --- taking away --- */

struct leftover {
	struct kii_tasks *tasks;
	char mark[33];
	json_t *volumes;
	bool container;
	int times;
};

static int take_away(struct kii_engine *e, const struct leftover *l, struct kii_error *err)
{
	const json_t *name;
	size_t i;

	if (l->container && kii_ops_remove_labelled(e, KII_CONTAINER_REQUEST, l->mark, err))
		return -1;
	json_array_foreach(l->volumes, i, name) {
		/* another container may use it by now: then it stays */
		if (kii_engine_volume_remove(e, json_string_value(name), err) &&
		    err->code != KII_ECONFLICT)
			return -1;
		kii_error_clear(err);
	}
	return 0;
}

static void leftover_free(struct leftover *l)
{
	json_decref(l->volumes);
	free(l);
}

static void try_again(struct kii_engine *e, void *arg)
{
	struct leftover *l = arg;
	struct kii_error err = { 0 };
	struct kii_error full = { 0 };

	if (take_away(e, l, &err) == 0) {
		leftover_free(l);
		return;
	}
	if (kii_tasks_ending(l->tasks) || ++l->times > AGAIN_MAX ||
	    kii_tasks_add(l->tasks, AGAIN_MS, try_again, l, &full)) {
		kii_log_error("container_left", "request=%s msg=%s", l->mark, kii_q(err.msg));
		leftover_free(l);
	}
}

/* At once; and when the engine does not answer, when it does again. */
static void undo(struct kii_engine *e, struct kii_tasks *tasks, struct making *m)
{
	struct leftover *l = kii_xcalloc(1, sizeof(*l));

	l->tasks = tasks;
	memcpy(l->mark, m->mark, sizeof(l->mark));
	l->volumes = json_incref(m->volumes);
	l->container = m->tried;
	try_again(e, l);
}

/* --- volumes --- */

/* One that is there may be a bind by another name; one that is not is made by the request. */
static int prepare_volume(struct kii_engine *e, struct making *m,
	const struct kii_container_volume *v, struct kii_refusal *refusal, struct kii_error *err)
{
	kii_autofree char *driver = NULL;
	kii_autojson *options = NULL;
	struct kii_error why = { 0 };

	if (kii_ops_volume(e, v->source, &driver, &options, &why) == 0)
		return kii_container_policy_options(m->conf, driver, options, v->field, refusal)
			? 0 : -1;
	if (why.code != KII_ENOTFOUND)
		return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	json_array_append_new(m->volumes, json_string(v->source));
	return kii_ops_volume_make(e, v->source, v->driver, v->options, err);
}

static int prepare_volumes(struct kii_engine *e, struct making *m, struct kii_refusal *refusal,
	struct kii_error *err)
{
	for (size_t i = 0; i < m->r->n_volumes; i++) {
		const struct kii_container_volume *v = &m->r->volumes[i];

		if (v->source && !v->bind && prepare_volume(e, m, v, refusal, err))
			return -1;
	}
	return 0;
}

/* Its name, which the engine may have chosen. */
static int look_at(struct kii_engine *e, const struct kii_container_request *r,
	struct kii_made *out, struct kii_error *err)
{
	kii_autojson *seen = NULL;

	if (r->name) {
		snprintf(out->name, sizeof(out->name), "%s", r->name);
		return 0;
	}
	if (kii_ops_inspect(e, out->id, &seen, err))
		return -1;
	snprintf(out->name, sizeof(out->name), "%s", kii_json_str(seen, "name"));
	return 0;
}

/* --- ports --- */

/* Do two addresses stand in each other's way? "" and "0.0.0.0" are all. */
static bool same_address(const char *a, const char *b)
{
	bool all = !a || !*a || !b || !*b || strcmp(a, "0.0.0.0") == 0 ||
		strcmp(b, "0.0.0.0") == 0 || strcmp(a, "::") == 0 || strcmp(b, "::") == 0;

	return all || strcmp(a, b) == 0;
}

static bool same_port(const json_t *a, const json_t *b)
{
	const char *protocol = kii_json_str(a, "protocol");
	const char *other = kii_json_str(b, "protocol");
	json_int_t port = kii_json_int(a, "host_port", 0);

	return port && port == kii_json_int(b, "host_port", 0) && protocol && other &&
		strcmp(protocol, other) == 0 &&
		same_address(kii_json_str(a, "host_ip"), kii_json_str(b, "host_ip"));
}

static const json_t *wanted_of(const json_t *wanted, const json_t *held)
{
	const json_t *a, *b;
	size_t i, j;

	json_array_foreach(wanted, i, a) {
		json_array_foreach(held, j, b) {
			if (same_port(a, b))
				return a;
		}
	}
	return NULL;
}

static int say_holder(const json_t *port, const json_t *holder, struct kii_error *err)
{
	const char *name = kii_json_str(holder, "name");
	const char *id = kii_json_str(holder, "id");

	err->code = KII_OK;
	return kii_error_field(err, "ports", "port %lld/%s is held by container %s (%.12s)",
		(long long)kii_json_int(port, "host_port", 0), kii_json_str(port, "protocol"),
		name ? name : "?", id ? id : "?");
}

int (kii_container_port_holder)(struct kii_engine *e, const json_t *ports, const char *id,
	struct kii_error *err)
{
	const struct kii_ops_filter running = { .all = false };
	kii_autobuf text = KII_BUF_INIT(LIST_MAX);
	struct kii_error ignored = { 0 };
	kii_autojson *list = NULL;
	const json_t *c;
	size_t i;

	if (kii_ops_list(e, &running, &text, &ignored) == 0)
		list = json_loadb(text.data, text.len, 0, NULL);
	json_array_foreach(list, i, c) {
		const json_t *port = wanted_of(ports, json_object_get(c, "ports"));
		const char *other = kii_json_str(c, "id");

		if (!port || !other || strcmp(other, id) == 0)
			continue;
		say_holder(port, c, err);
		err->code = KII_ECONFLICT;
		return -1;
	}
	err->code = KII_OK;
	kii_error_field(err, "ports", "a port is held by another program of the host");
	err->code = KII_ECONFLICT;
	return -1;
}

/* --- making --- */

static json_t *engine_json(const struct making *m, const char *who)
{
	json_t *body = kii_container_request_engine(m->r, who);

	kii_json_set_str(json_object_get(body, "Labels"), KII_CONTAINER_REQUEST, m->mark);
	if (m->r->stop_timeout < 0)
		json_object_set_new(body, "StopTimeout", json_integer(STOP_DEFAULT));
	return body;
}

/* The first network came with the container, unless network_mode said another. */
static int connect_networks(struct kii_engine *e, const struct kii_container_request *r,
	const char *id, struct kii_error *err)
{
	const json_t *network;
	size_t i;

	json_array_foreach(r->networks, i, network) {
		const char *name = json_string_value(network);

		if (r->network_mode ? strcmp(name, r->network_mode) == 0 : i == 0)
			continue;
		if (kii_ops_connect(e, name, id, err))
			return -1;
	}
	return 0;
}

static int start(struct kii_engine *e, const struct kii_container_request *r, const char *id,
	struct kii_error *err)
{
	struct kii_ops_facts facts;
	struct kii_error ignored = { 0 };

	if (!r->start || kii_ops_start(e, id, err) == 0)
		return 0;
	if (err->code != KII_ECONFLICT || strcmp(err->field, "ports") != 0 ||
	    kii_ops_facts(e, id, &facts, &ignored))
		return -1;
	kii_container_port_holder(e, facts.ports, id, err);
	kii_ops_facts_release(&facts);
	return -1;
}

static int make(struct kii_engine *e, struct making *m, const char *who, struct kii_made *out,
	struct kii_refusal *refusal, struct kii_error *err)
{
	kii_autojson *body = engine_json(m, who);
	unsigned limits = (m->r->memory ? KII_LIMIT_MEMORY : 0) |
		(m->r->cpus > 0 ? KII_LIMIT_CPUS : 0) | (m->r->pids ? KII_LIMIT_PIDS : 0);

	if (kii_limits_check(e, limits, err) || prepare_volumes(e, m, refusal, err))
		return -1;
	m->tried = true;
	if (kii_ops_create(e, m->r->name, body, out->id, &out->warnings, err) ||
	    look_at(e, m->r, out, err) || connect_networks(e, m->r, out->id, err))
		return -1;
	return start(e, m->r, out->id, err);
}

int kii_container_make(struct kii_engine *e, struct kii_tasks *tasks, const struct kii_conf *conf,
	const struct kii_container_request *r, const char *who, struct kii_made *out,
	struct kii_refusal *refusal, struct kii_error *err)
{
	struct making m = { .conf = conf, .r = r };
	struct kii_made made = { .warnings = NULL };
	int rc;

	kii_io_random_hex(m.mark, 16);
	m.volumes = json_array();
	refusal->rule = NULL;
	rc = make(e, &m, who, &made, refusal, err);
	if (rc) {
		undo(e, tasks, &m);
		kii_made_release(&made);
	} else {
		*out = made;
	}
	json_decref(m.volumes);
	return rc;
}

void kii_made_release(struct kii_made *made)
{
	json_decref(made->warnings);
	made->warnings = NULL;
}
