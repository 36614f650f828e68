/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "conf.h"

#include <inttypes.h>
#include <string.h>

#include "conf_in.h"

/* A TOML string. Control characters cannot come up: they were refused. */
static void show_text(const char *text, struct kii_buf *out)
{
	kii_buf_char(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			kii_buf_char(out, '\\');
		kii_buf_char(out, *p);
	}
	kii_buf_char(out, '"');
}

static void show_number(double number, struct kii_buf *out)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", number);
	kii_buf_str(out, text);
}

static void show_list(char *const *items, size_t n, struct kii_buf *out)
{
	kii_buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		kii_buf_str(out, i ? ", " : "");
		show_text(items[i], out);
	}
	kii_buf_char(out, ']');
}

static void show_value(const struct kii_conf *conf, const struct kii_conf_key *key,
	struct kii_buf *out)
{
	const void *place = kii_conf_place(conf, key);
	kii_autofree char *amount = NULL;

	switch (key->type) {
	case KII_CONF_CHOICE:
		show_text(key->words[*(const bool *)place], out);
		break;
	case KII_CONF_BOOLEAN:
		kii_buf_str(out, *(const bool *)place ? "true" : "false");
		break;
	case KII_CONF_COUNT:
		kii_buf_fmt(out, "%" PRId64, *(const int64_t *)place);
		break;
	case KII_CONF_NUMBER:
		show_number(*(const double *)place, out);
		break;
	case KII_CONF_SIZE:
	case KII_CONF_DURATION:
		amount = kii_conf_amount(key->type, *(const int64_t *)place);
		show_text(amount, out);
		break;
	case KII_CONF_LAYOUTS:
		show_list(conf->paths.layouts, conf->paths.n_layouts, out);
		break;
	case KII_CONF_PATHS:
	case KII_CONF_CAPS:
		show_list(((const struct kii_conf_list *)place)->items,
			((const struct kii_conf_list *)place)->n, out);
		break;
	default:
		show_text(*(char *const *)place, out);
		break;
	}
}

static void show_images(const struct kii_conf *conf, struct kii_buf *out)
{
	const struct kii_base *image;

	for (size_t i = 0; (image = kii_bases_known(i)); i++) {
		const struct kii_base_set *set = kii_bases_find(&conf->images, image->name);
		kii_autobuf line = KII_BUF_INIT(1024);

		kii_buf_fmt(&line, "images.%s = ", image->name);
		show_text(set ? set->reference : image->reference, &line);
		kii_buf_fmt(out, "%-44s # from %s\n", line.data, set ? set->origin : "default");
	}
}

void kii_conf_show(const struct kii_conf *conf, struct kii_buf *out)
{
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];
		kii_autobuf line = KII_BUF_INIT(65536);

		kii_buf_fmt(&line, "%s.%s = ", key->table, key->name);
		show_value(conf, key, &line);
		kii_buf_fmt(out, "%-44s # from %s\n", line.data, conf->origins[i]);
	}
	show_images(conf, out);
	if (conf->docker.tls_verify)
		kii_buf_str(out, "# TLS to the engine; from environment DOCKER_TLS_VERIFY\n");
	if (conf->docker.cert_path)
		kii_buf_fmt(out, "# certificates in %s; from environment DOCKER_CERT_PATH\n",
			conf->docker.cert_path);
}

static json_t *amount_json(const struct kii_conf_key *key, int64_t value)
{
	if (key->type == KII_CONF_DURATION && value % 1000)
		return json_real((double)value / 1000);
	return json_integer(key->type == KII_CONF_DURATION ? value / 1000 : value);
}

static json_t *list_json(char *const *items, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(items[i]));
	return list;
}

static json_t *value_json(const struct kii_conf *conf, const struct kii_conf_key *key)
{
	const void *place = kii_conf_place(conf, key);

	switch (key->type) {
	case KII_CONF_CHOICE:
		return json_string(key->words[*(const bool *)place]);
	case KII_CONF_BOOLEAN:
		return json_boolean(*(const bool *)place);
	case KII_CONF_NUMBER:
		return json_real(*(const double *)place);
	case KII_CONF_COUNT:
	case KII_CONF_SIZE:
	case KII_CONF_DURATION:
		return amount_json(key, *(const int64_t *)place);
	case KII_CONF_LAYOUTS:
		return list_json(conf->paths.layouts, conf->paths.n_layouts);
	case KII_CONF_PATHS:
	case KII_CONF_CAPS:
		return list_json(((const struct kii_conf_list *)place)->items,
			((const struct kii_conf_list *)place)->n);
	default:
		return json_string(*(char *const *)place);
	}
}

/* Texts of the environment may be no UTF-8; they are null then, and the key is still there. */
static void add(json_t *keys, const char *name, json_t *value_taken, const char *origin)
{
	json_t *from = json_string(origin);

	json_object_set_new(keys, name, json_pack("{s:o, s:o}",
		"value", value_taken ? value_taken : json_null(),
		"from", from ? from : json_null()));
}

json_t *kii_conf_json(const struct kii_conf *conf)
{
	json_t *keys = json_object();
	const struct kii_base *image;
	json_t *file = conf->file ? json_string(conf->file) : NULL;

	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];
		kii_autofree char *name = kii_xfmt("%s.%s", key->table, key->name);

		add(keys, name, value_json(conf, key), conf->origins[i]);
	}
	for (size_t i = 0; (image = kii_bases_known(i)); i++) {
		const struct kii_base_set *set = kii_bases_find(&conf->images, image->name);
		kii_autofree char *name = kii_xfmt("images.%s", image->name);

		add(keys, name, json_string(set ? set->reference : image->reference),
			set ? set->origin : "default");
	}
	if (conf->docker.tls_verify)
		add(keys, "docker.tls_verify", json_true(), "environment DOCKER_TLS_VERIFY");
	if (conf->docker.cert_path)
		add(keys, "docker.cert_path", json_string(conf->docker.cert_path),
			"environment DOCKER_CERT_PATH");
	return json_pack("{s:o, s:o}", "file", file ? file : json_null(), "keys", keys);
}
