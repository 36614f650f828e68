/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "backup.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "json.h"
#include "store.h"

#define DEPTH_MAX     16
#define MANIFEST_MAX  (64u << 20)
#define INSTALLED     KII_DATADIR "/"

struct save {
	const struct kii_conf *conf;
	const char *state;
	struct archive *a;
	int fd;
	bool broken;          /* the descriptor took no more: `err` says why */
	struct kii_error *err;
	json_t *files;
	json_t *layouts;      /* the folder that each number stands for */
	struct kii_backup done;
};

/* --- the archive --- */

/* A failure is kept from libarchive, which would then leave its compressor allocated. */
static la_ssize_t take(struct archive *a, void *arg, const void *data, size_t len)
{
	struct save *s = arg;

	(void)a;
	if (!s->broken && kii_io_write_all(s->fd, data, len, s->err) != 0)
		s->broken = true;
	return (la_ssize_t)len;
}

static int failed(struct save *s)
{
	const char *text = archive_error_string(s->a);

	return kii_error_set(s->err, KII_EIO, archive_errno(s->a), "write: %s",
		text ? text : "unknown");
}

static int add_header(struct save *s, const char *name, mode_t type, mode_t mode, int64_t size,
	const char *link)
{
	struct archive_entry *e = archive_entry_new();
	int rc;

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, mode & 0777);
	archive_entry_set_mtime(e, kii_io_wall() / 1000, 0);
	if (link)
		archive_entry_set_symlink(e, link);
	else
		archive_entry_set_size(e, size);
	rc = archive_write_header(s->a, e);
	archive_entry_free(e);
	return rc == ARCHIVE_OK && !s->broken ? 0 : failed(s);
}

static int add_bytes(struct save *s, const void *data, size_t len)
{
	if (archive_write_data(s->a, data, len) != (la_ssize_t)len || s->broken)
		return failed(s);
	return 0;
}

/* As many bytes as its header said, however it grows meanwhile. */
static int add_content(struct save *s, int fd, const char *name, int64_t size, struct kii_hash *h)
{
	char chunk[65536];

	while (size > 0) {
		size_t want = size < (int64_t)sizeof(chunk) ? (size_t)size : sizeof(chunk);
		ssize_t n = read(fd, chunk, want);

		if (n < 0)
			return kii_error_set(s->err, KII_EIO, errno, "read %s: %s", name,
				strerror(errno));
		if (n == 0)
			return kii_error_set(s->err, KII_EIO, 0, "%s became shorter", name);
		kii_hash_add(h, chunk, (size_t)n);
		if (add_bytes(s, chunk, (size_t)n) != 0)
			return -1;
		size -= n;
	}
	return 0;
}

static int add_open(struct save *s, int fd, const char *name)
{
	struct kii_hash *h = kii_hash_new();
	char hex[KII_HASH_HEX];
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = kii_error_set(s->err, KII_EIO, errno, "%s is no regular file", name);
	else
		rc = add_header(s, name, AE_IFREG, st.st_mode, st.st_size, NULL);
	if (rc == 0)
		rc = add_content(s, fd, name, st.st_size, h);
	if (rc == 0) {
		kii_hash_hex(h, hex);
		json_array_append_new(s->files, json_pack("{s:s, s:I, s:s}", "path", name, "size",
			(json_int_t)st.st_size, "sha256", hex));
		s->done.files++;
		s->done.bytes += st.st_size;
	}
	kii_hash_free(h);
	return rc;
}

/* 0, 1 when it is not there, or -1. */
static int add_file(struct save *s, const char *path, const char *name)
{
	kii_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0)
		return kii_error_set(s->err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
	return add_open(s, fd, name);
}

static int add_link(struct save *s, const char *path, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return kii_error_set(s->err, KII_EIO, errno, "read link %s: %s", path,
			strerror(errno));
	target[n] = '\0';
	json_array_append_new(s->files, json_pack("{s:s, s:s}", "path", name, "link", target));
	s->done.files++;
	return add_header(s, name, AE_IFLNK, 0777, 0, target);
}

/* --- folders --- */

static int is_listed(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int add_tree(struct save *s, const char *dir, const char *prefix, int depth);

/* What is gone since it was listed was collected, or is a temporary file. */
static int add_any(struct save *s, const char *path, const char *name, int depth)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0
			: kii_error_set(s->err, KII_EIO, errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return add_tree(s, path, name, depth + 1);
	if (S_ISLNK(st.st_mode))
		return add_link(s, path, name);
	if (S_ISREG(st.st_mode))
		return add_file(s, path, name) < 0 ? -1 : 0;
	return 0;
}

static int add_tree(struct save *s, const char *dir, const char *prefix, int depth)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_listed, alphasort);
	int rc = 0;

	if (n < 0)
		return errno == ENOENT ? 0
			: kii_error_set(s->err, KII_EIO, errno, "%s: %s", dir, strerror(errno));
	if (depth > DEPTH_MAX)
		rc = kii_error_set(s->err, KII_EINVAL, 0, "%s lies too deep", dir);
	for (int i = 0; rc == 0 && i < n; i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", dir, names[i]->d_name);
		kii_autofree char *name = kii_xfmt("%s/%s", prefix, names[i]->d_name);

		rc = add_any(s, path, name, depth);
	}
	free_names(names, n);
	return rc;
}

/* --- databases --- */

/* One that this program knows: a zone may put anything into its own folder. */
static bool is_database(const char *name)
{
	size_t len = strlen(name);
	kii_autofree char *script = NULL;

	if (len <= 7 || strcmp(name + len - 7, ".sqlite") != 0)
		return false;
	script = kii_xfmt("%s/%.*s.1.sql", kii_store_schema_dir(), (int)len - 7, name);
	return access(script, F_OK) == 0;
}

/* A copy of one moment, whoever writes meanwhile. */
static int add_database(struct save *s, const char *tmp, const char *folder, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s/%s", s->state, folder, name);
	kii_autofree char *copy = kii_xfmt("%s/%s", tmp, name);
	kii_autofree char *stored = kii_xfmt("state/%s/%s", folder, name);
	int rc = kii_store_copy(path, copy, s->err);

	if (rc == 0)
		rc = add_file(s, copy, stored);
	unlink(copy);
	return rc > 0 ? kii_error_set(s->err, KII_EIO, ENOENT, "%s has gone", copy) : rc;
}

static int add_databases(struct save *s, const char *tmp, const char *folder, int *found)
{
	kii_autofree char *dir = kii_xfmt("%s/%s", s->state, folder);
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_listed, alphasort);
	int rc = 0;

	if (n < 0)
		return errno == ENOENT ? 0
			: kii_error_set(s->err, KII_EIO, errno, "%s: %s", dir, strerror(errno));
	for (int i = 0; rc == 0 && i < n; i++) {
		if (!is_database(names[i]->d_name))
			continue;
		rc = add_database(s, tmp, folder, names[i]->d_name);
		(*found)++;
	}
	free_names(names, n);
	return rc;
}

static int add_state(struct save *s, const char *tmp, bool artifacts)
{
	static const char *const zones[] = { "public", "queue", "engine" };
	static const char *const results[] = { "artifacts", "logs", "operator-logs" };
	kii_autofree char *instance = kii_xfmt("%s/engine/instance", s->state);
	int found = 0;

	for (size_t i = 0; i < KII_COUNT(zones); i++) {
		if (add_databases(s, tmp, zones[i], &found) != 0)
			return -1;
	}
	if (!found)
		return kii_error_set(s->err, KII_ENOTFOUND, 0, "there is no database below %s",
			s->state);
	if (add_file(s, instance, "state/engine/instance") < 0)
		return -1;
	for (size_t i = 0; artifacts && i < KII_COUNT(results); i++) {
		kii_autofree char *dir = kii_xfmt("%s/%s", s->state, results[i]);
		kii_autofree char *name = kii_xfmt("state/%s", results[i]);

		if (add_tree(s, dir, name, 0) != 0)
			return -1;
	}
	return 0;
}

/* --- the rest --- */

static int add_config(struct save *s)
{
	kii_autoclose int fd = -1;

	if (!s->conf->file)
		return 0;
	/* It may be a link into a folder under version control. */
	fd = open(s->conf->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kii_error_set(s->err, KII_EIO, errno, "open %s: %s", s->conf->file,
			strerror(errno));
	return add_open(s, fd, "etc/kiisrv.toml");
}

static int add_layouts(struct save *s)
{
	for (size_t i = 0; i < s->conf->paths.n_layouts; i++) {
		const char *dir = s->conf->paths.layouts[i];
		kii_autofree char *name = kii_xfmt("layouts/%zu", i);

		json_array_append_new(s->layouts, json_string(dir));
		if (strncmp(dir, INSTALLED, strlen(INSTALLED)) == 0)
			continue;
		if (add_tree(s, dir, name, 0) != 0)
			return -1;
	}
	return 0;
}

static int add_manifest(struct save *s)
{
	kii_autobuf text = KII_BUF_INIT(MANIFEST_MAX);
	kii_autojson *manifest = NULL;
	char stamp[32];

	kii_io_stamp(kii_io_wall(), stamp);
	manifest = json_pack("{s:i, s:s, s:s, s:O, s:O}", "format", KII_BACKUP_FORMAT, "program",
		PACKAGE_STRING, "made", stamp, "layouts", s->layouts, "files", s->files);
	kii_json_set_str(manifest, "state_dir", s->state);
	if (kii_json_dump(manifest, JSON_INDENT(1), &text, s->err) != 0 ||
	    add_header(s, "manifest.json", AE_IFREG, 0600, (int64_t)text.len, NULL) != 0)
		return -1;
	return add_bytes(s, text.data, text.len);
}

/* --- the whole --- */

static int add_all(struct save *s, const char *tmp, bool artifacts)
{
	if (add_config(s) != 0 || add_state(s, tmp, artifacts) != 0 || add_layouts(s) != 0 ||
	    add_manifest(s) != 0)
		return -1;
	if (archive_write_close(s->a) != ARCHIVE_OK || s->broken)
		return failed(s);
	return 0;
}

static int write_archive(struct save *s, const char *tmp, bool artifacts, bool gzip)
{
	int rc = 0;

	s->a = archive_write_new();
	if (archive_write_set_format_pax_restricted(s->a) != ARCHIVE_OK ||
	    (gzip && archive_write_add_filter_gzip(s->a) != ARCHIVE_OK) ||
	    archive_write_set_bytes_in_last_block(s->a, 1) != ARCHIVE_OK ||
	    archive_write_open(s->a, s, NULL, take, NULL) != ARCHIVE_OK)
		rc = failed(s);
	if (rc == 0)
		rc = add_all(s, tmp, artifacts);
	archive_write_free(s->a);
	return rc;
}

/* A folder for copies, which one at a time has; what an interrupted one has left goes. */
static int open_tmp(const char *tmp, int *out, struct kii_error *err)
{
	int fd;

	if (mkdir(tmp, 0700) != 0 && errno != EEXIST)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", tmp, strerror(errno));
	fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", tmp, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		kii_error_set(err, KII_EBUSY, errno, "another backup is being made in %s", tmp);
		close(fd);
		return -1;
	}
	*out = fd;
	return 0;
}

/* Copies of an interrupted run: SQLite writes none over a file that is there. */
static int empty_tmp(const char *tmp, struct kii_error *err)
{
	struct dirent **names = NULL;
	int n = scandir(tmp, &names, is_listed, NULL);

	for (int i = 0; i < n; i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", tmp, names[i]->d_name);

		unlink(path);
	}
	free_names(names, n);
	return n < 0 ? kii_error_set(err, KII_EIO, errno, "%s: %s", tmp, strerror(errno)) : 0;
}

int kii_backup_write(const struct kii_conf *conf, bool artifacts, bool gzip, int fd,
	struct kii_backup *out, struct kii_error *err)
{
	struct save s = { .conf = conf, .state = conf->paths.state_dir, .fd = fd, .err = err };
	kii_autofree char *tmp = kii_xfmt("%s/backup.tmp", s.state);
	kii_autoclose int lock = -1;
	int rc;

	if (open_tmp(tmp, &lock, err) != 0)
		return -1;
	s.files = json_array();
	s.layouts = json_array();
	rc = empty_tmp(tmp, err);
	if (rc == 0)
		rc = write_archive(&s, tmp, artifacts, gzip);
	json_decref(s.files);
	json_decref(s.layouts);
	rmdir(tmp);
	if (rc == 0)
		*out = s.done;
	return rc;
}
