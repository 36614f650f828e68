/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

#include "io.h"

struct sink {
	int fd;
	bool broken;
	struct kii_error *err;
};

/* A failure is kept from libarchive, which would then leave its compressor allocated. */
static la_ssize_t take(struct archive *a, void *arg, const void *data, size_t len)
{
	struct sink *sink = arg;

	(void)a;
	if (!sink->broken && kii_io_write_all(sink->fd, data, len, sink->err) != 0) {
		kii_error_wrap(sink->err, "write zip");
		sink->broken = true;
	}
	return (la_ssize_t)len;
}

static int failed(struct archive *a, struct kii_error *err)
{
	const char *text = archive_error_string(a);

	return kii_error_set(err, KII_EIO, archive_errno(a), "write zip: %s",
		text ? text : "unknown");
}

/*
 * No time is set, so that the same files give the same bytes: it becomes 1980-01-01, the oldest
 * that a zip can tell, whereas a given one would be told in local time.
 */
static int add(struct archive *a, const struct kii_zip_file *file, struct kii_error *err)
{
	struct archive_entry *e = archive_entry_new();
	int rc;

	archive_entry_set_pathname(e, file->name);
	archive_entry_set_size(e, (la_int64_t)file->len);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	rc = archive_write_header(a, e);
	archive_entry_free(e);
	if (rc != ARCHIVE_OK)
		return failed(a, err);
	if (archive_write_data(a, file->data, file->len) != (la_ssize_t)file->len)
		return failed(a, err);
	return 0;
}

int kii_zip_write(int fd, const struct kii_zip_file *files, size_t n, struct kii_error *err)
{
	struct archive *a = archive_write_new();
	struct sink sink = { .fd = fd, .err = err };
	int rc = 0;

	if (archive_write_set_format_zip(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
	    archive_write_open(a, &sink, NULL, take, NULL) != ARCHIVE_OK)
		rc = failed(a, err);
	for (size_t i = 0; rc == 0 && !sink.broken && i < n; i++)
		rc = add(a, &files[i], err);
	if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
		rc = failed(a, err);
	archive_write_free(a);
	return sink.broken ? -1 : rc;
}
