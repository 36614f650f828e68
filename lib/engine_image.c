/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "json.h"

static int read_image(const json_t *j, const char *name, struct kii_image *out,
	struct kii_error *err)
{
	const char *id = kii_json_str(j, "Id");
	const json_t *config = json_object_get(j, "Config");
	const char *user = kii_json_str(config, "User");
	struct kii_error ignored = { 0 };

	if (kii_engine_name(KII_NAME_IMAGE, "image", id, &ignored) ||
	    strlen(id) >= sizeof(out->id))
		return kii_engine_odd("image Id", err);
	memcpy(out->id, id, strlen(id) + 1);
	out->size = kii_json_int(j, "Size", 0);
	out->created = kii_engine_time(kii_json_str(j, "Created")) / 1000;
	out->user = kii_xstrdup(user ? user : "");
	out->name = kii_xstrdup(name);
	return 0;
}

int kii_engine_image_inspect(struct kii_engine *e, const char *ref, struct kii_image *out,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	struct kii_image found = { 0 };

	if (kii_engine_name(KII_NAME_IMAGE, "image", ref, err))
		return -1;
	kii_call_path(&c, "/images/%s/json", ref);
	if (kii_call_json(e, &c, &reply, err) || read_image(reply, ref, &found, err))
		return -1;
	*out = found;
	return 0;
}

/*
 * The list lacks the user, so each image that matches is inspected, by its ID: the tag may move
 * meanwhile. One that is gone by then is none.
 */
static int add_image(struct kii_engine *e, const char *id, const char *name,
	struct kii_image *images, size_t *n, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (kii_engine_image_inspect(e, id, &images[*n], &why)) {
		if (why.code == KII_ENOTFOUND)
			return 0;
		return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	}
	free(images[*n].name);
	images[(*n)++].name = kii_xstrdup(name);
	return 0;
}

/* A tag that matches. */
struct tag {
	char *ref, *id;
	const char *name;        /* within `ref` */
};

struct tags {
	const char *prefix;
	struct tag *all;
	size_t n, cap;
};

static void tags_release(struct tags *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->all[i].ref);
		free(t->all[i].id);
	}
	free(t->all);
}

static int by_name(const void *a, const void *b)
{
	const struct tag *s = a, *t = b;
	int way = strcmp(s->name, t->name);

	if (way == 0)
		way = (s->name != s->ref) - (t->name != t->ref);
	if (way == 0)
		way = (strncmp(s->ref, "localhost/", 10) != 0) -
			(strncmp(t->ref, "localhost/", 10) != 0);
	return way ? way : strcmp(s->ref, t->ref);
}

static void add_tag(struct tags *t, const char *ref, const char *id)
{
	const char *name = kii_engine_last_part(ref);

	if (strncmp(name, t->prefix, strlen(t->prefix)) != 0 || !strchr(name, ':'))
		return;
	t->all = kii_xgrow(t->all, t->n, &t->cap, sizeof(*t->all));
	t->all[t->n] = (struct tag){ .ref = kii_xstrdup(ref), .id = kii_xstrdup(id) };
	t->all[t->n].name = kii_engine_last_part(t->all[t->n].ref);
	t->n++;
}

static int find_tags(void *arg, const json_t *listed, struct kii_error *err)
{
	const char *id = kii_json_str(listed, "Id");
	struct kii_error ignored = { 0 };
	const json_t *ref;
	size_t i;

	if (kii_engine_name(KII_NAME_IMAGE, "image", id, &ignored))
		return kii_engine_odd("image Id", err);
	json_array_foreach(json_object_get(listed, "RepoTags"), i, ref) {
		if (json_is_string(ref))
			add_tag(arg, json_string_value(ref), id);
	}
	return 0;
}

/* Of several of one name the first counts that is still there. */
static int inspect_tags(struct kii_engine *e, struct tags *tags, struct kii_image **out,
	size_t *n, struct kii_error *err)
{
	struct kii_image *images = kii_xcalloc(tags->n + 1, sizeof(*images));
	size_t count = 0;

	if (tags->n)
		qsort(tags->all, tags->n, sizeof(*tags->all), by_name);
	for (size_t i = 0; i < tags->n; i++) {
		const struct tag *tag = &tags->all[i];

		if (count && strcmp(tag->name, images[count - 1].name) == 0)
			continue;
		if (add_image(e, tag->id, tag->name, images, &count, err)) {
			kii_images_free(images, count);
			return -1;
		}
	}
	*out = images;
	*n = count;
	return 0;
}

int kii_engine_images(struct kii_engine *e, const char *prefix, struct kii_image **out, size_t *n,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct tags tags = { .prefix = prefix };
	int rc;

	kii_call_path(&c, "/images/json");
	rc = kii_call_list(e, &c, find_tags, &tags, err);
	if (rc == 0)
		rc = inspect_tags(e, &tags, out, n, err);
	tags_release(&tags);
	return rc;
}

void kii_image_release(struct kii_image *image)
{
	free(image->name);
	free(image->user);
	image->name = image->user = NULL;
}

void kii_images_free(struct kii_image *images, size_t n)
{
	for (size_t i = 0; images && i < n; i++)
		kii_image_release(&images[i]);
	free(images);
}
