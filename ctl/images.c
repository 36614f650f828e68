/* SPDX-License-Identifier: MIT */
/* kiisrvctl images: what the versions are built with, and whether the engine has it. */
#include <config.h>

#include "ctl_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

/* All that is listed: the containers of versions and the images that were seen. */
struct listing {
	struct kii_version *versions;
	size_t n_versions;
	struct kii_version_image *images;
	size_t n_images;
	const char *prefix;
	struct ctl_table table;
	json_t *all;             /* NULL: the table is wanted */
};

int ctl_images_open(const struct kii_conf *conf, struct kii_versions **v, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/queue/config.sqlite", conf->paths.state_dir);

	return kii_versions_open(path, KII_STORE_READ, v, err);
}

char *ctl_images_id(const char *digest)
{
	const char *colon = strchr(digest, ':');

	return kii_xfmt("%.12s", colon ? colon + 1 : digest);
}

static const struct kii_version_image *image_of(const struct listing *l, const char *container)
{
	for (size_t i = 0; i < l->n_images; i++) {
		if (strcmp(l->images[i].container, container) == 0)
			return &l->images[i];
	}
	return NULL;
}

static json_t *names_of(const struct listing *l, const char *container)
{
	json_t *names = json_array();

	for (size_t i = 0; i < l->n_versions; i++) {
		if (strcmp(l->versions[i].container, container) == 0)
			json_array_append_new(names, json_string(l->versions[i].name));
	}
	return names;
}

static void add_json(struct listing *l, const char *container, const char *tag)
{
	const struct kii_version_image *image = image_of(l, container);
	kii_autofree char *name = kii_xfmt("%s%s:latest", l->prefix, container);
	json_t *o = json_object();

	kii_json_set_str(o, "image", name);
	kii_json_set_str(o, "container", container);
	json_object_set_new(o, "versions", names_of(l, container));
	kii_json_set_str(o, "git_tag", tag);
	json_object_set_new(o, "present", json_boolean(image != NULL));
	kii_json_set_str(o, "id", image ? image->digest : NULL);
	json_object_set_new(o, "size", image ? json_integer(image->size) : json_null());
	json_object_set_new(o, "created", image ? json_integer(image->created) : json_null());
	json_array_append_new(l->all, o);
}

static void add_row(struct listing *l, const char *container)
{
	const struct kii_version_image *image = image_of(l, container);
	kii_autojson *names = names_of(l, container);
	kii_autobuf text = KII_BUF_INIT(4096);

	for (size_t i = 0; i < json_array_size(names); i++)
		kii_buf_fmt(&text, "%s%s", i ? ", " : "",
			json_string_value(json_array_get(names, i)));
	ctl_table_take(&l->table, kii_xfmt("%s%s:latest", l->prefix, container));
	ctl_table_take(&l->table, image ? ctl_images_id(image->digest) : kii_xstrdup("missing"));
	ctl_table_take(&l->table, image ? ctl_bytes(image->size) : kii_xstrdup("-"));
	ctl_table_take(&l->table, ctl_time(image ? image->created : 0));
	ctl_table_add(&l->table, text.len ? text.data : NULL);
}

static void add(struct listing *l, const char *container, const char *tag)
{
	if (l->all)
		add_json(l, container, tag);
	else
		add_row(l, container);
}

/* Versions share a container: it is told once, where it comes first. */
static bool told_before(const struct listing *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(l->versions[i].container, l->versions[n].container) == 0)
			return true;
	}
	return false;
}

static bool has_version(const struct listing *l, const char *container)
{
	for (size_t i = 0; i < l->n_versions; i++) {
		if (strcmp(l->versions[i].container, container) == 0)
			return true;
	}
	return false;
}

static void print(struct listing *l, bool json)
{
	static const char *const heads[] = { "IMAGE", "ID", "SIZE", "CREATED", "VERSIONS" };

	l->all = json ? json_array() : NULL;
	ctl_table_init(&l->table, KII_COUNT(heads));
	for (size_t i = 0; i < KII_COUNT(heads); i++)
		ctl_table_add(&l->table, heads[i]);
	for (size_t i = 0; i < l->n_versions; i++) {
		if (!told_before(l, i))
			add(l, l->versions[i].container, l->versions[i].git_tag);
	}
	for (size_t i = 0; i < l->n_images; i++) {
		if (!has_version(l, l->images[i].container))
			add(l, l->images[i].container, NULL);
	}
	if (json)
		ctl_print_json(l->all);
	else
		ctl_table_print(&l->table, stdout);
	json_decref(l->all);
	ctl_table_release(&l->table);
}

static int list_all(struct ctl *ctl, int argc, char **argv)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	struct kii_versions *v = NULL;
	struct listing l = { .prefix = "" };

	if (argc != 1)
		return ctl_usage("images %s takes no arguments", argv[0]);
	if (kii_conf_load(ctl->config_file, &conf, &err) == 0 &&
	    ctl_images_open(conf, &v, &err) == 0 &&
	    kii_versions_list(v, &l.versions, &l.n_versions, &err) == 0 &&
	    kii_versions_images(v, &l.images, &l.n_images, &err) == 0) {
		l.prefix = conf->firmware.image_prefix;
		print(&l, ctl->json);
	}
	kii_version_list_free(l.versions, l.n_versions);
	kii_version_images_free(l.images, l.n_images);
	kii_versions_close(v);
	kii_conf_free(conf);
	return err.code == KII_OK ? CTL_OK : ctl_fail_as_asked(ctl, &err);
}

const struct ctl_command ctl_images[] = {
	{ "list", NULL, "Print the images that versions need, and which of them the engine has",
		list_all },
	{ "build", CTL_IMAGES_BUILD_ARGS, "Build a release's image, or that of \"fetch\"",
		ctl_images_build },
	{ "all", CTL_IMAGES_ALL_ARGS, "Print all images of the engine, or all tags of one name",
		ctl_images_all },
	{ "show", CTL_IMAGES_ONE_ARGS, "Print all that is known of an image", ctl_images_show },
	{ "tag", CTL_IMAGES_TAG_ARGS, "Give an image a further name", ctl_images_tag },
	{ "remove", CTL_IMAGES_REMOVE_ARGS, "Take a name from an image, or remove it with its last",
		ctl_images_remove },
	{ "prune", CTL_IMAGES_PRUNE_ARGS, "Remove what this server made and nothing uses",
		ctl_images_prune },
	{ "pull", CTL_IMAGES_TRANSFER_ARGS, "Have an image fetched; prints the job",
		ctl_images_pull },
	{ "push", CTL_IMAGES_TRANSFER_ARGS, "Have an image sent to its registry; prints the job",
		ctl_images_push },
	{ NULL },
};
