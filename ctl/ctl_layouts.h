/* SPDX-License-Identifier: MIT */
/* ctl_layouts: what the files of "kiisrvctl layouts" share. */
#ifndef KII_CTL_LAYOUTS_H
#define KII_CTL_LAYOUTS_H

#include "ctl.h"

#define CTL_LAYOUTS_IMPORT_ARGS "[--dry-run] DIR"

/* Take in a set of layouts: check all of it, then copy what is new or other. */
ctl_run ctl_layouts_import;

/*
 * Look at every layout of a folder by itself; what is wrong with one is added to `wrong`, an array
 * of {"file", "folder", "error", "field"?}. *n grows by the number of layouts. Fails as
 * kii_layouts_names.
 */
int ctl_layouts_look(const char *dir, json_t *wrong, size_t *n, struct kii_error *err)
	KII_MUST_CHECK;
/* Print the findings, "FOLDER/FILE: what is wrong", one a line. */
void ctl_layouts_print(const json_t *findings, const char *before);

#endif
