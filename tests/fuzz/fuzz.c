/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "io.h"
#include "log.h"
#include "testlib.h"

void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
	abort();
}

void fuzz_failed(const char *what, const struct kii_error *err, const char *file, int line)
{
	fprintf(stderr, "%s:%d: failed: %s: %s (field '%s')\n", file, line, what, err->msg,
		err->field);
	abort();
}

bool fuzz_ok(int rc, const struct kii_error *err)
{
	if (rc >= 0) {
		fuzz_check(err->code == KII_OK && !err->msg[0] && !err->field[0]);
		return true;
	}
	fuzz_check(rc == -1);
	fuzz_check(err->code > KII_OK && err->code < KII_E__MAX);
	fuzz_check(err->msg[0]);
	fuzz_check(memchr(err->msg, '\0', sizeof(err->msg)));
	fuzz_check(memchr(err->field, '\0', sizeof(err->field)));
	return false;
}

/* --- bytes --- */

char *fuzz_exact(const uint8_t *data, size_t size)
{
	char *copy = kii_xmalloc(size ? size : 1);

	if (size)
		memcpy(copy, data, size);
	return copy;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	return size ? kii_xstrndup((const char *)data, size) : kii_xstrdup("");
}

char *fuzz_part(const uint8_t **data, size_t *size, const char *mark, size_t *len)
{
	kii_autofree char *line = kii_xfmt("\n%s\n", mark);
	const uint8_t *found = *size ? memmem(*data, *size, line, strlen(line)) : NULL;
	char *part;

	*len = found ? (size_t)(found - *data) : *size;
	part = kii_xmalloc(*len + 1);
	if (*len)
		memcpy(part, *data, *len);
	part[*len] = '\0';
	if (found) {
		*data += *len + strlen(line);
		*size -= *len + strlen(line);
	} else {
		*size = 0;
	}
	return part;
}

/* --- files --- */

static char *dir;

static void remove_dir(void)
{
	test_dir_remove(dir);
	free(dir);
}

size_t fuzz_piece(unsigned *seed, size_t left)
{
	size_t n = *seed % 32 + 1;

	if (!*seed)
		return left;
	*seed = (*seed * 1103515245u + 12345u) >> 8 | 1;
	return n < left ? n : left;
}

const char *fuzz_dir(void)
{
	if (!dir) {
		dir = test_dir_new();
		(void)atexit(remove_dir);
	}
	return dir;
}

char *fuzz_empty(const char *name)
{
	struct kii_error err = { 0 };
	char *path = kii_xfmt("%s/%s", fuzz_dir(), name);

	fuzz_must(kii_io_remove_tree(path, &err), &err);
	fuzz_check(mkdir(path, 0755) == 0);
	return path;
}

void fuzz_write(const char *path, const void *data, size_t len)
{
	struct kii_error err = { 0 };
	kii_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	fuzz_check(fd >= 0);
	fuzz_must(kii_io_write_all(fd, data, len, &err), &err);
}

/* The folder that `path` lies in, made where it is missing: -1 where that cannot be. */
static int open_parent(int at, const char *path, const char **name)
{
	at = fcntl(at, F_DUPFD_CLOEXEC, 0);
	for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		kii_autofree char *part = kii_xstrndup(path, (size_t)(slash - path));
		int next;

		mkdirat(at, part, 0755);
		next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	*name = path;
	return at;
}

/* A file with these lines or, with `target`, a link. */
static void make_one(int top, const char *named, const char *target, const char *text, size_t len)
{
	struct kii_error err = { 0 };
	kii_autofree char *path = NULL;
	kii_autoclose int parent = -1;
	kii_autoclose int fd = -1;
	const char *name;

	if (kii_beneath_clean("", named, "path", &path, &err) != 0 || !*path)
		return;
	parent = open_parent(top, path, &name);
	if (parent < 0)
		return;
	if (target) {
		if (symlinkat(target, parent, name) != 0)
			return;
	} else {
		fd = openat(parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			0644);
		if (fd >= 0)
			fuzz_must(kii_io_write_all(fd, text, len, &err), &err);
	}
}

/* One line with @, whose own lines are `text`. */
static void take_mark(int top, char *line, const char *text, size_t len, fuzz_line *other,
	void *arg)
{
	char *target;

	if (strncmp(line, "@file ", 6) == 0) {
		make_one(top, line + 6, NULL, text, len);
	} else if (strncmp(line, "@link ", 6) == 0) {
		target = strchr(line + 6, ' ');
		if (!target)
			return;
		*target++ = '\0';
		make_one(top, line + 6, target, NULL, 0);
	} else if (other) {
		other(arg, line);
	}
}

void fuzz_tree(const char *root, const char *text, size_t len, const char *whole, fuzz_line *other,
	void *arg)
{
	kii_autoclose int top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *end = text + len;

	fuzz_check(top >= 0);
	if (!len || *text != '@') {
		make_one(top, whole, NULL, text, len);
		return;
	}
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *body = stop ? stop + 1 : end;
		const char *next = body < end && *body == '@' ? body - 1 :
			body < end ? memmem(body, (size_t)(end - body), "\n@", 2) : NULL;
		kii_autofree char *line = kii_xstrndup(text, (size_t)((stop ? stop : end) - text));

		next = next ? next + 1 : end;
		take_mark(top, line, body, (size_t)(next - body), other, arg);
		text = next;
	}
}

/* --- what is linked in place of the log: a line for each input would hide what is found --- */

void __wrap_kii_log_info(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);
void __wrap_kii_log_warn(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);
void __wrap_kii_log_error(const char *event, const char *fmt, ...) KII_PRINTF(2, 3);

void __wrap_kii_log_info(const char *event, const char *fmt, ...)
{
	(void)event;
	(void)fmt;
}

void __wrap_kii_log_warn(const char *event, const char *fmt, ...)
{
	(void)event;
	(void)fmt;
}

void __wrap_kii_log_error(const char *event, const char *fmt, ...)
{
	(void)event;
	(void)fmt;
}
