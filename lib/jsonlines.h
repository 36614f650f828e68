/* SPDX-License-Identifier: MIT */
/*
 * jsonlines: a stream of JSON documents, one a line, as the engine tells of long work. Fed in
 * pieces of any size; a line is capped.
 */
#ifndef KII_JSONLINES_H
#define KII_JSONLINES_H

#include <jansson.h>

#include "buf.h"

#define KII_JSONLINES_MAX (1u << 20)   /* of a line */

struct kii_jsonlines {
	struct kii_buf line;
};

/* A document, borrowed. -1 with `err` ends the feeding. */
typedef int kii_jsonlines_take(void *arg, const json_t *document, struct kii_error *err);

void kii_jsonlines_init(struct kii_jsonlines *l);
void kii_jsonlines_release(struct kii_jsonlines *l);

/* Blank lines are skipped. Fails: EBROKEN for a line that is no JSON or too long; as `take`. */
int kii_jsonlines_feed(struct kii_jsonlines *l, const char *data, size_t len,
	kii_jsonlines_take *take, void *arg, struct kii_error *err) KII_MUST_CHECK;

/* At the stream's end: what stands behind the last line end counts as a line. Fails as feed. */
int kii_jsonlines_end(struct kii_jsonlines *l, kii_jsonlines_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

#endif
