/* SPDX-License-Identifier: MIT */
/*
 * engine_ops_list: all containers. An engine may have thousands: its answer is taken apart item by
 * item, so that no more than one is held as JSON, and each goes out as text.
 */
#include <config.h>

#include "engine_ops.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "io.h"
#include "json.h"

#define LIST_MAX (64u << 20)

static const char *const states[] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead",
};

bool kii_ops_is_state(const char *word)
{
	for (size_t i = 0; i < KII_COUNT(states); i++) {
		if (strcmp(states[i], word) == 0)
			return true;
	}
	return false;
}

/* --- the engine's array, item by item --- */

/* Behind the object that begins at `text`, or NULL where it has no end. */
static const char *end_of_object(const char *text, const char *end)
{
	int depth = 0;
	bool quoted = false;

	for (; text < end; text++) {
		if (quoted) {
			if (*text == '\\')
				text++;
			else if (*text == '"')
				quoted = false;
		} else if (*text == '"') {
			quoted = true;
		} else if (*text == '{' || *text == '[') {
			depth++;
		} else if ((*text == '}' || *text == ']') && --depth == 0) {
			return text + 1;
		}
	}
	return NULL;
}

typedef int take_item(const json_t *item, void *arg, struct kii_error *err);

static int each_item(const struct kii_buf *reply, take_item *take, void *arg,
	struct kii_error *err)
{
	const char *at = reply->data + strspn(reply->data, " \t\r\n");
	const char *end = reply->data + reply->len;

	if (*at++ != '[')
		return kii_engine_odd("list", err);
	for (at += strspn(at, ", \t\r\n"); at < end && *at == '{'; at += strspn(at, ", \t\r\n")) {
		const char *behind = end_of_object(at, end);
		struct kii_error why = { 0 };
		kii_autojson *item = NULL;

		if (!behind)
			return kii_engine_odd("end of its list", err);
		if (kii_json_parse(at, (size_t)(behind - at), "item", &item, &why))
			return kii_error_set(err, KII_EBROKEN, 0, "the engine's %s", why.msg);
		if (take(item, arg, err))
			return -1;
		at = behind;
	}
	return *at == ']' ? 0 : kii_engine_odd("end of its list", err);
}

/* --- an item in our words --- */

static json_t *ports_json(const json_t *ports)
{
	json_t *list = json_array();
	const json_t *port;
	size_t i;

	json_array_foreach(ports, i, port) {
		json_t *o;

		if (!json_is_integer(json_object_get(port, "PublicPort")))
			continue;
		o = json_object();
		kii_json_set_str(o, "host_ip", kii_json_str(port, "IP"));
		json_object_set(o, "host_port", json_object_get(port, "PublicPort"));
		json_object_set(o, "container_port", json_object_get(port, "PrivatePort"));
		kii_json_set_str(o, "protocol", kii_json_str(port, "Type"));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *networks_json(const json_t *networks)
{
	json_t *list = json_array();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)networks, name, value)
		json_array_append_new(list, json_string(name));
	return list;
}

static const char *name_of(const json_t *item)
{
	const char *name = json_string_value(json_array_get(json_object_get(item, "Names"), 0));

	return name && *name == '/' ? name + 1 : name;
}

static json_t *item_json(const json_t *item)
{
	json_t *labels = json_object_get(item, "Labels");
	json_t *networks = json_object_get(json_object_get(item, "NetworkSettings"), "Networks");
	json_t *o = json_object();
	char stamp[32];

	kii_io_stamp(kii_json_int(item, "Created", 0) * 1000, stamp);
	kii_json_set_str(o, "id", kii_json_str(item, "Id"));
	kii_json_set_str(o, "name", name_of(item));
	kii_json_set_str(o, "image", kii_json_str(item, "Image"));
	kii_json_set_str(o, "image_id", kii_json_str(item, "ImageID"));
	kii_json_set_str(o, "command", kii_json_str(item, "Command"));
	kii_json_set_str(o, "created", stamp);
	kii_json_set_str(o, "state", kii_json_str(item, "State"));
	kii_json_set_str(o, "status", kii_json_str(item, "Status"));
	json_object_set_new(o, "ports", ports_json(json_object_get(item, "Ports")));
	json_object_set_new(o, "networks", networks_json(networks));
	json_object_set_new(o, "labels", json_is_object(labels) ? json_incref(labels)
		: json_object());
	return o;
}

struct listing {
	const struct kii_ops_filter *filter;
	struct kii_buf *out;
	bool some;
};

static int list_item(const json_t *item, void *arg, struct kii_error *err)
{
	struct listing *l = arg;
	const char *name = name_of(item);
	kii_autojson *o = NULL;

	if (!kii_json_str(item, "Id"))
		return kii_engine_odd("container Id", err);
	/* to the engine it is a pattern, in which a dot is anything */
	if (l->filter->name && !(name && strstr(name, l->filter->name)))
		return 0;
	o = item_json(item);
	kii_buf_str(l->out, l->some ? "," : "");
	l->some = true;
	return kii_json_dump(o, 0, l->out, err);
}

static int set_filters(struct kii_call *c, const struct kii_ops_filter *f, struct kii_error *err)
{
	kii_autojson *filters = json_object();
	kii_autobuf text = KII_BUF_INIT(KII_PATH_MAX);

	if (f->state)
		json_object_set_new(filters, "status", json_pack("[s]", f->state));
	if (f->name)
		json_object_set_new(filters, "name", json_pack("[s]", f->name));
	if (f->label)
		json_object_set_new(filters, "label", json_pack("[s]", f->label));
	if (!json_object_size(filters))
		return 0;
	if (kii_json_dump(filters, JSON_ENSURE_ASCII, &text, err))
		return -1;
	kii_call_query(c, "filters", text.data);
	return 0;
}

int kii_ops_list(struct kii_engine *e, const struct kii_ops_filter *filter, struct kii_buf *out,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct listing l = { .filter = filter, .out = out };

	c.reply.limit = LIST_MAX;
	kii_call_path(&c, "/containers/json?all=%d", filter->all || filter->state ? 1 : 0);
	if (set_filters(&c, filter, err) || kii_ops_run(e, &c, err))
		return -1;
	kii_buf_char(out, '[');
	if (each_item(&c.reply, list_item, &l, err))
		return -1;
	kii_buf_char(out, ']');
	return kii_buf_check(out, "list of containers", err);
}
