/* SPDX-License-Identifier: MIT */
/*
 * secret: credentials that lie in files of a folder of their own and are told nobody. Requests name
 * them; what is in them goes neither into a database nor into a log or a command line.
 */
#ifndef KII_SECRET_H
#define KII_SECRET_H

#include "buf.h"

#define KII_SECRET_MAX (64u << 10)

/* Forget the bytes, then release the buffer. */
void kii_secret_release(struct kii_buf *secret);
#define kii_autosecret __attribute__((cleanup(kii_secret_release))) struct kii_buf

/*
 * The file `name` of folder `dir`, into `out` (empty, of limit KII_SECRET_MAX). It must be a
 * regular file of root's or of this process's user, which the group cannot write and others cannot
 * touch. Fails: EINVAL with `field`: no name of a secret ([a-z0-9][a-z0-9_.-]{0,62}), no such one,
 * a file that is not as it must be; EIO.
 */
int kii_secret_read(const char *dir, const char *name, const char *field, struct kii_buf *out,
	struct kii_error *err) KII_MUST_CHECK;

#endif
