/* SPDX-License-Identifier: MIT */
/*
 * upload: archives that an operator has sent, until a build wants them: files in a folder of the
 * state's, named by their ids. They go a day after they came.
 */
#ifndef KII_UPLOAD_H
#define KII_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define KII_UPLOAD_ID 32       /* hex digits */
#define KII_UPLOAD_AGE_MS INT64_C(86400000)

/*
 * A new file to write to, *fd (the caller's); `id` gets its name. It is not there for others before
 * kii_upload_done. Fails: EIO.
 */
int kii_upload_begin(const char *state_dir, char id[KII_UPLOAD_ID + 1], int *fd,
	struct kii_error *err) KII_MUST_CHECK;
/* It is whole (`good`), or shall go. Fails: EIO. */
int kii_upload_done(const char *state_dir, const char *id, bool good, struct kii_error *err)
	KII_MUST_CHECK;

/* For reading; *fd is the caller's. Fails: ENOTFOUND, EIO. */
int kii_upload_open(const char *state_dir, const char *id, int *fd, struct kii_error *err)
	KII_MUST_CHECK;

/* Remove those that came before `before` (ms since 1970). */
void kii_upload_collect(const char *state_dir, int64_t before);

#endif
