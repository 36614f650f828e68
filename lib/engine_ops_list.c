/* SPDX-License-Identifier: MIT */
/*
 * engine_ops_list: all containers. An engine may have thousands: its answer is passed on as it is
 * written, member by member, in our words.
 */
#include <config.h>

#include "engine_ops.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "io.h"
#include "json.h"
#include "json_text.h"

#define LIST_MAX    (64u << 20)
#define SECONDS_MAX INT64_C(253402300799)   /* the end of 9999 */

static const char *const states[] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead",
};

static bool is_state(const char *word)
{
	for (size_t i = 0; i < KII_COUNT(states); i++) {
		if (strcmp(states[i], word) == 0)
			return true;
	}
	return false;
}

int kii_ops_filter_check(const struct kii_ops_filter *f, struct kii_error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.-";

	if (f->state && !is_state(f->state))
		return kii_error_field(err, "state", "must be created, running, paused, "
			"restarting, removing, exited or dead");
	if (f->name && strspn(f->name, plain) != strlen(f->name))
		return kii_error_field(err, "name", "must be letters, digits, \"_\", \".\" and "
			"\"-\"");
	if (f->label && (!*f->label || *f->label == '=' || strlen(f->label) > 1024))
		return kii_error_field(err, "label", "must be a label's name, or name=value");
	return 0;
}

/* --- an item in our words: most of it is the engine's own text --- */

struct item {
	struct kii_text id, names, image, image_id, command, created, state, status, ports,
		settings, labels;
};

static void take_item(struct kii_text object, struct item *out)
{
	const struct { const char *name; struct kii_text *where; } members[] = {
		{ "\"Id\"", &out->id }, { "\"Names\"", &out->names },
		{ "\"Image\"", &out->image }, { "\"ImageID\"", &out->image_id },
		{ "\"Command\"", &out->command }, { "\"Created\"", &out->created },
		{ "\"State\"", &out->state }, { "\"Status\"", &out->status },
		{ "\"Ports\"", &out->ports }, { "\"NetworkSettings\"", &out->settings },
		{ "\"Labels\"", &out->labels },
	};
	struct kii_text name, value;

	*out = (struct item){ .id = { .at = NULL } };
	while (kii_text_member(&object, &name, &value)) {
		for (size_t i = 0; i < KII_COUNT(members); i++) {
			if (kii_text_is(&name, members[i].name))
				*members[i].where = value;
		}
	}
}

static bool is_string(const struct kii_text *t)
{
	return t->at && *t->at == '"';
}

static void put_string(struct kii_buf *out, const char *name, const struct kii_text *t)
{
	kii_buf_str(out, name);
	if (is_string(t))
		kii_buf_add(out, t->at, kii_text_len(t));
	else
		kii_buf_str(out, "null");
}

/* The first of them, without its slash; `text` between its quotes, of `len` bytes. */
static bool name_of(const struct item *item, const char **text, size_t *len)
{
	struct kii_text names = item->names, first;

	if (!names.at || !kii_text_item(&names, &first) || !is_string(&first))
		return false;
	*text = first.at + 1;
	*len = kii_text_len(&first) - 2;
	if (*len && **text == '/') {
		++*text;
		--*len;
	}
	return true;
}

static void put_networks(struct kii_buf *out, struct kii_text settings)
{
	struct kii_text name, value, network, ignored;
	bool some = false;

	kii_buf_str(out, ",\"networks\":[");
	while (settings.at && kii_text_member(&settings, &name, &value)) {
		if (!kii_text_is(&name, "\"Networks\""))
			continue;
		while (kii_text_member(&value, &network, &ignored)) {
			kii_buf_str(out, some ? "," : "");
			kii_buf_add(out, network.at, kii_text_len(&network));
			some = true;
		}
	}
	kii_buf_char(out, ']');
}

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

static int put_ports(struct kii_buf *out, const struct kii_text *ports, struct kii_error *err)
{
	kii_autojson *given = NULL;
	kii_autojson *list = NULL;
	struct kii_error why = { 0 };

	kii_buf_str(out, ",\"ports\":");
	if (!ports->at || *ports->at != '[' || kii_text_is(ports, "[]")) {
		kii_buf_str(out, "[]");
		return 0;
	}
	if (kii_json_parse(ports->at, kii_text_len(ports), "Ports", &given, &why))
		return kii_error_set(err, KII_EBROKEN, 0, "the engine's %s", why.msg);
	list = ports_json(given);
	return kii_json_dump(list, 0, out, err);
}

static void put_created(struct kii_buf *out, const struct kii_text *created)
{
	char stamp[32];
	long long seconds = created->at && *created->at != '-' ? strtoll(created->at, NULL, 10) : 0;

	kii_io_stamp(seconds <= SECONDS_MAX ? seconds * 1000 : 0, stamp);
	kii_buf_fmt(out, ",\"created\":\"%s\"", stamp);
}

static int put_item(const struct item *item, const char *name, size_t len, struct kii_buf *out,
	struct kii_error *err)
{
	put_string(out, "{\"id\":", &item->id);
	kii_buf_str(out, name ? ",\"name\":\"" : ",\"name\":null");
	if (name) {
		kii_buf_add(out, name, len);
		kii_buf_char(out, '"');
	}
	put_string(out, ",\"image\":", &item->image);
	put_string(out, ",\"image_id\":", &item->image_id);
	put_string(out, ",\"command\":", &item->command);
	put_created(out, &item->created);
	if (kii_text_is(&item->state, "\"stopped\""))
		kii_buf_str(out, ",\"state\":\"exited\"");
	else
		put_string(out, ",\"state\":", &item->state);
	put_string(out, ",\"status\":", &item->status);
	if (put_ports(out, &item->ports, err))
		return -1;
	put_networks(out, item->settings);
	kii_buf_str(out, ",\"labels\":");
	if (item->labels.at && *item->labels.at == '{')
		kii_buf_add(out, item->labels.at, kii_text_len(&item->labels));
	else
		kii_buf_str(out, "{}");
	kii_buf_char(out, '}');
	return 0;
}

static int list_all(const struct kii_buf *reply, const struct kii_ops_filter *filter,
	struct kii_buf *out, struct kii_error *err)
{
	struct kii_text list, object;
	bool broken = false, some = false;

	kii_text_begin(reply->data, reply->len, &list);
	while (kii_text_next(&list, &object, &broken)) {
		struct item item;
		const char *name = NULL;
		size_t len = 0;

		take_item(object, &item);
		if (!is_string(&item.id))
			return kii_engine_odd("container Id", err);
		name_of(&item, &name, &len);
		/* to the engine it is a pattern, in which a dot is anything */
		if (filter->name && !(name && memmem(name, len, filter->name,
				strlen(filter->name))))
			continue;
		kii_buf_str(out, some ? "," : "");
		some = true;
		if (put_item(&item, name, len, out, err))
			return -1;
	}
	return broken ? kii_engine_odd("list", err) : 0;
}

/* All that Podman's filter knows but for "removing". */
static const char whole[] = "created initialized running paused exited stopped";

static json_t *words(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, " ");

		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == ' ');
	}
	return list;
}

/* `wanted`: with blanks between; NULL: any. */
static int set_filters(struct kii_call *c, const struct kii_ops_filter *f, const char *wanted,
	struct kii_error *err)
{
	kii_autojson *filters = json_object();
	kii_autobuf text = KII_BUF_INIT(KII_PATH_MAX);

	if (wanted)
		json_object_set_new(filters, "status", words(wanted));
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

/* *remnant: what it is refused for. */
static int list_states(struct kii_engine *e, const struct kii_ops_filter *filter,
	const char *wanted, bool *remnant, struct kii_buf *out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	c.reply.limit = LIST_MAX;
	kii_call_path(&c, "/containers/json?all=%d", filter->all || filter->state ? 1 : 0);
	if (set_filters(&c, filter, wanted, err))
		return -1;
	if (kii_ops_run(e, &c, err)) {
		*remnant = kii_engine_has_remnant(e, &c);
		return -1;
	}
	kii_buf_char(out, '[');
	if (list_all(&c.reply, filter, out, err))
		return -1;
	kii_buf_char(out, ']');
	return kii_buf_check(out, "list of containers", err);
}

/* Podman has another word until it has cleaned up, which Docker refuses. */
static int states_of(struct kii_engine *e, const char *state, const char **out,
	struct kii_error *err)
{
	*out = state;
	if (!state || strcmp(state, "exited") != 0)
		return 0;
	if (kii_engine_negotiate(e, err))
		return -1;
	if (kii_engine_is_podman(e))
		*out = "exited stopped";
	return 0;
}

int kii_ops_list(struct kii_engine *e, const struct kii_ops_filter *filter, struct kii_buf *out,
	struct kii_error *err)
{
	bool remnant = false;
	const char *wanted;
	int rc = states_of(e, filter->state, &wanted, err);

	if (rc == 0)
		rc = list_states(e, filter, wanted, &remnant, out, err);
	if (!remnant || !filter->all || filter->state)
		return rc;
	kii_error_clear(err);
	return list_states(e, filter, whole, &remnant, out, err);
}
