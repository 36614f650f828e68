/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "archive_check.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "io.h"

#define FIELD      "archive"
#define BLOCK      65536
#define RATIO_FROM (INT64_C(8) << 20)
#define DEPTH_MAX  64
#define PATH_CAP   1024

struct unpack {
	struct archive *archive;
	int root;
	int64_t packed;          /* the archive's own size */
	const struct kii_archive_limits *limits;
	struct kii_archive_totals totals;
	struct kii_error *err;
};

/* --- what is refused --- */

static int refuse(struct unpack *u, const char *path, const char *why)
{
	return kii_error_field(u->err, FIELD, "%.100s: %s", path, why);
}

static int damaged(struct unpack *u)
{
	const char *why = archive_error_string(u->archive);

	return kii_error_field(u->err, FIELD, "it cannot be read: %.150s", why ? why : "?");
}

static int failed(struct unpack *u, const char *what, const char *path)
{
	if (errno == ENAMETOOLONG)
		return refuse(u, path, "a part of its name, or what it names, is too long");
	return kii_error_set(u->err, KII_EIO, errno, "%s %.100s: %s", what, path, strerror(errno));
}

/* The entry's name in its one form; "" is the folder itself. */
static int clean_name(struct unpack *u, const char *name, char **out)
{
	struct kii_error ignored = { 0 };
	size_t depth = 0;

	if (!name)
		return kii_error_field(u->err, FIELD, "an entry has a name that cannot be read");
	/* A ".." is refused even where it stays inside: whoever means well writes none. */
	for (const char *part = name; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2]))
			return refuse(u, name, "\"..\" in its name");
		depth++;
	}
	if (kii_beneath_clean("", name, FIELD, out, &ignored) != 0)
		return refuse(u, name, *name == '/' ? "an absolute name" :
			"a control character in its name, or too long");
	if (depth > DEPTH_MAX + 1 || strlen(*out) > PATH_CAP)
		return refuse(u, name, "it lies too deep");
	return 0;
}

/* A ".." behind a name starts from where that name leads: elsewhere, if it is a link itself. */
static bool climbs_behind_a_name(const char *target)
{
	bool named = false;

	while (*target) {
		size_t n = strcspn(target, "/");
		bool up = n == 2 && memcmp(target, "..", 2) == 0;

		if (up && named)
			return true;
		named = named || (n && !up && !(n == 1 && *target == '.'));
		target += n + (target[n] == '/');
	}
	return false;
}

static int check_target(struct unpack *u, const char *path, const char *target)
{
	const char *slash = strrchr(path, '/');
	kii_autofree char *folder = kii_xstrndup(path, slash ? (size_t)(slash - path) : 0);
	kii_autofree char *clean = NULL;
	struct kii_error ignored = { 0 };

	if (!target || !*target)
		return refuse(u, path, "a link to nothing");
	if (kii_beneath_clean(folder, target, FIELD, &clean, &ignored) != 0)
		return refuse(u, path, "a link that leads out of the archive");
	if (climbs_behind_a_name(target))
		return refuse(u, path, "a link with \"..\" behind a name");
	return 0;
}

static int check_type(struct unpack *u, struct archive_entry *e, const char *path)
{
	mode_t type = archive_entry_filetype(e);

	if (archive_entry_hardlink(e))
		return refuse(u, path, "a hard link");
	if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return refuse(u, path, "a device, a pipe or a socket");
	if (archive_entry_is_encrypted(e))
		return refuse(u, path, "it is encrypted");
	return type == AE_IFLNK ? check_target(u, path, archive_entry_symlink(e)) : 0;
}

/* --- caps --- */

static int count_entry(struct unpack *u, struct archive_entry *e)
{
	const struct kii_archive_limits *l = u->limits;

	if (l->stop && atomic_load(l->stop))
		return kii_error_set(u->err, KII_ETIMEOUT, 0, "told to stop");
	if (++u->totals.entries > l->entries && l->entries)
		return kii_error_set(u->err, KII_ETOOBIG, 0,
			"the archive has more than %lld entries", (long long)l->entries);
	/* What it says of itself; what comes is counted as it comes. */
	if (l->bytes && archive_entry_size_is_set(e) &&
	    archive_entry_size(e) > l->bytes - u->totals.bytes)
		return kii_error_set(u->err, KII_ETOOBIG, 0,
			"the archive has more than %lld bytes", (long long)l->bytes);
	return 0;
}

static int count_bytes(struct unpack *u, int64_t n)
{
	const struct kii_archive_limits *l = u->limits;

	u->totals.bytes += n;
	if (l->bytes && u->totals.bytes > l->bytes)
		return kii_error_set(u->err, KII_ETOOBIG, 0,
			"the archive has more than %lld bytes", (long long)l->bytes);
	if (l->ratio && u->totals.bytes > RATIO_FROM && u->totals.bytes / l->ratio > u->packed)
		return kii_error_set(u->err, KII_ETOOBIG, 0,
			"the archive grows to more than %lld times its size", (long long)l->ratio);
	return l->stop && atomic_load(l->stop) ?
		kii_error_set(u->err, KII_ETIMEOUT, 0, "told to stop") : 0;
}

/* --- writing beneath the root --- */

/* The folder that the entry lies in, made where it is missing; *name is the entry's last part. */
static int open_parent(struct unpack *u, const char *path, int *parent, const char **name)
{
	int at = fcntl(u->root, F_DUPFD_CLOEXEC, 0);

	while (at >= 0) {
		const char *slash = strchr(path, '/');
		kii_autofree char *part = NULL;
		int next;

		if (!slash) {
			*parent = at;
			*name = path;
			return 0;
		}
		part = kii_xstrndup(path, (size_t)(slash - path));
		if (mkdirat(at, part, 0755) != 0 && errno != EEXIST)
			next = -1;
		else
			next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
			return refuse(u, path, "it lies below a file or a link");
		at = next;
		path = slash + 1;
	}
	return failed(u, "make the folder of", path);
}

static int write_block(struct unpack *u, int fd, const char *path, const void *data, size_t len,
	int64_t at)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(u, "write", path);
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Holes stay holes, but count; where the last one ends only the end of all tells. */
static int write_data(struct unpack *u, int fd, const char *path)
{
	const void *data;
	size_t len;
	la_int64_t at = 0, end = 0;
	int rc;

	while ((rc = archive_read_data_block(u->archive, &data, &len, &at)) == ARCHIVE_OK) {
		if (at < end)
			return damaged(u);
		if (count_bytes(u, at + (int64_t)len - end) != 0 ||
		    write_block(u, fd, path, data, len, at) != 0)
			return -1;
		end = at + (int64_t)len;
	}
	if (rc != ARCHIVE_EOF)
		return damaged(u);
	if (at > end) {
		if (count_bytes(u, at - end) != 0)
			return -1;
		end = at;
	}
	return ftruncate(fd, end) != 0 ? failed(u, "write", path) : 0;
}

static void set_time(int fd, struct archive_entry *e)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (!archive_entry_mtime_is_set(e) || archive_entry_mtime(e) < 0)
		return;
	times[1] = (struct timespec){ .tv_sec = archive_entry_mtime(e) };
	/* A time that the file system does not know stays what it is. */
	if (futimens(fd, times) != 0)
		return;
}

static int make_file(struct unpack *u, int parent, const char *name, const char *path,
	struct archive_entry *e)
{
	kii_autoclose int fd = openat(parent, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(u, "make", path);
	u->totals.files++;
	if (write_data(u, fd, path) != 0)
		return -1;
	if (fchmod(fd, (archive_entry_perm(e) & 0755) | 0600) != 0)
		return failed(u, "make", path);
	set_time(fd, e);
	return 0;
}

static int make_folder(struct unpack *u, int parent, const char *name, const char *path)
{
	struct stat st;

	if (mkdirat(parent, name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return failed(u, "make", path);
	return S_ISDIR(st.st_mode) ? 0 : refuse(u, path, "it comes twice, and not as a folder");
}

/* A file or link that comes once more takes the place of the first. */
static int make_way(struct unpack *u, int parent, const char *name, const char *path)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		return refuse(u, path, "it comes twice, once as a folder");
	return failed(u, "replace", path);
}

static int make_entry(struct unpack *u, const char *path, struct archive_entry *e)
{
	mode_t type = archive_entry_filetype(e);
	kii_autoclose int parent = -1;
	const char *name = NULL;

	if (open_parent(u, path, &parent, &name) != 0)
		return -1;
	if (type == AE_IFDIR)
		return make_folder(u, parent, name, path);
	if (make_way(u, parent, name, path) != 0)
		return -1;
	if (type == AE_IFREG)
		return make_file(u, parent, name, path, e);
	if (symlinkat(archive_entry_symlink(e), parent, name) != 0)
		return failed(u, "make", path);
	return 0;
}

/* --- all of it --- */

static int take_entry(struct unpack *u, struct archive_entry *e)
{
	kii_autofree char *path = NULL;

	if (clean_name(u, archive_entry_pathname(e), &path) != 0 || count_entry(u, e) != 0)
		return -1;
	/* "./" is in most archives, and nothing is to be done for it. */
	if (!*path && archive_entry_filetype(e) == AE_IFDIR)
		return 0;
	if (!*path)
		return refuse(u, archive_entry_pathname(e), "no name");
	if (check_type(u, e, path) != 0)
		return -1;
	return make_entry(u, path, e);
}

static int take_entries(struct unpack *u)
{
	struct archive_entry *e;
	int rc;

	/* A name in an odd character set is a warning; it is taken as the bytes that it is. */
	while ((rc = archive_read_next_header(u->archive, &e)) >= ARCHIVE_WARN &&
	       rc != ARCHIVE_EOF) {
		if (take_entry(u, e) != 0)
			return -1;
	}
	if (rc != ARCHIVE_EOF)
		return damaged(u);
	return u->totals.entries ? 0 : kii_error_field(u->err, FIELD, "it is empty");
}

static int open_archive(struct unpack *u, int fd)
{
	struct stat st;

	u->archive = archive_read_new();
	archive_read_support_format_tar(u->archive);
	archive_read_support_format_zip(u->archive);
	/* Those that this process does itself; there are some that would start a program. */
	if (archive_read_support_filter_gzip(u->archive) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(u->archive) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(u->archive) != ARCHIVE_OK)
		return kii_error_set(u->err, KII_EIO, 0, "libarchive lacks gzip, xz or zstd");
	if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		return kii_error_set(u->err, KII_EIO, errno, "archive: %s", strerror(errno));
	u->packed = st.st_size;
	return archive_read_open_fd(u->archive, fd, BLOCK) == ARCHIVE_OK ? 0 : damaged(u);
}

static int unpack(struct unpack *u, int fd)
{
	/* Names in zip and pax are UTF-8; libarchive would lose what the C locale has not. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t old = utf8 ? uselocale(utf8) : (locale_t)0;
	int rc = open_archive(u, fd);

	if (rc == 0)
		rc = take_entries(u);
	archive_read_free(u->archive);
	if (utf8) {
		uselocale(old);
		freelocale(utf8);
	}
	return rc;
}

int kii_archive_unpack(int fd, const char *dir, const struct kii_archive_limits *limits,
	struct kii_archive_totals *totals, struct kii_error *err)
{
	struct unpack u = { .root = -1, .limits = limits, .err = err };
	struct kii_error ignored = { 0 };
	int rc = -1;

	if (mkdir(dir, 0700) != 0)
		return kii_error_set(err, errno == EEXIST ? KII_ECONFLICT : KII_EIO, errno,
			"make folder %s: %s", dir, strerror(errno));
	u.root = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u.root < 0)
		kii_error_set(err, KII_EIO, errno, "open %s: %s", dir, strerror(errno));
	else
		rc = unpack(&u, fd);
	if (u.root >= 0)
		close(u.root);
	if (rc != 0 && kii_io_remove_tree(dir, &ignored) != 0)
		kii_error_wrap(err, "%s is left (%.60s)", dir, ignored.msg);
	if (rc == 0 && totals)
		*totals = u.totals;
	return rc;
}
