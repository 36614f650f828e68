/* SPDX-License-Identifier: MIT */
/*
 * versions: typed access to config.sqlite: which name means which container, what is known of a
 * release, and which images the engine has. One handle per thread or under the caller's lock.
 * Every call fails with EDB, EBUSY; further codes are named at the call.
 */
#ifndef KII_VERSIONS_H
#define KII_VERSIONS_H

#include "engine.h"
#include "store.h"

#define KII_VERSIONS_VERSION 2   /* the newest schema that this program knows */

struct kii_versions;

/* As kii_store_migrate, kii_store_open, kii_store_moved. */
int kii_versions_migrate(const char *path, const char *schema_dir, struct kii_error *err)
	KII_MUST_CHECK;
int kii_versions_open(const char *path, enum kii_store_mode mode, struct kii_versions **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_versions_close(struct kii_versions *v);
bool kii_versions_moved(struct kii_versions *v);
/* A number that is another one once another connection has written. */
int kii_versions_changes(struct kii_versions *v, int64_t *out, struct kii_error *err)
	KII_MUST_CHECK;

/* --- names: "latest" -> controller-057, v0.5.7 --- */

/* Heap strings; kii_version_release frees them. */
struct kii_version {
	char *name;
	char *channel;
	char *container;
	char *git_tag;
};
#define kii_autoversion __attribute__((cleanup(kii_version_release))) struct kii_version
void kii_version_release(struct kii_version *version);

/* *out is written on success only. Fails further with ENOTFOUND. */
int kii_versions_find(struct kii_versions *v, const char *name, struct kii_version *out,
	struct kii_error *err) KII_MUST_CHECK;
/* All, sorted by name. Caller frees with kii_version_list_free. */
int kii_versions_list(struct kii_versions *v, struct kii_version **out, size_t *n,
	struct kii_error *err) KII_MUST_CHECK;
void kii_version_list_free(struct kii_version *list, size_t n);
/* May these be a version's? No member is NULL. Fails: EINVAL naming the member. */
int kii_version_check(const struct kii_version *version, struct kii_error *err) KII_MUST_CHECK;
/* Fails further with ECONFLICT (the name is taken), EINVAL (a name or container that is none). */
int kii_versions_add(struct kii_versions *v, const struct kii_version *version,
	struct kii_error *err) KII_MUST_CHECK;
/* Fails further with ENOTFOUND. */
int kii_versions_remove(struct kii_versions *v, const char *name, struct kii_error *err)
	KII_MUST_CHECK;

/*
 * What the env of requests means, by the database of a state folder, which may come later and may
 * be replaced. May be used by several threads.
 */
struct kii_envs;
struct kii_envs *kii_envs_new(const char *state_dir);
void kii_envs_free(struct kii_envs *e);
/* Fails further with EINVAL (field "env"; the known names are listed) and EDOWN (no database). */
int kii_envs_find(struct kii_envs *e, const char *env, struct kii_version *out,
	struct kii_error *err) KII_MUST_CHECK;

/* --- releases: what a tag of the controller's repository is --- */

struct kii_release {
	char *git_tag;
	int64_t commit_count;
	char *date;
	char *hash;
	char *bcd;
	char *notes;         /* URL */
};
#define kii_autorelease __attribute__((cleanup(kii_release_release))) struct kii_release
void kii_release_release(struct kii_release *release);
void kii_releases_free(struct kii_release *list, size_t n);

/* Fails further with ENOTFOUND. */
int kii_versions_release_get(struct kii_versions *v, const char *git_tag, struct kii_release *out,
	struct kii_error *err) KII_MUST_CHECK;
/* Add or replace. */
int kii_versions_release_set(struct kii_versions *v, const struct kii_release *release,
	struct kii_error *err) KII_MUST_CHECK;

/* All of these, in one transaction; others stay. */
int kii_versions_set_releases(struct kii_versions *v, const struct kii_release *list, size_t n,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Every name, sorted, whose image the engine has and whose release is known. Borrowed for the
 * call, which must leave the handle alone; false ends the walk.
 */
typedef bool kii_versions_take(void *arg, const char *name, const struct kii_release *release);
int kii_versions_offered(struct kii_versions *v, kii_versions_take *take, void *arg,
	struct kii_error *err) KII_MUST_CHECK;

/* --- images: what the engine has, written by the worker; times in ms since 1970 --- */

struct kii_version_image {
	char *container;     /* "controller-057" */
	char *digest;        /* image ID */
	int64_t size;
	int64_t created;
	int64_t seen;
};
/* All, sorted by container. Caller frees with kii_version_images_free. */
int kii_versions_images(struct kii_versions *v, struct kii_version_image **out, size_t *n,
	struct kii_error *err) KII_MUST_CHECK;
void kii_version_images_free(struct kii_version_image *list, size_t n);
/*
 * In one transaction the table comes to hold these images and no others: of the names that are
 * `prefix`, a container's name and ":latest" (or nothing).
 */
int kii_versions_set_images(struct kii_versions *v, const char *prefix,
	const struct kii_image *images, size_t n, int64_t now, struct kii_error *err)
	KII_MUST_CHECK;

#endif
