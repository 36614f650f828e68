/* SPDX-License-Identifier: MIT */
/* restore_private: where the files of a backup go. lib/restore.c and its places share it. */
#ifndef KII_RESTORE_PRIVATE_H
#define KII_RESTORE_PRIVATE_H

#include "backup.h"

#define KII_RESTORE_NEW     ".restore"    /* what waits to take a place */
#define KII_RESTORE_OLD     ".replaced"   /* what had it before */
#define KII_RESTORE_CONFIG  "etc/kiisrv.toml"

struct kii_places;

/* `conf` is borrowed. Without a `config_file`: the state's places only. */
struct kii_places *kii_places_new(const struct kii_conf *conf, const char *config_file);
void kii_places_free(struct kii_places *p);

/*
 * Where the file of that name in the backup is unpacked, or NULL in *path where it is not wanted.
 * Caller frees *path. Fails: EINVAL, for a name that no backup has.
 */
int kii_places_find(const struct kii_places *p, const char *name, char **path,
	struct kii_error *err) KII_MUST_CHECK;

/* Remove what earlier restores have left beside. Fails: EIO; ECONFLICT for a place of its own. */
int kii_places_clear(const struct kii_places *p, struct kii_error *err) KII_MUST_CHECK;

/* Bring up and read the unpacked databases, and give everything its owner and mode. */
int kii_places_prepare(const struct kii_places *p, bool *without_users, struct kii_error *err)
	KII_MUST_CHECK;

/* Move everything into its place, or, where one cannot be moved, nothing. */
int kii_places_swap(const struct kii_places *p, struct kii_error *err) KII_MUST_CHECK;

/*
 * For each of these absolute paths: move NAME to NAME.replaced, which is not there, and
 * NAME.restore, where there is one, to NAME. All or, after a failure, none. Fails: EIO.
 */
int kii_swap(const char *state_dir, const char *const *targets, size_t n, struct kii_error *err)
	KII_MUST_CHECK;

/* Names in it that have changed are on disk. Fails: EIO. */
int kii_sync_folder(const char *path, struct kii_error *err) KII_MUST_CHECK;

/* Remove what was unpacked. */
void kii_places_drop(const struct kii_places *p);

#endif
