/* SPDX-License-Identifier: MIT */
/* The look at the repository, on a toy engine; times are shortened in the makefile. */
#include <config.h>

#include "git.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "janitor.h"
#include "json.h"
#include "testlib.h"
#include "workerfix.h"

#define H "0123456789abcdef0123456789abcdef01234567"
#define FACTS "v0.5.7 1234 2020-01-02 " H "\nv0.5.0 700 2018-01-02 " H "\nend 2\n"
#define FETCH "sha256:ff"
#define CREATE "POST /containers/create"

static struct kii_engine *engine;

static int open_all(void **state)
{
	struct kii_error err = { 0 };
	struct fix *f;

	fix_open(state);
	f = *state;
	toy_image(f->toy, FETCH, "kiisrv-fetch:latest", "1000:1000");
	must(worker_engine(&f->w, 0, &engine, &err));
	janitor_look(&f->w, engine);
	toy_plan(f->toy, &(struct toy_plan){ .log = FACTS, .term_code = 143 });
	return 0;
}

static int close_all(void **state)
{
	kii_engine_free(engine);
	return fix_close(state);
}

/* The commits of a tag, or -1. */
static int64_t commits(struct fix *f, const char *tag)
{
	kii_autorelease release = { 0 };
	struct kii_error err = { 0 };
	int rc;

	pthread_mutex_lock(&f->w.lock);
	rc = kii_versions_release_get(f->w.versions, tag, &release, &err);
	pthread_mutex_unlock(&f->w.lock);
	return rc == 0 ? release.commit_count : -1;
}

static size_t look(struct fix *f)
{
	struct kii_error err = { 0 };
	size_t tags = 0;

	must(git_look(&f->w, engine, FETCH, &tags, &err));
	return tags;
}

static void look_fails(struct fix *f, enum kii_code code, const char *words)
{
	kii_autofree char *name = git_name(&f->w);
	struct kii_error err = { 0 };
	size_t tags = 7;

	assert_int_equal(git_look(&f->w, engine, FETCH, &tags, &err), -1);
	if (err.code != code || !strstr(err.msg, words))
		fail_msg("%d: %s", (int)err.code, err.msg);
	assert_int_equal(tags, 7);
	assert_false(toy_has(f->toy, name));
}

/* --- a run --- */

static void a_run_fills_the_releases(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = git_name(&f->w);
	kii_autorelease release = { 0 };
	struct kii_error err = { 0 };

	assert_int_equal(look(f), 2);
	must(kii_versions_release_get(f->w.versions, "v0.5.7", &release, &err));
	assert_int_equal(release.commit_count, 1234);
	assert_string_equal(release.date, "2020-01-02");
	assert_string_equal(release.hash, H);
	assert_string_equal(release.bcd, "4.d2");
	assert_string_equal(release.notes, "https://example.org/c/releases/tag/v0.5.7");
	assert_int_equal(commits(f, "v0.5.0"), 700);
	assert_false(toy_has(f->toy, name));
	assert_true(toy_has_volume(f->toy, name));
	assert_false(f->w.untidy);
}

/* What the container was made with: it is caught while it runs. */
static json_t *body_of_run(struct fix *f)
{
	kii_autofree char *name = git_name(&f->w);
	const struct toy_fault hold = { .match = "POST /containers/*/start", .trouble = TOY_REFUSE,
		.status = 500, .times = 1 };
	const struct toy_fault keep = { .match = "DELETE /containers/*", .trouble = TOY_REFUSE,
		.status = 500, .times = 1 };
	struct kii_error err = { 0 };
	size_t tags;

	toy_fault(f->toy, &hold);
	toy_fault(f->toy, &keep);
	assert_int_equal(git_look(&f->w, engine, FETCH, &tags, &err), -1);
	assert_true(f->w.untidy);
	return toy_body(f->toy, name);
}

static void the_container_may_do_little(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = git_name(&f->w);
	kii_autojson *body = body_of_run(f);
	const json_t *host = json_object_get(body, "HostConfig");
	const json_t *cmd = json_object_get(body, "Cmd");
	const json_t *mount = json_array_get(json_object_get(host, "Mounts"), 0);

	assert_string_equal(kii_json_str(body, "Image"), FETCH);
	assert_int_equal(json_array_size(cmd), 3);
	assert_string_equal(json_string_value(json_array_get(cmd, 1)), "--");
	assert_string_equal(json_string_value(json_array_get(cmd, 2)), f->conf.firmware.git_url);
	assert_string_equal(kii_json_str(host, "NetworkMode"), "default");
	assert_true(json_is_true(json_object_get(host, "ReadonlyRootfs")));
	assert_int_equal(json_array_size(json_object_get(host, "Mounts")), 1);
	assert_string_equal(kii_json_str(mount, "Type"), "volume");
	assert_string_equal(kii_json_str(mount, "Source"), name);
	assert_string_equal(kii_json_str(mount, "Target"), "/mirror");
	assert_int_equal(kii_json_int(host, "Memory", 0), 512 << 20);
	assert_int_equal(kii_json_int(host, "PidsLimit", 0), 64);
	assert_int_equal(json_object_size(json_object_get(body, "Labels")), 1);
	assert_string_equal(kii_json_str(json_object_get(body, "Labels"), "kiisrv.instance"),
		f->w.instance);
	/* What was left is the next run's to remove. */
	assert_int_equal(look(f), 2);
	assert_false(toy_has(f->toy, name));
}

static void a_file_needs_no_network(void **state)
{
	struct fix *f = *state;
	kii_autojson *body = NULL;

	free(f->conf.firmware.git_url);
	f->conf.firmware.git_url = kii_xstrdup("file:///mirror/x.git");
	body = body_of_run(f);
	assert_string_equal(kii_json_str(json_object_get(body, "HostConfig"), "NetworkMode"),
		"none");
}

static void a_container_of_that_name_that_is_not_ours_is_left_alone(void **state)
{
	static const struct kii_pair labels[] = { { "kiisrv.instance", "ffffffffffffffff" },
		{ NULL } };
	struct fix *f = *state;
	kii_autofree char *name = git_name(&f->w);
	struct kii_error err = { 0 };
	size_t tags;

	toy_container(f->toy, name, labels, KII_CONTAINER_RUNNING);
	must_fail(git_look(&f->w, engine, FETCH, &tags, &err), KII_EREFUSED);
	assert_true(toy_has(f->toy, name));
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
}

static void a_run_that_fails_says_why_and_changes_nothing(void **state)
{
	struct fix *f = *state;

	look(f);
	toy_plan(f->toy, &(struct toy_plan){ .log = "fetch.sh: no\033[31m \xc3\xa9 such\n",
		.to_stderr = true, .exit_code = 3 });
	look_fails(f, KII_EBROKEN, "it ended with 3: fetch.sh: no [31m    such");
	toy_plan(f->toy, &(struct toy_plan){ .log = "", .exit_code = 137 });
	look_fails(f, KII_EBROKEN, "it ended with 137: no word");
	/* What it prints counts only where it ended well. */
	toy_plan(f->toy, &(struct toy_plan){ .log = "v0.5.7 9 2020-01-02 " H "\nend 1\n",
		.exit_code = 1 });
	look_fails(f, KII_EBROKEN, "it ended with 1");
	assert_int_equal(commits(f, "v0.5.7"), 1234);
}

static void what_is_no_list_changes_nothing(void **state)
{
	static const char *const logs[] = { "", "hello\n", "v0.5.7 9 2020-01-02 " H "\n",
		"v0.5.7 9 2020-01-02 " H "\nv0.5.7;x 9 2020-01-02 " H "\nend 2\n" };
	struct fix *f = *state;
	char *much = kii_xcalloc(1, 400000);

	look(f);
	for (size_t i = 0; i < KII_COUNT(logs); i++) {
		toy_plan(f->toy, &(struct toy_plan){ .log = logs[i] });
		look_fails(f, KII_EBROKEN, "");
	}
	/* A list that would be one is none on standard error. */
	toy_plan(f->toy, &(struct toy_plan){ .log = FACTS, .to_stderr = true });
	look_fails(f, KII_EBROKEN, "no end");
	memset(much, '\n', 399999);
	toy_plan(f->toy, &(struct toy_plan){ .log = much });
	look_fails(f, KII_EBROKEN, "prints too much");
	toy_plan(f->toy, &(struct toy_plan){ .log = much, .to_stderr = true, .exit_code = 3 });
	look_fails(f, KII_EBROKEN, "ended with 3");
	free(much);
	assert_int_equal(commits(f, "v0.5.7"), 1234);
}

static void a_run_without_end_is_ended(void **state)
{
	struct fix *f = *state;

	toy_plan(f->toy, &(struct toy_plan){ .log = FACTS, .run_ms = TOY_FOR_EVER,
		.term_code = TOY_DEAF });
	look_fails(f, KII_ETIMEOUT, "");
	assert_int_equal(commits(f, "v0.5.7"), -1);
}

static void trouble_with_the_engine_leaves_nothing(void **state)
{
	static const char *const asked[] = { "POST /volumes/create", CREATE,
		"POST /containers/*/start", "POST /containers/*/wait", "GET /containers/*/logs" };
	struct fix *f = *state;

	for (size_t i = 0; i < KII_COUNT(asked); i++) {
		const struct toy_fault refuse = { .match = asked[i], .trouble = TOY_REFUSE,
			.status = 500, .times = 1 };
		const struct toy_fault cut = { .match = asked[i], .trouble = TOY_CUT, .after = 21,
			.times = 1 };

		toy_fault(f->toy, &refuse);
		look_fails(f, KII_EBROKEN, "500");
		toy_fault(f->toy, &cut);
		look_fails(f, KII_EDOWN, "");
		assert_false(f->w.untidy);
	}
	assert_int_equal(commits(f, "v0.5.7"), -1);
	assert_int_equal(look(f), 2);
}

static void an_engine_that_is_away_makes_work_for_the_janitor(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = git_name(&f->w);
	struct kii_error err = { 0 };
	size_t tags;

	toy_down(f->toy);
	must_fail(git_look(&f->w, engine, FETCH, &tags, &err), KII_EDOWN);
	toy_up(f->toy);
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
	toy_fault(f->toy, &(struct toy_fault){ .match = "DELETE /containers/*",
		.trouble = TOY_REFUSE, .status = 500, .times = 1 });
	assert_int_equal(look(f), 2);
	assert_true(f->w.untidy);
	assert_true(toy_has(f->toy, name));
	must(janitor_reconcile(&f->w, engine, &err));
	assert_false(toy_has(f->toy, name));
	assert_true(toy_has_volume(f->toy, name));
}

static void a_table_that_is_gone_is_said(void **state)
{
	static const char *const drop[] = { "DROP TABLE Releases" };
	struct fix *f = *state;
	kii_autofree char *path = kii_xfmt("%s/state/queue/config.sqlite", f->dir);
	struct kii_store *store = NULL;
	struct kii_error err = { 0 };

	must(kii_store_open(path, KII_STORE_WRITE, KII_VERSIONS_VERSION, drop, 1, &store, &err));
	must(kii_store_run(store, 0, NULL, &err, ""));
	kii_store_close(store);
	look_fails(f, KII_EDB, "");
}

/* --- the thread --- */

static pthread_t thread;

static void begin(struct fix *f)
{
	assert_int_equal(pthread_create(&thread, NULL, git_run, &f->w), 0);
}

static void end(struct fix *f)
{
	pthread_mutex_lock(&f->w.lock);
	atomic_store(&f->w.stop, true);
	pthread_cond_broadcast(&f->w.git_wake);
	pthread_mutex_unlock(&f->w.lock);
	pthread_join(thread, NULL);
}

static struct git_state state_of(struct fix *f)
{
	struct git_state g;

	pthread_mutex_lock(&f->w.lock);
	g = f->w.git;
	pthread_mutex_unlock(&f->w.lock);
	return g;
}

static int64_t wanted_runs;

static bool has_run(void *arg)
{
	return state_of(arg).runs >= wanted_runs;
}

static bool is_running(void *arg)
{
	return state_of(arg).running;
}

static bool await_runs(struct fix *f, int64_t n)
{
	wanted_runs = n;
	return fix_await(has_run, f);
}

/* The number of runs that a request waits for. */
static int64_t ask(struct fix *f)
{
	kii_autojson *answer = git_ask(&f->w);

	assert_true(json_is_true(json_object_get(answer, "ok")));
	return kii_json_int(answer, "runs", -1);
}

static void it_looks_at_once_and_then_when_it_is_time(void **state)
{
	struct fix *f = *state;
	kii_autojson *told = NULL;

	begin(f);
	assert_true(await_runs(f, 1));
	usleep(100000);
	assert_int_equal(state_of(f).runs, 1);
	end(f);
	assert_int_equal(commits(f, "v0.5.7"), 1234);
	told = git_status(&f->w);
	assert_int_equal(kii_json_int(told, "tags", -1), 2);
	assert_int_equal(kii_json_int(told, "runs", -1), 1);
	assert_true(kii_json_int(told, "finished", 0) > 0);
	assert_string_equal(kii_json_str(told, "error"), "");
	assert_true(json_is_false(json_object_get(told, "running")));
	atomic_store(&f->w.stop, false);
	f->conf.firmware.git_refresh_ms = 10;
	begin(f);
	assert_true(await_runs(f, 4));
	end(f);
}

/* Standard error into a file while `what` runs; its lines that say `word`. */
static int count_lines(struct fix *f, void (*what)(struct fix *f), const char *word)
{
	kii_autofree char *path = kii_xfmt("%s/log", f->dir);
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	int saved = dup(STDERR_FILENO);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int n = 0;

	assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	what(f);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	must(kii_io_read(path, &text, &err));
	for (const char *p = text.data; (p = strstr(p, word)); p++)
		n++;
	return n;
}

static void fail_some_times(struct fix *f)
{
	begin(f);
	assert_true(await_runs(f, 4));
	end(f);
}

static void a_failure_is_tried_again_sooner_and_told_once(void **state)
{
	struct fix *f = *state;

	toy_plan(f->toy, &(struct toy_plan){ .log = "no network\n", .to_stderr = true,
		.exit_code = 3 });
	assert_int_equal(count_lines(f, fail_some_times, "event=git"), 1);
	assert_non_null(strstr(state_of(f).error, "no network"));
	toy_plan(f->toy, &(struct toy_plan){ .log = FACTS });
	atomic_store(&f->w.stop, false);
	begin(f);
	assert_true(await_runs(f, 5));
	end(f);
	assert_string_equal(state_of(f).error, "");
}

static void without_the_image_nothing_is_done(void **state)
{
	struct fix *f = *state;
	kii_autojson *answer = NULL;

	toy_image_gone(f->toy, FETCH);
	janitor_look(&f->w, engine);
	begin(f);
	usleep(100000);
	answer = git_ask(&f->w);
	assert_int_equal(kii_json_int(answer, "status", 0), 409);
	assert_non_null(strstr(kii_json_str(answer, "error"), "no image kiisrv-fetch:latest"));
	assert_int_equal(state_of(f).runs, 0);
	assert_int_equal(toy_asked(f->toy, CREATE), 0);
	/* It comes: nobody has to say so. */
	toy_image(f->toy, FETCH, "kiisrv-fetch:latest", "");
	pthread_mutex_lock(&f->w.lock);
	f->w.engine_seen = 0;
	pthread_mutex_unlock(&f->w.lock);
	janitor_look(&f->w, engine);
	assert_true(await_runs(f, 1));
	end(f);
}

static void zero_means_only_when_asked(void **state)
{
	struct fix *f = *state;

	f->conf.firmware.git_refresh_ms = 0;
	begin(f);
	usleep(100000);
	assert_int_equal(state_of(f).runs, 0);
	assert_int_equal(ask(f), 1);
	assert_true(await_runs(f, 1));
	usleep(100000);
	assert_int_equal(state_of(f).runs, 1);
	assert_int_equal(ask(f), 2);
	assert_true(await_runs(f, 2));
	end(f);
}

static void who_asks_during_a_run_gets_that_one(void **state)
{
	struct fix *f = *state;

	toy_plan(f->toy, &(struct toy_plan){ .log = FACTS, .run_ms = 300 });
	begin(f);
	assert_true(fix_await(is_running, f));
	assert_int_equal(ask(f), 1);
	assert_int_equal(ask(f), 1);
	assert_true(await_runs(f, 1));
	usleep(100000);
	assert_int_equal(state_of(f).runs, 1);
	end(f);
}

static void an_image_that_goes_before_its_run_fails_it(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ask(f), 1);
	toy_image_gone(f->toy, FETCH);
	janitor_look(&f->w, engine);
	begin(f);
	assert_true(await_runs(f, 1));
	end(f);
	assert_non_null(strstr(state_of(f).error, "gone"));
	assert_false(state_of(f).now);
}

static void an_engine_that_is_down_is_not_asked(void **state)
{
	struct fix *f = *state;

	toy_down(f->toy);
	janitor_look(&f->w, engine);
	begin(f);
	usleep(100000);
	assert_int_equal(state_of(f).runs, 0);
	toy_up(f->toy);
	janitor_look(&f->w, engine);
	assert_true(await_runs(f, 1));
	end(f);
}

static void the_end_of_the_worker_ends_the_run(void **state)
{
	struct fix *f = *state;
	kii_autofree char *name = git_name(&f->w);
	int64_t start;

	toy_plan(f->toy, &(struct toy_plan){ .log = "", .run_ms = TOY_FOR_EVER });
	begin(f);
	assert_true(toy_await(f->toy, "POST /containers/*/wait", 1));
	start = kii_io_now();
	end(f);
	assert_true(kii_io_now() - start < 2000);
	assert_false(toy_has(f->toy, name));
	assert_int_equal(state_of(f).runs, 0);
}

static void an_address_that_is_none_ends_the_thread(void **state)
{
	struct fix *f = *state;

	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xstrdup("nonsense");
	begin(f);
	pthread_join(thread, NULL);
	assert_int_equal(state_of(f).runs, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_fills_the_releases),
		TEST(the_container_may_do_little),
		TEST(a_file_needs_no_network),
		TEST(a_container_of_that_name_that_is_not_ours_is_left_alone),
		TEST(a_run_that_fails_says_why_and_changes_nothing),
		TEST(what_is_no_list_changes_nothing),
		TEST(a_run_without_end_is_ended),
		TEST(trouble_with_the_engine_leaves_nothing),
		TEST(an_engine_that_is_away_makes_work_for_the_janitor),
		TEST(a_table_that_is_gone_is_said),
		TEST(it_looks_at_once_and_then_when_it_is_time),
		TEST(a_failure_is_tried_again_sooner_and_told_once),
		TEST(without_the_image_nothing_is_done),
		TEST(zero_means_only_when_asked),
		TEST(who_asks_during_a_run_gets_that_one),
		TEST(an_image_that_goes_before_its_run_fails_it),
		TEST(an_engine_that_is_down_is_not_asked),
		TEST(the_end_of_the_worker_ends_the_run),
		TEST(an_address_that_is_none_ends_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
