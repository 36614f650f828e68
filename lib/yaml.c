/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "yaml.h"

#include <stdbool.h>
#include <string.h>

#include "buf.h"
#include "json.h"

#define TEXT_MAX    (16u << 20)   /* no reader takes a file as large */
#define ANCHORS_MAX 5000

/* Places where one may begin: in quotes it may be none, but no file has as many of either. */
static bool has_many_anchors(const char *text)
{
	size_t n = 0;

	for (const char *p = strchr(text, '&'); p && n <= ANCHORS_MAX; p = strchr(p + 1, '&'))
		n += p == text || strchr(" \t\r\n[{,:", p[-1]);
	return n > ANCHORS_MAX;
}

int kii_yaml_open(const char *text, const char *file, struct kii_yaml *out, struct kii_error *err)
{
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
		FYPCF_ALLOW_DUPLICATE_KEYS };
	struct fy_diag_cfg quiet;

	if (!kii_json_is_utf8(text, strlen(text)))
		return kii_error_field(err, file, "is no UTF-8");
	if (has_many_anchors(text))
		return kii_error_field(err, file, "has too many anchors");
	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	cfg.diag = fy_diag_create(&quiet);
	if (!cfg.diag)
		return kii_error_set(err, KII_EIO, 0, "%s: YAML cannot be read now", file);
	fy_diag_set_collect_errors(cfg.diag, true);
	out->diag = cfg.diag;
	out->doc = fy_document_build_from_string(&cfg, text, strlen(text));
	return 0;
}

int kii_yaml_fault(const struct kii_yaml *y, const char *file, struct kii_error *err)
{
	void *at = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(y->diag, &at);

	if (!e)
		return kii_error_field(err, file, "is no YAML");
	return kii_error_field(err, file, "line %d, column %d: %s", e->line + 1, e->column + 1,
		e->msg ? e->msg : "is no YAML");
}

void kii_yaml_close(struct kii_yaml *y)
{
	fy_document_destroy(y->doc);
	fy_diag_destroy(y->diag);
}

char *kii_yaml_text(struct fy_node *node, size_t *len)
{
	struct fy_token *token = fy_node_get_scalar_token(node);
	struct fy_token_iter *at = token ? fy_token_iter_create(token) : NULL;
	kii_autobuf out = KII_BUF_INIT(TEXT_MAX);
	const struct fy_iter_chunk *piece = NULL;
	int failed = 0;

	if (!at)
		return NULL;
	while ((piece = fy_token_iter_chunk_next(at, piece, &failed)))
		kii_buf_add(&out, piece->str, piece->len);
	fy_token_iter_destroy(at);
	if (failed || out.overflow)
		return NULL;
	*len = out.len;
	return kii_buf_steal(&out);
}
