/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "store_private.h"

#define MODE 0640
#define SCRIPT_MAX (1u << 20)

const char *kii_store_schema_dir(void)
{
	const char *dir = getenv("KIISRV_SCHEMA");

	return dir && *dir ? dir : KII_DATADIR "/schema";
}

/*
 * SQLite gives -wal and -shm the mode of the database, so the file is there, with it, first. One
 * that is there is not opened: closing it would drop the locks of this process's other handles.
 */
static int make_file(const char *path, struct kii_error *err)
{
	kii_autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
	struct stat st;

	if (fd < 0 && errno != EEXIST)
		return kii_error_set(err, KII_EIO, errno, "make %s: %s", path, strerror(errno));
	if (stat(path, &st) != 0 || ((st.st_mode & 07777) != MODE && chmod(path, MODE) != 0))
		return kii_error_set(err, KII_EIO, errno, "chmod %s: %s", path, strerror(errno));
	return 0;
}

static int sync_file(const char *path, struct kii_error *err)
{
	kii_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return kii_error_set(err, KII_EIO, errno, "sync %s: %s", path, strerror(errno));
	return 0;
}

/* By a handle of its own, since no transaction may be open in it. */
static int copy_into(const char *path, const char *copy, int flags, struct kii_error *err)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db;
	int version;
	int rc;

	if (kii_store_connect(path, SQLITE_OPEN_READONLY | flags, KII_STORE_BUSY_MS, &db, &version,
			err) != 0)
		return -1;
	rc = sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, copy, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_DONE)
		kii_store_failed(db, path, rc, "copy", err);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return rc == SQLITE_DONE ? 0 : -1;
}

int kii_store_copy(const char *path, const char *copy, struct kii_error *err)
{
	const char *name = strrchr(path, '/');
	kii_autofree char *folder = name ? kii_xstrndup(path, (size_t)(name - path) + 1) : NULL;
	kii_autofree char *real = realpath(folder ? folder : ".", NULL);
	kii_autofree char *file = kii_xfmt("%s/%s", real ? real : "", name ? name + 1 : path);

	if (!real)
		return kii_error_set(err, errno == ENOENT ? KII_ENOTFOUND : KII_EIO, errno,
			"%s: %s", path, strerror(errno));
	return copy_into(file, copy, SQLITE_OPEN_NOFOLLOW, err);
}

/* A whole copy or none: an earlier try's leftovers never stand for one. */
static int keep_copy(sqlite3 *db, const char *path, int version, struct kii_error *err)
{
	kii_autofree char *copy = kii_xfmt("%s.v%d", path, version);
	kii_autofree char *tmp = kii_xfmt("%s.new", copy);
	int64_t tables;

	if (kii_store_ask(db, path, "SELECT count(*) FROM sqlite_schema", &tables, err) != 0)
		return -1;
	if (tables == 0)
		return 0;
	unlink(tmp);
	if (make_file(tmp, err) == 0 && copy_into(path, tmp, 0, err) == 0
		&& sync_file(tmp, err) == 0) {
		if (rename(tmp, copy) == 0)
			return 0;
		kii_error_set(err, KII_EIO, errno, "rename %s: %s", tmp, strerror(errno));
	}
	unlink(tmp);
	return -1;
}

/* What one migration is about. */
struct plan {
	const char *path;
	const char *schema_dir;
	const char *name;
	bool copied;
};

/*
 * Inside the transaction, which keeps others from writing: nothing to do where somebody else was
 * faster, and the copy is of the very version that the script finds.
 */
static int step_inside(sqlite3 *db, struct plan *plan, const char *script, int to,
	struct kii_error *err)
{
	kii_autofree char *set = kii_xfmt("PRAGMA user_version = %d", to);
	int64_t version;

	if (kii_store_ask(db, plan->path, "PRAGMA user_version", &version, err) != 0)
		return -1;
	if (version >= to)
		return 0;
	if (!plan->copied && keep_copy(db, plan->path, (int)version, err) != 0)
		return -1;
	plan->copied = true;
	if (kii_store_exec(db, plan->path, script, err) != 0)
		return -1;
	if (sqlite3_get_autocommit(db))
		return kii_error_set(err, KII_EDB, SQLITE_MISUSE,
			"the script ends the transaction that it runs in");
	return kii_store_exec(db, plan->path, set, err);
}

static int step_to(sqlite3 *db, struct plan *plan, int to, struct kii_error *err)
{
	kii_autofree char *file = kii_xfmt("%s/%s.%d.sql", plan->schema_dir, plan->name, to);
	kii_autobuf script = KII_BUF_INIT(SCRIPT_MAX);

	if (kii_io_read(file, &script, err) != 0)
		return -1;
	if (kii_store_exec(db, plan->path, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	if (step_inside(db, plan, script.data, to, err) == 0
		&& kii_store_exec(db, plan->path, "COMMIT", err) == 0)
		return 0;
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int bring_up(sqlite3 *db, struct plan *plan, int version, int newest,
	struct kii_error *err)
{
	if (version > newest)
		return kii_error_set(err, KII_ECONFLICT, 0,
			"%s has version %d, this program knows %d", plan->path, version, newest);
	if (kii_store_exec(db, plan->path,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err) != 0)
		return -1;
	for (int n = version + 1; n <= newest; n++) {
		if (step_to(db, plan, n, err) != 0)
			return kii_error_wrap(err, "%s to version %d", plan->path, n);
	}
	return 0;
}

int kii_store_migrate(const char *path, const char *schema_dir, const char *name, int newest,
	struct kii_error *err)
{
	struct plan plan = { .path = path, .schema_dir = schema_dir, .name = name };
	sqlite3 *db = NULL;
	int version;
	int rc;

	if (make_file(path, err) != 0)
		return -1;
	if (kii_store_connect(path, SQLITE_OPEN_READWRITE, KII_STORE_BUSY_MS, &db, &version, err)
		!= 0)
		return -1;
	rc = bring_up(db, &plan, version, newest, err);
	sqlite3_close(db);
	return rc;
}
