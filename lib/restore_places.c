/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "restore_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "store.h"

#define SUFFIX ".sqlite"

/* Who owns what the state folder holds, as on a fresh installation. */
static const struct zone {
	const char *name, *user, *group;
	mode_t folder, file;
} zones[] = {
	{ "public", "kiisrv", "kiisrv", 0700, 0640 },
	{ "queue", "kiisrv-engine", "kiisrv", 02750, 0640 },
	{ "engine", "kiisrv-engine", "kiisrv-engine", 0700, 0600 },
	{ "artifacts", "kiisrv-engine", "www-data", 02750, 0640 },
	{ "logs", "kiisrv-engine", "www-data", 02750, 0640 },
	{ "operator-logs", "kiisrv-engine", "www-data", 02750, 0640 },
};

struct kii_place {
	char *prefix;              /* what its names in the backup begin with */
	char *target, *new, *old;
	const struct zone *zone;   /* NULL: configuration or layouts */
	bool file;                 /* the configuration: one file, named by the prefix itself */
};

struct kii_places {
	const struct kii_conf *conf;
	struct kii_place *list;
	size_t n;
	bool state_only;
};

static void add(struct kii_places *p, char *prefix, char *target, const struct zone *zone)
{
	p->list = kii_xrealloc(p->list, (p->n + 1) * sizeof(*p->list));
	p->list[p->n++] = (struct kii_place){
		.prefix = prefix, .target = target, .new = kii_xfmt("%s" KII_RESTORE_NEW, target),
		.old = kii_xfmt("%s" KII_RESTORE_OLD, target), .zone = zone,
	};
}

struct kii_places *kii_places_new(const struct kii_conf *conf, const char *config_file)
{
	struct kii_places *p = kii_xcalloc(1, sizeof(*p));

	p->conf = conf;
	p->state_only = !config_file;
	for (size_t i = 0; i < KII_COUNT(zones); i++)
		add(p, kii_xfmt("state/%s", zones[i].name),
			kii_xfmt("%s/%s", conf->paths.state_dir, zones[i].name), &zones[i]);
	if (p->state_only)
		return p;
	add(p, kii_xstrdup(KII_RESTORE_CONFIG), kii_xstrdup(config_file), NULL);
	p->list[p->n - 1].file = true;
	for (size_t i = 0; i < conf->paths.n_layouts; i++)
		add(p, kii_xfmt("layouts/%zu", i), kii_xstrdup(conf->paths.layouts[i]), NULL);
	return p;
}

void kii_places_free(struct kii_places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].prefix);
		free(p->list[i].target);
		free(p->list[i].new);
		free(p->list[i].old);
	}
	free(p->list);
	free(p);
}

/* --- names --- */

/* No way up, no empty step; in the state folder no step down either. */
static bool is_inside(const char *rest, bool deep)
{
	while (*rest) {
		size_t len = strcspn(rest, "/");

		if (len == 0 || (len == 1 && rest[0] == '.') ||
		    (len == 2 && rest[0] == '.' && rest[1] == '.'))
			return false;
		if (!rest[len])
			return true;
		if (!deep)
			return false;
		rest += len + 1;
	}
	return false;
}

int kii_places_find(const struct kii_places *p, const char *name, char **path,
	struct kii_error *err)
{
	*path = NULL;
	for (size_t i = 0; i < p->n; i++) {
		const struct kii_place *place = &p->list[i];
		size_t len = strlen(place->prefix);

		if (strncmp(name, place->prefix, len) != 0)
			continue;
		if (place->file && !name[len]) {
			*path = kii_xstrdup(place->new);
			return 0;
		}
		if (!place->file && name[len] == '/' && is_inside(name + len + 1, !place->zone)) {
			*path = kii_xfmt("%s/%s", place->new, name + len + 1);
			return 0;
		}
	}
	/* Of folders that this configuration lacks the caller says more. */
	if (strncmp(name, "layouts/", 8) == 0 && strchr(name + 8, '/') && is_inside(name, true))
		return 0;
	if (p->state_only && strcmp(name, KII_RESTORE_CONFIG) == 0)
		return 0;
	return kii_error_set(err, KII_EINVAL, 0, "this is no backup: %s has no place", name);
}

/* --- before --- */

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int remove_any(const char *path, struct kii_error *err)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return kii_io_remove_tree(path, err);
}

/* What another file system is mounted on cannot be moved. */
static int check_movable(const struct kii_place *place, struct kii_error *err)
{
	const char *name = strrchr(place->target, '/');
	kii_autofree char *folder = kii_xstrndup(place->target, (size_t)(name - place->target));
	struct stat own, above;

	if (stat(*folder ? folder : "/", &above) != 0 || lstat(place->target, &own) != 0 ||
	    own.st_dev == above.st_dev)
		return 0;
	return kii_error_set(err, KII_ECONFLICT, 0, "%s is a file system of its own: it cannot be "
		"replaced as a whole", place->target);
}

int kii_places_clear(const struct kii_places *p, struct kii_error *err)
{
	for (size_t i = 0; i < p->n; i++) {
		if (check_movable(&p->list[i], err) != 0 || remove_any(p->list[i].new, err) != 0)
			return -1;
	}
	return 0;
}

void kii_places_drop(const struct kii_places *p)
{
	struct kii_error ignored = { 0 };

	for (size_t i = 0; i < p->n; i++) {
		/* What stays will be removed by the next one. */
		if (remove_any(p->list[i].new, &ignored) != 0)
			kii_error_clear(&ignored);
	}
}

/* --- databases, owners and modes --- */

static int newest_of(const char *name)
{
	int n = 0;

	for (;;) {
		kii_autofree char *script = kii_xfmt("%s/%s.%d.sql", kii_store_schema_dir(), name,
			n + 1);

		if (access(script, F_OK) != 0)
			return n;
		n++;
	}
}

/* By the same steps as at a start, but here, where a failure costs nothing. */
static int bring_up(const char *folder, const char *file, struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/%s", folder, file);
	kii_autofree char *name = kii_xstrndup(file, strlen(file) - strlen(SUFFIX));
	int newest = newest_of(name);

	if (!newest)
		return kii_error_set(err, KII_ECONFLICT, 0, "this program knows no database %s",
			name);
	if (kii_store_migrate(path, kii_store_schema_dir(), name, newest, err) != 0)
		return -1;
	return kii_store_verify(path, newest, err);
}

static bool is_database(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

typedef int visitor(const struct kii_place *place, const char *name, void *arg,
	struct kii_error *err);

static int each_file(const struct kii_place *place, visitor *visit, void *arg,
	struct kii_error *err)
{
	DIR *dir = opendir(place->new);
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0
			: kii_error_set(err, KII_EIO, errno, "%s: %s", place->new, strerror(errno));
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = visit(place, e->d_name, arg, err);
	}
	closedir(dir);
	return rc;
}

/* The listing may or may not show what is made here beside; neither is a database. */
static int visit_database(const struct kii_place *place, const char *name, void *arg,
	struct kii_error *err)
{
	(void)arg;
	return is_database(name) ? bring_up(place->new, name, err) : 0;
}

struct owner {
	uid_t uid;
	gid_t gid;
	bool known;
};

/* A link keeps its mode: chmod would change what it leads to, wherever that is. */
static int give(const char *path, const struct owner *owner, mode_t mode, struct kii_error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0 ||
	    (owner->known && lchown(path, owner->uid, owner->gid) != 0) ||
	    (!S_ISLNK(st.st_mode) && chmod(path, mode) != 0))
		return kii_error_set(err, KII_EIO, errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int visit_owner(const struct kii_place *place, const char *name, void *arg,
	struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/%s", place->new, name);
	bool database = strstr(name, SUFFIX) != NULL;

	return give(path, arg, database ? 0640 : place->zone->file, err);
}

static struct owner find_owner(const struct zone *zone)
{
	const struct passwd *user = getpwnam(zone->user);
	const struct group *group = getgrnam(zone->group);

	return (struct owner){ user ? user->pw_uid : 0, group ? group->gr_gid : 0,
		user && group && geteuid() == 0 };
}

static int prepare_zone(const struct kii_place *place, bool *without_users, struct kii_error *err)
{
	struct owner owner = find_owner(place->zone);

	if (!owner.known)
		*without_users = true;
	if (each_file(place, visit_database, NULL, err) != 0 ||
	    each_file(place, visit_owner, &owner, err) != 0 ||
	    give(place->new, &owner, place->zone->folder, err) != 0)
		return -1;
	return kii_sync_folder(place->new, err);
}

/* As what is there, where something is. */
static int prepare_other(const struct kii_place *place, struct kii_error *err)
{
	struct stat st;
	struct owner owner;

	if (stat(place->target, &st) != 0)
		return 0;
	owner = (struct owner){ st.st_uid, st.st_gid, geteuid() == 0 };
	return give(place->new, &owner, st.st_mode & 07777, err);
}

int kii_places_prepare(const struct kii_places *p, bool *without_users, struct kii_error *err)
{
	*without_users = false;
	for (size_t i = 0; i < p->n; i++) {
		const struct kii_place *place = &p->list[i];
		int rc;

		if (!exists(place->new))
			continue;
		rc = place->zone ? prepare_zone(place, without_users, err)
			: prepare_other(place, err);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* --- into place --- */

int kii_places_swap(const struct kii_places *p, struct kii_error *err)
{
	kii_autofree const char **targets = kii_xcalloc(p->n, sizeof(*targets));
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (!exists(p->list[i].new))
			continue;
		if (remove_any(p->list[i].old, err) != 0)
			return -1;
		targets[n++] = p->list[i].target;
	}
	return kii_swap(p->conf->paths.state_dir, targets, n, err);
}
