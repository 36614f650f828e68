/* SPDX-License-Identifier: MIT */
/*
 * backup: the state of an installation as one tar, made while it runs, and the way back. The tar
 * holds state/{public,queue,engine}/NAME.sqlite (each a copy of one moment), state/engine/instance,
 * etc/kiisrv.toml, layouts/N/..., if wanted state/{artifacts,logs,operator-logs}/..., and at its
 * end manifest.json, which names every file with its size and SHA-256.
 */
#ifndef KII_BACKUP_H
#define KII_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

#define KII_BACKUP_FORMAT 1

struct kii_backup {
	int64_t files, bytes;
};

/*
 * Write a backup of what `conf` names to a descriptor, with gzip if asked to. The installation's
 * own layouts (of the package) stay out. `artifacts`: zips and logs too. Fails: EBUSY (another one
 * is being made, or a database is locked), ENOTFOUND (no state), EDB, EIO.
 */
int kii_backup_write(const struct kii_conf *conf, bool artifacts, bool gzip, int fd,
	struct kii_backup *out, struct kii_error *err) KII_MUST_CHECK;

struct kii_restore {
	bool state_only;         /* configuration and layouts stay as they are */
	bool new_instance;       /* a copy beside the original on one engine: containers apart */
	int64_t files, bytes;    /* what was restored */
	bool without_users;      /* the zones' users are not there: all belongs to the caller */
};

/*
 * Put a backup in the place of what `conf` names; `config_file` is where the configuration goes.
 * All of it is unpacked beside, checked against its manifest, and its databases are brought up and
 * read as a whole, before anything is moved; then each folder and file is moved to NAME.replaced
 * and the new one into its place. A failure leaves everything as it was. Fails: ECONFLICT (a worker
 * holds the state, an interrupted restore, a database newer than the program), EINVAL (no backup,
 * damaged, or its configuration names other folders), EDB, EIO.
 */
int kii_restore_read(const struct kii_conf *conf, const char *config_file, int fd,
	struct kii_restore *restore, struct kii_error *err) KII_MUST_CHECK;

/* Is there a restore that was interrupted while things were moved? */
bool kii_restore_pending(const char *state_dir);

/* Move what it still had to move. Nothing to do is success. Fails: EINVAL, EIO. */
int kii_restore_finish(const char *state_dir, struct kii_error *err) KII_MUST_CHECK;

#endif
