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

struct found {
	struct kii_working *all;
	size_t n, cap;
};

static int add_listed(void *arg, const json_t *entry, struct kii_error *err)
{
	struct found *f = arg;

	if (!is_word(kii_json_str(entry, "State"), "storage"))
		return 0;
	f->all = kii_xgrow(f->all, f->n, &f->cap, sizeof(*f->all));
	if (read_working(entry, &f->all[f->n], err) != 0)
		return -1;
	f->n++;
	return 0;
}

/* https://docs.podman.io/en/v4.3/_static/api.html: ContainerListLibpod, with "external" */
int kii_engine_working(struct kii_engine *e, struct kii_working **out, size_t *n,
	struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	struct found found = { 0 };

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
	if (kii_call_list(e, &c, add_listed, &found, err) != 0) {
		kii_working_free(found.all, found.n);
		return -1;
	}
	*out = found.all;
	*n = found.n;
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
