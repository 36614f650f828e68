/* SPDX-License-Identifier: MIT */
/* json_write: JSON as text, for lib/json.c alone. */
#ifndef KII_JSON_WRITE_H
#define KII_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "buf.h"

/*
 * Append compact text, as jansson's JSON_COMPACT, JSON_REAL_PRECISION(15) and, with `sorted`,
 * JSON_SORT_KEYS. `j` is not inside of itself. Past the buffer's limit it overflows.
 */
void kii_json_write(const json_t *j, bool sorted, struct kii_buf *out);

#endif
