/* SPDX-License-Identifier: MIT */
/* zip: small archives made by libarchive, the same bytes for the same files. */
#ifndef KII_ZIP_H
#define KII_ZIP_H

#include <stddef.h>

#include "error.h"

struct kii_zip_file {
	const char *name;
	const void *data;
	size_t len;
};

/* Write a zip of these files to an open descriptor. Fails: EIO. */
int kii_zip_write(int fd, const struct kii_zip_file *files, size_t n, struct kii_error *err)
	KII_MUST_CHECK;

#endif
