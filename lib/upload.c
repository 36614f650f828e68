/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static char *folder_of(const char *state_dir)
{
	return kii_xfmt("%s/engine/uploads", state_dir);
}

static char *path_of(const char *state_dir, const char *id, bool part)
{
	return kii_xfmt("%s/engine/uploads/%s%s", state_dir, part ? ".part-" : "", id);
}

static bool is_id(const char *id)
{
	return strlen(id) == KII_UPLOAD_ID && strspn(id, "0123456789abcdef") == KII_UPLOAD_ID;
}

int kii_upload_begin(const char *state_dir, char id[KII_UPLOAD_ID + 1], int *fd,
	struct kii_error *err)
{
	kii_autofree char *folder = folder_of(state_dir);
	kii_autofree char *path = NULL;

	if (kii_io_mkdirs(folder, 0700, err) != 0)
		return -1;
	kii_io_random_hex(id, KII_UPLOAD_ID / 2);
	path = path_of(state_dir, id, true);
	*fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", path, strerror(errno));
	return 0;
}

int kii_upload_done(const char *state_dir, const char *id, bool good, struct kii_error *err)
{
	kii_autofree char *part = path_of(state_dir, id, true);
	kii_autofree char *path = path_of(state_dir, id, false);

	if ((good ? rename(part, path) : unlink(part)) == 0)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "upload %s: %s", id, strerror(errno));
}

int kii_upload_open(const char *state_dir, const char *id, int *fd, struct kii_error *err)
{
	kii_autofree char *path = path_of(state_dir, id, false);

	if (!is_id(id))
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such upload");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return kii_error_set(err, KII_ENOTFOUND, errno, "there is no such upload");
	return kii_error_set(err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
}

void kii_upload_collect(const char *state_dir, int64_t before)
{
	kii_autofree char *folder = folder_of(state_dir);
	DIR *dir = opendir(folder);
	const struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir)))
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (int64_t)st.st_mtime * 1000 < before)
			unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
}
