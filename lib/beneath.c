/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_CAP 4095

static int refuse(const char *path, const char *field, int number, struct kii_error *err)
{
	switch (number) {
	case ENOENT:
		kii_error_set(err, KII_ENOTFOUND, number, "%s: there is no %s", field, path);
		snprintf(err->field, sizeof(err->field), "%.127s", field);
		return -1;
	case EXDEV:
		return kii_error_field(err, field, "%s leads out of the source", path);
	case ELOOP:
		return kii_error_field(err, field, "%s is a link that leads nowhere", path);
	case ENOTDIR:
		return kii_error_field(err, field, "%s is no folder, or below none", path);
	case ENXIO:
		return kii_error_field(err, field, "%s is no regular file", path);
	case ENAMETOOLONG:
		return kii_error_field(err, field, "the path is too long");
	default:
		return kii_error_set(err, KII_EIO, number, "%s: open %s: %s", field, path,
			strerror(number));
	}
}

int kii_beneath_open(int dir, const char *path, int flags, const char *field, int *fd,
	struct kii_error *err)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long rc;

	if (strlen(path) > PATH_CAP)
		return refuse(path, field, ENAMETOOLONG, err);
	/* EAGAIN: something was renamed meanwhile, so the kernel could not be sure. */
	do
		rc = syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
	while (rc < 0 && (errno == EAGAIN || errno == EINTR));
	if (rc < 0)
		return refuse(path, field, errno, err);
	*fd = (int)rc;
	return 0;
}

/* Add the parts of `path`, or go back for each "..". False where that leads out. */
static bool add_parts(struct kii_buf *out, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		const char *slash = strrchr(out->data, '/');

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (!out->len)
				return false;
			kii_buf_cut(out, slash ? (size_t)(slash - out->data) : 0);
		} else if (n && !(n == 1 && *path == '.')) {
			if (out->len)
				kii_buf_char(out, '/');
			kii_buf_add(out, path, n);
		}
		path += n + (path[n] == '/');
	}
	return true;
}

int kii_beneath_clean(const char *base, const char *path, const char *field, char **out,
	struct kii_error *err)
{
	kii_autobuf clean = KII_BUF_INIT(PATH_CAP);

	for (const char *p = path; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7F)
			return kii_error_field(err, field, "a control character in the path");
	}
	if (*path == '/')
		return kii_error_field(err, field, "the path shall be relative");
	if (!add_parts(&clean, base) || !add_parts(&clean, path))
		return kii_error_field(err, field, "%.80s leads out of the source", path);
	if (clean.overflow)
		return kii_error_field(err, field, "the path is too long");
	*out = kii_xstrdup(clean.data);
	return 0;
}

static int real_path(int fd, char out[PATH_CAP + 1], struct kii_error *err)
{
	kii_autofree char *link = kii_xfmt("/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_CAP + 1);

	if (n < 0 || n > PATH_CAP)
		return kii_error_set(err, KII_EIO, n < 0 ? errno : ENAMETOOLONG, "readlink %s: %s",
			link, strerror(n < 0 ? errno : ENAMETOOLONG));
	out[n] = '\0';
	return 0;
}

int kii_beneath_real(int dir, int fd, char **out, struct kii_error *err)
{
	char top[PATH_CAP + 1], path[PATH_CAP + 1];
	size_t n;

	if (real_path(dir, top, err) != 0 || real_path(fd, path, err) != 0)
		return -1;
	n = strcmp(top, "/") == 0 ? 0 : strlen(top);
	if (strncmp(top, path, n) != 0 || (path[n] && path[n] != '/'))
		return kii_error_set(err, KII_EIO, 0, "%s has moved out of %s", path, top);
	*out = kii_xstrdup(path[n] ? path + n + 1 : "");
	return 0;
}

int kii_beneath_read(int dir, const char *path, const char *field, struct kii_buf *out,
	char **real, struct kii_error *err)
{
	kii_autoclose int fd = -1;
	char chunk[16384];
	struct stat st;
	ssize_t n;

	if (kii_beneath_open(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, field, &fd, err) != 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return refuse(path, field, ENXIO, err);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		kii_buf_add(out, chunk, (size_t)n);
		if (out->overflow)
			return kii_buf_check(out, path, err);
	}
	if (n < 0)
		return kii_error_set(err, KII_EIO, errno, "read %s: %s", path, strerror(errno));
	return real ? kii_beneath_real(dir, fd, real, err) : 0;
}
