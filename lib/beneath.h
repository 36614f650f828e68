/* SPDX-License-Identifier: MIT */
/*
 * beneath: opening what lies below a folder of strangers' files. The kernel itself sees to it that
 * neither "..", nor an absolute path, nor a link on the way leads out of it.
 */
#ifndef KII_BENEATH_H
#define KII_BENEATH_H

#include "buf.h"

/*
 * Open `path` ("" or ".": the folder itself) below `dir` with open's flags; links that stay inside
 * are followed. Fails: EINVAL with `field` (it leads out, it is a link to nowhere good, it is no
 * folder where one is needed), ENOTFOUND, EIO.
 */
int kii_beneath_open(int dir, const char *path, int flags, const char *field, int *fd,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Append the bytes of a regular file; *real (NULL: not asked) becomes where it really lies, as
 * kii_beneath_real has it. Fails as kii_beneath_open; EINVAL for what is no regular file, ETOOBIG
 * past the buffer's limit.
 */
int kii_beneath_read(int dir, const char *path, const char *field, struct kii_buf *out,
	char **real, struct kii_error *err) KII_MUST_CHECK;

/*
 * `path` as a person wrote it, seen from folder `base` ("": the top), in its one form: relative,
 * without ".", ".." and empty parts, "" for the top itself. Caller frees. Fails: EINVAL with
 * `field` (absolute, it leads out by its "..", a control character, too long).
 */
int kii_beneath_clean(const char *base, const char *path, const char *field, char **out,
	struct kii_error *err) KII_MUST_CHECK;

/* Where the open file `fd` really lies below `dir`, links resolved. Caller frees. Fails: EIO. */
int kii_beneath_real(int dir, int fd, char **out, struct kii_error *err) KII_MUST_CHECK;

#endif
