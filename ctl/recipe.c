/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "recipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define FILES_MAX 500
#define BYTES_MAX (16u << 20)
#define DEPTH_MAX 8

static int read_folder(struct ctl_recipe *r, const char *top, const char *below, int depth,
	struct kii_error *err);

static int add_file(struct ctl_recipe *r, const char *path, const char *name, mode_t mode,
	struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(BYTES_MAX);
	struct kii_file *file;

	if (r->n == FILES_MAX)
		return kii_error_set(err, KII_ETOOBIG, 0, "more than %d files", FILES_MAX);
	if (kii_io_read(path, &text, err) != 0)
		return -1;
	r->bytes += text.len;
	if (r->bytes > BYTES_MAX)
		return kii_error_set(err, KII_ETOOBIG, 0, "more than %u MiB", BYTES_MAX >> 20);
	r->files = kii_xrealloc(r->files, (r->n + 1) * sizeof(*r->files));
	file = &r->files[r->n++];
	/* Who reads or writes them here makes no difference there. */
	*file = (struct kii_file){ .name = kii_xstrdup(name), .len = text.len,
		.mode = mode & S_IXUSR ? 0755 : 0644 };
	file->data = kii_buf_steal(&text);
	return 0;
}

static int add_entry(struct ctl_recipe *r, const char *top, const char *name, int depth,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/%s", top, name);
	struct stat st;

	if (lstat(path, &st) != 0)
		return kii_error_set(err, KII_EIO, errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return read_folder(r, top, name, depth + 1, err);
	if (!S_ISREG(st.st_mode))
		return kii_error_set(err, KII_EINVAL, 0, "%s is no regular file", path);
	return add_file(r, path, name, st.st_mode, err);
}

/* `below` is the folder's path under `top`, "" for itself. */
static int read_folder(struct ctl_recipe *r, const char *top, const char *below, int depth,
	struct kii_error *err)
{
	kii_autofree char *folder = kii_xfmt("%s/%s", top, below);
	struct dirent **list = NULL;
	int n, rc = 0;

	if (depth > DEPTH_MAX)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s lies too deep", folder);
	n = scandir(folder, &list, NULL, alphasort);
	if (n < 0)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"%s: %s", folder, strerror(errno));
	for (int i = 0; i < n; i++) {
		kii_autofree char *name = kii_xfmt("%s%s%s", below, *below ? "/" : "",
			list[i]->d_name);

		if (rc == 0 && list[i]->d_name[0] != '.')
			rc = add_entry(r, top, name, depth, err);
		free(list[i]);
	}
	free(list);
	return rc;
}

int ctl_recipe_read(struct ctl_recipe *r, const char *folder, struct kii_error *err)
{
	memset(r, 0, sizeof(*r));
	return read_folder(r, folder, "", 0, err);
}

void ctl_recipe_release(struct ctl_recipe *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free((char *)r->files[i].name);
		free((char *)r->files[i].data);
	}
	free(r->files);
	memset(r, 0, sizeof(*r));
}
