/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_working.h"

#include <stdlib.h>
#include <string.h>

#include "engine_call.h"
#include "json.h"

static bool is_word(const char *text, const char *word)
{
	return text && strcmp(text, word) == 0;
}

static const char *first(const json_t *j, const char *list)
{
	return json_string_value(json_array_get(json_object_get(j, list), 0));
}

static int read_working(const json_t *j, struct kii_working *out, struct kii_error *err)
{
	const char *base = kii_json_str(j, "Image"), *name = first(j, "Names");

	if (!kii_engine_digest(kii_json_str(j, "Id"), out->id))
		return kii_engine_odd("container Id", err);
	if (!kii_engine_digest(kii_json_str(j, "ImageID"), out->image))
		out->image[0] = '\0';
	out->created_ms = kii_engine_time(kii_json_str(j, "Created"));
	out->base = kii_xstrdup(base ? base : "");
	out->name = kii_xstrdup(name ? name : "");
	/* So says Podman of what has the builder's notes with it. */
	out->builder = is_word(first(j, "Command"), "buildah");
	return 0;
}

/* https://docs.podman.io/en/v4.3/_static/api.html: ContainerListLibpod, with "external" */
int kii_engine_working(struct kii_engine *e, struct kii_working **out, size_t *n,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *reply = NULL;
	const json_t *item;
	size_t i;

	*out = NULL;
	*n = 0;
	if (kii_engine_negotiate(e, err) != 0)
		return -1;
	if (!kii_engine_is_podman(e))
		return 0;
	c.plain = true;
	/* The filter is for the others alone, of which there may be many: it lets none through. */
	kii_call_path(&c, "/v4.0.0/libpod/containers/json?all=true&external=true");
	if (kii_call_label(&c, "kiisrv.none", "none", err) != 0)
		return -1;
	if (kii_call_json(e, &c, &reply, err) != 0)
		return -1;
	if (!json_is_array(reply))
		return kii_engine_odd("list", err);
	*out = kii_xcalloc(json_array_size(reply) + 1, sizeof(**out));
	json_array_foreach(reply, i, item) {
		if (!is_word(kii_json_str(item, "State"), "storage"))
			continue;
		if (read_working(item, &(*out)[*n], err) != 0) {
			kii_working_free(*out, *n);
			*out = NULL;
			*n = 0;
			return -1;
		}
		++*n;
	}
	return 0;
}

void kii_working_free(struct kii_working *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].base);
		free(list[i].name);
	}
	free(list);
}
