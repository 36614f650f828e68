/* SPDX-License-Identifier: MIT */
/* yaml: what the two readers of YAML share of libfyaml. */
#ifndef KII_YAML_H
#define KII_YAML_H

#include <libfyaml.h>
#include <stddef.h>

/*
 * The text of a scalar or the name of an alias; may hold NUL, and one is behind it. Caller frees;
 * NULL: there is none. The library's own fy_node_get_scalar loses memory (16 MiB by a text of
 * 200,000 escaped quotes), and of some folded texts gives memory that it never wrote to.
 */
char *kii_yaml_text(struct fy_node *node, size_t *len);

#endif
