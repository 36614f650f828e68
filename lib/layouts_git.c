/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layouts_git.h"

#include <git2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "layouts.h"

#define REV_MAX 200

static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * Nothing is read of users' and the system's configurations, no object stays in memory, and the
 * checkout may belong to whoever manages the layouts: reading objects runs nothing of it.
 */
static void start_library(void)
{
	static const int levels[] = { GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
		GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL };

	git_libgit2_init();
	for (size_t i = 0; i < KII_COUNT(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 5
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
#endif
}

static int open_checkout(const char *dir, git_repository **out)
{
	pthread_once(&once, start_library);
	return git_repository_open_ext(out, dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
}

/* `what` is for the client where it asked for something that there is not, else for the log. */
static int failed(int rc, const char *dir, const char *what, struct kii_error *err)
{
	const git_error *e = git_error_last();

	switch (rc) {
	case GIT_ENOTFOUND:
	case GIT_EAMBIGUOUS:
	case GIT_EINVALIDSPEC:
	case GIT_EPEEL:
		return kii_error_set(err, KII_ENOTFOUND, rc, "there is no such %s", what);
	default:
		return kii_error_set(err, KII_EIO, rc, "%s: %s: %s", dir, what,
			e && e->message ? e->message : "unknown");
	}
}

bool kii_layouts_git_rev(const char *rev)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._/-";

	return *rev && *rev != '-' && strlen(rev) <= REV_MAX && !rev[strspn(rev, allowed)];
}

bool kii_layouts_git_checkout(const char *dir)
{
	git_repository *repository = NULL;
	int rc = open_checkout(dir, &repository);

	git_repository_free(repository);
	return rc == 0;
}

/* A blob's size is known before its bytes are unpacked. */
static int read_blob(git_repository *repository, const char *dir, const git_oid *id,
	struct kii_buf *text, struct kii_error *err)
{
	git_odb *odb = NULL;
	git_blob *blob = NULL;
	git_object_t type;
	size_t size;
	int rc = git_repository_odb(&odb, repository);

	if (rc == 0)
		rc = git_odb_read_header(&size, &type, odb, id);
	git_odb_free(odb);
	if (rc == 0 && size > text->limit)
		return kii_error_set(err, KII_ETOOBIG, 0, "the layout is too big");
	if (rc == 0)
		rc = git_blob_lookup(&blob, repository, id);
	if (rc != 0)   /* the tree promised it */
		return failed(GIT_ERROR, dir, "object", err);
	kii_buf_reset(text);
	kii_buf_add(text, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
	git_blob_free(blob);
	return 0;
}

/* One file of the tree; *next is the name of another one where it is a link, else NULL. */
static int read_entry(git_repository *repository, const char *dir, const git_tree *tree,
	const char *file, struct kii_buf *text, char **next, struct kii_error *err)
{
	const git_tree_entry *entry = git_tree_entry_byname(tree, file);

	if (!entry || git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
	if (read_blob(repository, dir, git_tree_entry_id(entry), text, err) != 0)
		return -1;
	*next = kii_layouts_link(text);
	if (!*next && git_tree_entry_filemode(entry) == GIT_FILEMODE_LINK)
		return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such layout");
	return 0;
}

static int read_tree(git_repository *repository, const char *dir, const git_tree *tree,
	const char *file, struct kii_buf *text, struct kii_error *err)
{
	kii_autofree char *name = kii_xstrdup(file);

	for (int links = 0; links <= KII_LAYOUTS_LINKS_MAX; links++) {
		char *next = NULL;

		if (read_entry(repository, dir, tree, name, text, &next, err) != 0)
			return -1;
		if (!next)
			return 0;
		free(name);
		name = next;
	}
	return kii_error_field(err, "body", "more than %d links in a row", KII_LAYOUTS_LINKS_MAX);
}

int kii_layouts_git_read(const char *dir, const char *file, const char *rev, struct kii_buf *text,
	struct kii_error *err)
{
	git_repository *repository = NULL;
	git_object *found = NULL;
	git_object *tree = NULL;
	int rc = open_checkout(dir, &repository);

	if (rc != 0)
		return failed(GIT_ERROR, dir, "checkout", err);
	rc = git_revparse_single(&found, repository, rev);
	if (rc == 0)
		rc = git_object_peel(&tree, found, GIT_OBJECT_TREE);
	if (rc != 0)
		rc = failed(rc, dir, "revision", err);
	else
		rc = read_tree(repository, dir, (git_tree *)tree, file, text, err);
	git_object_free(tree);
	git_object_free(found);
	git_repository_free(repository);
	return rc;
}
