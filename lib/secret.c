/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LEN 63

void kii_secret_release(struct kii_buf *secret)
{
	if (secret->cap)
		explicit_bzero(secret->data, secret->cap);
	kii_buf_release(secret);
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= NAME_LEN && !strchr("._-", name[0]) &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static int check_file(int fd, const char *field, struct kii_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return kii_error_set(err, KII_EIO, errno, "look at a secret: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kii_error_field(err, field, "the secret is no regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return kii_error_field(err, field,
			"the secret's file belongs neither to root nor to kiisrv's user");
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return kii_error_field(err, field,
			"the secret's file is open to others: chmod o=,g-w");
	if (st.st_size > KII_SECRET_MAX)
		return kii_error_field(err, field, "the secret is too big");
	return 0;
}


static int read_all(int fd, struct kii_buf *out, struct kii_error *err)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		kii_buf_add(out, chunk, (size_t)n);
	explicit_bzero(chunk, sizeof(chunk));
	if (n < 0)
		return kii_error_set(err, KII_EIO, errno, "read a secret: %s", strerror(errno));
	return kii_buf_check(out, "secret", err);
}

int kii_secret_read(const char *dir, const char *name, const char *field, struct kii_buf *out,
	struct kii_error *err)
{
	kii_autofree char *path = NULL;
	kii_autoclose int fd = -1;

	if (!is_name(name))
		return kii_error_field(err, field, "a secret's name is up to 63 of a-z 0-9 _ . - "
			"and begins with a letter or digit");
	path = kii_xfmt("%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return kii_error_field(err, field, "there is no such secret");
	if (fd < 0 && (errno == ELOOP || errno == EACCES))
		return kii_error_field(err, field, "the secret cannot be read: %s",
			strerror(errno));
	if (fd < 0)
		return kii_error_set(err, KII_EIO, errno, "open secret %s: %s", name,
			strerror(errno));
	if (check_file(fd, field, err) != 0)
		return -1;
	return read_all(fd, out, err);
}
