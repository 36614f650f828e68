/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_layers.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "json.h"

#define DIGITS     64
#define OBJECT_MAX (1u << 20)

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

/* --- the list: as many as there are, of which one is in memory at a time --- */

struct list {
	struct kii_buf object;   /* the one that is coming */
	unsigned depth;          /* of braces and brackets; 1: between two of them */
	bool begun;
	bool text, escaped;      /* inside a text; behind a backslash in it */
	struct kii_layer *layers;
	size_t n, cap;
};

static int take_object(struct list *l, struct kii_error *err)
{
	kii_autojson *image = NULL;
	struct kii_error why = { 0 };

	if (kii_buf_check(&l->object, "an image's description", &why) != 0 ||
	    kii_json_parse(l->object.data, l->object.len, "image", &image, &why) != 0)
		return kii_error_set(err, KII_EBROKEN, 0, "the engine's %s", why.msg);
	kii_buf_reset(&l->object);
	if (l->n == l->cap) {
		l->cap = l->cap * 2 + 64;
		l->layers = kii_xrealloc(l->layers, l->cap * sizeof(*l->layers));
	}
	if (!read_layer(image, &l->layers[l->n]))
		return kii_engine_odd("image Id", err);
	l->n++;
	return 0;
}

/* Braces and brackets count outside of texts alone. */
static void follow(struct list *l, char c)
{
	if (l->text) {
		if (l->escaped)
			l->escaped = false;
		else if (c == '\\')
			l->escaped = true;
		else if (c == '"')
			l->text = false;
	} else if (c == '"') {
		l->text = true;
	} else if (c == '{' || c == '[') {
		l->depth++;
	} else if (c == '}' || c == ']') {
		l->depth--;
	}
}

static int take_char(struct list *l, char c, struct kii_error *err)
{
	unsigned before = l->depth;

	if (!l->begun) {
		l->begun = true;
		l->depth = 1;
		return c == '[' ? 0 : kii_engine_odd("list", err);
	}
	if (!l->depth || (l->depth == 1 && strchr(", \t\r\n", c)))
		return 0;
	follow(l, c);
	if (before == 1 && l->depth == 0)
		return 0;
	kii_buf_char(&l->object, c);
	return l->depth == 1 && !l->text ? take_object(l, err) : 0;
}

static int take_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	for (size_t i = 0; i < len; i++) {
		if (take_char(arg, data[i], err) != 0)
			return -1;
	}
	return 0;
}

int kii_engine_layers(struct kii_engine *e, const char *label, const char *value,
	struct kii_layer **out, size_t *n, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct list l = { .object = KII_BUF_INIT(OBJECT_MAX) };
	int rc;

	kii_call_path(&c, "/images/json?all=1");
	if (label && kii_call_label(&c, label, value, err) != 0)
		return -1;
	c.sink = take_piece;
	c.sink_arg = &l;
	rc = kii_call_run(e, &c, err);
	if (rc == 0 && (!l.begun || l.depth))
		rc = kii_engine_odd("end of a list", err);
	kii_buf_release(&l.object);
	if (rc != 0) {
		free(l.layers);
		return -1;
	}
	*out = l.layers;
	*n = l.n;
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
