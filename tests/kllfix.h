/* SPDX-License-Identifier: MIT */
/* kllfix: small keyboards and valid requests for them, to be made wrong by the tests. */
#ifndef KII_KLLFIX_H
#define KII_KLLFIX_H

#include "json.h"
#include "kll.h"
#include "testlib.h"

/*
 * Base layouts "<Name>-Mini.json" of every board that can be built: three keys 0x00, 0x01, 0x02
 * whose triggers are ESC, 1 and CONS:PLAY. WhiteFox has "WhiteFox-Mini.lts.json", too: 0x02 is
 * missing and 0x01 is ONE there.
 */
struct kii_layouts *kllfix_layouts(void);

/* A valid request for that board: keys A, SYS:SLEEP and #:raw() on layer 0. */
json_t *kllfix_request(const char *name);

/* JSON text as a value; caller owns it. */
json_t *kllfix_json(const char *text);

/* Set the value at a path such as "config.matrix[1].layers.0.key" to JSON text; NULL deletes. */
void kllfix_set(json_t *root, const char *path, const char *text);

#endif
