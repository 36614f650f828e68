/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "yaml.h"

#include "buf.h"

#define TEXT_MAX (16u << 20)   /* no reader takes a file as large */

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
