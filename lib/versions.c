/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "versions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64

enum {
	FIND, LIST, ADD, REMOVE, RELEASE_GET, RELEASE_SET, OFFERED, IMAGES, IMAGES_CLEAR, IMAGE_ADD,
	CHANGES, STATEMENTS
};
static const char *const statements[] = {
	[FIND] = "SELECT name, channel, container, git_tag FROM Versions WHERE name = ?1",
	[LIST] = "SELECT name, channel, container, git_tag FROM Versions ORDER BY name",
	[ADD] = "INSERT INTO Versions (name, channel, container, git_tag) VALUES (?1, ?2, ?3, ?4)",
	[REMOVE] = "DELETE FROM Versions WHERE name = ?1",
	[RELEASE_GET] = "SELECT git_tag, commit_count, date, hash, bcd, notes FROM Releases "
		"WHERE git_tag = ?1",
	[RELEASE_SET] = "INSERT OR REPLACE INTO Releases (git_tag, commit_count, date, hash, bcd, "
		"notes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[OFFERED] = "SELECT r.git_tag, r.commit_count, r.date, r.hash, r.bcd, r.notes, v.name "
		"FROM Versions v JOIN Releases r USING (git_tag) JOIN Images i USING (container) "
		"ORDER BY v.name",
	[IMAGES] = "SELECT container, digest, size, created, seen FROM Images ORDER BY container",
	[IMAGES_CLEAR] = "DELETE FROM Images",
	[IMAGE_ADD] = "INSERT OR REPLACE INTO Images (container, digest, size, created, seen) "
		"VALUES (?1, ?2, ?3, ?4, ?5)",
	[CHANGES] = "PRAGMA data_version",
};
static_assert(KII_COUNT(statements) == STATEMENTS, "a text for every statement");

struct kii_versions {
	struct kii_store *store;
};

int kii_versions_migrate(const char *path, const char *schema_dir, struct kii_error *err)
{
	return kii_store_migrate(path, schema_dir, "config", KII_VERSIONS_VERSION, err);
}

int kii_versions_open(const char *path, enum kii_store_mode mode, struct kii_versions **out,
	struct kii_error *err)
{
	struct kii_store *store;

	if (kii_store_open(path, mode, KII_VERSIONS_VERSION, statements, STATEMENTS, &store, err)
		!= 0)
		return -1;
	*out = kii_xcalloc(1, sizeof(**out));
	(*out)->store = store;
	return 0;
}

void kii_versions_close(struct kii_versions *v)
{
	if (!v)
		return;
	kii_store_close(v->store);
	free(v);
}

bool kii_versions_moved(struct kii_versions *v)
{
	return kii_store_moved(v->store);
}

int kii_versions_changes(struct kii_versions *v, int64_t *out, struct kii_error *err)
{
	int rc;

	if (kii_store_query(v->store, CHANGES, err, "") != 0)
		return -1;
	rc = kii_store_next(v->store, CHANGES, err);
	if (rc == 1)
		*out = kii_store_int(v->store, CHANGES, 0);
	kii_store_reset(v->store, CHANGES);
	return rc == 1 ? 0 : -1;
}

static char *text(struct kii_store *s, int i, int column)
{
	return kii_xstrdup(kii_store_text(s, i, column));
}

/* Room for one more at the end of an array of `n`; it is zeroed. */
static void *grow(void *array, size_t n, size_t size)
{
	char *all = kii_xrealloc(array, (n + 1) * size);

	memset(all + n * size, 0, size);
	return all;
}

/* --- names --- */

void kii_version_release(struct kii_version *version)
{
	free(version->name);
	free(version->channel);
	free(version->container);
	free(version->git_tag);
	memset(version, 0, sizeof(*version));
}

void kii_version_list_free(struct kii_version *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kii_version_release(&list[i]);
	free(list);
}

static void load_version(struct kii_store *s, int i, struct kii_version *out)
{
	out->name = text(s, i, 0);
	out->channel = text(s, i, 1);
	out->container = text(s, i, 2);
	out->git_tag = text(s, i, 3);
}

int kii_versions_find(struct kii_versions *v, const char *name, struct kii_version *out,
	struct kii_error *err)
{
	int rc;

	if (kii_store_query(v->store, FIND, err, "s", name) != 0)
		return -1;
	rc = kii_store_next(v->store, FIND, err);
	if (rc == 1)
		load_version(v->store, FIND, out);
	else if (rc == 0)
		kii_error_set(err, KII_ENOTFOUND, 0, "there is no such version");
	kii_store_reset(v->store, FIND);
	return rc == 1 ? 0 : -1;
}

int kii_versions_list(struct kii_versions *v, struct kii_version **out, size_t *n,
	struct kii_error *err)
{
	struct kii_version *list = NULL;
	size_t count = 0;
	int rc;

	if (kii_store_query(v->store, LIST, err, "") != 0)
		return -1;
	while ((rc = kii_store_next(v->store, LIST, err)) == 1) {
		list = grow(list, count, sizeof(*list));
		load_version(v->store, LIST, &list[count++]);
	}
	kii_store_reset(v->store, LIST);
	if (rc < 0) {
		kii_version_list_free(list, count);
		return -1;
	}
	*out = list;
	*n = count;
	return 0;
}

/* Both become parts of URLs, file names and image names. */
static int check_name(const char *field, const char *name, struct kii_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-";

	if (*name && strlen(name) <= NAME_MAX_LEN && *name != '.' && *name != '-'
		&& name[strspn(name, allowed)] == '\0')
		return 0;
	return kii_error_field(err, field, "must be of letters, digits, '.', '_' and '-', not "
		"begin with '.' or '-', and have at most %d characters", NAME_MAX_LEN);
}

int kii_version_check(const struct kii_version *version, struct kii_error *err)
{
	if (check_name("name", version->name, err) != 0
		|| check_name("channel", version->channel, err) != 0
		|| check_name("container", version->container, err) != 0)
		return -1;
	return check_name("git_tag", version->git_tag, err);
}

int kii_versions_add(struct kii_versions *v, const struct kii_version *version,
	struct kii_error *err)
{
	if (kii_version_check(version, err) != 0)
		return -1;
	if (kii_store_run(v->store, ADD, NULL, err, "ssss", version->name, version->channel,
			version->container, version->git_tag) == 0)
		return 0;
	if (err->code != KII_ECONFLICT)
		return -1;
	kii_error_clear(err);
	return kii_error_set(err, KII_ECONFLICT, 0, "there is a version %s already",
		version->name);
}

int kii_versions_remove(struct kii_versions *v, const char *name, struct kii_error *err)
{
	int64_t changes;

	if (kii_store_run(v->store, REMOVE, &changes, err, "s", name) != 0)
		return -1;
	return changes ? 0 : kii_error_set(err, KII_ENOTFOUND, 0, "there is no such version");
}

/* --- releases --- */

void kii_release_release(struct kii_release *release)
{
	free(release->git_tag);
	free(release->date);
	free(release->hash);
	free(release->bcd);
	free(release->notes);
	memset(release, 0, sizeof(*release));
}

void kii_releases_free(struct kii_release *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kii_release_release(&list[i]);
	free(list);
}

static void load_release(struct kii_store *s, int i, struct kii_release *out)
{
	out->git_tag = text(s, i, 0);
	out->commit_count = kii_store_int(s, i, 1);
	out->date = text(s, i, 2);
	out->hash = text(s, i, 3);
	out->bcd = text(s, i, 4);
	out->notes = text(s, i, 5);
}

int kii_versions_release_get(struct kii_versions *v, const char *git_tag, struct kii_release *out,
	struct kii_error *err)
{
	int rc;

	if (kii_store_query(v->store, RELEASE_GET, err, "s", git_tag) != 0)
		return -1;
	rc = kii_store_next(v->store, RELEASE_GET, err);
	if (rc == 1)
		load_release(v->store, RELEASE_GET, out);
	else if (rc == 0)
		kii_error_set(err, KII_ENOTFOUND, 0, "there is no such release");
	kii_store_reset(v->store, RELEASE_GET);
	return rc == 1 ? 0 : -1;
}

int kii_versions_release_set(struct kii_versions *v, const struct kii_release *release,
	struct kii_error *err)
{
	if (check_name("git_tag", release->git_tag, err) != 0)
		return -1;
	return kii_store_run(v->store, RELEASE_SET, NULL, err, "sissss", release->git_tag,
		release->commit_count, release->date, release->hash, release->bcd, release->notes);
}

int kii_versions_set_releases(struct kii_versions *v, const struct kii_release *list, size_t n,
	struct kii_error *err)
{
	int rc = kii_store_begin(v->store, err);

	if (rc != 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = kii_versions_release_set(v, &list[i], err);
	if (rc == 0 && kii_store_commit(v->store, err) == 0)
		return 0;
	kii_store_rollback(v->store);
	return -1;
}

int kii_versions_offered(struct kii_versions *v, kii_versions_take *take, void *arg,
	struct kii_error *err)
{
	bool more = true;
	int rc = 1;

	if (kii_store_query(v->store, OFFERED, err, "") != 0)
		return -1;
	while (more && (rc = kii_store_next(v->store, OFFERED, err)) == 1) {
		kii_autorelease release = { 0 };

		load_release(v->store, OFFERED, &release);
		more = take(arg, kii_store_text(v->store, OFFERED, 6), &release);
	}
	kii_store_reset(v->store, OFFERED);
	return rc < 0 ? -1 : 0;
}

/* --- images --- */

void kii_version_images_free(struct kii_version_image *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].container);
		free(list[i].digest);
	}
	free(list);
}

int kii_versions_images(struct kii_versions *v, struct kii_version_image **out, size_t *n,
	struct kii_error *err)
{
	struct kii_version_image *list = NULL;
	size_t count = 0;
	int rc;

	if (kii_store_query(v->store, IMAGES, err, "") != 0)
		return -1;
	while ((rc = kii_store_next(v->store, IMAGES, err)) == 1) {
		list = grow(list, count, sizeof(*list));
		list[count].container = text(v->store, IMAGES, 0);
		list[count].digest = text(v->store, IMAGES, 1);
		list[count].size = kii_store_int(v->store, IMAGES, 2);
		list[count].created = kii_store_int(v->store, IMAGES, 3);
		list[count++].seen = kii_store_int(v->store, IMAGES, 4);
	}
	kii_store_reset(v->store, IMAGES);
	if (rc < 0) {
		kii_version_images_free(list, count);
		return -1;
	}
	*out = list;
	*n = count;
	return 0;
}

/* The container that an image's name stands for, or NULL. Caller frees. */
static char *container_of(const char *name, const char *prefix)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;
	size_t len = strlen(prefix);
	const char *tag;

	if (strncmp(base, prefix, len) != 0)
		return NULL;
	base += len;
	tag = strchr(base, ':');
	if (tag == base || *base == '\0' || (tag && strcmp(tag, ":latest") != 0))
		return NULL;
	return kii_xstrndup(base, tag ? (size_t)(tag - base) : strlen(base));
}

static int put_images(struct kii_versions *v, const char *prefix, const struct kii_image *images,
	size_t n, int64_t now, struct kii_error *err)
{
	if (kii_store_run(v->store, IMAGES_CLEAR, NULL, err, "") != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		kii_autofree char *container = container_of(images[i].name, prefix);

		if (container && kii_store_run(v->store, IMAGE_ADD, NULL, err, "ssiii", container,
				images[i].id, images[i].size, images[i].created * 1000, now) != 0)
			return -1;
	}
	return 0;
}

int kii_versions_set_images(struct kii_versions *v, const char *prefix,
	const struct kii_image *images, size_t n, int64_t now, struct kii_error *err)
{
	if (kii_store_begin(v->store, err) != 0)
		return -1;
	if (put_images(v, prefix, images, n, now, err) == 0
		&& kii_store_commit(v->store, err) == 0)
		return 0;
	kii_store_rollback(v->store);
	return -1;
}
