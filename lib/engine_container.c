/* SPDX-License-Identifier: MIT */
/* engine_container: the verbs of a container. */
#include <config.h>

#include <string.h>

#include "engine_handle.h"
#include "engine_spec.h"
#include "io.h"
#include "json.h"

#define SPEC_MAX   (4u << 20)
#define REMOVE_MS  30000

static int post_json(struct kii_engine *e, struct kii_call *c, const json_t *body, json_t **out,
	struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(SPEC_MAX);

	if (kii_json_dump(body, 0, &text, err))
		return -1;
	c->type = "Content-Type: application/json";
	c->body = text.data;
	c->body_len = text.len;
	return kii_call_json(e, c, out, err);
}

/* By a call of its own: Podman drops the labels that come with a mount. One that exists stays. */
static int make_volume(struct kii_engine *e, const char *name, json_t *labels,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autojson *body = json_pack("{s:s, s:O}", "Name", name, "Labels", labels);
	kii_autojson *reply = NULL;

	kii_call_path(&c, "/volumes/create");
	return post_json(e, &c, body, &reply, err);
}

static int make_volumes(struct kii_engine *e, const struct kii_container_spec *spec,
	struct kii_error *err)
{
	kii_autojson *labels = kii_engine_labels_json(spec);

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *name = spec->mounts[i].volume;

		if (name && name[0] && make_volume(e, name, labels, err))
			return kii_error_wrap(err, "volume %s", name);
	}
	return 0;
}

int kii_engine_create(struct kii_engine *e, const struct kii_container_spec *spec, char id[128],
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autojson *body = NULL;
	kii_autojson *reply = NULL;
	const char *made;

	if (kii_engine_spec_json(spec, &body, err) || make_volumes(e, spec, err))
		return -1;
	kii_call_path(&c, "/containers/create");
	kii_call_query(&c, "name", spec->name);
	if (post_json(e, &c, body, &reply, err))
		return -1;
	made = kii_json_str(reply, "Id");
	if (!made || strlen(made) != 64 || strspn(made, "0123456789abcdef") != 64)
		return kii_engine_odd("container Id", err);
	memcpy(id, made, 65);
	return 0;
}

int kii_engine_start(struct kii_engine *e, const char *id, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err))
		return -1;
	c.once = true;
	kii_call_path(&c, "/containers/%s/start", id);
	return kii_call_run(e, &c, err);
}

/* 1: it has ended, and this is its exit code; 0: it has not; -1: error. */
static int has_ended(struct kii_engine *e, const char *id, int *exit_code, struct kii_error *err)
{
	struct kii_container c;
	bool ended;

	if (kii_engine_inspect(e, id, &c, err))
		return -1;
	ended = c.state == KII_CONTAINER_EXITED;
	if (ended)
		*exit_code = c.exit_code;
	kii_container_release(&c);
	return ended;
}

static int ask_to_wait(struct kii_engine *e, const char *id, int64_t limit_ms, int *exit_code,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autojson *reply = NULL;
	const json_t *code;
	const char *why;

	c.limit_ms = limit_ms > 0 ? limit_ms : KII_LIMIT_NONE;
	kii_call_path(&c, "/containers/%s/wait?condition=not-running", id);
	if (kii_call_json(e, &c, &reply, err))
		return -1;
	why = kii_json_str(json_object_get(reply, "Error"), "Message");
	if (why && why[0])
		return kii_error_set(err, KII_EBROKEN, 0, "the engine cannot wait: %.120s", why);
	code = json_object_get(reply, "StatusCode");
	if (!json_is_integer(code))
		return kii_engine_odd("StatusCode", err);
	*exit_code = (int)json_integer_value(code);
	return 0;
}

/*
 * Podman answers a wait only when it has cleaned up behind the container, up to a second after the
 * end that it shows at once; so its end is looked for first.
 */
int kii_engine_wait(struct kii_engine *e, const char *id, int64_t limit_ms, int *exit_code,
	struct kii_error *err)
{
	int rc = 0;

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err) || kii_engine_negotiate(e, err))
		return -1;
	if (e->podman)
		rc = has_ended(e, id, exit_code, err);
	if (rc == 0)
		rc = ask_to_wait(e, id, limit_ms, exit_code, err);
	return rc < 0 ? -1 : 0;
}

static bool is_signal(const char *s)
{
	size_t len = strlen(s);

	return len && len <= 16 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-") == len;
}

int kii_engine_kill(struct kii_engine *e, const char *id, const char *signal,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err))
		return -1;
	if (!is_signal(signal))
		return kii_error_field(err, "signal", "no signal's name");
	kii_call_path(&c, "/containers/%s/kill", id);
	kii_call_query(&c, "signal", signal);
	return kii_call_run(e, &c, err);
}

static int remove_once(struct kii_engine *e, const char *id, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("DELETE");

	kii_call_path(&c, "/containers/%s?force=1&v=1", id);
	return kii_call_run(e, &c, err);
}

/* A removal that is under way elsewhere is a conflict until it is over, then not found. */
int kii_engine_remove(struct kii_engine *e, const char *id, struct kii_error *err)
{
	int64_t until = kii_io_now() + REMOVE_MS;

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err))
		return -1;
	for (;;) {
		struct kii_error why = { 0 };

		if (remove_once(e, id, &why) == 0 || why.code == KII_ENOTFOUND)
			return 0;
		if (why.code != KII_ECONFLICT || kii_io_now() >= until)
			return kii_error_set(err, why.code, why.detail, "%s", why.msg);
		if (kii_call_pause(e, 50, NULL, NULL, err))
			return -1;
	}
}
