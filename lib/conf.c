/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf_in.h"
#include "io.h"
#include "toml.h"

#define IMAGES "images"      /* the table whose keys are those of the detectors */
#define INSTALLED KII_SYSCONFDIR "/kiisrv.toml"

static void free_list(struct kii_conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
}

void kii_conf_free(struct kii_conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < KII_CONF_LAYOUTS_MAX; i++)
		free(conf->paths.layouts[i]);
	for (size_t i = 0; i < kii_conf_n_keys; i++)
		free(conf->origins[i]);
	free(conf->origins);
	kii_bases_release(&conf->images);
	free(conf->file);
	free(conf->docker.socket_path);
	free(conf->docker.cert_path);
	free(conf->docker.build_dir);
	free(conf->paths.state_dir);
	free(conf->paths.run_dir);
	free(conf->paths.secrets);
	free(conf->firmware.image_prefix);
	free(conf->firmware.git_url);
	free(conf->build.known_hosts);
	free(conf->build.source_network);
	free_list(&conf->containers.bind_roots);
	free_list(&conf->containers.capabilities);
	free_list(&conf->containers.devices);
	free(conf);
}

static void conf_cleanup(struct kii_conf **conf)
{
	kii_conf_free(*conf);
}

void kii_conf_note_take(struct kii_conf *conf, const struct kii_conf_key *key, char *origin)
{
	char **place = &conf->origins[key - kii_conf_keys];

	free(*place);
	*place = origin;
}

/* The defaults take the way of the file's values: one reader, one check, one form. */
static int set_presets(struct kii_conf *conf, struct kii_error *err)
{
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];
		kii_autofree char *text = NULL;
		kii_autotoml *root = NULL;

		kii_conf_note_take(conf, key, kii_xstrdup("default"));
		if (!key->preset)
			continue;
		text = kii_xfmt("value = %s", key->preset);
		if (kii_toml_parse(text, strlen(text), "default", &root, err) != 0 ||
		    kii_conf_set(conf, key, kii_toml_get(root, "value"), err) != 0)
			return -1;
	}
	return 0;
}

/* The names of all tables, or of one table's keys: "a, b, c". */
static void list_names(const char *table, struct kii_buf *out)
{
	const char *last = "";

	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];
		const char *name = table ? key->name : key->table;

		if ((table && strcmp(key->table, table) != 0) || strcmp(name, last) == 0)
			continue;
		kii_buf_fmt(out, "%s%s", out->len ? ", " : "", name);
		last = name;
	}
	if (!table)
		kii_buf_fmt(out, ", %s", IMAGES);
}

static bool is_table(const char *name)
{
	if (strcmp(name, IMAGES) == 0)
		return true;
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		if (strcmp(kii_conf_keys[i].table, name) == 0)
			return true;
	}
	return false;
}

/* Names of ours hold no NUL, so a key that does is none of ours. */
static bool is_text(const struct kii_toml *member)
{
	return strlen(member->key) == member->key_len;
}

static int set_member(struct kii_conf *conf, const char *table, const struct kii_toml *member,
	struct kii_error *err)
{
	const struct kii_conf_key *key = is_text(member) ? kii_conf_find(table, member->key) : NULL;
	int line = member->line;
	int column = member->column;

	if (!key) {
		kii_autobuf names = KII_BUF_INIT(256);
		struct kii_toml_shown room;
		kii_autofree char *field = kii_xfmt("%s.%s", table,
			kii_toml_show(&room, member->key, member->key_len));

		list_names(table, &names);
		kii_error_field(err, field, "unknown key; %s has %s", table, names.data);
		line = member->key_line;
		column = member->key_column;
	} else if (kii_conf_set(conf, key, member, err) == 0) {
		kii_conf_note_take(conf, key, kii_xfmt("%s:%d", conf->file, member->key_line));
		return 0;
	}
	return kii_error_wrap(err, "%s:%d:%d", conf->file, line, column);
}

static int set_image(struct kii_conf *conf, const struct kii_toml *member, struct kii_error *err)
{
	kii_autofree char *origin = kii_xfmt("%s:%d", conf->file, member->key_line);
	struct kii_toml_shown room;
	const char *name = kii_toml_show(&room, member->key, member->key_len);
	kii_autofree char *field = kii_xfmt("%s.%s", IMAGES, name);
	int line = member->key_line;
	int column = member->key_column;

	if (member->type != KII_TOML_STRING || strlen(member->text) != member->len) {
		kii_error_field(err, field, "must be the name of an image, not %s",
			kii_toml_type_name(member->type));
		line = member->line;
		column = member->column;
	} else if (kii_bases_set(&conf->images, is_text(member) ? member->key : name,
	    member->text, origin, err) == 0) {
		return 0;
	}
	return kii_error_wrap(err, "%s:%d:%d", conf->file, line, column);
}

static int set_table(struct kii_conf *conf, const struct kii_toml *table, struct kii_error *err)
{
	struct kii_toml_shown room;
	const char *name = kii_toml_show(&room, table->key, table->key_len);

	if (!is_text(table) || !is_table(table->key)) {
		kii_autobuf names = KII_BUF_INIT(256);

		list_names(NULL, &names);
		kii_error_field(err, name, "unknown table; known are %s", names.data);
	} else if (table->type != KII_TOML_TABLE) {
		kii_error_field(err, name, "must be a table, not %s",
			kii_toml_type_name(table->type));
	} else {
		for (size_t i = 0; i < table->n; i++) {
			if (strcmp(table->key, IMAGES) == 0 ?
			    set_image(conf, table->items[i], err) != 0 :
			    set_member(conf, table->key, table->items[i], err) != 0)
				return -1;
		}
		return 0;
	}
	return kii_error_wrap(err, "%s:%d:%d", conf->file, table->key_line, table->key_column);
}

static int read_file(struct kii_conf *conf, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(KII_TOML_SIZE);
	kii_autotoml *root = NULL;

	if (kii_io_read(conf->file, &text, err) != 0 ||
	    kii_toml_parse(text.data, text.len, conf->file, &root, err) != 0)
		return -1;
	for (size_t i = 0; i < root->n; i++) {
		if (set_table(conf, root->items[i], err) != 0)
			return -1;
	}
	return 0;
}

int kii_conf_load(const char *file, struct kii_conf **out, struct kii_error *err)
{
	__attribute__((cleanup(conf_cleanup))) struct kii_conf *conf = NULL;
	const char *named = getenv("KIISRV_CONFIG");

	conf = kii_xcalloc(1, sizeof(*conf));
	conf->origins = kii_xcalloc(kii_conf_n_keys, sizeof(*conf->origins));
	if (set_presets(conf, err) != 0)
		return -1;
	if (!file && named && *named)
		file = named;
	conf->file = kii_xstrdup(file ? file : INSTALLED);
	if (read_file(conf, err) != 0) {
		if (file || err->code != KII_ENOTFOUND)
			return -1;
		kii_error_clear(err);
		free(conf->file);
		conf->file = NULL;
	}
	if (kii_conf_complete(conf, err) != 0)
		return -1;
	*out = kii_steal(&conf);
	return 0;
}
