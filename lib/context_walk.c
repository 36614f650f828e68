/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "context_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

#define DEPTH_MAX 100        /* an open descriptor each */
#define WALK_PATH 4095
#define TICK_MS   100

struct level {
	int fd;
	char **names;
	size_t n, at;
	size_t path_len;         /* of the folder's own path */
	bool *own;               /* what its children inherit of the ignore file */
	bool sent;
	struct stat st;
};

struct kii_walk {
	struct level levels[DEPTH_MAX];
	size_t depth;
	struct kii_buf path;
	char target[WALK_PATH + 1];
	struct kii_walk_opts opts;
	int64_t left;            /* entries that may still be looked at */
	int64_t ticked;
	bool *scratch;
	struct kii_buf shown;    /* a folder's path */
	bool due;                /* the folders on the way down are to be told */
	bool waiting;            /* and this entry behind them */
	struct kii_walk_entry entry;
};

static int failed(struct kii_walk *w, const char *what, struct kii_error *err)
{
	return kii_error_set(err, KII_EIO, errno, "%s %s: %s", what,
		w->path.len ? w->path.data : ".", strerror(errno));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct kii_walk *w, struct level *l, size_t *room, const char *name,
	struct kii_error *err)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if ((int64_t)l->n >= w->left)
		return kii_error_set(err, KII_ETOOBIG, 0, "the source has too many files");
	l->names = kii_xgrow(l->names, l->n, room, sizeof(*l->names));
	l->names[l->n++] = kii_xstrdup(name);
	return 0;
}

static int read_names(struct kii_walk *w, struct level *l, struct kii_error *err)
{
	int copy = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	size_t room = 0;
	int rc = 0;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return failed(w, "read folder", err);
	}
	errno = 0;
	while (rc == 0 && (entry = readdir(dir)))
		rc = add_name(w, l, &room, entry->d_name, err);
	if (rc == 0 && errno)
		rc = failed(w, "read folder", err);
	closedir(dir);
	w->left -= (int64_t)l->n;
	if (l->n)
		qsort(l->names, l->n, sizeof(*l->names), by_name);
	return rc;
}

static void pop(struct kii_walk *w)
{
	struct level *l = &w->levels[--w->depth];

	close(l->fd);
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	free(l->own);
	*l = (struct level){ .fd = -1 };
}

/* Takes the descriptor and `own`. */
static int push(struct kii_walk *w, int fd, bool *own, const struct stat *st, struct kii_error *err)
{
	struct level *l = &w->levels[w->depth++];

	*l = (struct level){ .fd = fd, .own = own, .path_len = w->path.len, .st = *st };
	return read_names(w, l, err);
}

int kii_walk_new_take(int dir, const struct kii_walk_opts *opts, struct kii_walk **out,
	struct kii_error *err)
{
	struct kii_walk *w = kii_xcalloc(1, sizeof(*w));
	const struct stat st = { 0 };

	kii_buf_init(&w->path, WALK_PATH);
	kii_buf_init(&w->shown, WALK_PATH);
	w->opts = *opts;
	w->left = opts->max_entries > 0 ? opts->max_entries : INT64_MAX;
	w->scratch = kii_xcalloc(opts->ignore ? kii_ignore_count(opts->ignore) + 1 : 1,
		sizeof(bool));
	if (push(w, dir, NULL, &st, err) != 0) {
		kii_walk_free(w);
		return -1;
	}
	w->levels[0].sent = true;
	*out = w;
	return 0;
}

void kii_walk_free(struct kii_walk *w)
{
	if (!w)
		return;
	while (w->depth)
		pop(w);
	kii_buf_release(&w->path);
	kii_buf_release(&w->shown);
	free(w->scratch);
	free(w);
}

/* --- one entry --- */

static bool leads_to_forced(const struct kii_walk *w)
{
	size_t len = w->path.len;

	for (size_t i = 0; i < 2; i++) {
		const char *f = w->opts.forced[i];

		if (f && strncmp(f, w->path.data, len) == 0 && (f[len] == '/' || !f[len]))
			return true;
	}
	return false;
}

/* What the ignore file says of the path, and what its children will inherit. */
static bool left_out(struct kii_walk *w, const struct level *l)
{
	return w->opts.ignore &&
		kii_ignore_walk(w->opts.ignore, w->path.data, l->own, w->scratch);
}

static bool *inherited(const struct kii_walk *w)
{
	size_t n = w->opts.ignore ? kii_ignore_count(w->opts.ignore) : 0;
	bool *own = n ? kii_xcalloc(n, sizeof(*own)) : NULL;

	if (n)
		memcpy(own, w->scratch, n * sizeof(*own));
	return own;
}

static int read_target(struct kii_walk *w, int parent, const char *name, struct kii_error *err)
{
	ssize_t n = readlinkat(parent, name, w->target, sizeof(w->target));

	if (n < 0)
		return failed(w, "read link", err);
	if ((size_t)n >= sizeof(w->target))
		return kii_error_set(err, KII_ETOOBIG, 0, "%s: its target is too long",
			w->path.data);
	w->target[n] = '\0';
	return 0;
}

static int enter(struct kii_walk *w, const struct level *l, const char *name,
	const struct stat *st, bool out, struct kii_error *err)
{
	int fd;

	if (w->depth == DEPTH_MAX)
		return kii_error_set(err, KII_ETOOBIG, 0, "%s: more than %d folders deep",
			w->path.data, DEPTH_MAX);
	fd = openat(l->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(w, "open folder", err);
	if (push(w, fd, inherited(w), st, err) != 0)
		return -1;
	/* One that stays out is told only with the first thing in it. */
	w->due = !out;
	return 0;
}

static int take(struct kii_walk *w, struct level *l, const char *name, const struct stat *st,
	bool out, struct kii_error *err)
{
	if (S_ISDIR(st->st_mode)) {
		if (out && !leads_to_forced(w) &&
		    !kii_ignore_may_except(w->opts.ignore, w->path.data))
			return 0;
		return enter(w, l, name, st, out, err);
	}
	if ((out && !leads_to_forced(w)) || S_ISSOCK(st->st_mode))
		return 0;
	if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode))
		return kii_error_field(err, "source", "%s is a device or a pipe", w->path.data);
	if (S_ISLNK(st->st_mode) && read_target(w, l->fd, name, err) != 0)
		return -1;
	w->entry = (struct kii_walk_entry){ .st = *st, .parent = l->fd, .name = name,
		.target = S_ISLNK(st->st_mode) ? w->target : NULL };
	w->due = w->waiting = true;
	return 0;
}

/* May it go on? */
static int check_time(struct kii_walk *w, struct kii_error *err)
{
	int64_t now = w->opts.tick ? kii_io_now() : 0;

	if (!w->opts.tick || (w->ticked && now - w->ticked < TICK_MS))
		return 0;
	w->ticked = now;
	return w->opts.tick(w->opts.tick_arg) ? 0 :
		kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

/* Look at the next name of the deepest folder. */
static int advance(struct kii_walk *w, struct kii_error *err)
{
	struct level *l = &w->levels[w->depth - 1];
	const char *name;
	struct stat st;

	if (check_time(w, err) != 0)
		return -1;
	if (l->at == l->n) {
		pop(w);
		return 0;
	}
	name = l->names[l->at++];
	kii_buf_cut(&w->path, l->path_len);
	kii_buf_fmt(&w->path, "%s%s", l->path_len ? "/" : "", name);
	if (w->path.overflow)
		return kii_error_set(err, KII_ETOOBIG, 0, "a path of the source is too long");
	if (fstatat(l->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return failed(w, "look at", err);
	return take(w, l, name, &st, left_out(w, l), err);
}

/* The first folder of the way down that has not been told. */
static bool tell_folder(struct kii_walk *w, struct kii_walk_entry *entry)
{
	size_t i = 0;

	while (i < w->depth && w->levels[i].sent)
		i++;
	if (i == w->depth)
		return false;
	w->levels[i].sent = true;
	kii_buf_reset(&w->shown);
	kii_buf_add(&w->shown, w->path.data, w->levels[i].path_len);
	*entry = (struct kii_walk_entry){ .path = w->shown.data, .st = w->levels[i].st,
		.parent = -1 };
	return true;
}

int kii_walk_next(struct kii_walk *w, struct kii_walk_entry *entry, bool *more,
	struct kii_error *err)
{
	for (;;) {
		*more = true;
		if (w->due && tell_folder(w, entry))
			return 0;
		w->due = false;
		if (w->waiting) {
			*entry = w->entry;
			entry->path = w->path.data;
			w->waiting = false;
			return 0;
		}
		*more = w->depth > 0;
		if (!*more)
			return 0;
		if (advance(w, err) != 0)
			return -1;
	}
}
