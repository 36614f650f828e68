/* SPDX-License-Identifier: MIT */
/* The layers of builds: what is noted of them, and which go, on a toy engine. */
#include <config.h>

#include "layers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gc.h"
#include "io.h"
#include "json.h"
#include "testlib.h"
#include "workerfix.h"

#define REMOVE "DELETE /images/*"
#define DAY    86400

static struct fix *f;
static int64_t now;          /* seconds since 1970 */
static struct kii_buf gone;  /* "a:10 b:20 " */

static int open_all(void **state)
{
	fix_open(state);
	f = *state;
	now = kii_io_wall() / 1000;
	kii_buf_init(&gone, 1 << 20);
	toy_image_gone(f->toy, FIX_IMAGE);
	return 0;
}

static int close_all(void **state)
{
	kii_buf_release(&gone);
	return fix_close(state);
}

/* The ID of a layer that a letter stands for; 64 digits. */
static const char *id_of(char letter)
{
	static char ids[4][65];
	static unsigned next;
	char *id = ids[next++ % 4];

	memset(id, letter, 64);
	id[64] = '\0';
	return id;
}

/* 10 bytes more than its parent has ('\0': none). */
static void layer(char letter, char parent, const char *tag)
{
	static int64_t sizes[128];

	sizes[(int)letter] = 10 + (parent ? sizes[(int)parent] : 0);
	toy_layer(f->toy, id_of(letter), parent ? id_of(parent) : "", tag, sizes[(int)letter], now);
}

static char *notes_path(void)
{
	return kii_xfmt("%s/engine/layers", f->conf.paths.state_dir);
}

/* The notes as an earlier worker has left them: each used a second after the one before. */
static void noted(const char *letters)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };

	for (size_t i = 0; letters[i]; i++)
		kii_buf_fmt(&text, "%.11s %lld %lld\n", id_of(letters[i]),
			(long long)(now - DAY) * 1000, (long long)(now - 1000 + (int64_t)i) * 1000);
	must(kii_io_publish(path, text.data, text.len, 0600, &err));
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
}

static void tell(void *arg, const char *id, int64_t bytes)
{
	assert_ptr_equal(arg, f);
	kii_buf_fmt(&gone, "%c:%lld ", id[0], (long long)bytes);
}

static void collect(int64_t budget, bool dry_run, const char *want)
{
	struct kii_error err = { 0 };

	kii_buf_reset(&gone);
	f->conf.retention.build_cache = budget;
	must(layers_collect(&f->w, dry_run, tell, f, &err));
	assert_string_equal(gone.data, want);
}

static void there(const char *letters)
{
	for (; *letters; letters++) {
		if (!toy_has_image(f->toy, id_of(*letters)))
			fail_msg("%c is gone", *letters);
	}
}

/* --- what goes --- */

static void what_is_over_the_budget_goes_oldest_first(void **state)
{
	(void)state;
	layer('a', 0, NULL);
	layer('b', 'a', NULL);
	layer('c', 'a', NULL);
	layer('d', 0, NULL);
	noted("cbad");
	collect(40, false, "");
	collect(30, false, "c:10 ");
	/* What something is made of goes after it. */
	collect(10, true, "b:10 a:10 ");
	there("bad");
	collect(10, false, "b:10 a:10 ");
	there("d");
	collect(0, false, "d:10 ");
}

/* As that of ENV: within any budget but that of nothing. */
static void what_adds_no_bytes_costs_nothing(void **state)
{
	(void)state;
	layer('a', 0, "x:1");
	toy_layer(f->toy, id_of('b'), id_of('a'), NULL, 10, now - 1000);
	toy_layer(f->toy, id_of('c'), id_of('b'), NULL, 10, now - 1000);
	noted("abc");
	collect(1, false, "");
	there("abc");
	collect(0, true, "c:0 b:0 ");
	collect(0, false, "c:0 b:0 ");
	there("a");
}

static void what_a_named_image_is_made_of_stays(void **state)
{
	(void)state;
	layer('a', 0, NULL);
	layer('b', 'a', "x:1");
	layer('c', 'b', NULL);
	layer('d', 'a', NULL);
	noted("abcd");
	collect(10, false, "c:10 ");
	collect(0, false, "d:10 ");
	there("ab");
	/* Its name has gone: it is a layer as others are. */
	toy_image_gone(f->toy, id_of('b'));
	layer('b', 'a', NULL);
	collect(0, false, "b:10 a:10 ");
}

static void what_others_have_built_stays(void **state)
{
	(void)state;
	layer('a', 0, NULL);
	toy_layer(f->toy, id_of('b'), "", NULL, 10, now - DAY);
	layer('c', 0, NULL);
	noted("c");
	/* Used by a build of ours, but older than anybody asked for that. */
	layers_made(f->w.layers, id_of('b'), now * 1000);
	collect(0, false, "c:10 ");
	there("ab");
}

static void what_a_build_uses_stays_until_its_end(void **state)
{
	size_t first, second;

	(void)state;
	layer('a', 0, NULL);
	layer('b', 'a', NULL);
	layer('c', 0, NULL);
	layer('d', 0, NULL);
	noted("abcd");
	assert_true(layers_due(f->w.layers));
	first = layers_begin(f->w.layers, "x");
	second = layers_begin(f->w.layers, "x");
	assert_int_not_equal(first, second);
	layers_made(f->w.layers, id_of('a'), now * 1000);
	assert_false(layers_due(f->w.layers));
	layers_end(f->w.layers, second, false);
	assert_true(layers_due(f->w.layers));
	/* What was made of it may be the next that the build finds again. */
	collect(0, false, "c:10 d:10 ");
	layers_end(f->w.layers, first, false);
	collect(0, false, "b:10 a:10 ");
}

static void what_the_engine_takes_along_counts(void **state)
{
	kii_autofree char *reply = NULL;

	(void)state;
	layer('a', 0, NULL);
	layer('b', 0, NULL);
	noted("ab");
	/* An answer that names nothing: it has gone all the same. */
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_ODD, .times = 1 });
	collect(10, false, "a:10 ");
	there("b");
	reply = toy_seen(f->toy);
	assert_non_null(strstr(reply, "?noprune=1"));
}

static void one_that_must_stay_does_not_keep_the_rest(void **state)
{
	(void)state;
	layer('a', 0, NULL);
	layer('b', 'a', NULL);
	layer('c', 0, NULL);
	layer('d', 0, NULL);
	noted("abcd");
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_REFUSE,
		.status = 409, .times = 1 });
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_REFUSE,
		.status = 500, .times = 1 });
	collect(0, false, "d:10 ");
	there("abc");
}

static void one_that_is_gone_is_forgotten(void **state)
{
	kii_autofree char *path = notes_path();
	kii_autobuf text = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	(void)state;
	layer('a', 0, NULL);
	layer('b', 0, NULL);
	noted("abc");
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_REFUSE,
		.status = 404, .times = 1 });
	collect(15, true, "a:10 ");
	must(kii_io_read(path, &text, &err));
	assert_non_null(strstr(text.data, "ccccccccccc "));
	collect(15, false, "a:10 ");
	kii_buf_reset(&text);
	must(kii_io_read(path, &text, &err));
	assert_int_equal(strncmp(text.data, "bbbbbbbbbbb ", 12), 0);
	assert_null(strstr(text.data, "aaaaaaaaaaa "));
	assert_null(strstr(text.data, "ccccccccccc "));
}

/* --- faults --- */

static void without_an_engine_nothing_goes(void **state)
{
	struct kii_error err = { 0 };
	json_t *report = NULL;

	(void)state;
	f->conf.retention.build_cache = 0;
	/* Without notes it is not even asked. */
	toy_down(f->toy);
	must(layers_collect(&f->w, false, tell, f, &err));
	toy_up(f->toy);
	layer('a', 0, NULL);
	noted("a");
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json", .trouble = TOY_ODD,
		.times = 1 });
	assert_int_equal(layers_collect(&f->w, false, tell, f, &err), -1);
	assert_int_equal(err.code, KII_EBROKEN);
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_DROP, .times = 2 });
	kii_error_clear(&err);
	assert_int_equal(layers_collect(&f->w, false, tell, f, &err), -1);
	assert_int_equal(err.code, KII_EDOWN);
	toy_down(f->toy);
	kii_error_clear(&err);
	must(gc_run(&f->w, false, &report, &err));
	assert_int_equal(json_array_size(json_object_get(report, "items")), 0);
	json_decref(report);
	toy_up(f->toy);
	must(gc_run(&f->w, true, &report, &err));
	assert_string_equal(kii_json_str(json_array_get(json_object_get(report, "items"), 0),
		"kind"), "layer");
	json_decref(report);
	there("a");
	gc_layers(&f->w);
	assert_false(toy_has_image(f->toy, id_of('a')));
}

static void an_address_that_is_none_is_said(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	noted("a");
	free(f->conf.docker.socket_path);
	f->conf.docker.socket_path = kii_xstrdup("nowhere");
	assert_int_equal(layers_collect(&f->w, false, tell, f, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
}

static void notes_that_make_no_sense_are_left_out(void **state)
{
	static const char text[] = "aaaaaaaaaaa 1 2\nshort 1 2\nbbbbbbbbbbb x 2\nccccccccccc 1 0\n"
		"ddddddddddd -1 2\neeeeeeeeeeeeeeee 1 2\n\nrun x 1\nrun 0123456789ab\n"
		"run 0123456789ab -1\n";
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };

	(void)state;
	for (const char *letter = "abcde"; *letter; letter++)
		layer(*letter, 0, NULL);
	must(kii_io_publish(path, text, sizeof(text) - 1, 0600, &err));
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
	collect(0, false, "a:10 ");
}

static void notes_may_get_lost(void **state)
{
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };
	size_t build;

	(void)state;
	/* They cannot be written, but count as long as the worker lives. */
	layer('a', 0, NULL);
	assert_int_equal(mkdir(path, 0700), 0);
	build = layers_begin(f->w.layers, "x");
	layers_made(f->w.layers, id_of('a'), now * 1000);
	layers_end(f->w.layers, build, false);
	/* The next build's end finds that they can be. */
	must(kii_io_remove_tree(path, &err));
	layers_end(f->w.layers, layers_begin(f->w.layers, "x"), false);
	assert_int_equal(access(path, F_OK), 0);
	collect(0, false, "a:10 ");
	/* They cannot be read. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
	assert_false(layers_due(f->w.layers));
	must(kii_io_remove_tree(path, &err));
}

static void notes_outlive_the_worker(void **state)
{
	size_t build;

	(void)state;
	layer('b', 0, NULL);
	layer('a', 0, NULL);
	build = layers_begin(f->w.layers, "x");
	layers_made(f->w.layers, id_of('b'), now * 1000);
	layers_made(f->w.layers, id_of('a'), now * 1000);
	layers_made(f->w.layers, id_of('b'), (now + DAY) * 1000);
	layers_end(f->w.layers, build, false);
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
	assert_true(layers_due(f->w.layers));
	/* Its first word counts: the second was of a build that found it again. */
	collect(0, false, "a:10 b:10 ");
}

static void notes_outlive_a_worker_that_is_killed_in_a_build(void **state)
{
	(void)state;
	layer('a', 0, NULL);
	layer('b', 'a', NULL);
	layers_begin(f->w.layers, "x");
	layers_made(f->w.layers, id_of('a'), now * 1000);
	layers_made(f->w.layers, id_of('b'), now * 1000);
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
	collect(0, false, "b:10 a:10 ");
}

static void a_job_of_before_the_clock_was_set_back_has_made_its_layers(void **state)
{
	size_t build;

	(void)state;
	layer('a', 0, NULL);
	build = layers_begin(f->w.layers, "x");
	layers_made(f->w.layers, id_of('a'), (now + DAY) * 1000);
	layers_end(f->w.layers, build, false);
	collect(0, false, "a:10 ");
}

static void there_is_an_end_to_notes(void **state)
{
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };
	size_t build = layers_begin(f->w.layers, "x");
	struct stat st;
	char id[12];

	(void)state;
	for (unsigned i = 0; i < 50100; i++) {
		snprintf(id, sizeof(id), "%011x", i);
		layers_made(f->w.layers, id, 1);
	}
	layers_end(f->w.layers, build, false);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 50000 * (11 + 1 + 1 + 1 + 13 + 1));
	must(layers_collect(&f->w, false, tell, f, &err));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
}

/* --- containers that steps ran in --- */

static bool tidy(void)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	bool done;

	must(worker_engine(&f->w, 0, &engine, &err));
	done = layers_tidy(&f->w, engine);
	kii_engine_free(engine);
	return done;
}

/* A container of a step of this build of ours. */
static void left(const char *build)
{
	kii_autofree char *mark = kii_xfmt("kiisrv-%s-%s", f->w.instance, build);

	toy_marked(f->toy, build, mark);
}

static size_t begin(const char *build)
{
	kii_autofree char *mark = kii_xfmt("kiisrv-%s-%s", f->w.instance, build);

	return layers_begin(f->w.layers, mark);
}

static void one_that_an_earlier_worker_left_goes(void **state)
{
	(void)state;
	left("a-1");
	tidy();
	assert_false(toy_has(f->toy, "a-1"));
}

/* Nobody looks where nothing can be. */
static void one_is_looked_for_when_a_build_has_ended_badly(void **state)
{
	size_t build;

	(void)state;
	tidy();
	left("a-1");
	build = begin("b-1");
	tidy();
	layers_end(f->w.layers, build, false);
	tidy();
	assert_true(toy_has(f->toy, "a-1"));
	layers_end(f->w.layers, begin("b-1"), true);
	tidy();
	assert_false(toy_has(f->toy, "a-1"));
}

static void one_of_a_build_that_runs_stays(void **state)
{
	size_t first = begin("a-1"), second = begin("a-2");

	(void)state;
	left("a-1");
	left("a-2");
	layers_end(f->w.layers, first, true);
	tidy();
	assert_false(toy_has(f->toy, "a-1"));
	assert_true(toy_has(f->toy, "a-2"));
	layers_end(f->w.layers, second, true);
	tidy();
	assert_false(toy_has(f->toy, "a-2"));
}

static void what_is_not_marked_by_us_stays(void **state)
{
	(void)state;
	toy_container(f->toy, "plain", NULL, KII_CONTAINER_CREATED);
	toy_marked(f->toy, "of-others", "kiisrv-0000000000000000-a-1");
	toy_marked(f->toy, "database", "db.example.org");
	tidy();
	assert_true(toy_has(f->toy, "plain"));
	assert_true(toy_has(f->toy, "of-others"));
	assert_true(toy_has(f->toy, "database"));
}

static void podman_is_not_asked_for_them(void **state)
{
	(void)state;
	f->w.about.podman = true;
	tidy();
	assert_int_equal(toy_asked(f->toy, "GET /containers/json"), 0);
}

static void what_cannot_be_removed_is_removed_later(void **state)
{
	static const char *const calls[] = { "GET /containers/json", "GET /containers/*/json",
		"DELETE /containers/*" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(calls); i++) {
		left("a-1");
		left("a-2");
		toy_fault(f->toy, &(struct toy_fault){ .match = calls[i], .trouble = TOY_REFUSE,
			.status = 500, .times = 1 });
		layers_end(f->w.layers, begin("b-1"), true);
		assert_false(tidy());
		/* One that cannot be had does not keep the other. */
		assert_int_equal(toy_has(f->toy, "a-1") + toy_has(f->toy, "a-2"), i ? 1 : 2);
		assert_true(tidy());
		assert_false(toy_has(f->toy, "a-1") || toy_has(f->toy, "a-2"));
	}
}

static void an_engine_that_is_away_is_not_asked_on(void **state)
{
	(void)state;
	left("a-1");
	left("a-2");
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /containers/*/json",
		.trouble = TOY_DROP });
	tidy();
	assert_int_equal(toy_asked(f->toy, "DELETE /containers/*"), 0);
	assert_true(toy_has(f->toy, "a-1") && toy_has(f->toy, "a-2"));
	toy_faults_clear(f->toy);
	tidy();
	assert_false(toy_has(f->toy, "a-1") || toy_has(f->toy, "a-2"));
}

static void one_that_goes_meanwhile_is_no_error(void **state)
{
	(void)state;
	left("a-1");
	toy_fault(f->toy, &(struct toy_fault){ .match = "GET /containers/*/json",
		.trouble = TOY_VANISH, .times = 1 });
	tidy();
	assert_false(toy_has(f->toy, "a-1"));
	left("a-1");
	tidy();
	assert_true(toy_has(f->toy, "a-1"));
}

#define layers_test(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		layers_test(what_is_over_the_budget_goes_oldest_first),
		layers_test(what_adds_no_bytes_costs_nothing),
		layers_test(what_a_named_image_is_made_of_stays),
		layers_test(what_others_have_built_stays),
		layers_test(what_a_build_uses_stays_until_its_end),
		layers_test(what_the_engine_takes_along_counts),
		layers_test(one_that_must_stay_does_not_keep_the_rest),
		layers_test(one_that_is_gone_is_forgotten),
		layers_test(without_an_engine_nothing_goes),
		layers_test(an_address_that_is_none_is_said),
		layers_test(notes_that_make_no_sense_are_left_out),
		layers_test(notes_may_get_lost),
		layers_test(notes_outlive_the_worker),
		layers_test(notes_outlive_a_worker_that_is_killed_in_a_build),
		layers_test(a_job_of_before_the_clock_was_set_back_has_made_its_layers),
		layers_test(there_is_an_end_to_notes),
		layers_test(one_that_an_earlier_worker_left_goes),
		layers_test(one_is_looked_for_when_a_build_has_ended_badly),
		layers_test(one_of_a_build_that_runs_stays),
		layers_test(what_is_not_marked_by_us_stays),
		layers_test(podman_is_not_asked_for_them),
		layers_test(what_cannot_be_removed_is_removed_later),
		layers_test(an_engine_that_is_away_is_not_asked_on),
		layers_test(one_that_goes_meanwhile_is_no_error),
	};

	return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
