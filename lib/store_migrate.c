/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "store_private.h"

#define MODE 0640
#define SCRIPT_MAX (1u << 20)

/* SQLite gives -wal and -shm the mode of the database, so the file is there, with it, first. */
static int make_file(const char *path, struct kii_error *err)
{
	kii_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, MODE);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return kii_error_set(err, KII_EIO, errno, "open %s: %s", path, strerror(errno));
	if ((st.st_mode & 07777) != MODE && fchmod(fd, MODE) != 0)
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

static int vacuum_into(sqlite3 *db, const char *path, const char *copy, struct kii_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, copy, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_DONE)
		kii_store_failed(db, path, rc, "copy", err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : -1;
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
	if (make_file(tmp, err) == 0 && vacuum_into(db, path, tmp, err) == 0
		&& sync_file(tmp, err) == 0) {
		if (rename(tmp, copy) == 0)
			return 0;
		kii_error_set(err, KII_EIO, errno, "rename %s: %s", tmp, strerror(errno));
	}
	unlink(tmp);
	return -1;
}

/* Inside the transaction: nothing to do where somebody else was faster. */
static int step_inside(sqlite3 *db, const char *path, const char *script, int to,
	struct kii_error *err)
{
	kii_autofree char *set = kii_xfmt("PRAGMA user_version = %d", to);
	int64_t version;

	if (kii_store_ask(db, path, "PRAGMA user_version", &version, err) != 0)
		return -1;
	if (version >= to)
		return 0;
	if (kii_store_exec(db, path, script, err) != 0)
		return -1;
	if (sqlite3_get_autocommit(db))
		return kii_error_set(err, KII_EDB, SQLITE_MISUSE,
			"the script ends the transaction that it runs in");
	return kii_store_exec(db, path, set, err);
}

static int step_to(sqlite3 *db, const char *path, const char *file, int to, struct kii_error *err)
{
	kii_autobuf script = KII_BUF_INIT(SCRIPT_MAX);

	if (kii_io_read(file, &script, err) != 0)
		return -1;
	if (kii_store_exec(db, path, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	if (step_inside(db, path, script.data, to, err) == 0
		&& kii_store_exec(db, path, "COMMIT", err) == 0)
		return 0;
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int bring_up(sqlite3 *db, const char *path, int version, const char *schema_dir,
	const char *name, int newest, struct kii_error *err)
{
	if (version > newest)
		return kii_error_set(err, KII_ECONFLICT, 0,
			"%s has version %d, this program knows %d", path, version, newest);
	if (kii_store_exec(db, path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err)
		!= 0)
		return -1;
	if (version < newest && keep_copy(db, path, version, err) != 0)
		return -1;
	for (int n = version + 1; n <= newest; n++) {
		kii_autofree char *file = kii_xfmt("%s/%s.%d.sql", schema_dir, name, n);

		if (step_to(db, path, file, n, err) != 0)
			return kii_error_wrap(err, "%s to version %d", path, n);
	}
	return 0;
}

int kii_store_migrate(const char *path, const char *schema_dir, const char *name, int newest,
	struct kii_error *err)
{
	sqlite3 *db = NULL;
	int version;
	int rc;

	if (make_file(path, err) != 0)
		return -1;
	if (kii_store_connect(path, SQLITE_OPEN_READWRITE, &db, &version, err) != 0)
		return -1;
	rc = bring_up(db, path, version, schema_dir, name, newest, err);
	sqlite3_close(db);
	return rc;
}
