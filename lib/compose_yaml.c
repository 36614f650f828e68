/* SPDX-License-Identifier: MIT */
/* compose_yaml: by libfyaml, but for aliases: the library would copy what they mean, boundless. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "compose.h"
#include "yaml.h"

#define VALUES_MAX 20000
#define DEPTH_MAX  32

struct reader {
	struct fy_document *doc;
	const char *file;
	size_t values;
	size_t bytes;            /* of all texts: each alias is a copy */
	struct kii_error *err;
};

static json_t *value_of(struct reader *r, struct fy_node *node, int depth);

static json_t *fail(struct reader *r, const char *why)
{
	kii_error_field(r->err, r->file, "%s", why);
	return NULL;
}

static bool is_null(struct fy_node *node, const char *text, size_t len)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	if (fy_node_get_style(node) != FYNS_PLAIN && fy_node_get_style(node) != FYNS_ANY)
		return false;
	for (size_t i = 0; i < KII_COUNT(words); i++)
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	return false;
}

/* NULL: there is none; false: there is no more room for it. */
static bool text_of(struct reader *r, struct fy_node *node, char **text, size_t *len)
{
	*text = kii_yaml_text(node, len);
	r->bytes += *text ? *len : 0;
	return r->bytes <= KII_COMPOSE_BYTES || fail(r, "it becomes too much text") != NULL;
}

static json_t *scalar(struct reader *r, struct fy_node *node)
{
	size_t len = 0;
	kii_autofree char *text = NULL;
	json_t *value;

	if (!text_of(r, node, &text, &len))
		return NULL;
	if (!text || is_null(node, text, len))
		return json_null();
	value = memchr(text, '\0', len) ? NULL : json_stringn(text, len);
	return value ? value : fail(r, "a text is no UTF-8");
}

static json_t *alias(struct reader *r, struct fy_node *node, int depth)
{
	size_t len = 0;
	kii_autofree char *name = NULL;
	struct fy_anchor *anchor;

	if (!text_of(r, node, &name, &len))
		return NULL;
	anchor = name ? fy_document_lookup_anchor(r->doc, name, len) : NULL;
	if (!anchor)
		return fail(r, "an alias has no anchor");
	return value_of(r, fy_anchor_node(anchor), depth);
}

static json_t *sequence(struct reader *r, struct fy_node *node, int depth)
{
	json_t *all = json_array();
	struct fy_node *item;
	void *at = NULL;

	while ((item = fy_node_sequence_iterate(node, &at))) {
		json_t *value = value_of(r, item, depth + 1);

		if (!value) {
			json_decref(all);
			return NULL;
		}
		json_array_append_new(all, value);
	}
	return all;
}

/* What "<<" has: a mapping, or several, of which the earlier goes before the later. */
static bool merge(struct reader *r, json_t *into, const json_t *from)
{
	const json_t *item;
	size_t i;

	if (json_is_object(from)) {
		json_object_update_missing(into, (json_t *)from);
		return true;
	}
	if (!json_is_array(from))
		return fail(r, "<< has no mapping") != NULL;
	json_array_foreach(from, i, item) {
		if (!json_is_object(item))
			return fail(r, "<< has no mapping") != NULL;
		json_object_update_missing(into, (json_t *)item);
	}
	return true;
}

static bool add_pair(struct reader *r, json_t *all, json_t **merged, struct fy_node_pair *pair,
	int depth)
{
	json_auto_t *key = fy_node_is_scalar(fy_node_pair_key(pair)) ?
		scalar(r, fy_node_pair_key(pair)) : NULL;
	json_auto_t *value = NULL;

	if (!json_is_string(key))
		return r->err->code ? false : fail(r, "a key is no text") != NULL;
	value = value_of(r, fy_node_pair_value(pair), depth + 1);
	if (!value)
		return false;
	if (strcmp(json_string_value(key), "<<") == 0) {
		json_array_append(*merged, value);
		return true;
	}
	if (json_object_get(all, json_string_value(key)))
		return fail(r, "a key comes twice") != NULL;
	json_object_set(all, json_string_value(key), value);
	return true;
}

static json_t *mapping(struct reader *r, struct fy_node *node, int depth)
{
	json_t *all = json_object();
	json_t *merged = json_array();
	struct fy_node_pair *pair;
	void *at = NULL;
	bool good = true;
	size_t i;
	const json_t *from;

	while (good && (pair = fy_node_mapping_iterate(node, &at)))
		good = add_pair(r, all, &merged, pair, depth);
	json_array_foreach(merged, i, from)
		good = good && merge(r, all, from);
	json_decref(merged);
	if (good)
		return all;
	json_decref(all);
	return NULL;
}

/* NULL with the error set. */
static json_t *value_of(struct reader *r, struct fy_node *node, int depth)
{
	if (++r->values > VALUES_MAX)
		return fail(r, "it has too many values");
	if (depth > DEPTH_MAX)
		return fail(r, "it is nested too deep");
	if (!node)
		return json_null();
	if (fy_node_is_alias(node))
		return alias(r, node, depth + 1);
	if (fy_node_is_sequence(node))
		return sequence(r, node, depth);
	if (fy_node_is_mapping(node))
		return mapping(r, node, depth);
	return scalar(r, node);
}

int kii_compose_yaml(const char *text, const char *file, json_t **out, struct kii_error *err)
{
	struct reader r = { .file = file, .err = err };
	struct kii_yaml yaml;

	if (kii_yaml_open(text, file, &yaml, err) != 0)
		return -1;
	r.doc = yaml.doc;
	*out = r.doc ? value_of(&r, fy_document_root(r.doc), 0) : NULL;
	if (!r.doc)
		kii_yaml_fault(&yaml, file, err);
	kii_yaml_close(&yaml);
	return *out ? 0 : -1;
}
