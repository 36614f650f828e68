/* SPDX-License-Identifier: MIT */
/* Files into a container and its zip out again, by both transports. */
#include <config.h>

#include "transport.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"
#include "workerfix.h"

/* Nobody is root here, whoever runs the test. */
uid_t __wrap_getuid(void);
gid_t __wrap_getgid(void);
uid_t __wrap_getuid(void)
{
	return 4711;
}
gid_t __wrap_getgid(void)
{
	return 4712;
}

/* A job's attempt; for "bind" the working folder is one of the test's. */
struct trip {
	struct fix *f;
	struct kii_job job;
	struct attempt a;
	char *name;
	int home;      /* where we came from */
};

static void set_up(struct trip *t, struct fix *f, bool bind)
{
	struct kii_error err = { 0 };

	memset(t, 0, sizeof(*t));
	t->f = f;
	f->conf.firmware.bind = bind;
	fix_queue(f);
	t->name = fix_name(f, f->made, 1);
	must(attempt_init(&t->a, &f->w.lanes[LANE_PUBLIC], &t->job, fix_claim(f, &t->job), &err));
	t->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsetenv("HOST_TMP_CONFIG");
	unsetenv("HOST_TMP_BUILDS");
	if (bind)
		assert_int_equal(chdir(f->dir), 0);
}

static void drop(struct trip *t)
{
	assert_int_equal(fchdir(t->home), 0);
	close(t->home);
	attempt_release(&t->a);
	kii_job_release(&t->job);
	free(t->name);
}

/* An open file without a name. */
static int blank(void)
{
	FILE *file = tmpfile();
	int fd = dup(fileno(file));

	assert_int_equal(fclose(file), 0);
	return fd;
}

static void expect_fd(int fd, const char *want)
{
	char got[200] = "";

	assert_int_equal(pread(fd, got, sizeof(got) - 1, 0), strlen(want));
	assert_string_equal(got, want);
}

/* --- archive --- */

static void volumes_of_the_attempt_carry_an_archive(void **state)
{
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	set_up(&t, *state, false);
	must(transport_init(&tr, &t.a, &err));
	assert_memory_equal(tr.mounts[0].volume, t.name, strlen(t.name));
	assert_string_equal(tr.mounts[0].volume + strlen(t.name), "-config");
	assert_string_equal(tr.mounts[0].path, "/mnt/config");
	assert_string_equal(tr.mounts[1].volume + strlen(t.name), "-builds");
	assert_string_equal(tr.mounts[1].path, "/mnt/builds");
	assert_false(tr.mounts[1].read_only);
	assert_string_equal(tr.user, "");
	transport_release(&tr);
	assert_null(tr.config);
	drop(&t);
}

/* The uid of the first entry that was put in. */
static int64_t owner_of_put(struct trip *t)
{
	kii_autobuf tar = KII_BUF_INIT(1u << 20);
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int64_t uid;

	toy_put(t->f->toy, t->name, &tar);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, tar.data, tar.len), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
	uid = archive_entry_uid(e);
	archive_read_free(a);
	return uid;
}

static void an_archives_files_belong_to_the_images_user(void **state)
{
	static const struct { const char *user; int uid; } users[] = {
		{ "1000:1000", 1000 }, { "1234", 1234 }, { "", 0 }, { "root", 0 }, { NULL, 0 },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(users); i++) {
		struct kii_error err = { 0 };
		struct trip t;

		set_up(&t, f, false);
		t.a.user = kii_xstrdup(users[i].user);
		toy_container(f->toy, t.name, NULL, KII_CONTAINER_CREATED);
		must(transport_put(&t.a, &err));
		assert_int_equal(owner_of_put(&t), users[i].uid);
		drop(&t);
	}
}

static void an_archive_brings_the_result_or_says_why_not(void **state)
{
	static const struct { enum toy_result result; enum kii_code code; } cases[] = {
		{ TOY_NONE, KII_ENOTFOUND },
		{ TOY_LINK, KII_EINVAL },
		{ TOY_BIG, KII_ETOOBIG },
	};
	struct fix *f = *state;
	struct kii_error err = { 0 };
	uint64_t size = 0;
	struct trip t;
	int fd = blank();

	set_up(&t, f, false);
	toy_container(f->toy, t.name, NULL, KII_CONTAINER_EXITED);
	must(transport_get(&t.a, "x.zip", fd, &size, &err));
	assert_int_equal(size, strlen("PK\3\4 a toy's zip"));
	expect_fd(fd, "PK\3\4 a toy's zip");
	drop(&t);
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		const struct toy_plan plan = { .result = cases[i].result };

		toy_plan(f->toy, &plan);
		set_up(&t, f, false);
		toy_container(f->toy, t.name, NULL, KII_CONTAINER_EXITED);
		must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), cases[i].code);
		drop(&t);
	}
	close(fd);
}

static void an_archives_volumes_are_removed(void **state)
{
	struct fix *f = *state;
	const struct toy_fault fault = { .match = "DELETE /volumes/*", .trouble = TOY_REFUSE,
		.status = 500, .times = 1 };
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	set_up(&t, f, false);
	must(transport_init(&tr, &t.a, &err));
	toy_volume(f->toy, tr.config, NULL);
	toy_volume(f->toy, tr.builds, NULL);
	toy_volume(f->toy, "somebody-elses", NULL);
	toy_fault(f->toy, &fault);
	must_fail(transport_clean(&f->w, t.a.engine, t.name, &err), KII_EBROKEN);
	must(transport_clean(&f->w, t.a.engine, t.name, &err));
	assert_false(toy_has_volume(f->toy, tr.config) || toy_has_volume(f->toy, tr.builds));
	assert_true(toy_has_volume(f->toy, "somebody-elses"));
	must(transport_clean(&f->w, t.a.engine, t.name, &err));
	transport_release(&tr);
	drop(&t);
}

/* --- bind --- */

static void folders_of_the_attempt_are_bound(void **state)
{
	struct fix *f = *state;
	kii_autofree char *config = NULL, *builds = NULL;
	struct kii_error err = { 0 };
	struct transport tr;
	struct stat st;
	struct trip t;

	set_up(&t, f, true);
	must(transport_init(&tr, &t.a, &err));
	config = kii_xfmt("%s/tmp_config/%s", f->dir, t.name);
	builds = kii_xfmt("%s/tmp_builds/%s", f->dir, t.name);
	assert_string_equal(tr.mounts[0].host, config);
	assert_string_equal(tr.mounts[0].path, "/mnt/config");
	assert_true(tr.mounts[0].read_only);
	assert_null(tr.mounts[0].volume);
	assert_string_equal(tr.mounts[1].host, builds);
	assert_string_equal(tr.mounts[1].path, "/mnt/builds");
	assert_false(tr.mounts[1].read_only);
	assert_string_equal(tr.user, "4711:4712");
	assert_int_equal(stat(config, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(stat(builds, &st), 0);
	transport_release(&tr);
	drop(&t);
}

static void the_engine_may_see_the_folders_elsewhere(void **state)
{
	struct fix *f = *state;
	kii_autofree char *config = NULL, *builds = NULL;
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	set_up(&t, f, true);
	setenv("HOST_TMP_CONFIG", "/srv/host/config", 1);
	setenv("HOST_TMP_BUILDS", "", 1);
	must(transport_init(&tr, &t.a, &err));
	config = kii_xfmt("/srv/host/config/%s", t.name);
	builds = kii_xfmt("%s/tmp_builds/%s", f->dir, t.name);
	assert_string_equal(tr.mounts[0].host, config);
	/* An empty one is none. */
	assert_string_equal(tr.mounts[1].host, builds);
	/* What we make is ours, wherever the engine looks for it. */
	assert_true(fix_has_file("tmp_config", t.name) && fix_has_file("tmp_builds", t.name));
	transport_release(&tr);
	setenv("HOST_TMP_BUILDS", "/srv/host/builds", 1);
	must(transport_init(&tr, &t.a, &err));
	assert_memory_equal(tr.mounts[1].host, "/srv/host/builds/", 17);
	transport_release(&tr);
	drop(&t);
}

static void inside_a_rootless_engine_the_owner_is_root(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	f->conf.docker.rootless = true;
	set_up(&t, f, true);
	must(transport_init(&tr, &t.a, &err));
	assert_string_equal(tr.user, "0:0");
	transport_release(&tr);
	drop(&t);
}

static void folders_that_cannot_be_made_are_an_error(void **state)
{
	static const char *const names[] = { "tmp_config", "tmp_builds" };
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	set_up(&t, *state, true);
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		must(kii_io_remove_tree(names[i], &err));
		must(kii_io_publish(names[i], "", 0, 0600, &err));
		must_fail(transport_init(&tr, &t.a, &err), KII_EIO);
		transport_release(&tr);
		unlink(names[i]);
	}
	drop(&t);
}

static void bound_files_lie_in_the_configurations_folder(void **state)
{
	struct fix *f = *state;
	kii_autofree char *folder = NULL, *stored = NULL;
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	struct kii_error err = { 0 };
	struct stat st;
	struct trip t;

	set_up(&t, f, true);
	must(transport_put(&t.a, &err));
	/* Once more is no harm: a worker that died comes here again. */
	must(transport_put(&t.a, &err));
	folder = kii_xfmt("%s/tmp_config/%s/%s", f->dir, t.name, t.a.dir);
	assert_int_equal(stat(folder, &st), 0);
	for (size_t i = 0; i < t.a.kll->n_files; i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", folder, t.a.kll->files[i].name);

		kii_buf_reset(&text);
		must(kii_io_read(path, &text, &err));
		assert_string_equal(text.data, t.a.kll->files[i].text);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0644);
	}
	stored = kii_xfmt("%s/MD1-Standard.json", folder);
	kii_buf_reset(&text);
	must(kii_io_read(stored, &text, &err));
	assert_memory_equal(text.data, t.a.kll->stored, t.a.kll->stored_len);
	assert_int_equal(toy_asked(f->toy, "PUT /containers/*/archive"), 0);
	drop(&t);
}

static void bound_files_that_cannot_be_written_are_an_error(void **state)
{
	struct fix *f = *state;
	kii_autofree char *folder = NULL, *in_the_way = NULL;
	struct kii_error err = { 0 };
	struct trip t;

	set_up(&t, f, true);
	folder = kii_xfmt("tmp_config/%s/%s", t.name, t.a.dir);
	in_the_way = kii_xfmt("%s/%s/x", folder, t.a.kll->files[0].name);
	must(kii_io_mkdirs(in_the_way, 0700, &err));
	must_fail(transport_put(&t.a, &err), KII_EIO);
	must(kii_io_remove_tree("tmp_config", &err));
	must(kii_io_publish("tmp_config", "", 0, 0600, &err));
	must_fail(transport_put(&t.a, &err), KII_EIO);
	drop(&t);
}

static void a_bound_result_is_copied(void **state)
{
	struct fix *f = *state;
	kii_autofree char *builds = NULL, *path = NULL, *large = kii_xcalloc(1, 50001);
	struct kii_error err = { 0 };
	uint64_t size = 0;
	struct trip t;
	int fd = blank();

	set_up(&t, f, true);
	builds = kii_xfmt("tmp_builds/%s", t.name);
	path = kii_xfmt("%s/x.zip", builds);
	must(kii_io_mkdirs(builds, 0700, &err));
	must(kii_io_publish(path, "PK and more", 11, 0600, &err));
	must(transport_get(&t.a, "x.zip", fd, &size, &err));
	assert_int_equal(size, 11);
	expect_fd(fd, "PK and more");
	/* As large as allowed, and a byte more. */
	must(kii_io_publish(path, large, 50000, 0600, &err));
	must(transport_get(&t.a, "x.zip", fd, &size, &err));
	assert_int_equal(size, 50000);
	must(kii_io_publish(path, large, 50001, 0600, &err));
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_ETOOBIG);
	assert_int_equal(toy_asked(f->toy, "GET /containers/*/archive"), 0);
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	must(kii_io_publish(path, "PK", 2, 0600, &err));
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_EIO);
	close(fd);
	drop(&t);
}

static void a_hostile_result_is_not_followed(void **state)
{
	struct fix *f = *state;
	kii_autofree char *builds = NULL, *path = NULL;
	struct kii_error err = { 0 };
	uint64_t size = 0;
	struct trip t;
	int fd = blank();

	set_up(&t, f, true);
	builds = kii_xfmt("tmp_builds/%s", t.name);
	path = kii_xfmt("%s/x.zip", builds);
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_ENOTFOUND);
	must(kii_io_mkdirs(builds, 0700, &err));
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_ENOTFOUND);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_EINVAL);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_EINVAL);
	rmdir(path);
	/* Nobody writes into it: opening must not wait. */
	assert_int_equal(mkfifo(path, 0600), 0);
	must_fail(transport_get(&t.a, "x.zip", fd, &size, &err), KII_EINVAL);
	expect_fd(fd, "");
	close(fd);
	drop(&t);
}

static void bound_folders_are_removed(void **state)
{
	struct fix *f = *state;
	kii_autofree char *victim = kii_xfmt("%s/victim", f->dir), *link = NULL, *elses = NULL;
	struct kii_error err = { 0 };
	struct transport tr;
	struct trip t;

	set_up(&t, f, true);
	must(transport_init(&tr, &t.a, &err));
	must(transport_put(&t.a, &err));
	must(kii_io_publish(victim, "", 0, 0600, &err));
	link = kii_xfmt("tmp_builds/%s/link", t.name);
	elses = kii_xfmt("tmp_builds/%s-elses", t.name);
	assert_int_equal(symlink(f->dir, link), 0);
	must(kii_io_mkdirs(elses, 0700, &err));
	must(transport_clean(&f->w, t.a.engine, t.name, &err));
	assert_false(fix_has_file("tmp_config", t.name) || fix_has_file("tmp_builds", t.name));
	/* Nothing behind a link, and nobody else's folder. */
	assert_true(fix_has_file(f->dir, "victim"));
	assert_true(fix_has_file(".", elses));
	must(transport_clean(&f->w, t.a.engine, t.name, &err));
	transport_release(&tr);
	drop(&t);
}

/* The whole way, the container's part played by the test. */
static void a_job_by_bind_runs_to_its_result(void **state)
{
	struct fix *f = *state;
	const struct toy_plan plan = { .log = "hello\n", .run_ms = 100 };
	kii_autofree char *path = NULL;
	kii_autojson *body = NULL;
	kii_autobuf artifact = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };
	struct trip t;

	toy_plan(f->toy, &plan);
	set_up(&t, f, true);
	path = kii_xfmt("tmp_builds/%s", t.name);
	must(kii_io_mkdirs(path, 0750, &err));
	free(kii_steal(&path));
	path = kii_xfmt("tmp_builds/%s/%s", t.name, t.a.zip);
	must(kii_io_publish(path, "PK\3\4 bound", 10, 0600, &err));
	assert_int_equal(attempt_run(&t.a, &err), VERDICT_ENDED);
	assert_string_equal(t.a.end.outcome, "built");
	free(kii_steal(&path));
	path = kii_xfmt("%s/%s", f->w.artifacts, t.a.zip);
	must(kii_io_read(path, &artifact, &err));
	assert_memory_equal(artifact.data, "PK\3\4 bound", 10);
	body = toy_body(f->toy, t.name);
	assert_string_equal(kii_json_str(body, "User"), "4711:4712");
	attempt_clean(&t.a);
	assert_false(fix_has_file("tmp_builds", t.name));
	drop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(volumes_of_the_attempt_carry_an_archive),
		FIX_TEST(an_archives_files_belong_to_the_images_user),
		FIX_TEST(an_archive_brings_the_result_or_says_why_not),
		FIX_TEST(an_archives_volumes_are_removed),
		FIX_TEST(folders_of_the_attempt_are_bound),
		FIX_TEST(the_engine_may_see_the_folders_elsewhere),
		FIX_TEST(inside_a_rootless_engine_the_owner_is_root),
		FIX_TEST(folders_that_cannot_be_made_are_an_error),
		FIX_TEST(bound_files_lie_in_the_configurations_folder),
		FIX_TEST(bound_files_that_cannot_be_written_are_an_error),
		FIX_TEST(a_bound_result_is_copied),
		FIX_TEST(a_hostile_result_is_not_followed),
		FIX_TEST(bound_folders_are_removed),
		FIX_TEST(a_job_by_bind_runs_to_its_result),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
