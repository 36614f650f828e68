/* SPDX-License-Identifier: MIT */
/* yaml: what the two readers of YAML share of libfyaml. */
#ifndef KII_YAML_H
#define KII_YAML_H

#include <libfyaml.h>
#include <stddef.h>

#include "error.h"

struct kii_yaml {
	struct fy_diag *diag;
	struct fy_document *doc;   /* NULL: the text is none */
};

/*
 * Read a text; what is wrong with it is kept for kii_yaml_fault. The library does not come to an
 * end with some texts that are no UTF-8, and goes through all anchors for each (90,000 take 13 s):
 * such texts are refused. Fails, with nothing to close: EINVAL in the name of `file`; EIO.
 */
int kii_yaml_open(const char *text, const char *file, struct kii_yaml *out, struct kii_error *err)
	KII_MUST_CHECK;
/* EINVAL with the line and column of the first fault. Always -1. */
int kii_yaml_fault(const struct kii_yaml *y, const char *file, struct kii_error *err);
void kii_yaml_close(struct kii_yaml *y);

/*
 * The text of a scalar or the name of an alias; may hold NUL, and one is behind it. Caller frees;
 * NULL: there is none. The library's own fy_node_get_scalar loses memory (16 MiB by a text of
 * 200,000 escaped quotes), and of some folded texts gives memory that it never wrote to.
 */
char *kii_yaml_text(struct fy_node *node, size_t *len);

#endif
