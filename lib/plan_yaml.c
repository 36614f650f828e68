/* SPDX-License-Identifier: MIT */
/* YAML of a project, as lib/yaml reads it. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "plan_files.h"
#include "yaml.h"

static json_t *scalar(struct fy_node *node)
{
	size_t len = 0;
	kii_autofree char *text = kii_yaml_text(node, &len);
	json_t *value = text && !fy_node_is_alias(node) && !memchr(text, '\0', len) ?
		json_stringn(text, len) : NULL;

	return value ? value : json_null();
}

/*
 * The library caps the nesting. Keys that are no texts are left out; whether one comes twice is
 * looked at here, since the library compares each with all others.
 */
static json_t *value_of(struct fy_node *node, bool *twice)
{
	void *at = NULL;
	struct fy_node_pair *pair;
	struct fy_node *item;
	json_t *all;

	if (!node)
		return json_null();
	if (fy_node_is_sequence(node)) {
		all = json_array();
		while ((item = fy_node_sequence_iterate(node, &at)))
			json_array_append_new(all, value_of(item, twice));
		return all;
	}
	if (!fy_node_is_mapping(node))
		return scalar(node);
	all = json_object();
	while ((pair = fy_node_mapping_iterate(node, &at))) {
		json_auto_t *key = fy_node_is_scalar(fy_node_pair_key(pair)) ?
			scalar(fy_node_pair_key(pair)) : NULL;

		if (!json_is_string(key))
			continue;
		*twice |= json_object_get(all, json_string_value(key)) != NULL;
		json_object_set_new(all, json_string_value(key),
			value_of(fy_node_pair_value(pair), twice));
	}
	return all;
}

/* Nothing but blank lines and comments: an empty file, which is no document. */
static bool is_empty(const char *text)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#')
			return !*text;
		text += strcspn(text, "\n");
	}
}

int kii_plan_yaml(const char *text, const char *path, json_t **out, struct kii_error *err)
{
	struct kii_yaml yaml;
	bool twice = false;
	int rc = 0;

	if (kii_yaml_open(text, path, &yaml, err) != 0)
		return -1;
	if (yaml.doc)
		*out = value_of(fy_document_root(yaml.doc), &twice);
	else if (is_empty(text))
		*out = json_object();
	else
		rc = kii_yaml_fault(&yaml, path, err);
	if (twice) {
		json_decref(*out);
		*out = NULL;
		rc = kii_error_field(err, path, "a key comes twice");
	}
	kii_yaml_close(&yaml);
	return rc;
}
