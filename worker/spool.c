/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

int kii_spool_open(struct kii_spool *s, const char *path, uint64_t cap, struct kii_error *err)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	if (fd < 0 || fstat(fd, &st) != 0) {
		kii_error_set(err, KII_EIO, errno, "open log %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	s->half = cap / 2;
	s->seen = (uint64_t)st.st_size;
	/* A worker that died while it appended the tail: the head is what counts. */
	if (s->seen > s->half && ftruncate(fd, (off_t)s->half) == 0)
		s->seen = s->half;
	if (lseek(fd, 0, SEEK_END) < 0 || s->seen > s->half) {
		kii_error_set(err, KII_EIO, errno, "go on with log %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	s->fd = fd;
	return 0;
}

void kii_spool_release(struct kii_spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->tail);
	s->tail = NULL;
}

void kii_spool_rewind(struct kii_spool *s)
{
	s->skip = s->seen;
}

int kii_spool_empty(struct kii_spool *s, struct kii_error *err)
{
	if (ftruncate(s->fd, 0) != 0 || lseek(s->fd, 0, SEEK_SET) < 0)
		return kii_error_set(err, KII_EIO, errno, "empty job log: %s", strerror(errno));
	s->seen = s->skip = 0;
	s->tail_len = s->tail_at = 0;
	return 0;
}

static void keep_tail(struct kii_spool *s, const char *data, uint64_t len)
{
	if (!s->tail)
		s->tail = kii_xmalloc(s->half ? s->half : 1);
	if (len > s->half) {
		data += len - s->half;
		len = s->half;
	}
	while (len) {
		uint64_t part = s->half - s->tail_at;

		if (part > len)
			part = len;
		memcpy(s->tail + s->tail_at, data, part);
		s->tail_at = (s->tail_at + part) % s->half;
		data += part;
		len -= part;
		s->tail_len += part;
	}
	if (s->tail_len > s->half)
		s->tail_len = s->half;
}

int kii_spool_feed(struct kii_spool *s, const char *data, size_t len, struct kii_error *err)
{
	uint64_t room;
	size_t head;

	if (s->skip >= len) {
		s->skip -= len;
		return 0;
	}
	data += s->skip;
	len -= s->skip;
	s->skip = 0;
	room = s->seen < s->half ? s->half - s->seen : 0;
	head = len < room ? len : (size_t)room;
	if (head && kii_io_write_all(s->fd, data, head, err) != 0)
		return kii_error_wrap(err, "job log");
	s->seen += len;
	if (len > head)
		keep_tail(s, data + head, len - head);
	return 0;
}

static int append_tail(struct kii_spool *s, struct kii_error *err)
{
	uint64_t left_out = s->seen - s->half - s->tail_len;
	uint64_t first = s->tail_len < s->half ? 0 : s->tail_at;
	uint64_t part = s->tail_len - first;
	char line[80];
	int n;

	if (left_out) {
		n = snprintf(line, sizeof(line), "\n[kiisrv: %" PRIu64 " bytes left out]\n",
			left_out);
		if (kii_io_write_all(s->fd, line, (size_t)n, err) != 0)
			return -1;
	}
	if (kii_io_write_all(s->fd, s->tail + first, part, err) != 0)
		return -1;
	return kii_io_write_all(s->fd, s->tail, first, err);
}

/*
 * The last pass was shorter than what the file holds: a worker that died at its very end had
 * appended lines of its own. They go.
 */
static int drop_foreign(struct kii_spool *s, struct kii_error *err)
{
	if (!s->skip)
		return 0;
	s->seen -= s->skip;
	s->skip = 0;
	if (ftruncate(s->fd, (off_t)s->seen) != 0 || lseek(s->fd, 0, SEEK_END) < 0)
		return kii_error_set(err, KII_EIO, errno, "cut job log: %s", strerror(errno));
	return 0;
}

int kii_spool_finish(struct kii_spool *s, const char *note, struct kii_error *err)
{
	if (s->done)
		return 0;
	s->done = true;
	if (drop_foreign(s, err) != 0)
		return -1;
	if (s->tail_len && append_tail(s, err) != 0)
		return kii_error_wrap(err, "end of job log");
	if (note && kii_io_write_all(s->fd, note, strlen(note), err) != 0)
		return kii_error_wrap(err, "end of job log");
	return 0;
}

void kii_spool_cut(struct kii_spool *s, uint64_t bytes)
{
	off_t size = lseek(s->fd, 0, SEEK_END);

	size = size > (off_t)bytes ? size - (off_t)bytes : 0;
	if (ftruncate(s->fd, size) != 0)
		kii_log_warn("log_cut", "errno=%d", errno);
	s->done = true;
}
