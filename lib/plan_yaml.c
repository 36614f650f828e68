/* SPDX-License-Identifier: MIT */
/* YAML of a project, by libfyaml; nothing else of plans knows that library. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "plan_files.h"
#include "yaml.h"

static void free_document(struct fy_document **doc)
{
	if (*doc)
		fy_document_destroy(*doc);
}

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

/* The first thing that the library has to say, or false when it says nothing. */
static bool first_error(struct fy_diag *diag, const char *path, struct kii_error *err)
{
	void *at = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

	if (!e)
		return false;
	kii_error_field(err, path, "line %d, column %d: %s", e->line + 1, e->column + 1,
		e->msg ? e->msg : "is no YAML");
	return true;
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
	struct fy_diag_cfg quiet;
	struct fy_diag *diag;
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
		FYPCF_ALLOW_DUPLICATE_KEYS };
	__attribute__((cleanup(free_document))) struct fy_document *doc = NULL;
	bool twice = false;
	int rc = 0;

	/* The library does not come to an end with some texts that are none. */
	if (!kii_json_is_utf8(text, strlen(text)))
		return kii_error_field(err, path, "is no UTF-8");
	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	diag = fy_diag_create(&quiet);
	if (!diag)
		return kii_error_set(err, KII_EIO, 0, "%s: YAML cannot be read now", path);
	fy_diag_set_collect_errors(diag, true);
	cfg.diag = diag;
	doc = fy_document_build_from_string(&cfg, text, strlen(text));
	if (!doc) {
		if (is_empty(text))
			*out = json_object();
		else if (first_error(diag, path, err))
			rc = -1;
		else
			rc = kii_error_field(err, path, "is no YAML");
	} else {
		*out = value_of(fy_document_root(doc), &twice);
	}
	if (twice) {
		json_decref(*out);
		*out = NULL;
		rc = kii_error_field(err, path, "a key comes twice");
	}
	fy_diag_destroy(diag);
	return rc;
}
