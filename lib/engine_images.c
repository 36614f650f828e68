/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_images.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "image_ref.h"
#include "io.h"
#include "json.h"

#define HUB "docker.io/"
#define LIBRARY "library/"

static bool is_id(const char *ref)
{
	return strncmp(ref, "sha256:", 7) == 0 && strlen(ref) == 71
		&& strspn(ref + 7, "0123456789abcdef") == 64;
}

int kii_image_check(const char *ref, const char *field, struct kii_error *err)
{
	struct kii_image_ref parsed;

	return is_id(ref) ? 0 : kii_image_ref_parse(ref, field, &parsed, err);
}

/* "docker.io/library/nginx:alpine" as "nginx:alpine". Points into `name`. */
static const char *familiar(const char *name)
{
	if (strncmp(name, HUB, strlen(HUB)) != 0)
		return name;
	name += strlen(HUB);
	return strncmp(name, LIBRARY, strlen(LIBRARY)) == 0 ? name + strlen(LIBRARY) : name;
}

/* The names of a list, without Docker's "<none>:<none>". */
static json_t *names_of(const json_t *list)
{
	json_t *out = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);

		if (name && *name && *name != '<')
			json_array_append_new(out, json_string(familiar(name)));
	}
	return out;
}

static json_t *object_of(const json_t *o)
{
	return json_is_object(o) ? json_deep_copy(o) : json_object();
}

static json_t *array_of(const json_t *list)
{
	return json_is_array(list) ? json_deep_copy(list) : json_array();
}

static json_t *keys_of(const json_t *o)
{
	json_t *out = json_array();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)o, key, value)
		json_array_append_new(out, json_string(key));
	return out;
}

static json_t *stamp_of(int64_t ms)
{
	char stamp[32];

	if (ms <= 0)
		return json_null();
	kii_io_stamp(ms, stamp);
	return json_string(stamp);
}

/* What list and show have in common. NULL: it makes no sense. */
static json_t *describe(const json_t *image, int64_t created_ms, const json_t *labels)
{
	const char *id = kii_json_str(image, "Id");
	json_t *o;

	if (!id)
		return NULL;
	o = json_object();
	kii_json_set_str(o, "id", id);
	json_object_set_new(o, "tags", names_of(json_object_get(image, "RepoTags")));
	json_object_set_new(o, "digests", names_of(json_object_get(image, "RepoDigests")));
	json_object_set_new(o, "created", stamp_of(created_ms));
	json_object_set_new(o, "size", json_integer(kii_json_int(image, "Size", 0)));
	json_object_set_new(o, "labels", object_of(labels));
	return o;
}

/* --- list --- */

/* Docker and Podman disagree about what a name of theirs matches, so it is matched here. */
static bool has_name(const json_t *image, const char *name)
{
	size_t len = strlen(name);
	const json_t *tag;
	size_t i;

	json_array_foreach(json_object_get(image, "tags"), i, tag) {
		const char *text = json_string_value(tag);

		if (strncmp(text, name, len) == 0 && (!text[len]
				|| (text[len] == ':' && !strchr(text + len, '/'))))
			return true;
	}
	return false;
}

static int set_filters(struct kii_call *c, const struct kii_image_filter *filter,
	struct kii_error *err)
{
	kii_autojson *filters = json_object();
	kii_autobuf text = KII_BUF_INIT(4096);

	if (filter->label)
		json_object_set_new(filters, "label", json_pack("[s]", filter->label));
	if (filter->label && !json_object_get(filters, "label"))
		return kii_error_field(err, "label", "is no text");
	if (filter->dangling)
		json_object_set_new(filters, "dangling", json_pack("[s]", "true"));
	if (kii_json_dump(filters, 0, &text, err) != 0)
		return kii_error_wrap(err, "label");
	kii_call_query(c, "filters", text.data);
	return 0;
}

struct found {
	const char *name;        /* or NULL: all */
	json_t *list;
};

static int add_listed(void *arg, const json_t *image, struct kii_error *err)
{
	const struct found *f = arg;
	kii_autojson *o = describe(image, (int64_t)kii_json_int(image, "Created", 0) * 1000,
		json_object_get(image, "Labels"));

	if (!o)
		return kii_engine_odd("image Id", err);
	if (!f->name || has_name(o, f->name))
		json_array_append(f->list, o);
	return 0;
}

int kii_engine_image_list(struct kii_engine *e, const struct kii_image_filter *filter,
	json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *all = json_array();
	struct found found = {
		.name = filter->name ? familiar(filter->name) : NULL, .list = all };

	if (found.name && kii_image_check(found.name, "name", err) != 0)
		return -1;
	kii_call_path(&c, "/images/json");
	if (set_filters(&c, filter, err) != 0 ||
	    kii_call_list(e, &c, add_listed, &found, err) != 0)
		return -1;
	*out = json_incref(all);
	return 0;
}

/* --- show --- */

static void set_or_null(json_t *o, const char *name, const char *text)
{
	kii_json_set_str(o, name, text && *text ? text : NULL);
}

int kii_engine_image_show(struct kii_engine *e, const char *ref, json_t **out,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	const json_t *config, *layers;
	json_t *o;

	if (kii_image_check(ref, "image", err) != 0)
		return -1;
	kii_call_path(&c, "/images/%s/json", ref);
	if (kii_call_json(e, &c, &reply, err) != 0)
		return -1;
	config = json_object_get(reply, "Config");
	layers = json_object_get(json_object_get(reply, "RootFS"), "Layers");
	o = describe(reply, kii_engine_time(kii_json_str(reply, "Created")),
		json_object_get(config, "Labels"));
	if (!o)
		return kii_engine_odd("image Id", err);
	set_or_null(o, "architecture", kii_json_str(reply, "Architecture"));
	set_or_null(o, "os", kii_json_str(reply, "Os"));
	json_object_set_new(o, "layers", json_integer((json_int_t)json_array_size(layers)));
	set_or_null(o, "user", kii_json_str(config, "User"));
	set_or_null(o, "working_dir", kii_json_str(config, "WorkingDir"));
	json_object_set_new(o, "entrypoint", array_of(json_object_get(config, "Entrypoint")));
	json_object_set_new(o, "command", array_of(json_object_get(config, "Cmd")));
	json_object_set_new(o, "environment", array_of(json_object_get(config, "Env")));
	json_object_set_new(o, "ports", keys_of(json_object_get(config, "ExposedPorts")));
	json_object_set_new(o, "volumes", keys_of(json_object_get(config, "Volumes")));
	*out = o;
	return 0;
}

/* --- tag, delete, prune --- */

int kii_engine_image_tag(struct kii_engine *e, const char *ref, const char *name,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autofree char *repo = NULL;
	struct kii_image_ref to;

	if (kii_image_check(ref, "image", err) != 0
		|| kii_image_ref_parse(name, "tag", &to, err) != 0)
		return -1;
	if (to.digest[0])
		return kii_error_field(err, "tag", "is a name with a tag, without a digest");
	repo = kii_image_ref_name(&to);
	kii_call_path(&c, "/images/%s/tag", ref);
	kii_call_query(&c, "repo", repo);
	kii_call_query(&c, "tag", to.tag);
	return kii_call_run(e, &c, err);
}

/* Podman leaves the kind of the digest out here. */
static json_t *id_of(const char *id)
{
	kii_autofree char *whole = kii_xfmt("sha256:%s", id);

	return json_string(is_id(whole) ? whole : id);
}

/* Add what the engine says that it did. */
static void add_done(json_t *done, const json_t *reply)
{
	const json_t *item;
	size_t i;

	json_array_foreach(reply, i, item) {
		const char *name = kii_json_str(item, "Untagged");
		const char *id = kii_json_str(item, "Deleted");

		if (name)
			json_array_append_new(json_object_get(done, "untagged"),
				json_string(familiar(name)));
		if (id)
			json_array_append_new(json_object_get(done, "deleted"), id_of(id));
	}
}

static json_t *nothing_done(void)
{
	return json_pack("{s:[], s:[]}", "untagged", "deleted");
}

static int delete_one(struct kii_engine *e, const char *ref, bool force, json_t *done,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("DELETE");
	kii_autojson *reply = NULL;

	kii_call_path(&c, "/images/%s", ref);
	if (force)
		kii_call_query(&c, "force", "1");
	if (kii_call_json(e, &c, &reply, err) != 0)
		return -1;
	add_done(done, reply);
	return 0;
}

int kii_engine_image_delete(struct kii_engine *e, const char *ref, bool force, json_t **out,
	struct kii_error *err)
{
	kii_autojson *done = nothing_done();

	if (kii_image_check(ref, "image", err) != 0 || delete_one(e, ref, force, done, err) != 0)
		return -1;
	*out = json_incref(done);
	return 0;
}

/* One that is gone by now is as good as removed; one in use is kept. */
static int prune_name(struct kii_engine *e, const char *ref, json_t *done, bool *kept,
	struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (kii_image_check(ref, "image", err) != 0)
		return -1;
	if (delete_one(e, ref, false, done, &why) == 0 || why.code == KII_ENOTFOUND)
		return 0;
	if (why.code != KII_ECONFLICT)
		return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	*kept = true;
	return 0;
}

static int prune_image(struct kii_engine *e, const json_t *image, bool all, json_t *done,
	json_int_t *in_use, struct kii_error *err)
{
	const json_t *tags = json_object_get(image, "tags");
	const json_t *tag;
	bool kept = false;
	size_t i;

	if (json_array_size(tags) && !all)
		return 0;
	json_array_foreach(tags, i, tag) {
		if (prune_name(e, json_string_value(tag), done, &kept, err) != 0)
			return -1;
	}
	if (!json_array_size(tags)
		&& prune_name(e, kii_json_str(image, "id"), done, &kept, err) != 0)
		return -1;
	*in_use += kept;
	return 0;
}

int kii_engine_image_prune(struct kii_engine *e, const char *name, const char *value, bool all,
	json_t **out, struct kii_error *err)
{
	kii_autofree char *label = kii_xfmt("%s=%s", name, value);
	const struct kii_image_filter filter = { .label = label };
	kii_autojson *images = NULL;
	kii_autojson *done = nothing_done();
	json_int_t in_use = 0;
	const json_t *image;
	size_t i;

	if (kii_engine_image_list(e, &filter, &images, err) != 0)
		return -1;
	json_array_foreach(images, i, image) {
		if (prune_image(e, image, all, done, &in_use, err) != 0)
			return -1;
	}
	json_object_set_new(done, "kept", json_integer(in_use));
	*out = json_incref(done);
	return 0;
}
