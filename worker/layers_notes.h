/* SPDX-License-Identifier: MIT */
/* layers_notes: what the two halves of layers share: layers.c notes, layers_collect.c collects. */
#ifndef KII_LAYERS_NOTES_H
#define KII_LAYERS_NOTES_H

#include "layers.h"

struct layers_note {
	char id[KII_MADE_DIGITS + 1];
	int64_t since;           /* ms since 1970: it is ours if it was made then or later */
	int64_t used;
	bool gone;               /* found out by who collects */
};

struct layers_list {
	struct layers_note *notes;       /* by their IDs */
	size_t n;
};

struct kii_layer;
/*
 * Is this image the one that is meant? Of two whose IDs begin alike a note means either; it is the
 * younger one's at least.
 */
bool layers_means(const struct layers_note *note, const struct kii_layer *image);

/* A copy, and when the oldest build that runs has begun (INT64_MAX: none runs). Caller frees. */
void layers_copy(struct layers *l, struct layers_list *out, int64_t *oldest);
struct layers_note *layers_find(const struct layers_list *list, const char *id);
/* Forget those that are gone by the list, unless they were used meanwhile. */
void layers_forget(struct layers *l, const struct layers_list *list);

#endif
