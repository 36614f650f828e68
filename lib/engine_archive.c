/* SPDX-License-Identifier: MIT */
/*
 * engine_archive: files into a container and one file out of it, as tar. What comes out is the
 * container's to shape: it is taken only where it is one regular file of the expected name within
 * its cap, by the engine's own word (Podman follows a link and shows what it leads to) and by the
 * archive's.
 */
#include <config.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "engine_call.h"
#include "io.h"
#include "json.h"

#define PUT_MAX    (64u << 20)
#define CHUNK_MAX  (4u << 20)    /* what one step of a call may bring */
#define TAIL_MAX   (1u << 20)    /* padding behind the archive's end */

/* os.FileMode of Go: set for anything but a regular file. */
#define GO_TYPES   (1u << 31 | 1u << 27 | 1u << 26 | 1u << 25 | 1u << 24 | 1u << 21 | 1u << 19)

/* --- in --- */

static la_ssize_t write_tar(struct archive *a, void *arg, const void *data, size_t len)
{
	struct kii_buf *tar = arg;

	(void)a;
	kii_buf_add(tar, data, len);
	return tar->overflow ? -1 : (la_ssize_t)len;
}

static int add_entry(struct archive *a, const char *name, mode_t type, const struct kii_file *file,
	unsigned uid, unsigned gid)
{
	struct archive_entry *entry = archive_entry_new();
	int rc;

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, file->mode);
	archive_entry_set_uid(entry, uid);
	archive_entry_set_gid(entry, gid);
	archive_entry_set_mtime(entry, kii_io_wall() / 1000, 0);
	archive_entry_set_size(entry, (la_int64_t)file->len);
	rc = archive_write_header(a, entry);
	archive_entry_free(entry);
	if (rc < ARCHIVE_WARN)
		return -1;
	return file->len && archive_write_data(a, file->data, file->len) != (la_ssize_t)file->len
		? -1 : 0;
}

static int add_entries(struct archive *a, const char *dir, const struct kii_file *files, size_t n,
	unsigned uid, unsigned gid)
{
	const struct kii_file folder = { .mode = 0755 };

	if (dir && add_entry(a, dir, AE_IFDIR, &folder, uid, gid))
		return -1;
	for (size_t i = 0; i < n; i++) {
		kii_autofree char *name = kii_xfmt("%s%s%s", dir ? dir : "", dir ? "/" : "",
			files[i].name);

		if (add_entry(a, name, AE_IFREG, &files[i], uid, gid))
			return -1;
	}
	return archive_write_close(a) == ARCHIVE_OK ? 0 : -1;
}

int kii_engine_tar(const char *dir, const struct kii_file *files, size_t n, unsigned uid,
	unsigned gid, struct kii_buf *tar, struct kii_error *err)
{
	struct archive *a = archive_write_new();
	int rc;

	archive_write_set_format_pax_restricted(a);
	archive_write_set_bytes_per_block(a, 0);
	rc = archive_write_open(a, tar, NULL, write_tar, NULL);
	if (rc == ARCHIVE_OK)
		rc = add_entries(a, dir, files, n, uid, gid);
	if (rc && kii_buf_check(tar, "archive", err) == 0)
		kii_error_set(err, KII_EIO, archive_errno(a), "archive: %s",
			archive_error_string(a) ? archive_error_string(a) : "?");
	archive_write_free(a);
	return rc ? -1 : 0;
}

static int check_put(const char *id, const char *path, const char *dir,
	const struct kii_file *files, size_t n, struct kii_error *err)
{
	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err)
			|| kii_engine_name(KII_NAME_PATH, "path", path, err)
			|| (dir && kii_engine_name(KII_NAME_PART, "dir", dir, err)))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (kii_engine_name(KII_NAME_PART, "file", files[i].name, err))
			return -1;
	}
	return 0;
}

int kii_engine_put(struct kii_engine *e, const char *id, const char *path, const char *dir,
	const struct kii_file *files, size_t n, unsigned uid, unsigned gid, struct kii_error *err)
{
	kii_autobuf tar = KII_BUF_INIT(PUT_MAX);
	kii_autocall c = KII_CALL_INIT("PUT");

	if (check_put(id, path, dir, files, n, err)
			|| kii_engine_tar(dir, files, n, uid, gid, &tar, err))
		return -1;
	kii_call_path(&c, "/containers/%s/archive", id);
	kii_call_query(&c, "path", path);
	c.type = "Content-Type: application/x-tar";
	c.body = tar.data;
	c.body_len = tar.len;
	return kii_call_run(e, &c, err);
}

/* --- out --- */

/* libarchive pulls, the call is stepped until there is something to give. */
struct pull {
	struct kii_engine *e;
	struct kii_call *call;
	struct kii_buf chunk;
	bool given;              /* libarchive has seen the chunk */
	struct kii_error *err;
};

static int take_chunk(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct pull *p = arg;

	kii_buf_add(&p->chunk, data, len);
	return kii_buf_check(&p->chunk, "a piece of the archive", err);
}

static int fill_chunk(struct pull *p)
{
	while (!p->chunk.len && !p->call->done) {
		if (kii_call_step(p->e, p->call, p->err))
			return -1;
	}
	return 0;
}

static la_ssize_t read_chunk(struct archive *a, void *arg, const void **data)
{
	struct pull *p = arg;

	if (p->given)
		kii_buf_reset(&p->chunk);
	p->given = true;
	if (fill_chunk(p)) {
		archive_set_error(a, EIO, "%s", p->err->msg);
		return -1;
	}
	*data = p->chunk.data;
	return (la_ssize_t)p->chunk.len;
}

static bool decode_base64(const char *text, struct kii_buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned n = 0;

	for (; *text && *text != '='; text++) {
		const char *at = strchr(digits, *text);

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - digits);
		n += 6;
		if (n >= 8) {
			n -= 8;
			kii_buf_char(out, (char)(bits >> n & 0xff));
		}
	}
	return true;
}

/* The engine's word about the path, before a byte of the archive is looked at. */
static int check_stat(const char *header, uint64_t cap, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(4096);
	kii_autojson *stat = NULL;
	struct kii_error ignored = { 0 };
	json_int_t mode;

	if (!header[0] || !decode_base64(header, &text)
			|| kii_json_parse(text.data, text.len, "stat", &stat, &ignored))
		return kii_engine_odd("stat of the path", err);
	mode = kii_json_int(stat, "mode", -1);
	if (mode < 0)
		return kii_engine_odd("mode of the path", err);
	if (mode & GO_TYPES)
		return kii_error_set(err, KII_EINVAL, 0, "it is no regular file");
	if (kii_json_int(stat, "size", 0) > 0 && (uint64_t)kii_json_int(stat, "size", 0) > cap)
		return kii_error_set(err, KII_ETOOBIG, 0, "it is larger than %llu bytes",
			(unsigned long long)cap);
	return 0;
}

static int broken(struct archive *a, struct kii_error *err)
{
	const char *why = archive_error_string(a);

	return kii_error_set(err, KII_EBROKEN, archive_errno(a), "archive: %s",
		why ? why : "cut short");
}

static int check_entry(struct archive_entry *entry, const char *name, uint64_t cap,
	struct kii_error *err)
{
	const char *path = archive_entry_pathname(entry);

	/* "x" on Docker, "/x" on some Podmans. */
	while (path && (*path == '/' || (path[0] == '.' && path[1] == '/')))
		path++;
	if (!path || strcmp(path, name) != 0)
		return kii_error_set(err, KII_EINVAL, 0, "the archive has another name");
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
		return kii_error_set(err, KII_EINVAL, 0, "it is no regular file");
	if (archive_entry_size(entry) < 0 || (uint64_t)archive_entry_size(entry) > cap)
		return kii_error_set(err, KII_ETOOBIG, 0, "it is larger than %llu bytes",
			(unsigned long long)cap);
	return 0;
}

/* Holes come out as zeros; their size was in the entry's, which is within the cap. */
static int copy_data(struct archive *a, int fd, uint64_t *size, struct kii_error *err)
{
	char data[16384];
	la_ssize_t n;

	*size = 0;
	while ((n = archive_read_data(a, data, sizeof(data))) > 0) {
		if (kii_io_write_all(fd, data, (size_t)n, err))
			return -1;
		*size += (uint64_t)n;
	}
	return n < 0 ? broken(a, err) : 0;
}

static int copy_file(struct archive *a, const char *name, uint64_t cap, int fd, uint64_t *size,
	struct kii_error *err)
{
	struct archive_entry *entry;
	int rc = archive_read_next_header(a, &entry);

	if (rc == ARCHIVE_EOF)
		return kii_error_set(err, KII_ENOTFOUND, 0, "the archive is empty");
	if (rc < ARCHIVE_WARN)
		return broken(a, err);
	if (check_entry(entry, name, cap, err) || copy_data(a, fd, size, err))
		return -1;
	rc = archive_read_next_header(a, &entry);
	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc < ARCHIVE_WARN)
		return broken(a, err);
	return kii_error_set(err, KII_EINVAL, 0, "the archive has a second entry");
}

/* What lies behind the archive's end: padding, or the connection would be lost. */
static int drain(struct pull *p)
{
	size_t seen = 0;

	while (!p->call->done) {
		kii_buf_reset(&p->chunk);
		if (fill_chunk(p))
			return -1;
		seen += p->chunk.len;
		if (seen > TAIL_MAX)
			return kii_error_set(p->err, KII_EBROKEN, 0, "the archive has no end");
	}
	return 0;
}

static int pull_file(struct pull *p, const char *name, uint64_t cap, int fd, uint64_t *size)
{
	struct archive *a;
	int rc;

	if (fill_chunk(p) || check_stat(p->call->header[0].data, cap, p->err))
		return -1;
	a = archive_read_new();
	archive_read_support_format_tar(a);
	rc = archive_read_open(a, p, NULL, read_chunk, NULL) == ARCHIVE_OK ? 0 : broken(a, p->err);
	if (rc == 0)
		rc = copy_file(a, name, cap, fd, size, p->err);
	archive_read_free(a);
	return rc ? rc : drain(p);
}

static int get_once(struct kii_engine *e, struct kii_call *c, const char *name, uint64_t cap,
	int fd, uint64_t *size, struct kii_error *err)
{
	struct pull p = { .e = e, .call = c, .chunk = KII_BUF_INIT(CHUNK_MAX), .err = err };
	int rc;

	c->sink = take_chunk;
	c->sink_arg = &p;
	rc = kii_call_begin(e, c, err);
	if (rc == 0) {
		rc = pull_file(&p, name, cap, fd, size);
		kii_call_end(e, c);
	}
	c->sink_arg = NULL;
	kii_buf_release(&p.chunk);
	return rc;
}

int kii_engine_get(struct kii_engine *e, const char *id, const char *path, const char *name,
	uint64_t cap, int fd, uint64_t *size, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autofree char *full = kii_xfmt("%s/%s", path, name);
	struct kii_error why = { 0 };
	uint64_t written = 0;

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, err)
			|| kii_engine_name(KII_NAME_PART, "file", name, err)
			|| kii_engine_name(KII_NAME_PATH, "path", full, err))
		return -1;
	c.want[0] = "X-Docker-Container-Path-Stat";
	kii_call_path(&c, "/containers/%s/archive", id);
	kii_call_query(&c, "path", full);
	if (get_once(e, &c, name, cap, fd, &written, &why)) {
		if (!kii_call_stale(&c))
			return kii_error_set(err, why.code, why.detail, "%s", why.msg);
		if (get_once(e, &c, name, cap, fd, &written, err))
			return -1;
	}
	*size = written;
	return 0;
}
