/* SPDX-License-Identifier: MIT */
/* Sources out of git, on a toy engine whose container prints and leaves what the test says. */
#include <config.h>

#include "source_git.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "janitor.h"
#include "json.h"
#include "queue.h"
#include "source.h"
#include "testlib.h"
#include "workerfix.h"

#define FETCH  "sha256:ff"
#define HASH   "0123456789abcdef0123456789abcdef01234567"
#define COMMIT "commit " HASH " 1580644800\n"
#define CREATE "POST /containers/create"

static struct kii_buf tree;
static struct kii_buf login;

static la_ssize_t into_buf(struct archive *a, void *arg, const void *data, size_t len)
{
	(void)a;
	kii_buf_add(arg, data, len);
	return (la_ssize_t)len;
}

static void add(struct archive *a, const char *name, mode_t type, const char *text)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0755);
	archive_entry_set_size(e, (la_int64_t)strlen(text));
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	if (*text)
		archive_write_data(a, text, strlen(text));
	archive_entry_free(e);
}

/* ./a, ./lib/own/ and, with a text, ./lib/own/x */
static void make_tree(const char *inner)
{
	struct archive *a = archive_write_new();

	kii_buf_reset(&tree);
	archive_write_set_format_gnutar(a);
	assert_int_equal(archive_write_open(a, &tree, NULL, into_buf, NULL), ARCHIVE_OK);
	add(a, "./", AE_IFDIR, "");
	add(a, "./a", AE_IFREG, "text");
	add(a, "./lib/own/", AE_IFDIR, "");
	if (inner)
		add(a, "./lib/own/x", AE_IFREG, inner);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static void plan(struct fix *f, const char *log, int code)
{
	toy_plan(f->toy, &(struct toy_plan){ .log = log, .term_code = 143, .exit_code = code,
		.to_stderr = code != 0, .result = TOY_FILE, .file = tree.data,
		.file_len = tree.len });
}

static int open_all(void **state)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	struct fix *f;

	fix_open(state);
	f = *state;
	f->conf.build.allow_private = true;
	f->conf.build.max_source = 1 << 20;
	f->conf.build.context_files = 100;
	f->conf.build.source_timeout_ms = 9000;
	f->conf.build.source_network = kii_xstrdup("default");
	f->conf.build.known_hosts = kii_xfmt("%s/known_hosts", f->dir);
	toy_image(f->toy, FETCH, "kiisrv-fetch:latest", "1000:1000");
	must(worker_engine(&f->w, 0, &engine, &err));
	janitor_look(&f->w, engine);
	kii_engine_free(engine);
	kii_buf_init(&tree, 1 << 20);
	kii_buf_init(&login, 1 << 20);
	make_tree(NULL);
	plan(f, COMMIT "end 0\n", 0);
	return 0;
}

static int close_all(void **state)
{
	struct fix *f = *state;

	free(f->conf.build.source_network);
	free(f->conf.build.known_hosts);
	kii_buf_release(&tree);
	kii_buf_release(&login);
	return fix_close(state);
}

static void secret(struct fix *f, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", f->conf.paths.secrets, name);
	struct kii_error err = { 0 };

	must(kii_io_mkdirs(f->conf.paths.secrets, 0700, &err));
	must(kii_io_publish(path, text, strlen(text), 0600, &err));
}

/* --- a job whose work is to get its source --- */

static struct fix *world;
static char *file_text;          /* of ./a, or NULL */

static int get_source(struct task *t, struct kii_error *err)
{
	kii_autofree char *folder = kii_xfmt("%s/workspace", world->dir);
	kii_autofree char *a = kii_xfmt("%s/source/a", folder);
	kii_autobuild r = { .doc = NULL };
	kii_autobuf text = KII_BUF_INIT(100);
	struct kii_error ignored = { 0 };
	int dir = -1, rc;

	assert_int_equal(kii_io_mkdirs(folder, 0755, err), 0);
	assert_int_equal(kii_build_request_take(t->request, false, &r, err), 0);
	rc = source_get(t, &r, folder, &dir, err);
	free(file_text);
	file_text = NULL;
	if (rc == 0) {
		assert_true(dir >= 0);
		close(dir);
		t->outcome = "got";
		assert_int_equal(kii_io_read(a, &text, &ignored), 0);
		file_text = kii_buf_steal(&text);
	}
	assert_int_equal(kii_io_remove_tree(folder, &ignored), 0);
	return rc;
}

static const struct task_kind kind = { get_source, 20000, 20000 };

/* Run it; the row afterwards. `more` is further members, ", ..." */
static void run(struct fix *f, const char *repo, const char *more, struct kii_job *job)
{
	kii_autofree char *request = kii_xfmt("{\"git_repo\":\"%s\",\"buildpack_type\":"
		"\"dockerfile\",\"image_tag\":\"x:y\"%s}", repo, more);
	struct kii_job new = { .client = (char *)"ci", .subject = (char *)"x", .request = request,
		.created = kii_io_wall(), .kind = "image" };
	struct lane *lane = &f->w.lanes[LANE_OPERATOR];
	struct kii_error err = { 0 };
	struct running *slot = NULL;
	kii_autojob claimed = { .attempts = 0 };

	world = f;
	fix_id(++f->made, new.id);
	snprintf(new.key, sizeof(new.key), "%d", f->made);
	must(kii_jobs_insert(lane->jobs, &new, &err));
	assert_int_equal(queue_claim(lane, &claimed, &slot, &err), 1);
	task_run(lane, &claimed, slot, &kind);
	kii_job_release(job);
	must(kii_jobs_get(lane->jobs, new.id, job, &err));
}

static void goes_well(struct fix *f, const char *repo, const char *more)
{
	kii_autojob job = { .attempts = 0 };

	run(f, repo, more, &job);
	if (job.state != KII_JOB_SUCCEEDED)
		fail_msg("%s: %s", repo, job.error);
	assert_string_equal(file_text, "text");
}

static void fails(struct fix *f, const char *repo, const char *more, const char *words)
{
	kii_autojob job = { .attempts = 0 };

	run(f, repo, more, &job);
	assert_string_equal(kii_job_state_name(job.state), "failed");
	assert_string_equal(job.outcome, "bad_source");
	if (!strstr(job.error, words))
		fail_msg("%s: %s", repo, job.error);
}

/* Its next attempt is not waited for: the next claim shall be another job. */
static void has_trouble(struct fix *f, const char *more)
{
	const struct kii_job_end end = { .state = KII_JOB_CANCELLED };
	struct kii_error err = { 0 };
	kii_autojob job = { .attempts = 0 };
	kii_autofree char *name = NULL;

	run(f, "https://h/a", more, &job);
	assert_string_equal(kii_job_state_name(job.state), "queued");
	assert_int_equal(job.attempts, 1);
	name = fix_name(f, f->made, 1);
	assert_false(toy_has(f->toy, name));
	must(kii_jobs_finish(f->w.lanes[LANE_OPERATOR].jobs, job.id, &end, &err));
}

static char *log_of(struct fix *f)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autofree char *path = NULL;
	struct kii_error err = { 0 };
	char id[KII_JOB_ID + 1];

	fix_id(f->made, id);
	path = worker_log_path(&f->w.lanes[LANE_OPERATOR], id, 0);
	must(kii_io_read(path, &text, &err));
	return kii_buf_steal(&text);
}

/* Its container stays, so that it can be looked at; Podman's way of reading a log needs no more. */
static void keep(struct fix *f)
{
	toy_fault(f->toy, &(struct toy_fault){ .match = "DELETE /containers/*",
		.trouble = TOY_REFUSE, .status = 500, .times = 1 });
}

static bool said(const json_t *list, const char *text)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) {
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

/* --- tests --- */

static void the_files_of_a_commit_come(void **state)
{
	struct fix *f = *state;
	kii_autofree char *log = NULL;
	kii_autofree char *name = NULL;

	goes_well(f, "https://h.example/a/b.git", "");
	name = fix_name(f, 1, 1);
	assert_false(toy_has(f->toy, name));
	log = log_of(f);
	assert_string_equal(log, "[kiisrv: https://h.example/a/b.git at commit " HASH "]\n");
}

static void the_container_knows_nothing_but_its_errand(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 1, 1);
	kii_autojson *body = NULL;
	kii_autofree char *text = NULL;
	const json_t *env;

	keep(f);
	goes_well(f, "https://h.example:99/a", ",\"git_branch\":\"v1.0\"");
	assert_true(f->w.untidy);
	body = toy_body(f->toy, name);
	text = json_dumps(json_object_get(body, "Cmd"), JSON_COMPACT);
	assert_string_equal(text, "[\"source\",\"--\",\"https://h.example:99/a\",\"v1.0\"]");
	env = json_object_get(body, "Env");
	assert_true(said(env, "FETCH_KIB=1025"));
	assert_true(said(env, "FETCH_FILES=100"));
	assert_true(said(env, "FETCH_SECONDS=10"));
	assert_true(said(env, "FETCH_ALIAS=[h.example]:99"));
	assert_true(said(env, "FETCH_SUBMODULES=0"));
	assert_int_equal(json_array_size(env), 5);
	assert_string_equal(kii_json_str(json_object_get(body, "Labels"), "kiisrv.attempt"), "1");
	assert_true(json_is_true(json_object_get(json_object_get(body, "HostConfig"),
		"ReadonlyRootfs")));
	assert_string_equal(kii_json_str(json_object_get(body, "HostConfig"), "NetworkMode"),
		"default");
}

static void a_checked_address_is_what_it_is_bound_to(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 1, 1);
	kii_autojson *body = NULL;
	const json_t *env;

	f->conf.build.allow_private = false;
	free(f->conf.build.source_network);
	f->conf.build.source_network = kii_xstrdup("outside");
	keep(f);
	goes_well(f, "https://8.8.8.8/a", "");
	body = toy_body(f->toy, name);
	env = json_object_get(body, "Env");
	assert_true(said(env, "FETCH_RESOLVE=8.8.8.8:443:8.8.8.8"));
	assert_true(said(env, "FETCH_ADDRESS=8.8.8.8"));
	assert_string_equal(kii_json_str(json_object_get(body, "HostConfig"), "NetworkMode"),
		"outside");
	fails(f, "https://127.0.0.1/a", "", "private");
	fails(f, "https://[fd00::1]/a", "", "private");
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
}

/* Two ways of writing an address that a URL may have. */
static void addresses_are_told_as_each_transport_takes_them(void **state)
{
	struct fix *f = *state;
	kii_autofree char *first = fix_name(f, 1, 1);
	kii_autofree char *second = fix_name(f, 2, 1);
	kii_autofree char *text = NULL;
	kii_autojson *git = NULL;
	kii_autojson *six = NULL;

	f->conf.build.allow_private = false;
	f->conf.build.allow_http = true;
	keep(f);
	goes_well(f, "git://8.8.2056:99/a", "");
	git = toy_body(f->toy, first);
	text = json_dumps(json_object_get(git, "Cmd"), JSON_COMPACT);
	assert_string_equal(text, "[\"source\",\"--\",\"git://8.8.8.8:99/a\",\"\"]");
	keep(f);
	goes_well(f, "https://[2606:4700::1111]/a", "");
	six = toy_body(f->toy, second);
	assert_int_equal(json_array_size(json_object_get(six, "Env")), 5);
	assert_true(said(json_object_get(six, "Env"), "FETCH_ALIAS=[2606:4700::1111]:443"));
}

static void what_is_not_allowed_is_not_asked_for(void **state)
{
	struct fix *f = *state;
	kii_autobuild r = { .doc = NULL };
	kii_autojson *request = json_pack("{s:s, s:s, s:s}", "git_repo", "http://h/a",
		"buildpack_type", "dockerfile", "image_tag", "x:y");
	struct kii_error err = { 0 };

	must(kii_build_request_take(request, false, &r, &err));
	assert_int_equal(source_check(&f->w, &r, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "git_repo");
	kii_error_clear(&err);
	fails(f, "http://h/a", "", "allow_http");
	fails(f, "file:///srv/a.git", "", "allow_file");
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
	f->conf.build.allow_http = f->conf.build.allow_file = true;
	must(source_check(&f->w, &r, &err));
	goes_well(f, "http://h/a", "");
}

static void a_file_is_mounted_read_only_and_needs_no_network(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 1, 1);
	kii_autojson *body = NULL;
	const json_t *mount;

	f->conf.build.allow_file = true;
	keep(f);
	goes_well(f, "file:///srv/a.git", "");
	body = toy_body(f->toy, name);
	mount = json_array_get(json_object_get(json_object_get(body, "HostConfig"), "Mounts"), 1);
	assert_string_equal(kii_json_str(mount, "Source"), "/srv/a.git");
	assert_string_equal(kii_json_str(mount, "Target"), "/source");
	assert_true(json_is_true(json_object_get(mount, "ReadOnly")));
	assert_true(json_is_true(json_object_get(body, "NetworkDisabled")));
	toy_fault(f->toy, &(struct toy_fault){ .match = CREATE, .trouble = TOY_REFUSE,
		.status = 400, .times = 1 });
	fails(f, "file:///none", "", "no such repository");
}

/* What was put into the container of job `n`, as text. */
static const char *put_into(struct fix *f, int n)
{
	kii_autofree char *name = fix_name(f, n, 1);

	kii_buf_reset(&login);
	toy_put(f->toy, name, &login);
	for (size_t i = 0; i < login.len; i++)
		login.data[i] = (char)(login.data[i] ? login.data[i] : ' ');
	return login.data;
}

static void credentials_go_in_as_a_file_and_are_nowhere_else(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = fix_name(f, 1, 1);
	kii_autojson *body = NULL;
	kii_autofree char *text = NULL;
	kii_autofree char *log = NULL;
	kii_autofree char *asked = NULL;

	secret(f, "bot", "me:pass:word\n");
	keep(f);
	goes_well(f, "https://h/a", ",\"git_auth\":\"bot\"");
	assert_non_null(strstr(put_into(f, 1), "username=me\npassword=pass:word\n"));
	assert_non_null(strstr(login.data, "in/credentials"));
	body = toy_body(f->toy, name);
	text = json_dumps(body, 0);
	log = log_of(f);
	asked = toy_seen(f->toy);
	assert_null(strstr(text, "pass:word"));
	assert_null(strstr(log, "pass:word"));
	assert_null(strstr(asked, "pass"));
	secret(f, "token", "abcdef");
	keep(f);
	goes_well(f, "https://h/a", ",\"git_auth\":\"token\"");
	assert_non_null(strstr(put_into(f, 2), "username=git\npassword=abcdef\n"));
	secret(f, "two", "a\nb\n");
	fails(f, "https://h/a", ",\"git_auth\":\"two\"", "not one line");
	secret(f, "empty", "\n");
	fails(f, "https://h/a", ",\"git_auth\":\"empty\"", "not one line");
	fails(f, "https://h/a", ",\"git_auth\":\"none\"", "cannot be had");
}

static void ssh_needs_known_hosts_and_may_have_a_key(void **state)
{
	struct fix *f = *state;
	struct kii_error err = { 0 };

	fails(f, "git@h:a", "", "build.known_hosts");
	must(kii_io_publish(f->conf.build.known_hosts, "h ssh-x y\n", 10, 0644, &err));
	keep(f);
	goes_well(f, "git@h:a", "");
	assert_non_null(strstr(put_into(f, 2), "h ssh-x y\n"));
	assert_null(strstr(login.data, "in/key"));
	secret(f, "key", "-----BEGIN KEY-----\n");
	keep(f);
	goes_well(f, "ssh://me@h/a", ",\"git_auth\":\"key\"");
	assert_non_null(strstr(put_into(f, 3), "-----BEGIN KEY-----\n"));
	assert_non_null(strstr(login.data, "in/key"));
	assert_null(strstr(login.data, "in/credentials"));
}

static void what_the_fetch_says_is_said(void **state)
{
	struct fix *f = *state;

	plan(f, "fetch.sh: there is no branch, tag or commit x\nmore\n", 6);
	fails(f, "https://h/a", "", "there is no branch, tag or commit x");
	plan(f, "fetch.sh: the repository cannot be had: fatal: \033[31mno\n", 3);
	fails(f, "https://h/a", "", "the repository cannot be had: fatal: ?[31mno");
	plan(f, "fetch.sh: its files are more than 100\n", 4);
	fails(f, "https://h/a", "", "its files are more than 100");
}

static void an_end_that_is_not_the_scripts_is_the_engines(void **state)
{
	static const struct { const char *log; int code; } cases[] = {
		{ "Killed\n", 137 }, { "", 1 }, { "nonsense\n", 0 }, { "commit xyz 1\n", 0 },
		{ COMMIT "submodule " HASH " lib/own\nend 1\n", 0 },
		{ COMMIT, 0 }, { COMMIT "end 1\n", 0 }, { COMMIT "end 0\nmore\n", 0 },
		{ COMMIT "submodule " HASH " lib/own ../c\nend 0\n", 0 },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		plan(f, cases[i].log, cases[i].code);
		has_trouble(f, ",\"submodules\":true");
	}
}

static void an_archive_that_is_not_as_it_must_be_is_refused(void **state)
{
	struct fix *f = *state;

	toy_plan(f->toy, &(struct toy_plan){ .log = COMMIT "end 0\n", .result = TOY_TEXT });
	fails(f, "https://h/a", "", "cannot be read");
	toy_plan(f->toy, &(struct toy_plan){ .log = COMMIT "end 0\n", .result = TOY_NONE });
	fails(f, "https://h/a", "", "");
	f->conf.build.max_source = 3;
	plan(f, COMMIT "end 0\n", 0);
	fails(f, "https://h/a", "", "more than 3 bytes");
	f->conf.build.max_source = 1 << 20;
	f->conf.build.context_files = 2;
	fails(f, "https://h/a", "", "more than 2 entries");
}

static void who_has_much_to_say_of_submodules_is_not_heard(void **state)
{
	struct fix *f = *state;
	kii_autobuf log = KII_BUF_INIT(1 << 20);

	kii_buf_str(&log, COMMIT);
	while (log.len < 70000)
		kii_buf_fmt(&log, "submodule " HASH " lib/%0900d ../c\n", 1);
	plan(f, log.data, 0);
	fails(f, "https://h/a", ",\"submodules\":true", "the list of submodules is too long");
}

static void submodules_come_where_they_are_asked_for(void **state)
{
	static const char log[] = COMMIT "submodule " HASH " lib/own ../c.git\nend 1\n";
	struct fix *f = *state;
	kii_autofree char *seen = NULL;

	plan(f, log, 0);
	goes_well(f, "https://h/a/b.git", "");
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
	/* Each of them has one more: there is an end to that. */
	fails(f, "https://h/a/b.git", ",\"submodules\":true", "more than 4 deep");
	assert_int_equal(toy_asked(f->toy, CREATE), 6);
	seen = toy_seen(f->toy);
	assert_non_null(strstr(seen, "-1-4"));
}

static void submodules_that_may_not_be_are_refused(void **state)
{
	static const struct { const char *line, *words; } cases[] = {
		{ "lib/own file:///etc", "submodule lib/own" },
		{ "lib/own http://h/x", "allow_http" },
		{ "../out ../c", "no folder of its own" },
		{ "a ../c", "no folder of its own" },
		{ "none ../c", "no folder of its own" },
		{ "lib ../c", "no folder of its own" },
		{ "./lib/own ../c", "no folder of its own" },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autofree char *log = kii_xfmt(COMMIT "submodule " HASH " %s\nend 1\n",
			cases[i].line);

		plan(f, log, 0);
		fails(f, "https://h/a/b.git", ",\"submodules\":true", cases[i].words);
	}
	make_tree("in the way");
	plan(f, COMMIT "submodule " HASH " lib/own ../c\nend 1\n", 0);
	fails(f, "https://h/a/b.git", ",\"submodules\":true", "no folder of its own");
}

/* The worker has started while the engine was down: nothing was looked at yet. */
static void forget_images(struct fix *f)
{
	kii_images_free(f->w.images, f->w.n_images);
	f->w.images = NULL;
	f->w.n_images = 0;
}

static void a_helper_that_was_not_seen_yet_is_asked_for(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };

	forget_images(f);
	plan(f, COMMIT "end 1\n", 0);
	run(f, "https://h/a/b.git", "", &job);
	assert_string_not_equal(job.outcome ? job.outcome : "", "no_helper");
	assert_int_equal(toy_asked(f->toy, CREATE), 1);
}

static void without_an_answer_about_the_helper_there_is_another_attempt(void **state)
{
	struct fix *f = *state;

	forget_images(f);
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json", .trouble = TOY_DROP });
	has_trouble(f, "");
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
}

static void without_the_helper_it_says_what_to_do(void **state)
{
	struct fix *f = *state;
	kii_autojob job = { .attempts = 0 };
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };

	toy_image_gone(f->toy, FETCH);
	must(worker_engine(&f->w, 0, &engine, &err));
	janitor_look(&f->w, engine);
	kii_engine_free(engine);
	run(f, "https://h/a", "", &job);
	assert_string_equal(job.outcome, "no_helper");
	assert_non_null(strstr(job.error, "kiisrvctl images build fetch"));
}

static void engine_trouble_is_tried_again_and_nothing_is_left(void **state)
{
	static const char *const steps[] = { CREATE, "POST /containers/*/start",
		"GET /containers/*/logs", "GET /containers/*/archive" };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(steps); i++) {
		toy_fault(f->toy, &(struct toy_fault){ .match = steps[i], .trouble = TOY_REFUSE,
			.status = 500, .times = 1 });
		has_trouble(f, "");
	}
}

#define GIT_TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIT_TEST(the_files_of_a_commit_come),
		GIT_TEST(the_container_knows_nothing_but_its_errand),
		GIT_TEST(a_checked_address_is_what_it_is_bound_to),
		GIT_TEST(addresses_are_told_as_each_transport_takes_them),
		GIT_TEST(what_is_not_allowed_is_not_asked_for),
		GIT_TEST(a_file_is_mounted_read_only_and_needs_no_network),
		GIT_TEST(credentials_go_in_as_a_file_and_are_nowhere_else),
		GIT_TEST(ssh_needs_known_hosts_and_may_have_a_key),
		GIT_TEST(what_the_fetch_says_is_said),
		GIT_TEST(an_end_that_is_not_the_scripts_is_the_engines),
		GIT_TEST(an_archive_that_is_not_as_it_must_be_is_refused),
		GIT_TEST(who_has_much_to_say_of_submodules_is_not_heard),
		GIT_TEST(submodules_come_where_they_are_asked_for),
		GIT_TEST(submodules_that_may_not_be_are_refused),
		GIT_TEST(a_helper_that_was_not_seen_yet_is_asked_for),
		GIT_TEST(without_an_answer_about_the_helper_there_is_another_attempt),
		GIT_TEST(without_the_helper_it_says_what_to_do),
		GIT_TEST(engine_trouble_is_tried_again_and_nothing_is_left),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	free(file_text);
	return rc;
}
