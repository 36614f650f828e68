/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "plan_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "plan_data.h"

#define PATH_LONGEST 512

/* A file that was asked for, there or not. */
struct entry {
	char *path;
	char *text;         /* NULL: there is no such file */
	json_t *data;
	struct kii_error error;   /* of reading it */
	struct kii_error wrong;   /* of its document */
	bool parsed;
};

struct kii_tree {
	int root;
	struct entry **entries;
	size_t n, room;
	size_t total;
	bool indexed;
	struct kii_texts index;
};

struct kii_tree *kii_tree_new(int dirfd)
{
	struct kii_tree *t = kii_xcalloc(1, sizeof(*t));

	t->root = dirfd;
	return t;
}

void kii_tree_free(struct kii_tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free(t->entries[i]->path);
		free(t->entries[i]->text);
		json_decref(t->entries[i]->data);
		free(t->entries[i]);
	}
	free(t->entries);
	kii_texts_release(&t->index);
	free(t);
}

bool kii_tree_inside(const char *path)
{
	size_t len = strlen(path);
	const char *part = path;

	if (!len || len > PATH_LONGEST || *path == '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return false;
	}
	for (;;) {
		size_t n = strcspn(part, "/");

		if (n == 2 && strncmp(part, "..", 2) == 0)
			return false;
		if (!part[n])
			return true;
		part += n + 1;
	}
}

/* Open beneath the root, a folder at a time, so that no link is followed; -1 and errno. */
static int open_beneath(const struct kii_tree *t, const char *path, int flags)
{
	int fd = openat(t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *part = path;

	if (!kii_tree_inside(path)) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	while (fd >= 0) {
		size_t n = strcspn(part, "/");
		kii_autofree char *name = kii_xstrndup(part, n);
		bool last = !part[n];
		int how = last ? flags : O_RDONLY | O_DIRECTORY;
		int next = openat(fd, *name ? name : ".", how | O_NOFOLLOW | O_CLOEXEC);
		int saved = errno;

		close(fd);
		errno = saved;
		fd = next;
		if (last)
			break;
		part += n + 1;
	}
	return fd;
}

static bool is_kind(const struct kii_tree *t, const char *path, mode_t kind)
{
	kii_autoclose int fd = open_beneath(t, path, O_PATH);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

bool kii_tree_has(struct kii_tree *t, const char *path)
{
	return is_kind(t, path, S_IFREG);
}

bool kii_tree_folder(struct kii_tree *t, const char *path)
{
	return is_kind(t, path, S_IFDIR);
}

static int too_big(const char *path, int cap, struct kii_error *err)
{
	kii_error_set(err, KII_ETOOBIG, 0, "%s: more than %d KiB", path, cap >> 10);
	snprintf(err->field, sizeof(err->field), "%s", path);
	return -1;
}

static int read_all(int fd, struct entry *e, struct kii_buf *out)
{
	char block[16384];
	ssize_t n;

	do {
		n = read(fd, block, sizeof(block));
		if (n > 0)
			kii_buf_add(out, block, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return kii_error_set(&e->error, KII_EIO, errno, "%s: %s", e->path,
			strerror(errno));
	if (out->overflow)
		return too_big(e->path, KII_TREE_FILE, &e->error);
	if (memchr(out->data, '\0', out->len))
		return kii_error_field(&e->error, e->path, "is no text: it holds NUL bytes");
	return 0;
}

/* What is missing, a link, a folder or a device is not there. */
static void read_entry(struct kii_tree *t, struct entry *e)
{
	kii_autoclose int fd = open_beneath(t, e->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	kii_autobuf text = KII_BUF_INIT(KII_TREE_FILE);
	struct stat st;

	if (fd < 0) {
		if (errno == EACCES || errno == EIO || errno == EMFILE || errno == ENFILE)
			kii_error_set(&e->error, KII_EIO, errno, "%s: %s", e->path,
				strerror(errno));
		return;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_size > KII_TREE_FILE) {
		too_big(e->path, KII_TREE_FILE, &e->error);
		return;
	}
	if (t->total + (size_t)st.st_size > KII_TREE_TOTAL) {
		kii_error_set(&e->error, KII_ETOOBIG, 0, "the project's files: more than %d MiB "
			"to read", KII_TREE_TOTAL >> 20);
		return;
	}
	if (read_all(fd, e, &text) != 0)
		return;
	t->total += text.len;
	e->text = kii_xstrdup(text.data);
}

static struct entry *find(struct kii_tree *t, const char *path)
{
	struct entry *e;

	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->entries[i]->path, path) == 0)
			return t->entries[i];
	}
	t->entries = kii_xgrow(t->entries, t->n, &t->room, sizeof(struct entry *));
	e = t->entries[t->n++] = kii_xcalloc(1, sizeof(*e));
	e->path = kii_xstrdup(path);
	read_entry(t, e);
	return e;
}

/* An error is kept with its file, and said to all who ask. */
static int repeat(const struct kii_error *kept, struct kii_error *err)
{
	if (err->code == KII_OK)
		*err = *kept;
	return -1;
}

int kii_tree_text(struct kii_tree *t, const char *path, const char **text, struct kii_error *err)
{
	const struct entry *e = find(t, path);

	if (e->error.code != KII_OK)
		return repeat(&e->error, err);
	*text = e->text;
	return 0;
}

int kii_tree_data(struct kii_tree *t, const char *path, const json_t **data,
	struct kii_error *err)
{
	struct entry *e = find(t, path);

	if (e->error.code != KII_OK)
		return repeat(&e->error, err);
	if (e->text && !e->parsed) {
		e->parsed = true;
		if (strlen(e->text) > KII_TREE_YAML && kii_data_is_yaml(path))
			too_big(path, KII_TREE_YAML, &e->wrong);
		else if (kii_data_read(e->text, path, &e->data, &e->wrong) != 0)
			e->data = NULL;
	}
	if (e->wrong.code != KII_OK)
		return repeat(&e->wrong, err);
	*data = e->data;
	return 0;
}

const char *kii_tree_peek(struct kii_tree *t, const char *path)
{
	struct kii_error err = { 0 };
	const char *text = NULL;

	return kii_tree_text(t, path, &text, &err) == 0 ? text : NULL;
}

const json_t *kii_tree_look(struct kii_tree *t, const char *path)
{
	struct kii_error err = { 0 };
	const json_t *data = NULL;

	return kii_tree_data(t, path, &data, &err) == 0 ? data : NULL;
}

static bool of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

bool kii_tree_mentions(struct kii_tree *t, const char *path, const char *word)
{
	const char *text = kii_tree_peek(t, path);
	size_t len = strlen(word);

	for (const char *p = text ? strstr(text, word) : NULL; p; p = strstr(p + 1, word)) {
		if ((p == text || !of_name(p[-1])) && !of_name(p[len]))
			return true;
	}
	return false;
}

/* A name that needs no quotes anywhere. */
static bool is_plain(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._+@-";

	return name[0] != '-' && name[strspn(name, plain)] == '\0';
}

static bool is_filled_by_tools(const char *name)
{
	static const char *const names[] = { ".git", "node_modules", "vendor", "target", ".venv",
		"venv", "__pycache__", ".next", ".nuxt", ".cache", "_build", "deps",
		".gradle", ".stack-work", "dist-newstyle", ".build", "zig-cache", ".zig-cache" };

	for (size_t i = 0; i < KII_COUNT(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static unsigned char type_of(DIR *dir, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type;
	if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return DT_UNKNOWN;
	return S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN;
}

/* One folder's files into `files`, its folders into `folders`, until there are `most`. */
static void list_folder(const struct kii_tree *t, const char *path, size_t most,
	struct kii_texts *files, struct kii_texts *folders)
{
	int fd = open_beneath(t, *path ? path : ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)) && files->n + folders->n < most) {
		unsigned char type = type_of(dir, d);

		if (!is_plain(d->d_name) || strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0)
			continue;
		if (type == DT_REG)
			kii_texts_fmt(files, "%s%s%s", path, *path ? "/" : "", d->d_name);
		else if (type == DT_DIR && !is_filled_by_tools(d->d_name))
			kii_texts_fmt(folders, "%s%s%s", path, *path ? "/" : "", d->d_name);
	}
	closedir(dir);
}

/* Level by level, so that a cap leaves out the deep ones, and in one order whatever readdir's. */
static void build_index(struct kii_tree *t)
{
	kii_autotexts level = { 0 };
	size_t seen = 0;

	t->indexed = true;
	kii_texts_add(&level, "");
	for (int depth = 0; depth <= KII_TREE_DEPTH && level.n; depth++) {
		kii_autotexts files = { 0 };
		kii_autotexts folders = { 0 };

		for (size_t i = 0; i < level.n; i++)
			list_folder(t, level.items[i], KII_TREE_NAMES - seen, &files, &folders);
		kii_texts_sort(&files);
		kii_texts_sort(&folders);
		kii_texts_append(&t->index, &files);
		seen += files.n + folders.n;
		kii_texts_release(&level);
		kii_texts_append(&level, &folders);
	}
}

void kii_tree_glob(struct kii_tree *t, const char *pattern, struct kii_texts *out)
{
	if (!t->indexed)
		build_index(t);
	for (size_t i = 0; i < t->index.n; i++) {
		if (fnmatch(pattern, t->index.items[i], FNM_PATHNAME | FNM_PERIOD) == 0)
			kii_texts_add(out, t->index.items[i]);
	}
}

char *kii_tree_first(struct kii_tree *t, const char *pattern)
{
	if (!t->indexed)
		build_index(t);
	for (size_t i = 0; i < t->index.n; i++) {
		if (fnmatch(pattern, t->index.items[i], FNM_PATHNAME | FNM_PERIOD) == 0)
			return kii_xstrdup(t->index.items[i]);
	}
	return NULL;
}

/* The next line without blanks at its ends; false behind the last. */
static bool next_line(const char **text, const char **line, size_t *len)
{
	const char *start = *text;
	size_t n = strcspn(start, "\n");

	if (!*start)
		return false;
	*text = start + n + (start[n] ? 1 : 0);
	for (; n && isspace((unsigned char)*start); n--)
		start++;
	for (; n && isspace((unsigned char)start[n - 1]); n--)
		;
	*line = start;
	*len = n;
	return true;
}

char *kii_tree_line(struct kii_tree *t, const char *path)
{
	const char *text = kii_tree_peek(t, path);
	const char *line;
	size_t len;

	while (text && next_line(&text, &line, &len)) {
		if (len && *line != '#')
			return kii_xstrndup(line, len);
	}
	return NULL;
}

char *kii_tree_tool(struct kii_tree *t, const char *tool)
{
	const char *text = kii_tree_peek(t, ".tool-versions");
	size_t tool_len = strlen(tool);
	const char *line;
	size_t len;

	while (text && next_line(&text, &line, &len)) {
		size_t name = strcspn(line, " \t\n");
		size_t gap = name + strspn(line + name, " \t");
		size_t value = strcspn(line + gap, " \t\r\n");

		if (name == tool_len && strncmp(line, tool, name) == 0 && gap < len && value)
			return kii_xstrndup(line + gap, value);
	}
	return NULL;
}
