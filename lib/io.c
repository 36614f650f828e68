/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int kii_io_read(const char *path, struct kii_buf *out, struct kii_error *err)
{
	kii_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[16384];
	ssize_t n;

	if (fd < 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"open %s: %s", path, strerror(errno));
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kii_error_set(err, KII_EIO, errno, "read %s: %s", path,
				strerror(errno));
		kii_buf_add(out, chunk, (size_t)n);
		if (out->overflow)
			return kii_buf_check(out, path, err);
	}
	return 0;
}

int kii_io_write_all(int fd, const void *data, size_t len, struct kii_error *err)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kii_error_set(err, KII_EIO, errno, "write: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int kii_io_publish(const char *path, const void *data, size_t len, mode_t mode,
	struct kii_error *err)
{
	kii_autofree char *tmp = kii_xfmt("%s.XXXXXX", path);
	kii_autoclose int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", tmp, strerror(errno));
	if (kii_io_write_all(fd, data, len, err) != 0) {
		unlink(tmp);
		return kii_error_wrap(err, "%s", path);
	}
	if (fchmod(fd, mode) != 0 || fsync(fd) != 0 || rename(tmp, path) != 0) {
		kii_error_set(err, KII_EIO, errno, "publish %s: %s", path, strerror(errno));
		unlink(tmp);
		return -1;
	}
	return 0;
}

int kii_io_mkdirs(const char *path, mode_t mode, struct kii_error *err)
{
	kii_autofree char *part = kii_xstrdup(path);
	struct stat st;

	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return kii_error_set(err, KII_EIO, errno, "make folder %s: %s", part,
				strerror(errno));
		*p = '/';
	}
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return kii_error_set(err, KII_EIO, errno, "make folder %s: %s", path,
			strerror(errno));
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return kii_error_set(err, KII_EIO, ENOTDIR, "%s is not a folder", path);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

int kii_io_remove_tree(const char *path, struct kii_error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0 && errno == ENOENT)
		return 0;
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		return kii_error_set(err, KII_EIO, errno, "remove %s: %s", path, strerror(errno));
	return 0;
}

int kii_io_free(const char *path, uint64_t *bytes, struct kii_error *err)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0)
		return kii_error_set(err, KII_EIO, errno, "free space of %s: %s", path,
			strerror(errno));
	*bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t kii_io_now(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t kii_io_wall(void)
{
	return clock_ms(CLOCK_REALTIME);
}

void kii_io_boot(char out[37])
{
	kii_autobuf id = KII_BUF_INIT(64);
	struct kii_error err = { 0 };

	if (kii_io_read("/proc/sys/kernel/random/boot_id", &id, &err) != 0)
		kii_error_clear(&err);
	snprintf(out, 37, "%.36s", id.len ? id.data : "");
}

void kii_io_stamp(int64_t ms, char out[32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	(void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void kii_io_random(void *out, size_t n)
{
	char *p = out;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		p += got;
		n -= (size_t)got;
	}
}

void kii_io_random_hex(char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	kii_io_random(out, n);
	out[2 * n] = '\0';
	for (size_t i = n; i-- > 0;) {
		unsigned char c = (unsigned char)out[i];

		out[2 * i] = digits[c >> 4];
		out[2 * i + 1] = digits[c & 15];
	}
}

/* A peer that is stopped leaves its queue full: connect would wait for ever. */
static int connect_soon(int s, const struct sockaddr_un *addr)
{
	const struct timeval soon = { .tv_sec = 1 };
	const struct timeval never = { .tv_sec = 0 };

	if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)) != 0 ||
	    connect(s, (const struct sockaddr *)addr, sizeof(*addr)) != 0)
		return -1;
	return setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof(never));
}

int kii_io_connect_unix(const char *path, int *fd, struct kii_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int s;

	if (strlen(path) >= sizeof(addr.sun_path))
		return kii_error_set(err, KII_EINVAL, 0, "%s is too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return kii_error_set(err, KII_EIO, errno, "socket: %s", strerror(errno));
	if (connect_soon(s, &addr) != 0) {
		kii_error_set(err, KII_EDOWN, errno, "connect %s: %s", path, strerror(errno));
		close(s);
		return -1;
	}
	*fd = s;
	return 0;
}
