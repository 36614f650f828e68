/* SPDX-License-Identifier: MIT */
/* What builds leave with a Podman that breaks them off: what is known of it, and that it goes. */
#include <config.h>

#include "broken.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "layers.h"
#include "testlib.h"
#include "workerfix.h"

#define DEBIAN "docker.io/library/debian:12"
#define LIST   "GET /v4.0.0/libpod/containers/json"
#define REMOVE "DELETE /containers/*"
#define AGE_MS 60000

static struct fix *f;
static int64_t now;          /* ms since 1970 */

static char *notes_path(void)
{
	return kii_xfmt("%s/engine/broken", f->conf.paths.state_dir);
}

static void reload(void)
{
	broken_free(f->w.broken);
	f->w.broken = broken_new(f->conf.paths.state_dir);
}

static int open_all(void **state)
{
	kii_autofree char *path = NULL;

	fix_open(state);
	f = *state;
	path = kii_xfmt("%s/engine", f->conf.paths.state_dir);
	mkdir(path, 0755);
	toy_podman(f->toy);
	toy_image_gone(f->toy, FIX_IMAGE);
	f->conf.retention.working_containers_ms = AGE_MS;
	now = kii_io_wall();
	return 0;
}

/* The ID of a container or an image that a letter stands for; 64 digits. */
static const char *id_of(char letter)
{
	static char ids[4][65];
	static unsigned next;
	char *id = ids[next++ % 4];

	memset(id, letter, 64);
	id[64] = '\0';
	return id;
}

static void noted(const char *text)
{
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0600, &err));
	reload();
}

/* A build of Debian ran from so many to so many seconds ago, and was broken off. */
static void was_broken_off(int from, int to)
{
	kii_autofree char *text = kii_xfmt("%lld %lld " DEBIAN "\n",
		(long long)now - from * 1000LL, (long long)now - to * 1000LL);

	noted(text);
}

static void left(char letter, const char *base, int seconds_ago)
{
	toy_working(f->toy, id_of(letter), "", base, now - seconds_ago * 1000LL);
}

static size_t begin(size_t slot)
{
	char *items[] = { (char[]){ DEBIAN } };

	broken_begin(f->w.broken, slot, kii_io_wall() - kii_io_now(),
		&(const struct kii_texts){ .items = items, .n = 1 });
	return slot;
}

static bool tidy(void)
{
	struct kii_engine *engine = NULL;
	struct kii_error err = { 0 };
	bool done;

	must(worker_engine(&f->w, 0, &engine, &err));
	done = broken_tidy(&f->w, engine);
	kii_engine_free(engine);
	return done;
}

static void still_there(const char *letters)
{
	for (const char *letter = "abcdef"; *letter; letter++) {
		bool want = strchr(letters, *letter);

		if (toy_has_working(f->toy, id_of(*letter)) != want)
			fail_msg("%c is %s", *letter, want ? "gone" : "there");
	}
}

/* --- what goes --- */

static void a_container_of_its_time_and_base_goes(void **state)
{
	(void)state;
	was_broken_off(200, 100);
	left('a', DEBIAN, 150);
	left('b', DEBIAN, 201);
	left('c', DEBIAN, 99);
	left('d', "docker.io/library/debian:13", 150);
	left('e', "", 150);
	assert_true(tidy());
	still_there("bcde");
	/* It is looked for once. */
	left('a', DEBIAN, 150);
	assert_true(tidy());
	still_there("abcde");
	assert_int_equal(toy_asked(f->toy, LIST), 1);
}

/* What a step's container is made of has no name, but a label. */
static void a_container_of_a_step_of_ours_goes(void **state)
{
	(void)state;
	was_broken_off(200, 100);
	for (const char *letter = "123"; *letter; letter++)
		toy_layer(f->toy, id_of(*letter), "", NULL, 10, now / 1000 - 150);
	toy_layer_label(f->toy, id_of('1'), WORKER_LABEL_INSTANCE, f->w.instance);
	toy_layer_label(f->toy, id_of('2'), WORKER_LABEL_INSTANCE, "0000000000000000");
	toy_working(f->toy, id_of('a'), id_of('1'), "x", now - 150000);
	toy_working(f->toy, id_of('b'), id_of('2'), "x", now - 150000);
	toy_working(f->toy, id_of('c'), id_of('3'), "x", now - 150000);
	assert_true(tidy());
	still_there("bc");
}

static void none_goes_before_it_is_old_enough(void **state)
{
	(void)state;
	was_broken_off(100, 50);
	left('a', DEBIAN, 70);
	assert_true(tidy());
	still_there("a");
	assert_int_equal(toy_asked(f->toy, LIST), 0);
	f->conf.retention.working_containers_ms = 40000;
	assert_true(tidy());
	still_there("");
}

static void a_build_that_ends_well_leaves_nothing(void **state)
{
	kii_autofree char *path = notes_path();
	struct stat st;

	(void)state;
	f->conf.retention.working_containers_ms = -10000;
	broken_end(f->w.broken, begin(3), false);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	left('a', DEBIAN, 0);
	assert_true(tidy());
	still_there("a");
}

static void one_that_ends_badly_does(void **state)
{
	(void)state;
	f->conf.retention.working_containers_ms = -10000;
	begin(2);
	begin(3);
	now = kii_io_wall();
	left('a', DEBIAN, 0);
	broken_end(f->w.broken, 3, true);
	/* It may be the other one's. */
	assert_false(tidy());
	still_there("a");
	broken_end(f->w.broken, 2, false);
	assert_true(tidy());
	still_there("");
}

static void one_that_was_left_by_a_killed_worker_does(void **state)
{
	kii_autofree char *text = kii_xfmt("%lld 0 " DEBIAN "\n", (long long)now - 100000);

	(void)state;
	noted(text);
	left('a', DEBIAN, 50);
	assert_true(tidy());
	still_there("a");
	f->conf.retention.working_containers_ms = -10000;
	/* A build of the new one. */
	begin(0);
	left('b', DEBIAN, -1);
	assert_false(tidy());
	still_there("b");
	broken_end(f->w.broken, 0, false);
}

/* --- images --- */

static void images_that_nobody_told_of_are_noted(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/engine/layers", f->conf.paths.state_dir);
	kii_autobuf text = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };

	(void)state;
	was_broken_off(200, 100);
	/* One of ours; one with a name, one of another time, and one that nobody has marked. */
	toy_layer(f->toy, id_of('1'), "", NULL, 10, now / 1000 - 150);
	toy_layer(f->toy, id_of('2'), "", "named:1", 10, now / 1000 - 150);
	toy_layer(f->toy, id_of('3'), "", NULL, 10, now / 1000 - 90);
	toy_layer(f->toy, id_of('4'), "", NULL, 10, now / 1000 - 150);
	for (const char *letter = "123"; *letter; letter++)
		toy_layer_label(f->toy, id_of(*letter), WORKER_LABEL_INSTANCE, f->w.instance);
	layers_due(f->w.layers);
	assert_true(tidy());
	assert_true(layers_due(f->w.layers));
	must(kii_io_read(path, &text, &err));
	assert_int_equal(strncmp(text.data, "11111111111 ", 12), 0);
	assert_ptr_equal(strchr(text.data, '\n') + 1, text.data + text.len);
	/* One that is known is left as it is. */
	was_broken_off(200, 100);
	assert_true(tidy());
	assert_false(layers_due(f->w.layers));
}

/* --- faults --- */

static void what_fails_is_done_later(void **state)
{
	static const char *const calls[] = { "GET /images/json", LIST, REMOVE };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(calls); i++) {
		was_broken_off(200, 100);
		left('a', DEBIAN, 150);
		left('b', DEBIAN, 150);
		toy_fault(f->toy, &(struct toy_fault){ .match = calls[i], .trouble = TOY_REFUSE,
			.status = 500, .times = 1 });
		assert_false(tidy());
		/* One that must stay does not keep the other. */
		assert_int_equal(toy_has_working(f->toy, id_of('a')) +
			toy_has_working(f->toy, id_of('b')), i == 2 ? 1 : 2);
		assert_true(tidy());
		still_there("");
	}
}

static void an_engine_that_is_away_is_not_asked_on(void **state)
{
	(void)state;
	was_broken_off(200, 100);
	left('a', DEBIAN, 150);
	left('b', DEBIAN, 150);
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_DROP });
	assert_false(tidy());
	still_there("ab");
	toy_faults_clear(f->toy);
	assert_true(tidy());
	still_there("");
}

static void notes_that_make_no_sense_are_left_out(void **state)
{
	static const char bad[] = "\n1\nx 2 b\n1 x b\n0 2 b\n-1 2 b\n1 -2 b\n1  \n"
		"99999999999999999999 1 b\n1 99999999999999999999 b\n";
	kii_autofree char *text = kii_xfmt("%s%lld %lld " DEBIAN " x y", bad,
		(long long)now - 200000, (long long)now - 100000);

	(void)state;
	noted(text);
	left('a', DEBIAN, 150);
	left('b', "y", 150);
	left('c', "b", 150);
	assert_true(tidy());
	still_there("c");
}

static void notes_may_get_lost(void **state)
{
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };

	(void)state;
	f->conf.retention.working_containers_ms = -10000;
	/* They cannot be written, but count as long as the worker lives. */
	assert_int_equal(mkdir(path, 0700), 0);
	begin(0);
	now = kii_io_wall();
	left('a', DEBIAN, 0);
	broken_end(f->w.broken, 0, true);
	assert_true(tidy());
	still_there("");
	/* They cannot be read. */
	reload();
	assert_false(broken_any(f->w.broken, INT64_MAX));
	must(kii_io_remove_tree(path, &err));
}

static void there_is_an_end_to_notes(void **state)
{
	kii_autofree char *path = notes_path();
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	size_t lines = 0;

	(void)state;
	begin(100);
	for (size_t i = 0; i < 600; i++)
		broken_end(f->w.broken, begin(i % 100), true);
	must(kii_io_read(path, &text, &err));
	for (const char *p = text.data; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 512);
	/* The one that runs is among them. */
	assert_non_null(strstr(text.data, " 0 "));
	broken_end(f->w.broken, 100, false);
}

#define broken_test(name) cmocka_unit_test_setup_teardown(name, open_all, fix_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		broken_test(a_container_of_its_time_and_base_goes),
		broken_test(a_container_of_a_step_of_ours_goes),
		broken_test(none_goes_before_it_is_old_enough),
		broken_test(a_build_that_ends_well_leaves_nothing),
		broken_test(one_that_ends_badly_does),
		broken_test(one_that_was_left_by_a_killed_worker_does),
		broken_test(images_that_nobody_told_of_are_noted),
		broken_test(what_fails_is_done_later),
		broken_test(an_engine_that_is_away_is_not_asked_on),
		broken_test(notes_that_make_no_sense_are_left_out),
		broken_test(notes_may_get_lost),
		broken_test(there_is_an_end_to_notes),
	};

	return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
