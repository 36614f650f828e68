/* SPDX-License-Identifier: MIT */
/* kll_check: everything that can be wrong with a request, found before anything is made of it. */
#ifndef KII_KLL_CHECK_H
#define KII_KLL_CHECK_H

#include "kll_board.h"

/* What the checks allow at most. */
#define KII_KLL_KEYS   1000  /* in the matrix */
#define KII_KLL_HEADER 1000  /* bytes of a header's value: it is repeated in every file */
#define KII_KLL_NAME   64    /* characters of Layout */
#define KII_KLL_WORD   255   /* of an animation's name: it is repeated before every frame */

/*
 * Check the whole document and say what it asks for. `out` borrows from `request` and `layouts`;
 * caller releases it. Fails: EINVAL naming the member.
 */
int kii_kll_check(const json_t *request, enum kii_dialect dialect,
	const struct kii_layouts *layouts, struct kii_kll_source *out, struct kii_error *err)
	KII_MUST_CHECK;
void kii_kll_source_release(struct kii_kll_source *source);

/* A define whose name and value are both empty: the client's fresh row. It is left out. */
bool kii_kll_define_is_empty(const json_t *define);

#endif
