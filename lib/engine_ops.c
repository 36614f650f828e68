/* SPDX-License-Identifier: MIT */
/* engine_ops: the verbs. */
#include <config.h>

#include "engine_ops.h"

#include <stdlib.h>
#include <string.h>

#include "engine_handle.h"
#include "io.h"
#include "json.h"

#define BODY_MAX   (8u << 20)
#define REMOVE_MS  60000
#define LOOK_MS    50

/* With this body; `text` holds it for as long as the call goes on. */
static int set_body(struct kii_call *c, const json_t *body, struct kii_buf *text,
	struct kii_error *err)
{
	if (kii_json_dump(body, 0, text, err))
		return -1;
	c->type = "Content-Type: application/json";
	c->body = text->data;
	c->body_len = text->len;
	return 0;
}

int kii_ops_create(struct kii_engine *e, const char *name, const json_t *body, char id[128],
	json_t **warnings, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autobuf text = KII_BUF_INIT(BODY_MAX);
	kii_autojson *reply = NULL;
	json_t *said;
	const char *made;

	kii_call_path(&c, "/containers/create");
	if (name)
		kii_call_query(&c, "name", name);
	if (set_body(&c, body, &text, err) || kii_ops_json(e, &c, &reply, err))
		return -1;
	made = kii_json_str(reply, "Id");
	if (!made || strlen(made) != 64 || strspn(made, "0123456789abcdef") != 64)
		return kii_engine_odd("container Id", err);
	memcpy(id, made, 65);
	said = json_object_get(reply, "Warnings");
	*warnings = json_is_array(said) ? json_incref(said) : json_array();
	return 0;
}

int kii_ops_start(struct kii_engine *e, const char *id, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");

	if (kii_ops_check(id, err))
		return -1;
	c.once = true;
	kii_call_path(&c, "/containers/%s/start", id);
	return kii_ops_run(e, &c, err);
}

/* `verb` with its own patience on top of the engine's. */
static int end(struct kii_engine *e, const char *id, const char *verb, int64_t seconds,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");

	if (kii_ops_check(id, err))
		return -1;
	kii_call_path(&c, "/containers/%s/%s", id, verb);
	if (seconds >= 0) {
		kii_call_path(&c, "?t=%lld", (long long)seconds);
		c.limit_ms = e->timeout_ms + seconds * 1000;
	}
	return kii_ops_run(e, &c, err);
}

int kii_ops_stop(struct kii_engine *e, const char *id, int64_t seconds, struct kii_error *err)
{
	return end(e, id, "stop", seconds, err);
}

int kii_ops_restart(struct kii_engine *e, const char *id, int64_t seconds, struct kii_error *err)
{
	return end(e, id, "restart", seconds, err);
}

int kii_ops_kill(struct kii_engine *e, const char *id, const char *signal, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");

	if (kii_ops_check(id, err))
		return -1;
	kii_call_path(&c, "/containers/%s/kill", id);
	kii_call_query(&c, "signal", signal);
	return kii_ops_run(e, &c, err);
}

/* --- remove --- */

/* 1: there is no such container. */
static int is_gone(struct kii_engine *e, const char *id, struct kii_error *err)
{
	struct kii_error why = { 0 };
	struct kii_container c;

	if (kii_engine_inspect(e, id, &c, &why) == 0) {
		kii_container_release(&c);
		return 0;
	}
	if (why.code == KII_ENOTFOUND)
		return 1;
	return kii_error_set(err, why.code, why.detail, "%s", why.msg);
}

/* A removal that is under way elsewhere: 0 when it is over. */
static int await_gone(struct kii_engine *e, const char *id, struct kii_error *err)
{
	int64_t until = kii_io_now() + REMOVE_MS;
	int gone;

	while ((gone = is_gone(e, id, err)) == 0) {
		if (kii_io_now() >= until)
			return kii_error_set(err, KII_ETIMEOUT, 0, "a removal takes too long");
		if (kii_call_pause(e, LOOK_MS, NULL, NULL, err))
			return -1;
	}
	return gone < 0 ? -1 : 0;
}

/* Podman's force is the container's whole patience for TERM; Docker kills. */
static int end_by_force(struct kii_engine *e, const char *id, struct kii_error *err)
{
	if (kii_engine_negotiate(e, err))
		return -1;
	if (!e->podman || kii_ops_kill(e, id, "KILL", err) == 0)
		return 0;
	if (err->code != KII_ECONFLICT)
		return -1;
	kii_error_clear(err);
	return 0;
}

int kii_ops_remove(struct kii_engine *e, const char *id, bool force, bool volumes,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("DELETE");

	if (kii_ops_check(id, err) || (force && end_by_force(e, id, err)))
		return -1;
	kii_call_path(&c, "/containers/%s?force=%d&v=%d", id, (int)force, (int)volumes);
	if (kii_ops_run(e, &c, err) == 0)
		return 0;
	if (err->code != KII_ECONFLICT ||
	    (!force && !strstr(c.refusal.data, "already in progress")))
		return -1;
	kii_error_clear(err);
	return await_gone(e, id, err);
}

int kii_ops_remove_labelled(struct kii_engine *e, const char *name, const char *value,
	struct kii_error *err)
{
	struct kii_container *all = NULL;
	size_t n = 0;
	int rc = kii_engine_list(e, name, value, &all, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = kii_ops_remove(e, all[i].id, true, true, err);
		if (rc && err->code == KII_ENOTFOUND) {
			kii_error_clear(err);
			rc = 0;
		}
	}
	kii_containers_free(all, n);
	return rc;
}

/* --- networks and volumes --- */

int kii_ops_connect(struct kii_engine *e, const char *network, const char *id,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autobuf text = KII_BUF_INIT(BODY_MAX);
	kii_autojson *body = json_pack("{s:s}", "Container", id);

	if (kii_engine_name(KII_NAME_PLAIN, "networks", network, err) ||
	    set_body(&c, body, &text, err))
		return -1;
	kii_call_path(&c, "/networks/%s/connect", network);
	return kii_ops_run(e, &c, err);
}

int kii_ops_volume(struct kii_engine *e, const char *name, char **driver, json_t **options,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	json_t *found;

	if (kii_engine_name(KII_NAME_PLAIN, "volumes", name, err))
		return -1;
	kii_call_path(&c, "/volumes/%s", name);
	if (kii_ops_json(e, &c, &reply, err))
		return -1;
	*driver = kii_xstrdup(kii_json_str(reply, "Driver"));
	found = json_object_get(reply, "Options");
	*options = json_is_object(found) ? json_incref(found) : NULL;
	return 0;
}

int kii_ops_volume_make(struct kii_engine *e, const char *name, const char *driver,
	const json_t *options, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autobuf text = KII_BUF_INIT(BODY_MAX);
	kii_autojson *body = json_pack("{s:s}", "Name", name);

	if (driver)
		kii_json_set_str(body, "Driver", driver);
	if (options)
		json_object_set_new(body, "DriverOpts", json_deep_copy(options));
	if (set_body(&c, body, &text, err))
		return -1;
	kii_call_path(&c, "/volumes/create");
	return kii_ops_run(e, &c, err);
}
