/* SPDX-License-Identifier: MIT */
/*
 * restore_swap: several folders take their places together. A file in the state folder names them
 * before the first is moved, so that whoever finds it knows that the work is to be finished.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "restore_private.h"

#define MARK_MAX 65536

int kii_sync_folder(const char *path, struct kii_error *err)
{
	kii_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd) == 0)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "sync %s: %s", path, strerror(errno));
}

static char *mark_path(const char *state_dir)
{
	return kii_xfmt("%s/restoring", state_dir);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int move(const char *from, const char *to, struct kii_error *err)
{
	if (rename(from, to) == 0)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "move %s to %s: %s", from, to, strerror(errno));
}

/*
 * One place. From the middle of it, it goes on: what stands in the place while the old one is away
 * already can only be a folder that somebody has made anew.
 */
static int take_place(const char *target, struct kii_error *err)
{
	kii_autofree char *new = kii_xfmt("%s" KII_RESTORE_NEW, target);
	kii_autofree char *old = kii_xfmt("%s" KII_RESTORE_OLD, target);

	if (!exists(new))
		return 0;
	if (exists(target) && exists(old)) {
		if (rmdir(target) != 0)
			return kii_error_set(err, KII_EIO, errno, "%s was made anew meanwhile: %s",
				target, strerror(errno));
	} else if (exists(target) && move(target, old, err) != 0) {
		return -1;
	}
	return move(new, target, err);
}

static void give_back(const char *target)
{
	kii_autofree char *new = kii_xfmt("%s" KII_RESTORE_NEW, target);
	kii_autofree char *old = kii_xfmt("%s" KII_RESTORE_OLD, target);

	/* The place that failed may have no new one in it yet. */
	if (!exists(new) && exists(target) && rename(target, new) != 0)
		return;
	if (exists(old) && !exists(target) && rename(old, target) != 0)
		return;
}

static int write_mark(const char *state_dir, const char *const *targets, size_t n,
	struct kii_error *err)
{
	kii_autofree char *path = mark_path(state_dir);
	kii_autobuf text = KII_BUF_INIT(MARK_MAX);
	kii_autojson *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(targets[i]));
	if (kii_json_dump(list, 0, &text, err) != 0 ||
	    kii_io_publish(path, text.data, text.len, 0644, err) != 0)
		return -1;
	return kii_sync_folder(state_dir, err);
}

static int remove_mark(const char *state_dir, struct kii_error *err)
{
	kii_autofree char *path = mark_path(state_dir);

	if (kii_sync_folder(state_dir, err) != 0)
		return -1;
	if (unlink(path) == 0)
		return 0;
	return kii_error_set(err, KII_EIO, errno, "remove %s: %s", path, strerror(errno));
}

int kii_swap(const char *state_dir, const char *const *targets, size_t n, struct kii_error *err)
{
	struct kii_error ignored = { 0 };
	size_t i = 0;

	if (write_mark(state_dir, targets, n, err) != 0)
		return -1;
	while (i < n && take_place(targets[i], err) == 0)
		i++;
	if (i == n)
		return remove_mark(state_dir, err);
	for (size_t back = i + 1; back > 0; back--)
		give_back(targets[back - 1]);
	if (remove_mark(state_dir, &ignored) != 0)
		kii_error_wrap(err, "%s", ignored.msg);
	return -1;
}

bool kii_restore_pending(const char *state_dir)
{
	kii_autofree char *path = mark_path(state_dir);

	return exists(path);
}

int kii_restore_finish(const char *state_dir, struct kii_error *err)
{
	kii_autofree char *path = mark_path(state_dir);
	kii_autobuf text = KII_BUF_INIT(MARK_MAX);
	kii_autojson *list = NULL;
	size_t i;
	json_t *target;

	if (!exists(path))
		return 0;
	if (kii_io_read(path, &text, err) != 0 ||
	    kii_json_parse(text.data, text.len, "restoring", &list, err) != 0)
		return -1;
	if (!json_is_array(list))
		return kii_error_set(err, KII_EINVAL, 0, "%s: no list", path);
	json_array_foreach(list, i, target) {
		const char *name = json_string_value(target);

		if (!name || *name != '/')
			return kii_error_set(err, KII_EINVAL, 0, "%s: no path", path);
		if (take_place(name, err) != 0)
			return -1;
	}
	return remove_mark(state_dir, err);
}
