/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "jobs.h"
#include "stats.h"
#include "testlib.h"
#include "versions.h"

/* --- what cannot be provoked otherwise, and five seconds that nobody wants to wait --- */

static int busy_ms;              /* 0: as asked for */
static int busy_asked;
static int fail_config;
static int fail_fsync;
static int fail_chmod;

int __real_sqlite3_busy_timeout(sqlite3 *db, int ms);
int __wrap_sqlite3_busy_timeout(sqlite3 *db, int ms);
int __wrap_sqlite3_file_control(sqlite3 *db, const char *name, int op, void *arg);
int __real_sqlite3_file_control(sqlite3 *db, const char *name, int op, void *arg);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);

int __wrap_sqlite3_busy_timeout(sqlite3 *db, int ms)
{
	busy_asked = ms;
	return __real_sqlite3_busy_timeout(db, busy_ms ? busy_ms : ms);
}

int __wrap_sqlite3_file_control(sqlite3 *db, const char *name, int op, void *arg)
{
	return fail_config ? SQLITE_NOTFOUND : __real_sqlite3_file_control(db, name, op, arg);
}

int __wrap_fsync(int fd)
{
	errno = EIO;
	return fail_fsync ? -1 : __real_fsync(fd);
}

int __wrap_chmod(const char *path, mode_t mode)
{
	errno = EPERM;
	return fail_chmod ? -1 : __real_chmod(path, mode);
}

/* --- a database in a folder of its own, at version 1 --- */

enum { ADD, ADD_PART, GET, ALL, COUNT, BAD_SQL, MAX_PAGES, SYNC, FILL, FKEYS, VALUES, TRUSTED,
	WRITABLE, EDIT };
static const char *const statements[] = {
	[ADD] = "INSERT INTO Things (name, size) VALUES (?, ?)",
	[ADD_PART] = "INSERT INTO Parts (thing) VALUES (?)",
	[GET] = "SELECT id, name, size FROM Things WHERE name = ?",
	[ALL] = "SELECT name FROM Things ORDER BY id",
	[COUNT] = "SELECT count(*) FROM Things",
	[BAD_SQL] = "SELECT nothing FROM nowhere",
	[MAX_PAGES] = "PRAGMA max_page_count = 8",
	[SYNC] = "PRAGMA synchronous",
	[FILL] = "INSERT INTO Things (name) VALUES (hex(zeroblob(?)))",
	[FKEYS] = "PRAGMA foreign_keys",
	[VALUES] = "SELECT ?, ?, ?, ?, ?, ?",
	[TRUSTED] = "PRAGMA trusted_schema",
	[WRITABLE] = "PRAGMA writable_schema = 1",
	[EDIT] = "UPDATE sqlite_schema SET sql = sql WHERE name = 'Things'",
};

struct place {
	char *dir;
	char *db;
	char *schema;
};

static void put(const char *dir, const char *name, const char *content)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, content, strlen(content), 0644, &err));
}

static int set_up(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));

	p->dir = test_dir_new();
	p->db = kii_xfmt("%s/things.sqlite", p->dir);
	p->schema = kii_xfmt("%s/schema", p->dir);
	if (mkdir(p->schema, 0755) != 0)
		return -1;
	put(p->schema, "things.1.sql", "CREATE TABLE Things (id INTEGER PRIMARY KEY, name TEXT "
		"NOT NULL UNIQUE, size REAL);\nCREATE TABLE Parts (thing INTEGER NOT NULL "
		"REFERENCES Things (id) DEFERRABLE INITIALLY DEFERRED);\n");
	*state = p;
	busy_ms = 0;
	fail_config = fail_fsync = fail_chmod = 0;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	test_dir_remove(p->dir);
	free(p->dir);
	free(p->db);
	free(p->schema);
	free(p);
	return 0;
}

static struct kii_store *open_at(const struct place *p, enum kii_store_mode mode, int newest)
{
	struct kii_error err = { 0 };
	struct kii_store *s = NULL;

	must(kii_store_open(p->db, mode, newest, statements, KII_COUNT(statements), &s, &err));
	return s;
}

static struct kii_store *new_store(const struct place *p)
{
	struct kii_error err = { 0 };

	must(kii_store_migrate(p->db, p->schema, "things", 1, &err));
	return open_at(p, KII_STORE_WRITE, 1);
}

static void add(struct kii_store *s, const char *name)
{
	struct kii_error err = { 0 };

	must(kii_store_run(s, ADD, NULL, &err, "sn", name));
}

static int64_t number(struct kii_store *s, int i)
{
	struct kii_error err = { 0 };
	int64_t n;

	must(kii_store_query(s, i, &err, ""));
	assert_int_equal(kii_store_next(s, i, &err), 1);
	n = kii_store_int(s, i, 0);
	kii_store_reset(s, i);
	return n;
}

static mode_t mode_of(const char *path, const char *suffix)
{
	kii_autofree char *name = kii_xfmt("%s%s", path, suffix);
	struct stat st;

	if (stat(name, &st) != 0)
		fail_msg("%s: %s", name, strerror(errno));
	return st.st_mode & 07777;
}

static void must_not_open(const struct place *p, enum kii_store_mode mode, int newest,
	enum kii_code want)
{
	struct kii_error err = { 0 };
	struct kii_store *s = NULL;

	must_fail(kii_store_open(p->db, mode, newest, statements, KII_COUNT(statements), &s, &err),
		want);
	assert_null(s);
}

/* --- opening --- */

static void a_missing_database_is_not_found_and_not_made(void **state)
{
	struct place *p = *state;

	must_not_open(p, KII_STORE_READ, 1, KII_ENOTFOUND);
	must_not_open(p, KII_STORE_WRITE, 1, KII_ENOTFOUND);
	assert_int_equal(access(p->db, F_OK), -1);
}

static void a_folder_or_a_text_is_no_database(void **state)
{
	struct place *p = *state;
	char text[4096];

	assert_int_equal(mkdir(p->db, 0755), 0);
	must_not_open(p, KII_STORE_READ, 1, KII_EDB);
	assert_int_equal(rmdir(p->db), 0);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	put(p->dir, "things.sqlite", text);
	must_not_open(p, KII_STORE_READ, 1, KII_EDB);
	must_not_open(p, KII_STORE_WRITE, 1, KII_EDB);
}

static void another_version_is_refused_naming_both(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s;

	kii_store_close(new_store(p));
	must_not_open(p, KII_STORE_READ, 2, KII_ECONFLICT);
	put(p->schema, "things.2.sql", "CREATE TABLE More (x);");
	must(kii_store_migrate(p->db, p->schema, "things", 2, &err));
	must_not_open(p, KII_STORE_WRITE, 1, KII_ECONFLICT);
	assert_int_equal(kii_store_open(p->db, KII_STORE_READ, 1, statements, 1, &s, &err), -1);
	assert_non_null(strstr(err.msg, "version 2"));
	assert_non_null(strstr(err.msg, "knows 1"));
}

static void rules_that_cannot_be_set_refuse_the_database(void **state)
{
	struct place *p = *state;

	kii_store_close(new_store(p));
	fail_config = 1;
	must_not_open(p, KII_STORE_WRITE, 1, KII_EDB);
	fail_config = 0;
	kii_store_close(open_at(p, KII_STORE_WRITE, 1));
}

static void every_handle_has_the_rules(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	assert_int_equal(busy_asked, 5000);
	must(kii_store_run(s, WRITABLE, NULL, &err, ""));
	must_fail(kii_store_run(s, EDIT, NULL, &err, ""), KII_EDB);
	assert_int_equal(number(s, FKEYS), 1);
	assert_int_equal(number(s, TRUSTED), 0);
	assert_int_equal(number(s, SYNC), 1);
	kii_store_close(s);
	s = open_at(p, KII_STORE_READ, 1);
	assert_int_equal(number(s, FKEYS), 1);
	assert_int_equal(number(s, TRUSTED), 0);
	kii_store_close(s);
	kii_store_close(NULL);
}

static void the_log_stays_with_its_mode_when_the_writer_closes(void **state)
{
	struct place *p = *state;
	struct kii_store *s = new_store(p);

	add(s, "one");
	kii_store_close(s);
	assert_int_equal(mode_of(p->db, ""), 0640);
	assert_int_equal(mode_of(p->db, "-wal"), 0640);
	assert_int_equal(mode_of(p->db, "-shm"), 0640);
}

/* Another user's reader: root becomes nobody, everybody else takes the right to write away. */
static void become_reader(const struct place *p)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	if (geteuid() == 0) {
		if (chown(p->dir, (uid_t)-1, 65534) != 0 || chmod(p->dir, 0750) != 0)
			_exit(20);
	} else if (chmod(p->dir, 0550) != 0) {
		_exit(21);
	}
	for (size_t i = 0; i < KII_COUNT(suffixes); i++) {
		kii_autofree char *name = kii_xfmt("%s%s", p->db, suffixes[i]);

		if (geteuid() == 0 ? chown(name, (uid_t)-1, 65534) != 0 : chmod(name, 0440) != 0)
			_exit(22);
	}
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0
			|| setuid(65534) != 0))
		_exit(23);
}

/* In a process of its own: how many rows a reader without any right to write sees. */
static int rows_for_reader(const struct place *p)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct kii_error err = { 0 };
		struct kii_store *s;

		become_reader(p);
		if (kii_store_open(p->db, KII_STORE_READ, 1, statements, KII_COUNT(statements), &s,
				&err) != 0
			|| kii_store_query(s, COUNT, &err, "") != 0
			|| kii_store_next(s, COUNT, &err) != 1) {
			fprintf(stderr, "# reader: %s\n", err.msg);
			_exit(24);
		}
		_exit((int)kii_store_int(s, COUNT, 0));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	chmod(p->dir, 0750);
	return WEXITSTATUS(status);
}

static void a_reader_without_rights_reads_beside_a_writer_and_after_it(void **state)
{
	struct place *p = *state;
	struct kii_store *s = new_store(p);

	add(s, "one");
	assert_int_equal(rows_for_reader(p), 1);
	if (geteuid() == 0)
		add(s, "two");
	kii_store_close(s);
	assert_int_equal(rows_for_reader(p), geteuid() == 0 ? 2 : 1);
}

static void a_reader_reads_what_a_killed_writer_left(void **state)
{
	struct place *p = *state;
	int status;
	pid_t pid;

	kii_store_close(new_store(p));
	pid = fork();
	if (pid == 0) {
		add(open_at(p, KII_STORE_WRITE, 1), "one");
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(rows_for_reader(p), 1);
}

static void a_replaced_file_is_noticed(void **state)
{
	struct place *p = *state;
	struct kii_store *s = new_store(p);
	kii_autofree char *old = kii_xfmt("%s.old", p->db);

	assert_false(kii_store_moved(s));
	assert_int_equal(rename(p->db, old), 0);
	assert_true(kii_store_moved(s));
	kii_store_close(s);
}

/* --- statements --- */

static void values_come_back_as_they_were_bound(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	size_t len;

	must(kii_store_query(s, VALUES, &err, "sidbns", "text", INT64_MIN, 0.5, "a\0b",
		(size_t)3, (const char *)NULL));
	assert_int_equal(kii_store_next(s, VALUES, &err), 1);
	assert_string_equal(kii_store_text(s, VALUES, 0), "text");
	assert_true(kii_store_int(s, VALUES, 1) == INT64_MIN);
	assert_true(kii_store_real(s, VALUES, 2) == 0.5);
	assert_memory_equal(kii_store_blob(s, VALUES, 3, &len), "a\0b", 3);
	assert_int_equal(len, 3);
	assert_true(kii_store_null(s, VALUES, 4));
	assert_true(kii_store_null(s, VALUES, 5));
	assert_null(kii_store_text(s, VALUES, 5));
	assert_false(kii_store_null(s, VALUES, 0));
	assert_int_equal(kii_store_next(s, VALUES, &err), 0);
	kii_store_reset(s, VALUES);
	kii_store_close(s);
}

static void changes_and_ids_are_told(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	int64_t changes = 9;

	must(kii_store_run(s, ADD, &changes, &err, "sd", "one", 1.5));
	assert_int_equal(changes, 1);
	assert_int_equal(kii_store_last_id(s), 1);
	add(s, "two");
	assert_int_equal(kii_store_last_id(s), 2);
	must(kii_store_query(s, ALL, &err, ""));
	assert_int_equal(kii_store_next(s, ALL, &err), 1);
	assert_string_equal(kii_store_text(s, ALL, 0), "one");
	assert_int_equal(kii_store_next(s, ALL, &err), 1);
	assert_string_equal(kii_store_text(s, ALL, 0), "two");
	assert_int_equal(kii_store_next(s, ALL, &err), 0);
	kii_store_reset(s, ALL);
	kii_store_close(s);
}

static void wrong_values_are_refused(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	must_fail(kii_store_run(s, ADD, NULL, &err, "s", "one"), KII_EDB);
	must_fail(kii_store_run(s, ADD, NULL, &err, "snn", "one"), KII_EDB);
	must_fail(kii_store_query(s, GET, &err, "?"), KII_EDB);
	must_fail(kii_store_query(s, GET, &err, "b", "x", (size_t)INT_MAX + 1), KII_EDB);
	must_fail(kii_store_query(s, BAD_SQL, &err, ""), KII_EDB);
	must_fail(kii_store_run(s, COUNT, NULL, &err, ""), KII_EDB);
	add(s, "one");
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
}

static void a_constraint_is_a_conflict_without_sql_in_its_words(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	add(s, "one");
	assert_int_equal(kii_store_run(s, ADD, NULL, &err, "sn", "one"), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_int_equal(err.detail, SQLITE_CONSTRAINT_UNIQUE);
	assert_null(strstr(err.msg, "Things"));
	kii_error_clear(&err);
	must_fail(kii_store_run(s, ADD, NULL, &err, "nn"), KII_ECONFLICT);
	must_fail(kii_store_run(s, ADD_PART, NULL, &err, "i", INT64_C(7)), KII_ECONFLICT);
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
}

static void a_reader_cannot_write(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s;

	kii_store_close(new_store(p));
	s = open_at(p, KII_STORE_READ, 1);
	assert_int_equal(kii_store_run(s, ADD, NULL, &err, "sn", "one"), -1);
	assert_int_equal(err.code, KII_EDB);
	assert_int_equal(err.detail & 0xff, SQLITE_READONLY);
	kii_store_close(s);
}

/* --- transactions --- */

static void a_transaction_is_whole_or_nothing(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	must(kii_store_begin(s, &err));
	add(s, "one");
	kii_store_rollback(s);
	kii_store_rollback(s);
	assert_int_equal(number(s, COUNT), 0);
	must(kii_store_begin(s, &err));
	add(s, "two");
	must(kii_store_commit(s, &err));
	assert_int_equal(number(s, COUNT), 1);
	must(kii_store_begin(s, &err));
	add(s, "three");
	kii_store_close(s);
	s = open_at(p, KII_STORE_READ, 1);
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
}

static void begin_and_commit_must_pair(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	must_fail(kii_store_commit(s, &err), KII_EDB);
	must(kii_store_begin(s, &err));
	must_fail(kii_store_begin(s, &err), KII_EDB);
	must(kii_store_run(s, ADD_PART, NULL, &err, "i", INT64_C(7)));
	must_fail(kii_store_commit(s, &err), KII_ECONFLICT);
	kii_store_rollback(s);
	must(kii_store_begin(s, &err));
	must(kii_store_commit(s, &err));
	kii_store_close(s);
}

static void durable_is_full_until_it_is_not(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	must(kii_store_durable(s, true, &err));
	assert_int_equal(number(s, SYNC), 2);
	must(kii_store_durable(s, true, &err));
	must(kii_store_begin(s, &err));
	must_fail(kii_store_durable(s, false, &err), KII_EDB);
	kii_store_rollback(s);
	must(kii_store_durable(s, false, &err));
	assert_int_equal(number(s, SYNC), 1);
	kii_store_close(s);
}

static void a_locked_database_is_busy(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *first = new_store(p);
	struct kii_store *second;

	busy_ms = 20;
	second = open_at(p, KII_STORE_WRITE, 1);
	must(kii_store_begin(first, &err));
	add(first, "one");
	must_fail(kii_store_begin(second, &err), KII_EBUSY);
	must_fail(kii_store_run(second, ADD, NULL, &err, "sn", "two"), KII_EBUSY);
	assert_int_equal(number(second, COUNT), 0);
	must(kii_store_commit(first, &err));
	add(second, "two");
	assert_int_equal(number(first, COUNT), 2);
	kii_store_close(first);
	kii_store_close(second);
}

static void a_writer_that_cannot_have_wal_is_refused(void **state)
{
	struct place *p = *state;
	sqlite3 *db = NULL;

	kii_store_close(new_store(p));
	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE", NULL,
		NULL, NULL), SQLITE_OK);
	busy_ms = 20;
	must_not_open(p, KII_STORE_WRITE, 1, KII_EBUSY);
	sqlite3_close(db);
	kii_store_close(open_at(p, KII_STORE_WRITE, 1));
}

static void who_is_in_a_hurry_waits_less(void **state)
{
	struct place *p = *state;
	sqlite3 *db;

	kii_store_close(new_store(p));
	kii_store_close(open_at(p, KII_STORE_READ | KII_STORE_HURRY, 1));
	assert_int_equal(busy_asked, 300);
	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; "
		"COMMIT", NULL, NULL, NULL), SQLITE_OK);
	must_not_open(p, KII_STORE_READ | KII_STORE_HURRY, 1, KII_EBUSY);
	must_not_open(p, KII_STORE_WRITE | KII_STORE_HURRY, 1, KII_EBUSY);
	sqlite3_close(db);
	kii_store_close(open_at(p, KII_STORE_WRITE | KII_STORE_HURRY, 1));
}

/* --- disks --- */

static void a_full_database_is_an_error_and_stays_whole(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	add(s, "one");
	assert_true(number(s, MAX_PAGES) == 8);
	assert_int_equal(kii_store_run(s, FILL, NULL, &err, "i", INT64_C(100000)), -1);
	assert_int_equal(err.code, KII_EDB);
	assert_int_equal(err.detail, SQLITE_FULL);
	assert_int_equal(number(s, COUNT), 1);
	add(s, "two");
	kii_store_close(s);
}

/* Sets the size that this process may write; the old limit comes back. */
static rlim_t limit_files(rlim_t size)
{
	struct rlimit limit;
	rlim_t old;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	old = limit.rlim_cur;
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return old;
}

static void a_disk_that_takes_no_more_is_an_error_and_nothing_is_lost(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	rlim_t old;
	int rc;

	add(s, "one");
	old = limit_files(100000);
	rc = kii_store_run(s, FILL, NULL, &err, "i", INT64_C(100000));
	limit_files(old);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, KII_EDB);
	assert_int_equal(number(s, COUNT), 1);
	add(s, "two");
	kii_store_close(s);
	s = open_at(p, KII_STORE_READ, 1);
	assert_int_equal(number(s, COUNT), 2);
	kii_store_close(s);
}

static void a_broken_file_is_an_error(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	char junk[512];
	int fd;
	int rc;

	for (int i = 0; i < 200; i++)
		must(kii_store_run(s, FILL, NULL, &err, "i", INT64_C(1000) + i));
	kii_store_close(s);
	memset(junk, 0xee, sizeof(junk));
	fd = open(p->db, O_WRONLY);
	for (off_t at = 4096; at < 40L * 4096; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	must_fail(kii_store_verify(p->db, 1, &err), KII_EDB);
	s = open_at(p, KII_STORE_READ, 1);
	must(kii_store_query(s, ALL, &err, ""));
	while ((rc = kii_store_next(s, ALL, &err)) == 1)
		;
	kii_store_reset(s, ALL);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, KII_EDB);
	assert_int_equal(err.detail & 0xff, SQLITE_CORRUPT);
	kii_store_close(s);
}

static void damage_is_found_where_nobody_has_read(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	sqlite3 *db;

	must_fail(kii_store_verify(p->schema, 1, &err), KII_EDB);
	must_fail(kii_store_verify("/nonexistent/x", 1, &err), KII_ENOTFOUND);
	add(s, "one");
	kii_store_close(s);
	must(kii_store_verify(p->db, 1, &err));
	must_fail(kii_store_verify(p->db, 2, &err), KII_ECONFLICT);
	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA writable_schema = ON; UPDATE sqlite_schema "
		"SET rootpage = 99 WHERE name = 'Parts'", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(kii_store_verify(p->db, 1, &err), -1);
	assert_int_equal(err.code, KII_EDB);
}

/* --- migrations --- */

static void migrating_again_changes_nothing(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	kii_autofree char *copy = kii_xfmt("%s.v0", p->db);

	add(s, "one");
	kii_store_close(s);
	s = new_store(p);
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
	assert_int_equal(access(copy, F_OK), -1);
	must_fail(kii_store_migrate(p->db, p->schema, "things", 0, &err), KII_ECONFLICT);
}

static void an_old_database_is_copied_and_brought_up(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	kii_autofree char *left_over = kii_xfmt("%s.v1.new", p->db);
	struct place copy = { p->dir, kii_xfmt("%s.v1", p->db), p->schema };

	add(s, "one");
	kii_store_close(s);
	put(p->dir, "things.sqlite.v1.new", "of an earlier try");
	put(p->schema, "things.2.sql", "ALTER TABLE Things ADD COLUMN colour TEXT;");
	put(p->schema, "things.3.sql", "INSERT INTO Things (name, colour) VALUES ('two', 'red');");
	must(kii_store_migrate(p->db, p->schema, "things", 3, &err));
	s = open_at(p, KII_STORE_READ, 3);
	assert_int_equal(number(s, COUNT), 2);
	kii_store_close(s);
	s = open_at(&copy, KII_STORE_READ, 1);
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
	assert_int_equal(mode_of(copy.db, ""), 0640);
	assert_int_equal(access(left_over, F_OK), -1);
	free(copy.db);
}

static void a_script_that_fails_leaves_the_old_version(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	add(s, "one");
	kii_store_close(s);
	put(p->schema, "things.2.sql", "DELETE FROM Things; CREATE TABLE Things (x);");
	must_fail(kii_store_migrate(p->db, p->schema, "things", 2, &err), KII_EDB);
	put(p->schema, "things.2.sql", "CREATE TABLE More (x); COMMIT;");
	must_fail(kii_store_migrate(p->db, p->schema, "things", 2, &err), KII_EDB);
	s = open_at(p, KII_STORE_READ, 1);
	assert_int_equal(number(s, COUNT), 1);
	kii_store_close(s);
}

static void a_missing_script_is_named(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };

	assert_int_equal(kii_store_migrate(p->db, p->schema, "things", 2, &err), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	assert_non_null(strstr(err.msg, "things.2.sql"));
	kii_store_close(open_at(p, KII_STORE_READ, 1));
}

static void a_file_that_cannot_be_made_is_an_error(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *path = kii_xfmt("%s/none/things.sqlite", p->dir);

	must_fail(kii_store_migrate(path, p->schema, "things", 1, &err), KII_EIO);
	put(p->dir, "things.sqlite", "");
	fail_chmod = 1;
	must_fail(kii_store_migrate(p->db, p->schema, "things", 1, &err), KII_EIO);
	fail_chmod = 0;
	kii_store_close(new_store(p));
	assert_int_equal(mode_of(p->db, ""), 0640);
}

/* Nothing is migrated without a whole copy. */
static void must_not_migrate(const struct place *p, enum kii_code want)
{
	struct kii_error err = { 0 };

	must_fail(kii_store_migrate(p->db, p->schema, "things", 2, &err), want);
	kii_store_close(open_at(p, KII_STORE_READ, 1));
}

static void without_a_copy_nothing_is_migrated(void **state)
{
	struct place *p = *state;
	kii_autofree char *copy = kii_xfmt("%s.v1", p->db);
	kii_autofree char *tmp = kii_xfmt("%s.v1.new", p->db);
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);
	rlim_t old;
	int rc;

	must(kii_store_run(s, FILL, NULL, &err, "i", INT64_C(100000)));
	kii_store_close(s);
	put(p->schema, "things.2.sql", "CREATE TABLE More (x);");
	assert_int_equal(mkdir(tmp, 0755), 0);
	must_not_migrate(p, KII_EDB);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(mkdir(copy, 0755), 0);
	must_not_migrate(p, KII_EIO);
	assert_int_equal(rmdir(copy), 0);
	fail_fsync = 1;
	must_not_migrate(p, KII_EIO);
	fail_fsync = 0;
	old = limit_files(65536);
	rc = kii_store_migrate(p->db, p->schema, "things", 2, &err);
	limit_files(old);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, KII_EDB);
	assert_int_equal(access(copy, F_OK), -1);
	assert_int_equal(access(tmp, F_OK), -1);
	kii_error_clear(&err);
	must(kii_store_migrate(p->db, p->schema, "things", 2, &err));
	assert_int_equal(access(copy, F_OK), 0);
}

static void a_locked_database_is_not_migrated(void **state)
{
	struct place *p = *state;
	struct kii_error err = { 0 };
	struct kii_store *s = new_store(p);

	put(p->schema, "things.2.sql", "CREATE TABLE More (x);");
	must(kii_store_begin(s, &err));
	busy_ms = 20;
	must_not_migrate(p, KII_EBUSY);
	kii_store_close(s);
}

static pid_t start_migration(const struct place *p)
{
	struct kii_error err = { 0 };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (kii_store_migrate(p->db, p->schema, "things", 2, &err) != 0)
		fprintf(stderr, "# %s\n", err.msg);
	_exit(err.code);
}

/* A process of its own, since a child must not inherit an open database; returns with the lock. */
static pid_t hold_lock(const struct place *p)
{
	int ends[2];
	char byte = 0;
	sqlite3 *db;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (sqlite3_open(p->db, &db) != SQLITE_OK || sqlite3_exec(db, "PRAGMA journal_mode "
				"= WAL; BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
			_exit(1);
		if (write(ends[1], "!", 1) == 1)
			usleep(300000);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

/* All know the same old version when the lock that they wait for goes away. */
static void many_may_migrate_at_once(void **state)
{
	struct place *p = *state;
	pid_t pids[7];

	put(p->schema, "things.2.sql", "INSERT INTO Things (name) VALUES ('once');");
	pids[0] = hold_lock(p);
	for (size_t i = 1; i < KII_COUNT(pids); i++)
		pids[i] = start_migration(p);
	for (size_t i = 0; i < KII_COUNT(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	kii_store_close(open_at(p, KII_STORE_READ, 2));
}

/* --- what is shipped --- */

static void dump(sqlite3 *db, struct kii_buf *out, const char *sql)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			kii_buf_fmt(out, "%s|", sqlite3_column_text(stmt, i));
		kii_buf_char(out, '\n');
	}
	sqlite3_finalize(stmt);
}

static void what_is_attached_can_only_be_read(void **state)
{
	static const char *const sql[] = { "SELECT count(*) FROM other.Things",
		"INSERT INTO other.Things (name) VALUES ('x')" };
	struct place *p = *state;
	kii_autofree char *other = kii_xfmt("%s/a?b#c%%41.db", p->dir);
	struct kii_error err = { 0 };
	struct kii_store *s;

	must(kii_store_migrate(p->db, p->schema, "things", 1, &err));
	must(kii_store_migrate(other, p->schema, "things", 1, &err));
	must(kii_store_open(p->db, KII_STORE_WRITE, 1, sql, KII_COUNT(sql), &s, &err));
	must_fail(kii_store_attach(s, "/nonexistent/x", "other", &err), KII_ENOTFOUND);
	must_fail(kii_store_attach(s, p->dir, "other", &err), KII_EDB);
	must(kii_store_attach(s, other, "other", &err));
	must_fail(kii_store_attach(s, other, "other", &err), KII_EDB);
	must(kii_store_query(s, 0, &err, ""));
	assert_int_equal(kii_store_next(s, 0, &err), 1);
	kii_store_reset(s, 0);
	must_fail(kii_store_run(s, 1, NULL, &err, ""), KII_EDB);
	kii_store_close(s);
}

/* Tables, indices, triggers, version and first rows, as text. */
static void describe(const char *path, const char *rows, struct kii_buf *out)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	dump(db, out, "PRAGMA user_version");
	dump(db, out, "PRAGMA journal_mode");
	dump(db, out, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
	dump(db, out, rows);
	sqlite3_close(db);
}

static void run_file(const char *path, const char *file)
{
	kii_autobuf script = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	char *why = NULL;
	sqlite3 *db;

	must(kii_io_read(file, &script, &err));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, script.data, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", file, why);
	sqlite3_close(db);
}

static void a_complete_schema_is_what_the_migrations_give(void **state)
{
	static const struct { const char *name; int newest; const char *rows; } all[] = {
		{ "config", KII_VERSIONS_VERSION, "SELECT * FROM Versions ORDER BY name" },
		{ "jobs", KII_JOBS_VERSION, "SELECT * FROM DurationBounds" },
		{ "stats", KII_STATS_VERSION, "SELECT * FROM Totals" },
	};
	struct place *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *schema = test_source("schema");

	for (size_t i = 0; i < KII_COUNT(all); i++) {
		kii_autobuf migrated = KII_BUF_INIT(1 << 20);
		kii_autobuf complete = KII_BUF_INIT(1 << 20);
		kii_autofree char *file = kii_xfmt("%s/%s.sqlite", schema, all[i].name);
		kii_autofree char *a = kii_xfmt("%s/%s.a", p->dir, all[i].name);
		kii_autofree char *b = kii_xfmt("%s/%s.b", p->dir, all[i].name);

		must(kii_store_migrate(a, schema, all[i].name, all[i].newest, &err));
		describe(a, all[i].rows, &migrated);
		run_file(b, file);
		describe(b, all[i].rows, &complete);
		assert_string_equal(complete.data, migrated.data);
		run_file(b, file);
		kii_buf_reset(&complete);
		describe(b, all[i].rows, &complete);
		assert_string_equal(complete.data, migrated.data);
		assert_true(migrated.len > 100);
	}
}

#define with_place(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(a_missing_database_is_not_found_and_not_made),
		with_place(what_is_attached_can_only_be_read),
		with_place(a_folder_or_a_text_is_no_database),
		with_place(another_version_is_refused_naming_both),
		with_place(rules_that_cannot_be_set_refuse_the_database),
		with_place(every_handle_has_the_rules),
		with_place(the_log_stays_with_its_mode_when_the_writer_closes),
		with_place(a_reader_without_rights_reads_beside_a_writer_and_after_it),
		with_place(a_reader_reads_what_a_killed_writer_left),
		with_place(a_replaced_file_is_noticed),
		with_place(values_come_back_as_they_were_bound),
		with_place(changes_and_ids_are_told),
		with_place(wrong_values_are_refused),
		with_place(a_constraint_is_a_conflict_without_sql_in_its_words),
		with_place(a_reader_cannot_write),
		with_place(a_transaction_is_whole_or_nothing),
		with_place(begin_and_commit_must_pair),
		with_place(durable_is_full_until_it_is_not),
		with_place(a_locked_database_is_busy),
		with_place(a_writer_that_cannot_have_wal_is_refused),
		with_place(who_is_in_a_hurry_waits_less),
		with_place(a_full_database_is_an_error_and_stays_whole),
		with_place(a_disk_that_takes_no_more_is_an_error_and_nothing_is_lost),
		with_place(a_broken_file_is_an_error),
		with_place(damage_is_found_where_nobody_has_read),
		with_place(migrating_again_changes_nothing),
		with_place(an_old_database_is_copied_and_brought_up),
		with_place(a_script_that_fails_leaves_the_old_version),
		with_place(a_missing_script_is_named),
		with_place(a_file_that_cannot_be_made_is_an_error),
		with_place(without_a_copy_nothing_is_migrated),
		with_place(a_locked_database_is_not_migrated),
		with_place(many_may_migrate_at_once),
		with_place(a_complete_schema_is_what_the_migrations_give),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
