/* SPDX-License-Identifier: MIT */
/* kll_text: the text of the KLL files, byte for byte. */
#ifndef KII_KLL_TEXT_H
#define KII_KLL_TEXT_H

#include "kll_board.h"

#define KII_KLL_FILE_MAX (8u << 20)  /* bytes of one file */

/* Fill k->files and k->n_files. Fails: ETOOBIG; what is filled in stays the caller's to free. */
int kii_kll_files(const struct kii_kll_source *source, struct kii_kll *k, struct kii_error *err)
	KII_MUST_CHECK;

#endif
