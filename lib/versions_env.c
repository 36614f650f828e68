/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "versions.h"

struct kii_envs {
	char *path;
	pthread_mutex_t lock;
	struct kii_versions *db;   /* NULL: not open yet, or given up */
};

struct kii_envs *kii_envs_new(const char *state_dir)
{
	struct kii_envs *e = kii_xcalloc(1, sizeof(*e));

	e->path = kii_xfmt("%s/queue/config.sqlite", state_dir);
	pthread_mutex_init(&e->lock, NULL);
	return e;
}

static void close_database(struct kii_envs *e)
{
	kii_versions_close(e->db);
	e->db = NULL;
}

void kii_envs_free(struct kii_envs *e)
{
	if (!e)
		return;
	close_database(e);
	pthread_mutex_destroy(&e->lock);
	free(e->path);
	free(e);
}

/* The names of all versions, for a person; cut where they do not fit. */
static void known_names(struct kii_versions *v, char *out, size_t room)
{
	struct kii_error err = { 0 };
	struct kii_version *list = NULL;
	size_t n = 0, len = 0;

	out[0] = '\0';
	if (kii_versions_list(v, &list, &n, &err) != 0)
		return;
	for (size_t i = 0; i < n && len < room; i++)
		len += (size_t)snprintf(out + len, room - len, "%s%s", i ? ", " : "",
			list[i].name);
	kii_version_list_free(list, n);
}

/* Under the lock. Not there yet, or of another version: the client can but come again. */
static int open_database(struct kii_envs *e, struct kii_error *err)
{
	if (e->db && kii_versions_moved(e->db))
		close_database(e);
	if (!e->db && kii_versions_open(e->path, KII_STORE_READ, &e->db, err) != 0)
		err->code = KII_EDOWN;
	return e->db ? 0 : -1;
}

int kii_envs_find(struct kii_envs *e, const char *env, struct kii_version *out,
	struct kii_error *err)
{
	char known[160];
	int rc;

	pthread_mutex_lock(&e->lock);
	rc = open_database(e, err);
	if (rc == 0)
		rc = kii_versions_find(e->db, env, out, err);
	if (rc != 0 && err->code == KII_ENOTFOUND) {
		known_names(e->db, known, sizeof(known));
		kii_error_clear(err);
		kii_error_field(err, "env", "unknown version; known are %s", known);
	} else if (rc != 0) {
		close_database(e);
	}
	pthread_mutex_unlock(&e->lock);
	return rc;
}
