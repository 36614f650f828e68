/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "notes.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

/* What a worker has left of the file that was killed when it wrote it. */
static void sweep(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	kii_autofree char *folder = kii_xstrndup(path, (size_t)(name - path));
	size_t len = strlen(name);
	DIR *dir = opendir(folder);
	const struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (strncmp(d->d_name, name, len) == 0 && d->d_name[len] == '.' &&
		    unlinkat(dirfd(dir), d->d_name, 0) == 0)
			kii_log_info("part_removed", "name=%s", kii_q(d->d_name));
	if (dir)
		closedir(dir);
}

void notes_load(const char *path, const char *event, size_t max, notes_take *take, void *arg)
{
	kii_autobuf text = KII_BUF_INIT(max);
	struct kii_error err = { 0 };
	char *save = NULL;
	size_t odd = 0;

	sweep(path);
	if (kii_io_read(path, &text, &err) != 0) {
		if (err.code != KII_ENOTFOUND)
			kii_log_warn(event, "error=%s", kii_q(err.msg));
		return;
	}
	for (char *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line;
			line = strtok_r(NULL, "\n", &save))
		odd += !take(arg, line);
	if (odd)
		kii_log_warn(event, "odd_lines=%zu", odd);
}

bool notes_save(const char *path, const char *event, const struct kii_buf *text)
{
	struct kii_error err = { 0 };

	if (kii_io_publish(path, text->data, text->len, 0600, &err) == 0)
		return true;
	kii_log_warn(event, "error=%s", kii_q(err.msg));
	return false;
}
