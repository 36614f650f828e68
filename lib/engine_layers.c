/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_layers.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "json.h"

#define DIGITS 64

/*
 * "localhost/<64 digits>-tmp:latest": Podman's own, of a layer that it is about to keep. One that
 * is killed then leaves it.
 */
static bool is_makeshift(const char *name)
{
	static const char host[] = "localhost/", tail[] = "-tmp";

	if (strncmp(name, host, sizeof(host) - 1) == 0)
		name += sizeof(host) - 1;
	if (strspn(name, "0123456789abcdef") != DIGITS)
		return false;
	name += DIGITS;
	if (strncmp(name, tail, sizeof(tail) - 1) != 0)
		return false;
	name += sizeof(tail) - 1;
	return *name == ':' || *name == '@';
}

/* Docker's list says "<none>:<none>" where there is no name. */
static bool has_name(const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);

		if (name && *name && *name != '<' && !is_makeshift(name))
			return true;
	}
	return false;
}

static bool read_layer(const json_t *j, struct kii_layer *out)
{
	if (!kii_engine_digest(kii_json_str(j, "Id"), out->id))
		return false;
	if (!kii_engine_digest(kii_json_str(j, "ParentId"), out->parent))
		out->parent[0] = '\0';
	out->named = has_name(json_object_get(j, "RepoTags")) ||
		has_name(json_object_get(j, "RepoDigests"));
	out->size = kii_json_int(j, "Size", 0);
	out->created = kii_json_int(j, "Created", 0);
	return true;
}

/* --- the list --- */

struct layers {
	struct kii_layer *all;
	size_t n, cap;
};

static int add_layer(void *arg, const json_t *image, struct kii_error *err)
{
	struct layers *l = arg;

	l->all = kii_xgrow(l->all, l->n, &l->cap, sizeof(*l->all));
	if (!read_layer(image, &l->all[l->n]))
		return kii_engine_odd("image Id", err);
	l->n++;
	return 0;
}

int kii_engine_layers(struct kii_engine *e, const char *label, const char *value,
	struct kii_layer **out, size_t *n, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct layers l = { 0 };

	kii_call_path(&c, "/images/json?all=1");
	if (label && kii_call_label(&c, label, value, err) != 0)
		return -1;
	if (kii_call_list(e, &c, add_layer, &l, err) != 0) {
		free(l.all);
		return -1;
	}
	*out = l.all;
	*n = l.n;
	return 0;
}

int kii_engine_is_step(struct kii_engine *e, const char *id, bool *is, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *history = NULL;
	const char *by;

	if (kii_engine_name(KII_NAME_IMAGE, "image", id, err))
		return -1;
	kii_call_path(&c, "/images/%s/history", id);
	if (kii_call_json(e, &c, &history, err))
		return -1;
	/* The youngest comes first: "/bin/sh -c #(nop) COPY file:... in /f ". */
	by = kii_json_str(json_array_get(history, 0), "CreatedBy");
	*is = by && strstr(by, "#(nop) ");
	return 0;
}

/* --- an image without its manifest --- */

static int drop_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	(void)arg;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

/* '... locating item named "manifest" for image with ID "<64 digits>" ...' */
static void find_half_made(const struct kii_call *c, char id[DIGITS + 1])
{
	static const char item[] = "locating item named \"", of[] = " for image with ID \"";
	kii_autojson *body = NULL;
	struct kii_error ignored = { 0 };
	const char *at = NULL;

	if (kii_json_parse(c->refusal.data, c->refusal.len, "reply", &body, &ignored) == 0)
		at = kii_json_str(body, "message");
	at = at ? strstr(at, item) : NULL;
	at = at ? strstr(at, of) : NULL;
	if (at && strspn(at + sizeof(of) - 1, "0123456789abcdef") == DIGITS)
		memcpy(id, at + sizeof(of) - 1, DIGITS);
}

int kii_engine_half_made(struct kii_engine *e, char id[65], struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	memset(id, 0, DIGITS + 1);
	kii_call_path(&c, "/images/json?all=1");
	c.sink = drop_piece;
	if (kii_call_run(e, &c, err) == 0)
		return 0;
	if (!kii_engine_is_podman(e) || c.status != 500)
		return -1;
	find_half_made(&c, id);
	kii_error_clear(err);
	return 0;
}

/* --- removing --- */

int kii_engine_layer_remove(struct kii_engine *e, const char *id, json_t **gone,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("DELETE");
	kii_autojson *reply = NULL;
	kii_autojson *all = json_array();
	char text[DIGITS + 1];
	const json_t *item;
	size_t i;

	if (!kii_engine_digest(id, text))
		return kii_error_field(err, "image", "is no ID");
	kii_call_path(&c, "/images/%s?noprune=1", text);
	if (kii_call_json(e, &c, &reply, err) != 0) {
		if (err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
		json_array_append_new(all, json_string(text));
	}
	json_array_foreach(reply, i, item) {
		if (kii_engine_digest(kii_json_str(item, "Deleted"), text))
			json_array_append_new(all, json_string(text));
	}
	*gone = json_incref(all);
	return 0;
}
