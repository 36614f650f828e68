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

/* A tag that matches: borrowed from the list. */
struct tag {
	const char *ref, *name, *id;
};

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

static int find_tags(const json_t *listed, const char *prefix, struct tag **tags, size_t *n,
	struct kii_error *err)
{
	const char *id = kii_json_str(listed, "Id");
	const json_t *refs = json_object_get(listed, "RepoTags");
	struct kii_error ignored = { 0 };
	const json_t *ref;
	size_t i;

	if (kii_engine_name(KII_NAME_IMAGE, "image", id, &ignored))
		return kii_engine_odd("image Id", err);
	*tags = kii_xrealloc(*tags, (*n + json_array_size(refs) + 1) * sizeof(**tags));
	json_array_foreach(refs, i, ref) {
		const char *whole = json_is_string(ref) ? json_string_value(ref) : "";
		const char *name = kii_engine_last_part(whole);

		if (strncmp(name, prefix, strlen(prefix)) == 0 && strchr(name, ':'))
			(*tags)[(*n)++] = (struct tag){ whole, name, id };
	}
	return 0;
}

int kii_engine_images(struct kii_engine *e, const char *prefix, struct kii_image **out, size_t *n,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	kii_autofree struct tag *tags = NULL;
	struct kii_image *images;
	size_t n_tags = 0, count = 0;

	kii_call_path(&c, "/images/json");
	if (kii_call_json(e, &c, &reply, err))
		return -1;
	if (!json_is_array(reply))
		return kii_engine_odd("list", err);
	for (size_t i = 0; i < json_array_size(reply); i++)
		if (find_tags(json_array_get(reply, i), prefix, &tags, &n_tags, err))
			return -1;
	if (n_tags)
		qsort(tags, n_tags, sizeof(*tags), by_name);
	images = kii_xcalloc(n_tags + 1, sizeof(*images));
	for (size_t i = 0; i < n_tags; i++) {
		if (i && strcmp(tags[i].name, tags[i - 1].name) == 0)
			continue;
		if (add_image(e, tags[i].id, tags[i].name, images, &count, err)) {
			kii_images_free(images, count);
			return -1;
		}
	}
	*out = images;
	*n = count;
	return 0;
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
