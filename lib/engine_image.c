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

static int add_tags(struct kii_engine *e, const json_t *listed, const char *prefix,
	struct kii_image **images, size_t *n, struct kii_error *err)
{
	const char *id = kii_json_str(listed, "Id");
	const json_t *tags = json_object_get(listed, "RepoTags");
	struct kii_error ignored = { 0 };
	const json_t *tag;
	size_t i;

	if (kii_engine_name(KII_NAME_IMAGE, "image", id, &ignored))
		return kii_engine_odd("image Id", err);
	*images = kii_xrealloc(*images, (*n + json_array_size(tags) + 1) * sizeof(**images));
	json_array_foreach(tags, i, tag) {
		const char *name = kii_engine_last_part(json_is_string(tag)
			? json_string_value(tag) : "");

		if (strncmp(name, prefix, strlen(prefix)) == 0 && strchr(name, ':')
				&& add_image(e, id, name, *images, n, err))
			return -1;
	}
	return 0;
}

int kii_engine_images(struct kii_engine *e, const char *prefix, struct kii_image **out, size_t *n,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	struct kii_image *images = NULL;
	size_t count = 0;

	kii_call_path(&c, "/images/json");
	if (kii_call_json(e, &c, &reply, err))
		return -1;
	if (!json_is_array(reply))
		return kii_engine_odd("list", err);
	for (size_t i = 0; i < json_array_size(reply); i++) {
		if (add_tags(e, json_array_get(reply, i), prefix, &images, &count, err)) {
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
