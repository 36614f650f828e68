/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "backup.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "json.h"
#include "restore_private.h"

#define MANIFEST      "manifest.json"
#define MANIFEST_MAX  (64u << 20)

struct load {
	const struct kii_conf *conf;
	struct kii_restore *told;
	struct kii_places *places;
	struct archive *a;
	int fd;
	char chunk[65536];
	json_t *found;        /* path -> {"size", "sha256"} or {"link"}, as in the manifest */
	json_t *manifest;
	struct kii_error *err;
};

/* --- reading --- */

static la_ssize_t give(struct archive *a, void *arg, const void **data)
{
	struct load *l = arg;
	ssize_t n;

	do
		n = read(l->fd, l->chunk, sizeof(l->chunk));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(a, errno, "read: %s", strerror(errno));
	*data = l->chunk;
	return n;
}

static int damaged(struct load *l)
{
	const char *text = archive_error_string(l->a);

	return kii_error_set(l->err, KII_EINVAL, archive_errno(l->a),
		"this is no backup, or it is damaged: %s", text ? text : "unknown");
}

static int read_manifest(struct load *l)
{
	kii_autobuf text = KII_BUF_INIT(MANIFEST_MAX);
	char chunk[16384];
	la_ssize_t n;

	while ((n = archive_read_data(l->a, chunk, sizeof(chunk))) > 0)
		kii_buf_add(&text, chunk, (size_t)n);
	if (n < 0)
		return damaged(l);
	if (kii_buf_check(&text, MANIFEST, l->err) != 0)
		return -1;
	l->manifest = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(l->manifest))
		return kii_error_set(l->err, KII_EINVAL, 0, MANIFEST " is damaged");
	if (kii_json_int(l->manifest, "format", 0) != KII_BACKUP_FORMAT)
		return kii_error_set(l->err, KII_EINVAL, 0, "the backup was made by another "
			"kiisrv, whose format this one does not know");
	return 0;
}

/* Bytes to a new file, or nowhere; hashed on their way. */
static int read_content(struct load *l, const char *name, int fd, struct kii_hash *h, int64_t *size)
{
	char chunk[16384];
	la_ssize_t n;

	*size = 0;
	while ((n = archive_read_data(l->a, chunk, sizeof(chunk))) > 0) {
		kii_hash_add(h, chunk, (size_t)n);
		*size += n;
		if (fd >= 0 && kii_io_write_all(fd, chunk, (size_t)n, l->err) != 0)
			return kii_error_wrap(l->err, "%s", name);
	}
	if (n < 0)
		return damaged(l);
	if (fd >= 0 && fsync(fd) != 0)
		return kii_error_set(l->err, KII_EIO, errno, "%s: %s", name, strerror(errno));
	return 0;
}

static int make_parents(const char *path, struct kii_error *err)
{
	kii_autofree char *folder = kii_xstrndup(path, (size_t)(strrchr(path, '/') - path));

	/* Those of the zones are given to them later. */
	return kii_io_mkdirs(folder, 0755, err);
}

static int take_file(struct load *l, const char *name, const char *path, mode_t mode)
{
	struct kii_hash *h = NULL;
	kii_autoclose int fd = -1;
	char hex[KII_HASH_HEX];
	int64_t size;
	int rc;

	if (path && make_parents(path, l->err) != 0)
		return -1;
	if (path)
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (path && fd < 0)
		return kii_error_set(l->err, KII_EIO, errno, "make %s: %s", path, strerror(errno));
	h = kii_hash_new();
	rc = read_content(l, name, fd, h, &size);
	if (rc == 0 && fd >= 0 && fchmod(fd, mode & 0777) != 0)
		rc = kii_error_set(l->err, KII_EIO, errno, "%s: %s", path, strerror(errno));
	if (rc == 0) {
		kii_hash_hex(h, hex);
		json_object_set_new(l->found, name, json_pack("{s:s, s:I, s:s}", "path", name,
			"size", (json_int_t)size, "sha256", hex));
		l->told->bytes += path ? size : 0;
	}
	kii_hash_free(h);
	return rc;
}

static int take_entry(struct load *l, struct archive_entry *e)
{
	const char *name = archive_entry_pathname(e);
	const char *link = archive_entry_symlink(e);
	kii_autofree char *path = NULL;

	if (!name || l->manifest)
		return kii_error_set(l->err, KII_EINVAL, 0, "something stands behind the manifest");
	if (strcmp(name, MANIFEST) == 0)
		return read_manifest(l);
	if (json_object_get(l->found, name))
		return kii_error_set(l->err, KII_EINVAL, 0, "%s is there twice", name);
	if (kii_places_find(l->places, name, &path, l->err) != 0)
		return -1;
	l->told->files += path ? 1 : 0;
	/* Links are made when all else is there: nothing is ever written through one. */
	if (link && archive_entry_filetype(e) == AE_IFLNK)
		return json_object_set_new(l->found, name, json_pack("{s:s, s:s}", "path", name,
			"link", link)) == 0 ? 0
			: kii_error_set(l->err, KII_EINVAL, 0, "%s: no such link", name);
	if (archive_entry_filetype(e) != AE_IFREG)
		return kii_error_set(l->err, KII_EINVAL, 0, "%s is neither file nor link", name);
	return take_file(l, name, path, archive_entry_perm(e));
}

static int read_entries(struct load *l)
{
	struct archive_entry *e;
	int rc;

	if (archive_read_support_format_tar(l->a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(l->a) != ARCHIVE_OK ||
	    archive_read_open(l->a, l, NULL, give, NULL) != ARCHIVE_OK)
		return damaged(l);
	while ((rc = archive_read_next_header(l->a, &e)) == ARCHIVE_OK) {
		if (take_entry(l, e) != 0)
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : damaged(l);
}

/* --- checking --- */

static int check_manifest(struct load *l)
{
	const json_t *files = json_object_get(l->manifest, "files");
	size_t i;
	json_t *file;

	if (!l->manifest)
		return kii_error_set(l->err, KII_EINVAL, 0,
			"this is no backup, or it is cut off: it has no manifest");
	json_array_foreach(files, i, file) {
		const char *path = kii_json_str(file, "path");
		const json_t *found = path ? json_object_get(l->found, path) : NULL;

		if (!found)
			return kii_error_set(l->err, KII_EINVAL, 0, "%s is missing",
				path ? path : MANIFEST);
		if (!json_equal(file, found))
			return kii_error_set(l->err, KII_EINVAL, 0,
				"%s is not what the manifest says: the backup is damaged", path);
	}
	if (json_array_size(files) != json_object_size(l->found))
		return kii_error_set(l->err, KII_EINVAL, 0,
			"there are files that the manifest does not know");
	return 0;
}

/* A link whose name goes through another one would be made elsewhere. */
static bool goes_through_link(const struct load *l, const char *name)
{
	for (const char *end = strchr(name, '/'); end; end = strchr(end + 1, '/')) {
		kii_autofree char *above = kii_xstrndup(name, (size_t)(end - name));

		if (kii_json_str(json_object_get(l->found, above), "link"))
			return true;
	}
	return false;
}

static int make_link(struct load *l, const char *name, const char *target)
{
	kii_autofree char *path = NULL;

	if (goes_through_link(l, name))
		return kii_error_set(l->err, KII_EINVAL, 0, "%s goes through a link", name);
	if (kii_places_find(l->places, name, &path, l->err) != 0)
		return -1;
	if (!path)
		return 0;
	if (make_parents(path, l->err) != 0)
		return -1;
	if (symlink(target, path) != 0)
		return kii_error_set(l->err, KII_EIO, errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int make_links(struct load *l)
{
	const char *name;
	json_t *found;

	json_object_foreach(l->found, name, found) {
		const char *link = kii_json_str(found, "link");

		if (link && make_link(l, name, link) != 0)
			return -1;
	}
	return 0;
}

/* Its configuration is for the folders that it was made from. */
static int check_folders(const struct load *l)
{
	const struct kii_conf *here = l->conf;
	const json_t *layouts = json_object_get(l->manifest, "layouts");
	const char *state = kii_json_str(l->manifest, "state_dir");
	bool same = state && strcmp(state, here->paths.state_dir) == 0 &&
		json_array_size(layouts) == here->paths.n_layouts;

	if (l->told->state_only)
		return 0;
	for (size_t i = 0; same && i < here->paths.n_layouts; i++) {
		const char *name = json_string_value(json_array_get(layouts, i));

		same = name && strcmp(name, here->paths.layouts[i]) == 0;
	}
	return same ? 0 : kii_error_set(l->err, KII_EINVAL, 0, "the saved configuration names "
		"other folders than this one: put it in place first (it is " KII_RESTORE_CONFIG
		" of the tar), or restore the state alone");
}

static int renew_instance(const struct load *l)
{
	kii_autofree char *path = NULL;
	char text[17];

	if (!l->told->new_instance)
		return 0;
	if (kii_places_find(l->places, "state/engine/instance", &path, l->err) != 0)
		return -1;
	kii_io_random_hex(text, 8);
	if (make_parents(path, l->err) != 0)
		return -1;
	return kii_io_publish(path, text, 16, 0600, l->err);
}

static int unpack(struct load *l)
{
	int rc;

	l->a = archive_read_new();
	rc = read_entries(l);
	archive_read_free(l->a);
	if (rc != 0 || check_manifest(l) != 0 || make_links(l) != 0 || check_folders(l) != 0 ||
	    renew_instance(l) != 0)
		return -1;
	return kii_places_prepare(l->places, &l->told->without_users, l->err);
}

/* --- the whole --- */

/* A worker has this lock for its whole life. -1 in *lock where there is no state yet. */
static int take_lock(const char *state, int *lock, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/engine/lock", state);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	*lock = fd;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return kii_error_set(err, KII_ECONFLICT, 0,
			"a worker runs on %s: stop kiisrv first", state);
	return 0;
}

static int restore_locked(struct load *l)
{
	int rc = kii_places_clear(l->places, l->err);

	if (rc == 0)
		rc = unpack(l);
	if (rc == 0)
		rc = kii_places_swap(l->places, l->err);
	if (rc != 0)
		kii_places_drop(l->places);
	return rc;
}

int kii_restore_read(const struct kii_conf *conf, const char *config_file, int fd,
	struct kii_restore *restore, struct kii_error *err)
{
	struct load *l;
	kii_autoclose int lock = -1;
	int rc;

	if (kii_restore_pending(conf->paths.state_dir))
		return kii_error_set(err, KII_ECONFLICT, 0,
			"an earlier restore was interrupted: finish that one first");
	if (take_lock(conf->paths.state_dir, &lock, err) != 0)
		return -1;
	restore->files = restore->bytes = 0;
	l = kii_xcalloc(1, sizeof(*l));
	l->conf = conf;
	l->told = restore;
	l->fd = fd;
	l->err = err;
	l->found = json_object();
	l->places = kii_places_new(conf, restore->state_only ? NULL : config_file);
	rc = restore_locked(l);
	kii_places_free(l->places);
	json_decref(l->found);
	json_decref(l->manifest);
	free(l);
	return rc;
}
