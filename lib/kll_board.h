/* SPDX-License-Identifier: MIT */
/* kll_board: the keyboards that can be built, and what a checked request says about its own. */
#ifndef KII_KLL_BOARD_H
#define KII_KLL_BOARD_H

#include <stdbool.h>

#include "kll.h"

struct kii_board {
	const char *name;              /* compared without case */
	const char *script;
	const char *extra_map;         /* goes before each map of ours */
	bool split;                    /* two halves, two builds, one zip */
	bool by_code;                  /* keys are matched with the base's by scan code */
	const char *const *variants;   /* NULL-terminated */
};

/* The row of `name` without regard to case, or NULL. */
const struct kii_board *kii_board_find(const char *name);

/* Is `variant` one that the board's script knows? Case matters to the script. */
bool kii_board_has_variant(const struct kii_board *board, const char *variant);

/* A request that passed the checks. Members of `config` are borrowed from the request. */
struct kii_kll_source {
	enum kii_dialect dialect;
	const json_t *config;
	const struct kii_board *board;
	const struct kii_layout *base;
	char *name;        /* the header's Name, Variant and Layout, spaces made underscores */
	char *variant;
	char *layout;
	size_t n_layers;
};

bool kii_dialect_is_lts(enum kii_dialect dialect);
bool kii_dialect_is_reference(enum kii_dialect dialect);

/* The base's text for the key at place `i` of the matrix; NULL where the base has no such key. */
const char *kii_kll_trigger(const struct kii_kll_source *source, size_t i, const json_t *key);

/* DefaultMapOverride and PartialMapsExpandedOverride from the names of k->files. */
void kii_kll_overrides(const struct kii_kll_source *source, struct kii_kll *k);

#endif
