/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "notes.h"

#include <string.h>

#include "io.h"
#include "log.h"

void notes_load(const char *path, const char *event, size_t max, notes_take *take, void *arg)
{
	kii_autobuf text = KII_BUF_INIT(max);
	struct kii_error err = { 0 };
	char *save = NULL;
	size_t odd = 0;

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
