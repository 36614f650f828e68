/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "context.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "context_walk.h"

#define CHUNK      (128u << 10)
#define OUT_MAX    (CHUNK + (64u << 10))   /* a chunk, or an entry's head with long names */
#define IGNORE     ".dockerignore"
#define NAMES_MAX  1000

struct kii_context {
	int dir;                 /* the context's folder */
	char *recipe_path;
	struct kii_buf recipe;
	bool recipe_ours;        /* one of the extra files */
	bool recipe_hidden;
	/*
	 * The name under which it is sent once more, where it has an ignore file of its own: Podman
	 * would find that, too.
	 */
	char *alias;
	const struct kii_file *extra;
	size_t n_extra;
	const char *ignore_before, *ignore_after;
	struct kii_ignore *ignore;
	bool ignore_hidden;
	bool ignore_ours;        /* sent in place of the tree's own */
	struct kii_buf ignore_text;
	struct kii_walk *walk;
	int64_t max_entries, max_bytes;
	kii_engine_tick *tick;
	void *tick_arg;
	struct kii_context_totals totals;
	bool told_ignore, told_alias;    /* of the files that are sent before the walk */
	size_t told_extra;

	/* The tar. */
	struct archive *tar;
	struct kii_buf out;
	size_t taken;            /* of `out` */
	char *chunk;
	int file;                /* being sent, or -1 */
	const char *memory;      /* or this */
	int64_t left;            /* of either */
	bool ended;
};

/* --- what is in force --- */

static int read_optional(int dir, const char *path, struct kii_buf *out, bool *found,
	struct kii_error *err)
{
	*found = kii_beneath_read(dir, path, IGNORE, out, NULL, err) == 0;
	if (*found || err->code != KII_ENOTFOUND)
		return *found ? 0 : -1;
	kii_error_clear(err);
	return 0;
}

static int parse_ours(struct kii_context *c, const char *text, struct kii_error *err)
{
	return text ? kii_ignore_parse(text, strlen(text), "ignore", &c->ignore, err) : 0;
}

/* The Dockerfile's own ignore file, else the context's, between lines of ours. */
static int read_ignore(struct kii_context *c, const char *asked, bool *own, bool *found,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s" IGNORE, asked);
	kii_autobuf text = KII_BUF_INIT(KII_IGNORE_BYTES);

	*own = false;
	if (*asked && !c->recipe_ours &&
	    read_optional(c->dir, path, &text, own, err) != 0)
		return -1;
	*found = *own;
	if (!*own && read_optional(c->dir, IGNORE, &text, found, err) != 0)
		return -1;
	if (parse_ours(c, c->ignore_before, err) != 0)
		return -1;
	if (*found && kii_ignore_parse(text.data, text.len, *own ? path : IGNORE, &c->ignore,
			err) != 0)
		return -1;
	return parse_ours(c, c->ignore_after, err);
}

/* A pattern that matches exactly this path. */
static void add_literal(struct kii_buf *out, const char *path)
{
	kii_buf_char(out, '/');
	for (; *path; path++) {
		if (strchr("*?[]\\", *path))
			kii_buf_char(out, '\\');
		if (*path == ' ')
			kii_buf_str(out, "[ ]");
		else
			kii_buf_char(out, *path);
	}
	kii_buf_char(out, '\n');
}

static bool exists(const struct kii_context *c, const char *path)
{
	return faccessat(c->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int find_unused(const struct kii_context *c, char **out, struct kii_error *err)
{
	for (int i = 0; i < NAMES_MAX; i++) {
		kii_autofree char *name = i ? kii_xfmt(".kiisrv-%d", i) : kii_xstrdup(".kiisrv");

		if (!exists(c, name)) {
			*out = kii_steal(&name);
			return 0;
		}
	}
	return kii_error_field(err, "context_root", "no name is left for our files");
}

static int choose_ignore(struct kii_context *c, const char *asked, struct kii_error *err)
{
	bool own, found;

	if (read_ignore(c, asked, &own, &found, err) != 0)
		return -1;
	c->recipe_hidden = c->recipe_ours || (c->ignore && *c->recipe_path &&
		kii_ignore_match(c->ignore, c->recipe_path));
	c->ignore_hidden = found && kii_ignore_match(c->ignore, IGNORE);
	c->ignore_ours = own || c->n_extra || c->ignore_before || c->ignore_after ||
		(found && kii_ignore_wild_exceptions(c->ignore));
	if (!c->ignore_ours)
		return 0;
	c->ignore_hidden = true;
	add_literal(&c->ignore_text, IGNORE);
	if (own && find_unused(c, &c->alias, err) != 0)
		return -1;
	if (c->alias || c->recipe_hidden)
		add_literal(&c->ignore_text, kii_context_dockerfile(c));
	return 0;
}

static const struct kii_file *find_extra(const struct kii_context *c, const char *name)
{
	for (size_t i = 0; i < c->n_extra; i++) {
		if (strcmp(c->extra[i].name, name) == 0)
			return &c->extra[i];
	}
	return NULL;
}

/* Where it is reached over links, it is the file itself that the engine is told of. */
static int read_recipe(struct kii_context *c, const char *asked, struct kii_error *err)
{
	const struct kii_file *extra = find_extra(c, asked);

	if (!extra)
		return kii_beneath_read(c->dir, asked, "dockerfile", &c->recipe, &c->recipe_path,
			err);
	c->recipe_ours = true;
	c->recipe_path = kii_xstrdup(asked);
	kii_buf_add(&c->recipe, extra->data, extra->len);
	return kii_buf_check(&c->recipe, "the Dockerfile", err);
}

static int choose_recipe(struct kii_context *c, const char *asked, char **clean,
	bool optional, struct kii_error *err)
{
	if (!asked && optional && !exists(c, "Dockerfile") && !exists(c, "dockerfile")) {
		c->recipe_path = kii_xstrdup("");
		*clean = kii_xstrdup("");
		return 0;
	}
	if (!asked)
		asked = exists(c, "Dockerfile") || !exists(c, "dockerfile") ? "Dockerfile" :
			"dockerfile";
	if (kii_beneath_clean("", asked, "dockerfile", clean, err) != 0)
		return -1;
	return read_recipe(c, *clean, err);
}

/* --- life --- */

static int check_extra(const struct kii_context *c, struct kii_error *err)
{
	for (size_t i = 0; i < c->n_extra; i++) {
		if (exists(c, c->extra[i].name))
			return kii_error_set(err, KII_ECONFLICT, 0, "the source has a %s already",
				c->extra[i].name);
	}
	return 0;
}

static int start_walk(struct kii_context *c, struct kii_error *err)
{
	const struct kii_walk_opts opts = { .ignore = c->ignore, .max_entries = c->max_entries,
		.forced = { *c->recipe_path && !c->alias ? c->recipe_path : NULL,
			c->ignore_ours ? NULL : IGNORE },
		.tick = c->tick, .tick_arg = c->tick_arg };
	int dir = fcntl(c->dir, F_DUPFD_CLOEXEC, 0);

	if (dir < 0)
		return kii_error_set(err, KII_EIO, errno, "context: %s", strerror(errno));
	return kii_walk_new_take(dir, &opts, &c->walk, err);
}

static int open_root(struct kii_context *c, const struct kii_context_opts *opts,
	struct kii_error *err)
{
	kii_autofree char *root = NULL;

	if (kii_beneath_clean("", opts->root ? opts->root : "", "context_root", &root, err) != 0)
		return -1;
	return kii_beneath_open(opts->dir, root, O_RDONLY | O_DIRECTORY, "context_root", &c->dir,
		err);
}

int kii_context_open(const struct kii_context_opts *opts, struct kii_context **out,
	struct kii_error *err)
{
	struct kii_context *c = kii_xcalloc(1, sizeof(*c));
	kii_autofree char *asked = NULL;

	c->dir = c->file = -1;
	c->extra = opts->extra;
	c->n_extra = opts->n_extra;
	c->ignore_before = opts->ignore_before;
	c->ignore_after = opts->ignore_after;
	c->max_entries = opts->max_entries;
	c->max_bytes = opts->max_bytes;
	c->tick = opts->tick;
	c->tick_arg = opts->tick_arg;
	kii_buf_init(&c->recipe, KII_CONTEXT_RECIPE_MAX);
	kii_buf_init(&c->ignore_text, KII_IGNORE_BYTES);
	kii_buf_init(&c->out, OUT_MAX);
	if (open_root(c, opts, err) != 0 || check_extra(c, err) != 0 ||
	    choose_recipe(c, opts->dockerfile, &asked, opts->optional, err) != 0 ||
	    choose_ignore(c, asked, err) != 0 || start_walk(c, err) != 0) {
		kii_context_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void kii_context_free(struct kii_context *c)
{
	if (!c)
		return;
	kii_walk_free(c->walk);
	kii_ignore_free(c->ignore);
	if (c->tar)
		archive_write_free(c->tar);
	if (c->file >= 0)
		close(c->file);
	if (c->dir >= 0)
		close(c->dir);
	kii_buf_release(&c->recipe);
	kii_buf_release(&c->ignore_text);
	kii_buf_release(&c->out);
	free(c->recipe_path);
	free(c->alias);
	free(c->chunk);
	free(c);
}

const char *kii_context_dockerfile(const struct kii_context *c)
{
	return c->alias ? c->alias : c->recipe_path;
}

const char *kii_context_recipe(const struct kii_context *c, size_t *len)
{
	*len = c->recipe.len;
	return c->recipe.data;
}

void kii_context_totals(const struct kii_context *c, struct kii_context_totals *out)
{
	*out = c->totals;
}

int kii_context_unused(int dir, const char *root, char **out, struct kii_error *err)
{
	const struct kii_context_opts opts = { .dir = dir, .root = root };
	struct kii_context c = { .dir = -1 };
	int rc = open_root(&c, &opts, err);

	if (rc == 0)
		rc = find_unused(&c, out, err);
	if (c.dir >= 0)
		close(c.dir);
	return rc;
}

/* --- entries --- */

struct item {
	const char *path, *target;
	struct stat st;
	int parent;
	const char *name;        /* in that folder; or NULL */
	const char *memory;      /* and the content, where it is in no file */
	bool hidden;
};

static void own_item(struct item *item, const char *path, const void *data, size_t len,
	unsigned mode, bool hidden)
{
	*item = (struct item){ .path = path, .parent = -1, .memory = data, .hidden = hidden };
	item->st.st_mode = S_IFREG | mode;
	item->st.st_size = (off_t)len;
}

/* Files of ours come first. */
static bool next_own(struct kii_context *c, struct item *item)
{
	const struct kii_file *f;

	if (c->ignore_ours && !c->told_ignore) {
		c->told_ignore = true;
		own_item(item, IGNORE, c->ignore_text.data, c->ignore_text.len, 0644, true);
		return true;
	}
	if (c->alias && !c->told_alias) {
		c->told_alias = true;
		own_item(item, c->alias, c->recipe.data, c->recipe.len, 0644, true);
		return true;
	}
	if (c->told_extra == c->n_extra)
		return false;
	f = &c->extra[c->told_extra++];
	own_item(item, f->name, f->data, f->len, f->mode, strcmp(f->name, c->recipe_path) == 0);
	return true;
}

static int next_item(struct kii_context *c, struct item *item, bool *more, struct kii_error *err)
{
	struct kii_walk_entry e;

	*more = next_own(c, item);
	if (*more)
		return 0;
	do {
		if (kii_walk_next(c->walk, &e, more, err) != 0)
			return -1;
		if (!*more)
			return 0;
	} while (c->ignore_ours && strcmp(e.path, IGNORE) == 0);
	*item = (struct item){ .path = e.path, .target = e.target, .st = e.st,
		.parent = e.parent, .name = e.name };
	item->hidden = (c->recipe_hidden && !c->alias && strcmp(e.path, c->recipe_path) == 0) ||
		(c->ignore_hidden && strcmp(e.path, IGNORE) == 0);
	return 0;
}

static int count(struct kii_context *c, const struct item *item, struct kii_error *err)
{
	c->totals.entries++;
	if (!S_ISREG(item->st.st_mode))
		return 0;
	c->totals.files++;
	c->totals.bytes += item->st.st_size;
	if (c->max_bytes && c->totals.bytes > c->max_bytes)
		return kii_error_set(err, KII_ETOOBIG, 0,
			"the build's context is larger than %lld bytes", (long long)c->max_bytes);
	return 0;
}

int kii_context_next(struct kii_context *c, struct kii_context_entry *entry, bool *more,
	struct kii_error *err)
{
	struct item item;

	if (next_item(c, &item, more, err) != 0)
		return -1;
	if (!*more)
		return 0;
	*entry = (struct kii_context_entry){ .path = item.path, .target = item.target,
		.type = S_ISDIR(item.st.st_mode) ? 'd' : S_ISLNK(item.st.st_mode) ? 'l' : 'f',
		.size = S_ISREG(item.st.st_mode) ? item.st.st_size : 0, .hidden = item.hidden };
	return count(c, &item, err);
}

/* --- the tar --- */

static la_ssize_t take_tar(struct archive *a, void *arg, const void *data, size_t len)
{
	struct kii_context *c = arg;

	(void)a;
	kii_buf_add(&c->out, data, len);
	return c->out.overflow ? -1 : (la_ssize_t)len;
}

static int tar_failed(struct kii_context *c, struct kii_error *err)
{
	const char *why = archive_error_string(c->tar);

	return kii_error_set(err, KII_EIO, archive_errno(c->tar), "archive: %s", why ? why : "?");
}

/* Names as the bytes that they are: GNU's format wants no character set. */
static int start_tar(struct kii_context *c, struct kii_error *err)
{
	c->chunk = kii_xmalloc(CHUNK);
	c->tar = archive_write_new();
	archive_write_set_format_gnutar(c->tar);
	archive_write_set_bytes_per_block(c->tar, 0);
	if (archive_write_open(c->tar, c, NULL, take_tar, NULL) != ARCHIVE_OK)
		return tar_failed(c, err);
	return 0;
}

static int write_head(struct kii_context *c, const struct item *item, struct kii_error *err)
{
	struct archive_entry *e = archive_entry_new();
	int rc;

	archive_entry_set_pathname(e, item->path);
	archive_entry_set_filetype(e, item->st.st_mode & S_IFMT);
	archive_entry_set_perm(e, item->st.st_mode & 07777);
	archive_entry_set_mtime(e, item->st.st_mtime, 0);
	archive_entry_set_size(e, S_ISREG(item->st.st_mode) ? item->st.st_size : 0);
	if (item->target)
		archive_entry_set_symlink(e, item->target);
	rc = archive_write_header(c->tar, e);
	archive_entry_free(e);
	return rc < ARCHIVE_WARN ? tar_failed(c, err) : 0;
}

/* The file that was looked at: still one, and as long. */
static int open_file(struct kii_context *c, struct item *item, struct kii_error *err)
{
	struct stat st;

	c->file = openat(item->parent, item->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (c->file < 0 || fstat(c->file, &st) != 0)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", item->path,
			strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size != item->st.st_size)
		return kii_error_set(err, KII_EIO, 0, "%s changed meanwhile", item->path);
	return 0;
}

static int start_item(struct kii_context *c, struct kii_error *err)
{
	struct item item;
	bool more;

	if (next_item(c, &item, &more, err) != 0)
		return -1;
	if (!more) {
		c->ended = true;
		return archive_write_close(c->tar) != ARCHIVE_OK ? tar_failed(c, err) : 0;
	}
	c->memory = item.memory;
	c->left = S_ISREG(item.st.st_mode) ? item.st.st_size : 0;
	if (count(c, &item, err) != 0)
		return -1;
	if (c->left && item.name && open_file(c, &item, err) != 0)
		return -1;
	return write_head(c, &item, err);
}

static int send_chunk(struct kii_context *c, struct kii_error *err)
{
	size_t want = c->left < (int64_t)CHUNK ? (size_t)c->left : CHUNK;
	const char *data = c->memory;
	ssize_t n = (ssize_t)want;

	if (!c->memory) {
		data = c->chunk;
		n = read(c->file, c->chunk, want);
	}
	if (n < 0)
		return errno == EINTR ? 0 : kii_error_set(err, KII_EIO, errno,
			"read the context: %s", strerror(errno));
	if (n == 0)
		return kii_error_set(err, KII_EIO, 0, "a file of the context became shorter");
	if (archive_write_data(c->tar, data, (size_t)n) != n)
		return tar_failed(c, err);
	c->left -= n;
	if (c->memory)
		c->memory += n;
	if (!c->left && c->file >= 0) {
		close(c->file);
		c->file = -1;
	}
	return 0;
}

int kii_context_read(struct kii_context *c, char *out, size_t room, size_t *n,
	struct kii_error *err)
{
	size_t have;

	if (!c->tar && start_tar(c, err) != 0)
		return -1;
	while (c->taken == c->out.len && !c->ended) {
		kii_buf_reset(&c->out);
		c->taken = 0;
		if ((c->left ? send_chunk(c, err) : start_item(c, err)) != 0)
			return -1;
	}
	have = c->out.len - c->taken;
	*n = have < room ? have : room;
	memcpy(out, c->out.data + c->taken, *n);
	c->taken += *n;
	return 0;
}
