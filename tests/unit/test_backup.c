/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup.h"
#include "hash.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "stats.h"
#include "testlib.h"
#include "versions.h"

/* --- what fails when told to --- */

static int rename_fails_at;     /* the n-th from now, 0: none */
static bool rename_ends;        /* it ends the process instead */
static bool chmod_fails, fsync_fails, users_are_gone;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);

int __wrap_rename(const char *from, const char *to)
{
	/* Its own publishing of small files is another matter. */
	if (!strstr(from, ".restore") && !strstr(to, ".replaced"))
		return __real_rename(from, to);
	if (rename_fails_at && --rename_fails_at == 0) {
		if (rename_ends)
			_exit(0);
		errno = EBUSY;
		return -1;
	}
	return __real_rename(from, to);
}

int __wrap_chmod(const char *path, mode_t mode)
{
	if (chmod_fails) {
		errno = EPERM;
		return -1;
	}
	return __real_chmod(path, mode);
}

int __wrap_fsync(int fd)
{
	if (fsync_fails) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

struct passwd *__wrap_getpwnam(const char *name)
{
	return users_are_gone ? NULL : __real_getpwnam(name);
}

/* --- an installation --- */

static char *dir;
static struct kii_conf *conf;
static struct kii_error err;

static char *at(const char *name)
{
	return kii_xfmt("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	kii_autofree char *path = at(name);

	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

static void check(const char *name, const char *want)
{
	kii_autofree char *path = at(name);
	kii_autobuf text = KII_BUF_INIT(1 << 20);

	if (!want) {
		assert_int_equal(access(path, F_OK), -1);
		return;
	}
	must(kii_io_read(path, &text, &err));
	assert_string_equal(text.data, want);
}

static void make_folder(const char *name)
{
	kii_autofree char *path = at(name);

	must(kii_io_mkdirs(path, 0755, &err));
}

/* How many names of versions there are tells one state from another. */
static size_t versions(const char *folder)
{
	kii_autofree char *path = kii_xfmt("%s/%s/config.sqlite", dir, folder);
	struct kii_versions *v = NULL;
	struct kii_version *list = NULL;
	size_t n = 0;

	must(kii_versions_open(path, KII_STORE_READ, &v, &err));
	must(kii_versions_list(v, &list, &n, &err));
	kii_version_list_free(list, n);
	kii_versions_close(v);
	return n;
}

static void add_version(const char *name)
{
	kii_autofree char *path = at("state/queue/config.sqlite");
	struct kii_versions *v = NULL;
	struct kii_version version = { (char *)name, (char *)"beta", (char *)"controller-057",
		(char *)"v0.5.7" };

	must(kii_versions_open(path, KII_STORE_WRITE, &v, &err));
	must(kii_versions_add(v, &version, &err));
	kii_versions_close(v);
}

static void load_conf(void)
{
	kii_autofree char *file = at("etc/kiisrv.toml");

	kii_conf_free(conf);
	must(kii_conf_load(file, &conf, &err));
}

static int set_up(void **state)
{
	static const char *const folders[] = { "state/public", "state/queue", "state/engine",
		"state/artifacts", "state/logs", "etc/layouts/more" };
	kii_autofree char *schema = test_source("schema");
	kii_autofree char *text = NULL;
	kii_autofree char *jobs = NULL;
	kii_autofree char *config = NULL;
	kii_autofree char *stats = NULL;
	kii_autofree char *link = NULL;

	(void)state;
	err = (struct kii_error){ 0 };
	unsetenv("DOCKER_HOST");
	setenv("KIISRV_SCHEMA", schema, 1);
	dir = test_dir_new();
	for (size_t i = 0; i < KII_COUNT(folders); i++)
		make_folder(folders[i]);
	jobs = at("state/queue/jobs.sqlite");
	config = at("state/queue/config.sqlite");
	stats = at("state/public/stats.sqlite");
	must(kii_jobs_migrate(jobs, schema, &err));
	must(kii_versions_migrate(config, schema, &err));
	must(kii_stats_migrate(stats, schema, &err));
	put("state/engine/instance", "0123456789abcdef");
	put("state/artifacts/a.zip", "zip");
	put("state/logs/a.log", "log");
	put("etc/layouts/A.json", "{}");
	put("etc/layouts/more/deep", "deep");
	link = at("etc/layouts/B.json");
	assert_int_equal(symlink("A.json", link), 0);
	text = kii_xfmt("[paths]\nstate_dir = \"%s/state\"\nrun_dir = \"%s/run\"\n"
		"layouts = [\"%s/etc/layouts\", \"%s/layouts\"]\n", dir, dir, dir, KII_DATADIR);
	put("etc/kiisrv.toml", text);
	conf = NULL;
	load_conf();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rename_fails_at = 0;
	rename_ends = chmod_fails = fsync_fails = users_are_gone = false;
	kii_conf_free(conf);
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static int backup_to(const char *name, bool artifacts, bool gzip, struct kii_backup *done)
{
	kii_autofree char *path = at(name);
	kii_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return kii_backup_write(conf, artifacts, gzip, fd, done, &err);
}

static int restore_with(const char *name, struct kii_restore *r)
{
	kii_autofree char *path = at(name);
	kii_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	kii_autofree char *config = at("etc/kiisrv.toml");

	return kii_restore_read(conf, config, fd, r, &err);
}

static int restore(const char *name)
{
	struct kii_restore r = { 0 };

	return restore_with(name, &r);
}

static void save(void)
{
	struct kii_backup done;

	must(backup_to("b.tar", true, false, &done));
}

/* Nothing of a try that failed is there, and what was is. */
static void check_untouched(size_t n)
{
	kii_autofree char *state = at("state");

	assert_int_equal(versions("state/queue"), n);
	check("state/queue.restore", NULL);
	check("state/public.restore", NULL);
	check("state/restoring", NULL);
	check("etc/kiisrv.toml.restore", NULL);
	check("etc/layouts.restore", NULL);
	check("etc/layouts/A.json", "other");
	assert_false(kii_restore_pending(state));
}

/* After a backup the installation changes, so that one is seen to be back. */
static size_t change(void)
{
	add_version("mine");
	put("etc/layouts/A.json", "other");
	put("etc/layouts/new.json", "new");
	put("state/artifacts/new.zip", "new");
	return versions("state/queue");
}

/* --- tars by hand --- */

struct entry {
	const char *name, *text, *link;
};

static void add_entry(struct archive *a, const struct entry *entry, mode_t type)
{
	struct archive_entry *e = archive_entry_new();
	size_t len = entry->text ? strlen(entry->text) : 0;

	archive_entry_set_pathname(e, entry->name);
	archive_entry_set_filetype(e, entry->link ? AE_IFLNK : type);
	archive_entry_set_perm(e, 0644);
	if (entry->link)
		archive_entry_set_symlink(e, entry->link);
	else
		archive_entry_set_size(e, (la_int64_t)len);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	if (len)
		assert_int_equal(archive_write_data(a, entry->text, len), (int)len);
	archive_entry_free(e);
}

/* A backup of these files; `manifest` NULL: as it has to be, "": none. */
static void forge(const struct entry *entries, size_t n, const char *manifest)
{
	kii_autofree char *path = at("forged.tar");
	kii_autofree char *text = manifest ? kii_xstrdup(manifest) : NULL;
	kii_autojson *files = json_array();
	struct archive *a = archive_write_new();

	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		const char *content = entries[i].text ? entries[i].text : "";
		struct kii_hash *h = kii_hash_new();
		char hex[KII_HASH_HEX];

		add_entry(a, &entries[i], AE_IFREG);
		kii_hash_add(h, content, strlen(content));
		kii_hash_hex(h, hex);
		kii_hash_free(h);
		json_array_append_new(files, entries[i].link
			? json_pack("{s:s, s:s}", "path", entries[i].name, "link", entries[i].link)
			: json_pack("{s:s, s:I, s:s}", "path", entries[i].name, "size",
				(json_int_t)strlen(content), "sha256", hex));
	}
	if (!text) {
		json_t *document = json_pack("{s:i, s:s, s:[ss], s:O}", "format", 1, "state_dir",
			conf->paths.state_dir, "layouts", conf->paths.layouts[0],
			conf->paths.layouts[1], "files", files);

		text = json_dumps(document, 0);
		json_decref(document);
	}
	if (*text)
		add_entry(a, &(struct entry){ "manifest.json", text, NULL }, AE_IFREG);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}
#define FORGE(...) forge((const struct entry[]){ __VA_ARGS__ }, \
	KII_COUNT(((const struct entry[]){ __VA_ARGS__ })), NULL)

/* --- cases --- */

static void all_comes_back(void **state)
{
	struct kii_backup done;
	size_t before = versions("state/queue");
	kii_autofree char *link = at("etc/layouts/B.json");
	char target[64] = "";

	(void)state;
	must(backup_to("b.tar.gz", true, true, &done));
	assert_true(done.files == 10 && done.bytes > 50000);
	change();
	must(restore("b.tar.gz"));
	assert_int_equal(versions("state/queue"), before);
	check("etc/layouts/A.json", "{}");
	check("etc/layouts/new.json", NULL);
	check("etc/layouts/more/deep", "deep");
	check("state/artifacts/a.zip", "zip");
	check("state/artifacts/new.zip", NULL);
	check("state/logs/a.log", "log");
	check("state/engine/instance", "0123456789abcdef");
	assert_int_equal(readlink(link, target, sizeof(target) - 1), 6);
	assert_string_equal(target, "A.json");
	/* What was there is beside. */
	check("etc/layouts.replaced/A.json", "other");
	check("state/artifacts.replaced/new.zip", "new");
	assert_int_equal(versions("state/queue.replaced"), before + 1);
	check("state/restoring", NULL);
	check("state/backup.tmp", NULL);
}

static void a_second_restore_takes_the_place_of_the_first(void **state)
{
	size_t before = versions("state/queue");

	(void)state;
	save();
	must(restore("b.tar"));
	change();
	must(restore("b.tar"));
	assert_int_equal(versions("state/queue"), before);
	assert_int_equal(versions("state/queue.replaced"), before + 1);
}

static void without_artifacts_those_stay(void **state)
{
	struct kii_backup done;

	(void)state;
	must(backup_to("b.tar", false, false, &done));
	assert_int_equal(done.files, 8);
	change();
	must(restore("b.tar"));
	check("state/artifacts/new.zip", "new");
	check("state/artifacts.replaced", NULL);
	check("etc/layouts/A.json", "{}");
}

static void the_state_alone_leaves_the_configuration(void **state)
{
	struct kii_restore r = { .state_only = true };
	size_t before = versions("state/queue");

	(void)state;
	save();
	change();
	put("etc/kiisrv.toml", "# changed\n");
	must(restore_with("b.tar", &r));
	assert_int_equal(versions("state/queue"), before);
	check("etc/layouts/A.json", "other");
	check("etc/kiisrv.toml", "# changed\n");
	check("etc/kiisrv.toml.replaced", NULL);
	assert_int_equal(r.files, 6);
}

static void a_copy_beside_the_original_gets_its_own_name(void **state)
{
	struct kii_restore r = { .new_instance = true };
	kii_autofree char *path = at("state/engine/instance");
	kii_autobuf text = KII_BUF_INIT(64);

	(void)state;
	save();
	must(restore_with("b.tar", &r));
	must(kii_io_read(path, &text, &err));
	assert_int_equal(text.len, 16);
	assert_int_equal(strspn(text.data, "0123456789abcdef"), 16);
	assert_string_not_equal(text.data, "0123456789abcdef");
}

static void every_file_has_the_owner_of_its_zone(void **state)
{
	static const struct {
		const char *path, *user;
		mode_t mode;
	} wanted[] = {
		{ "state/public", "kiisrv", 0700 }, { "state/queue", "kiisrv-engine", 02750 },
		{ "state/engine", "kiisrv-engine", 0700 },
		{ "state/artifacts", "kiisrv-engine", 02750 },
		{ "state/public/stats.sqlite", "kiisrv", 0640 },
		{ "state/queue/jobs.sqlite", "kiisrv-engine", 0640 },
		{ "state/engine/instance", "kiisrv-engine", 0600 },
		{ "state/artifacts/a.zip", "kiisrv-engine", 0640 },
	};
	struct kii_restore r = { 0 };
	bool users = geteuid() == 0 && getpwnam("kiisrv") && getpwnam("kiisrv-engine");

	(void)state;
	save();
	must(restore_with("b.tar", &r));
	assert_int_equal(r.without_users, !users);
	for (size_t i = 0; i < KII_COUNT(wanted); i++) {
		kii_autofree char *path = at(wanted[i].path);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, wanted[i].mode);
		if (users)
			assert_int_equal(st.st_uid, getpwnam(wanted[i].user)->pw_uid);
	}
	users_are_gone = true;
	must(restore_with("b.tar", &r));
	assert_true(r.without_users);
}

static void a_configuration_keeps_its_owner_and_mode(void **state)
{
	kii_autofree char *path = at("etc/kiisrv.toml");
	struct stat st;

	(void)state;
	save();
	assert_int_equal(__real_chmod(path, 0640), 0);
	must(restore("b.tar"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void a_running_worker_is_in_the_way(void **state)
{
	kii_autofree char *path = at("state/engine/lock");
	kii_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	size_t n;

	(void)state;
	save();
	n = change();
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	must_fail(restore("b.tar"), KII_ECONFLICT);
	check_untouched(n);
	assert_int_equal(flock(fd, LOCK_UN), 0);
	must(restore("b.tar"));
}

/* Wherever a byte is wrong: it is either padding, or it is found before anything is moved. */
static void damage_is_found_wherever_it_is(void **state)
{
	kii_autofree char *path = at("b.tar");
	kii_autobuf whole = KII_BUF_INIT(4 << 20);
	int found = 0;
	size_t n;

	(void)state;
	save();
	n = change();
	must(kii_io_read(path, &whole, &err));
	for (size_t i = 700; i < whole.len; i += 3001) {
		whole.data[i] ^= 0x55;
		must(kii_io_publish(path, whole.data, whole.len, 0600, &err));
		whole.data[i] ^= 0x55;
		if (restore("b.tar") == 0) {
			n = change();
			continue;
		}
		assert_int_equal(err.code, KII_EINVAL);
		kii_error_clear(&err);
		check_untouched(n);
		found++;
	}
	assert_true(found > 20);
}

static void a_cut_backup_is_none(void **state)
{
	kii_autofree char *path = at("b.tar");
	struct stat st;
	size_t n;

	(void)state;
	save();
	n = change();
	assert_int_equal(stat(path, &st), 0);
	for (int part = 7; part >= 0; part--) {
		assert_int_equal(truncate(path, st.st_size * part / 8), 0);
		must_fail(restore("b.tar"), KII_EINVAL);
		check_untouched(n);
	}
	put("b.tar", "this is no tar at all, but it is long enough to be looked at\n");
	must_fail(restore("b.tar"), KII_EINVAL);
}

static void names_lead_nowhere_else(void **state)
{
	static const char *const names[] = {
		"/etc/passwd", "../x", "state", "state/", "state/queue", "state/queue/",
		"state/queue/../x", "state/queue/..", "state/queue/.", "state/queue/a/b",
		"state/other/x", "state/queuex/x", "etc", "etc/passwd", "etc/kiisrv.toml/x",
		"layouts", "layouts/0", "layouts/0/", "layouts/0/a//b", "layouts/0/../b",
		"layouts/0/a/./b", "layouts/0/a/..", "manifest.json/x",
	};
	size_t n = change();

	(void)state;
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		FORGE({ names[i], "text", NULL });
		if (restore("forged.tar") == 0)
			fail_msg("%s was taken", names[i]);
		assert_int_equal(err.code, KII_EINVAL);
		kii_error_clear(&err);
		check_untouched(n);
	}
}

static void nothing_is_written_through_a_link(void **state)
{
	kii_autofree char *out = at("outside");
	size_t n = change();

	(void)state;
	make_folder("outside");
	FORGE({ "layouts/0/a", NULL, out }, { "layouts/0/a/b", "text", NULL });
	must_fail(restore("forged.tar"), KII_EIO);
	FORGE({ "layouts/0/a", NULL, out }, { "layouts/0/a/b", NULL, "c" });
	must_fail(restore("forged.tar"), KII_EINVAL);
	check("outside/b", NULL);
	check_untouched(n);
	FORGE({ "state/queue/config.sqlite", NULL, out });
	must_fail(restore("forged.tar"), KII_EDB);
	check_untouched(n);
}

static void the_manifest_is_the_law(void **state)
{
	static const struct entry one[] = { { "layouts/0/A.json", "{}", NULL } };
	static const struct entry two[] = { { "layouts/0/A.json", "{}", NULL },
		{ "layouts/0/A.json", "{}", NULL } };
	static const char *const manifests[] = {
		"", "{", "[]", "{\"format\": 2}", "{\"format\": 1}",
		"{\"format\": 1, \"files\": []}",
		"{\"format\": 1, \"files\": [{}]}",
		("{\"format\": 1, \"files\": [{\"path\": \"layouts/0/A.json\", \"size\": 2, "
			"\"sha256\": \"00\"}]}"),
		"{\"format\": 1, \"files\": [{\"path\": \"layouts/0/B.json\"}]}",
	};
	size_t n = change();

	(void)state;
	for (size_t i = 0; i < KII_COUNT(manifests); i++) {
		forge(one, 1, manifests[i]);
		must_fail(restore("forged.tar"), KII_EINVAL);
		check_untouched(n);
	}
	forge(two, 2, NULL);
	must_fail(restore("forged.tar"), KII_EINVAL);
	FORGE({ "manifest.json", "{\"format\": 1, \"files\": []}", NULL });
	must_fail(restore("forged.tar"), KII_EINVAL);
	check_untouched(n);
	forge(one, 1, NULL);
	must(restore("forged.tar"));
}

static void another_kind_of_file_is_none(void **state)
{
	kii_autofree char *path = at("forged.tar");
	struct archive *a = archive_write_new();

	(void)state;
	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	add_entry(a, &(struct entry){ "layouts/0/x", NULL, NULL }, AE_IFIFO);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	must_fail(restore("forged.tar"), KII_EINVAL);
}

static void a_configuration_for_other_folders_is_refused(void **state)
{
	struct kii_restore r = { .state_only = true };
	kii_autofree char *text = kii_xfmt("[paths]\nstate_dir = \"%s/state\"\n"
		"layouts = [\"%s/other\"]\n", dir, dir);
	kii_autofree char *moved = kii_xfmt("[paths]\nstate_dir = \"%s/moved\"\n"
		"layouts = [\"%s/etc/layouts\", \"%s/layouts\"]\n", dir, dir, KII_DATADIR);
	size_t n;

	(void)state;
	save();
	n = change();
	put("etc/kiisrv.toml", text);
	load_conf();
	must_fail(restore("b.tar"), KII_EINVAL);
	check_untouched(n);
	must(restore_with("b.tar", &r));
	make_folder("moved");
	put("etc/kiisrv.toml", moved);
	load_conf();
	must_fail(restore("b.tar"), KII_EINVAL);
}

static void an_older_database_is_brought_up(void **state)
{
	kii_autofree char *path = at("state/queue/config.sqlite");
	kii_autofree char *schema = test_source("schema");

	(void)state;
	assert_int_equal(unlink(path), 0);
	must(kii_store_migrate(path, schema, "config", 1, &err));
	save();
	must(restore("b.tar"));
	must(kii_store_verify(path, KII_VERSIONS_VERSION, &err));
}

static void a_newer_database_is_refused(void **state)
{
	kii_autofree char *schema = at("schema");
	kii_autofree char *copy = NULL;
	size_t n;

	(void)state;
	save();
	n = change();
	/* Of a program whose newest configuration is version 1, and one that knows no jobs. */
	make_folder("schema");
	for (int i = 0; i < 2; i++) {
		static const char *const names[] = { "stats.1.sql", "config.1.sql" };
		kii_autofree char *relative = kii_xfmt("schema/%s", names[i]);
		kii_autofree char *from = test_source(relative);
		kii_autobuf text = KII_BUF_INIT(1 << 20);

		must(kii_io_read(from, &text, &err));
		put(relative, text.data);
	}
	setenv("KIISRV_SCHEMA", schema, 1);
	must_fail(restore("b.tar"), KII_ECONFLICT);
	copy = test_source("schema");
	setenv("KIISRV_SCHEMA", copy, 1);
	check_untouched(n);
	FORGE({ "state/queue/novel.sqlite", "text", NULL });
	must_fail(restore("forged.tar"), KII_ECONFLICT);
	FORGE({ "state/queue/jobs.sqlite", "no database, however long it may be", NULL });
	must_fail(restore("forged.tar"), KII_EDB);
	check_untouched(n);
}

/* Each of the moves fails once: everything is where it was. */
static void a_move_that_fails_takes_all_back(void **state)
{
	int moves = 0;
	size_t n;

	(void)state;
	save();
	n = change();
	for (;;) {
		rename_fails_at = ++moves;
		if (restore("b.tar") == 0)
			break;
		assert_int_equal(err.code, KII_EIO);
		kii_error_clear(&err);
		check_untouched(n);
		check("state/artifacts/new.zip", "new");
	}
	/* Seven places, two moves each. */
	assert_int_equal(moves, 15);
}

/* The process ends before each of the moves: the work can be finished. */
static void an_interrupted_restore_can_be_finished(void **state)
{
	kii_autofree char *folder = at("state");
	size_t before = versions("state/queue");

	(void)state;
	save();
	for (int at_move = 1; at_move <= 14; at_move++) {
		pid_t pid;
		int status;

		change();
		pid = fork();
		if (pid == 0) {
			rename_fails_at = at_move;
			rename_ends = true;
			_exit(restore("b.tar") == 0 ? 1 : 2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_true(kii_restore_pending(folder));
		must_fail(restore("b.tar"), KII_ECONFLICT);
		must(kii_restore_finish(folder, &err));
		assert_false(kii_restore_pending(folder));
		assert_int_equal(versions("state/queue"), before);
		check("state/artifacts/new.zip", NULL);
		check("etc/layouts/A.json", "{}");
		check("etc/layouts.replaced/A.json", "other");
	}
	must(kii_restore_finish(folder, &err));
}

static void a_folder_made_anew_meanwhile_is_no_obstacle_if_empty(void **state)
{
	kii_autofree char *folder = at("state");
	kii_autofree char *text = kii_xfmt("[\"%s/state/logs\"]", dir);

	(void)state;
	make_folder("state/logs.restore");
	make_folder("state/logs.replaced");
	put("state/restoring", text);
	must_fail(kii_restore_finish(folder, &err), KII_EIO);
	check("state/logs/a.log", "log");
	kii_autofree char *file = at("state/logs/a.log");
	assert_int_equal(unlink(file), 0);
	put("state/logs.restore/b.log", "b");
	must(kii_restore_finish(folder, &err));
	check("state/logs/b.log", "b");
}

static void a_broken_mark_moves_nothing(void **state)
{
	static const char *const marks[] = { "", "{}", "[1]", "[\"relative\"]" };
	kii_autofree char *folder = at("state");

	(void)state;
	for (size_t i = 0; i < KII_COUNT(marks); i++) {
		put("state/restoring", marks[i]);
		must_fail(kii_restore_finish(folder, &err), KII_EINVAL);
	}
}

static void a_file_system_of_its_own_cannot_be_replaced(void **state)
{
	kii_autofree char *path = at("state/logs");
	size_t n;

	(void)state;
	save();
	n = change();
	if (mount("test", path, "tmpfs", 0, "size=64k") != 0)
		skip();
	if (restore("b.tar") == 0)
		fail_msg("it was replaced");
	umount2(path, MNT_DETACH);
	assert_int_equal(err.code, KII_ECONFLICT);
	kii_error_clear(&err);
	check_untouched(n);
}

static void what_cannot_be_kept_is_not_begun(void **state)
{
	size_t n;

	(void)state;
	save();
	n = change();
	chmod_fails = true;
	must_fail(restore("b.tar"), KII_EIO);
	chmod_fails = false;
	fsync_fails = true;
	must_fail(restore("b.tar"), KII_EIO);
	fsync_fails = false;
	check_untouched(n);
}

static void a_place_that_is_not_ours_to_write_is_told(void **state)
{
	kii_autofree char *path = at("state/engine/lock");
	kii_autofree char *layouts = NULL;

	(void)state;
	save();
	assert_int_equal(symlink("/dev/null", path), 0);
	must_fail(restore("b.tar"), KII_EIO);
	assert_int_equal(unlink(path), 0);
	/* Its parent is a file. */
	layouts = kii_xfmt("[paths]\nstate_dir = \"%s/b.tar/state\"\n", dir);
	put("etc/kiisrv.toml", layouts);
	load_conf();
	must_fail(restore("b.tar"), KII_EIO);
}

/* --- backup --- */

static void one_at_a_time(void **state)
{
	kii_autofree char *path = at("state/backup.tmp");
	struct kii_backup done;
	int fd;

	(void)state;
	make_folder("state/backup.tmp");
	put("state/backup.tmp/jobs.sqlite", "left by an earlier one");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	must_fail(backup_to("b.tar", false, false, &done), KII_EBUSY);
	close(fd);
	must(backup_to("b.tar", false, false, &done));
	check("state/backup.tmp", NULL);
}

static void what_cannot_be_written_is_told(void **state)
{
	kii_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct kii_backup done;

	(void)state;
	must_fail(kii_backup_write(conf, true, false, full, &done, &err), KII_EIO);
	must_fail(kii_backup_write(conf, true, true, full, &done, &err), KII_EIO);
	check("state/backup.tmp", NULL);
	put("state/backup.tmp", "a file");
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
}

static void without_a_state_there_is_nothing_to_save(void **state)
{
	kii_autofree char *public = at("state/public");
	kii_autofree char *queue = at("state/queue");
	kii_autofree char *all = at("state");
	struct kii_backup done;

	(void)state;
	must(kii_io_remove_tree(public, &err));
	must(kii_io_remove_tree(queue, &err));
	must_fail(backup_to("b.tar", false, false, &done), KII_ENOTFOUND);
	must(kii_io_remove_tree(all, &err));
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
}

/* The public zone owns its folder: what it puts there must not bring other files into a backup. */
static void a_zone_cannot_smuggle(void **state)
{
	kii_autofree char *stats = at("state/public/stats.sqlite");
	kii_autofree char *secret = at("state/queue/jobs.sqlite");
	kii_autofree char *other = at("state/public/other.sqlite");
	struct kii_backup done;

	(void)state;
	assert_int_equal(symlink(secret, other), 0);
	must(backup_to("b.tar", false, false, &done));
	assert_int_equal(done.files, 8);
	assert_int_equal(unlink(stats), 0);
	assert_int_equal(symlink(secret, stats), 0);
	must_fail(backup_to("b.tar", false, false, &done), KII_EDB);
}

/* Somebody made it there: it comes back as it was, and what it leads to is not touched. */
static void a_link_among_the_artifacts_is_a_link(void **state)
{
	kii_autofree char *file = at("elsewhere"), *link = at("state/artifacts/l.zip");
	kii_autofree char *dangling = at("state/artifacts/none.zip");
	struct kii_backup done;
	struct stat st;

	(void)state;
	put("elsewhere", "x");
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(symlink("/none/such", dangling), 0);
	must(backup_to("b.tar", true, true, &done));
	must(restore("b.tar"));
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(lstat(dangling, &st), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void other_things_among_the_layouts_are_left_out(void **state)
{
	kii_autofree char *fifo = at("etc/layouts/fifo");
	kii_autobuf path = KII_BUF_INIT(1000);
	struct kii_backup done;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	must(backup_to("b.tar", false, false, &done));
	assert_int_equal(done.files, 8);
	kii_buf_str(&path, "etc/layouts");
	for (int i = 0; i < 20; i++)
		kii_buf_str(&path, "/d");
	make_folder(path.data);
	must_fail(backup_to("b.tar", false, false, &done), KII_EINVAL);
}

static void a_file_in_the_way_of_a_folder_is_told(void **state)
{
	kii_autofree char *queue = at("state/queue");
	kii_autofree char *instance = at("state/engine/instance");
	kii_autofree char *config = at("etc/kiisrv.toml");
	kii_autofree char *layouts = at("etc/layouts");
	struct kii_backup done;

	(void)state;
	assert_int_equal(unlink(config), 0);
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
	assert_int_equal(mkdir(config, 0700), 0);
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
	assert_int_equal(rmdir(config), 0);
	put("etc/kiisrv.toml", "");
	must(kii_io_remove_tree(layouts, &err));
	put("etc/layouts", "a file");
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
	assert_int_equal(unlink(instance), 0);
	assert_int_equal(symlink("x", instance), 0);
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
	must(kii_io_remove_tree(queue, &err));
	put("state/queue", "a file");
	must_fail(backup_to("b.tar", false, false, &done), KII_EIO);
}

#define with_state(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_state(all_comes_back),
		with_state(a_second_restore_takes_the_place_of_the_first),
		with_state(without_artifacts_those_stay),
		with_state(the_state_alone_leaves_the_configuration),
		with_state(a_copy_beside_the_original_gets_its_own_name),
		with_state(every_file_has_the_owner_of_its_zone),
		with_state(a_configuration_keeps_its_owner_and_mode),
		with_state(a_running_worker_is_in_the_way),
		with_state(damage_is_found_wherever_it_is),
		with_state(a_cut_backup_is_none),
		with_state(names_lead_nowhere_else),
		with_state(nothing_is_written_through_a_link),
		with_state(the_manifest_is_the_law),
		with_state(another_kind_of_file_is_none),
		with_state(a_configuration_for_other_folders_is_refused),
		with_state(an_older_database_is_brought_up),
		with_state(a_newer_database_is_refused),
		with_state(a_move_that_fails_takes_all_back),
		with_state(an_interrupted_restore_can_be_finished),
		with_state(a_folder_made_anew_meanwhile_is_no_obstacle_if_empty),
		with_state(a_broken_mark_moves_nothing),
		with_state(a_file_system_of_its_own_cannot_be_replaced),
		with_state(what_cannot_be_kept_is_not_begun),
		with_state(a_place_that_is_not_ours_to_write_is_told),
		with_state(one_at_a_time),
		with_state(what_cannot_be_written_is_told),
		with_state(without_a_state_there_is_nothing_to_save),
		with_state(a_zone_cannot_smuggle),
		with_state(a_link_among_the_artifacts_is_a_link),
		with_state(other_things_among_the_layouts_are_left_out),
		with_state(a_file_in_the_way_of_a_folder_is_told),
	};

	return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
