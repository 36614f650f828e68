/* SPDX-License-Identifier: MIT */
/*
 * archive_check: a stranger's archive (tar, also packed with gzip, xz or zstd, or zip) into a
 * folder of its own. Nothing of it is trusted: no entry may leave the folder, by its name or by a
 * link; there are no hard links, devices and pipes; no rights but those of plain files; all sizes
 * have caps. The library never follows a link in the folder while it writes.
 */
#ifndef KII_ARCHIVE_CHECK_H
#define KII_ARCHIVE_CHECK_H

#include <stdatomic.h>
#include <stdint.h>

#include "error.h"

struct kii_archive_limits {
	int64_t entries;         /* 0: no cap, as all of them */
	int64_t bytes;           /* of all files, unpacked */
	int64_t ratio;           /* unpacked to packed, once it is 8 MiB */
	const atomic_bool *stop; /* ends it with ETIMEOUT; or NULL */
};

struct kii_archive_totals { int64_t entries, files, bytes; };

/*
 * Unpack the file of descriptor `fd` (from its start; a regular file) into `dir`, which is made and
 * must not be there. Whatever fails, `dir` is gone. *totals may be NULL. Fails: EINVAL with field
 * "archive" (no archive, a damaged one, an entry that may not be), ETOOBIG, ECONFLICT (`dir` is
 * there), ETIMEOUT (stop), EIO.
 */
int kii_archive_unpack(int fd, const char *dir, const struct kii_archive_limits *limits,
	struct kii_archive_totals *totals, struct kii_error *err) KII_MUST_CHECK;

#endif
