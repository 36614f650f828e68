/* SPDX-License-Identifier: MIT */
/* instance: which kiisrv a state folder is, for the labels of what it has in the engine. */
#ifndef KII_INSTANCE_H
#define KII_INSTANCE_H

#include "error.h"

#define KII_INSTANCE 16   /* hex digits */

/*
 * Read that of a state folder, which its worker makes at its first start. Fails: ENOTFOUND before
 * that; EIO, also where the file holds something else.
 */
int kii_instance_read(const char *state_dir, char out[KII_INSTANCE + 1], struct kii_error *err)
	KII_MUST_CHECK;

#endif
