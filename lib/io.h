/* SPDX-License-Identifier: MIT */
/* io: whole files, folders, clocks. */
#ifndef KII_IO_H
#define KII_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

/* Append the file's bytes to `out`. Fails: ENOTFOUND, EIO, ETOOBIG (past the buffer's limit). */
int kii_io_read(const char *path, struct kii_buf *out, struct kii_error *err) KII_MUST_CHECK;

/* Write all of `len` bytes to a descriptor. Fails: EIO with errno. */
int kii_io_write_all(int fd, const void *data, size_t len, struct kii_error *err) KII_MUST_CHECK;

/* Make `path` hold exactly these bytes: temporary file, fsync, rename. Never half-written. */
int kii_io_publish(const char *path, const void *data, size_t len, mode_t mode,
	struct kii_error *err) KII_MUST_CHECK;

/* Make the folder and its parents. An existing one is success. */
int kii_io_mkdirs(const char *path, mode_t mode, struct kii_error *err) KII_MUST_CHECK;

/* Remove a folder and all below it, links not followed. A missing one is success. */
int kii_io_remove_tree(const char *path, struct kii_error *err) KII_MUST_CHECK;

/* Bytes that an unprivileged user could still write where `path` lies. Fails: EIO. */
int kii_io_free(const char *path, uint64_t *bytes, struct kii_error *err) KII_MUST_CHECK;

/* Milliseconds: of a clock that only goes forward, and since 1970. */
int64_t kii_io_now(void);
int64_t kii_io_wall(void);

/*
 * Which start of this machine kii_io_now counts from: 36 characters and a NUL, or "" where the
 * kernel does not tell.
 */
void kii_io_boot(char out[37]);

/* `ms` since 1970 as "2026-01-31T12:00:00Z", into `out` of at least 21 bytes. */
void kii_io_stamp(int64_t ms, char out[32]);

/* Fill with random bytes / write 2*n hex digits and a NUL. Aborts where there is no randomness. */
void kii_io_random(void *out, size_t n);
void kii_io_random_hex(char *out, size_t n);

/*
 * A connected Unix stream socket, close-on-exec. A listener whose queue stays full is waited for
 * for a second. Fails: EDOWN (errno), EINVAL (path too long).
 */
int kii_io_connect_unix(const char *path, int *fd, struct kii_error *err) KII_MUST_CHECK;

#endif
