/* SPDX-License-Identifier: MIT */
/* What builds leave with an engine that breaks them off: what is known of it, and that it goes. */
#include <config.h>

#include "broken.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_layers.h"
#include "io.h"
#include "layers.h"
#include "testlib.h"
#include "workerfix.h"

#define LIST   "GET /v4.0.0/libpod/containers/json"
#define HISTORY "GET /images/*/history"
#define REMOVE "DELETE /containers/*"
#define AGE_MS 60000

static struct fix *f;
static int64_t now;          /* ms since 1970 */

static char *notes_path(void)
{
	return kii_xfmt("%s/engine/broken", f->conf.paths.state_dir);
}

static char *read_notes(void)
{
	kii_autofree char *path = notes_path();
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };

	must(kii_io_read(path, &text, &err));
	return kii_buf_steal(&text);
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
	f->w.about.podman = true;
	toy_image_gone(f->toy, FIX_IMAGE);
	f->conf.retention.working_containers_ms = AGE_MS;
	now = kii_io_wall();
	return 0;
}

/* The ID of a container or an image that a letter stands for; 64 digits. */
static const char *id_of(char letter)
{
	static char ids[8][65];
	static unsigned next;
	char *id = ids[next++ % 8];

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

/* A build of these images ran from so many to so many seconds ago, and was broken off. */
static void was_broken_off(int from, int to, const char *letters)
{
	kii_autobuf text = KII_BUF_INIT(4096);

	kii_buf_fmt(&text, "end %lld %lld 0 0", (long long)now - from * 1000LL,
		(long long)now - to * 1000LL);
	for (; *letters; letters++)
		kii_buf_fmt(&text, " %s", id_of(*letters));
	kii_buf_char(&text, '\n');
	noted(text.data);
}

/* A container of this image. */
static void left(char letter, char image, int seconds_ago)
{
	toy_working(f->toy, id_of(letter), image ? id_of(image) : "", "x",
		now - seconds_ago * 1000LL);
}

/* Of an engine whose time is that much later than ours. */
static struct broken_clock clock_ahead(int64_t ms)
{
	return (struct broken_clock){ .ahead = kii_io_wall() - kii_io_now() + ms,
		.ahead_wall = ms };
}

static size_t begin(size_t slot)
{
	const struct broken_clock clock = clock_ahead(0);
	kii_autotexts bases = { .n = 0 };

	kii_texts_add(&bases, id_of('1'));
	broken_begin(f->w.broken, slot, &clock, &bases);
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
	was_broken_off(200, 100, "12");
	left('a', '1', 150);
	left('b', '1', 201);
	left('c', '2', 99);
	left('d', '3', 150);
	left('e', '2', 101);
	left('f', 0, 150);
	assert_true(tidy());
	still_there("bcdf");
	/* It is looked for once. */
	left('a', '1', 150);
	assert_true(tidy());
	still_there("abcdf");
	assert_int_equal(toy_asked(f->toy, LIST), 1);
}

static void one_of_nothing_goes_where_a_stage_is_of_nothing(void **state)
{
	kii_autofree char *text = kii_xfmt("end %lld %lld 0 0 " BROKEN_SCRATCH "\n",
		(long long)now - 200000, (long long)now - 100000);

	(void)state;
	toy_working(f->toy, id_of('a'), "", "scratch", now - 150000);
	was_broken_off(200, 100, "1");
	assert_true(tidy());
	still_there("a");
	noted(text);
	assert_true(tidy());
	still_there("");
}

/* What a step's container is made of has no name, and was made by a build of ours, or found. */
static void a_container_of_a_step_of_ours_goes(void **state)
{
	(void)state;
	was_broken_off(200, 100, "9");
	for (const char *letter = "1234"; *letter; letter++)
		toy_layer(f->toy, id_of(*letter), "", *letter == '3' ? "named:1" : NULL, 10,
			now / 1000 - 150);
	/* Found in the cache; made, with a name of its own by now; nobody's; said by nobody. */
	layers_made(f->w.layers, id_of('1'), now);
	layers_made(f->w.layers, id_of('3'), now);
	toy_layer_label(f->toy, id_of('4'), WORKER_LABEL_INSTANCE, f->w.instance);
	left('a', '1', 150);
	left('b', '2', 150);
	left('c', '3', 150);
	left('d', '4', 150);
	left('e', '5', 150);
	assert_true(tidy());
	still_there("bce");
}

static void none_goes_before_it_is_old_enough(void **state)
{
	(void)state;
	was_broken_off(100, 50, "1");
	left('a', '1', 70);
	assert_true(tidy());
	still_there("a");
	assert_int_equal(toy_asked(f->toy, LIST), 0);
	f->conf.retention.working_containers_ms = 40000;
	assert_true(tidy());
	still_there("");
}

/* Its engine's clock is an hour behind. */
static void age_goes_by_the_engines_clock(void **state)
{
	kii_autofree char *text = kii_xfmt("end %lld %lld -3600000 0 %s\n",
		(long long)now - 3660000, (long long)now - 3630000, id_of('1'));

	(void)state;
	noted(text);
	left('a', '1', 3650);
	assert_true(tidy());
	still_there("a");
	f->conf.retention.working_containers_ms = 20000;
	assert_true(tidy());
	still_there("");
}

/* Ours is set back by an hour when it has ended. */
static void age_does_not_wait_for_a_clock_that_was_set(void **state)
{
	const struct broken_clock clock = clock_ahead(3600000);
	kii_autotexts bases = { .n = 0 };

	(void)state;
	broken_begin(f->w.broken, 0, &clock, &bases);
	broken_end(f->w.broken, 0, true);
	assert_false(broken_look(f->w.broken, 10000));
	usleep(20000);
	assert_true(broken_look(f->w.broken, 10));
}

static void what_was_not_looked_at_is_not_forgotten(void **state)
{
	kii_autofree char *text = kii_xfmt("end %lld %lld 0 0 %s\nend %lld %lld 0 0 %s\n",
		(long long)now - 900000, (long long)now - 800000, id_of('1'),
		(long long)now - 700000, (long long)now - 600000, id_of('2'));
	kii_autofree char *rest = NULL;

	(void)state;
	noted(text);
	assert_true(broken_look(f->w.broken, 700000));
	assert_true(broken_covers(f->w.broken, now - 850000, id_of('1')));
	assert_false(broken_covers(f->w.broken, now - 650000, id_of('2')));
	broken_forget(f->w.broken);
	rest = read_notes();
	assert_null(strstr(rest, id_of('1')));
	assert_non_null(strstr(rest, id_of('2')));
	/* Nor is what a build hid that ran then. */
	broken_begin(f->w.broken, 0, &(struct broken_clock){
		.ahead = kii_io_wall() - kii_io_now() - 650000, .ahead_wall = -650000 },
		&(struct kii_texts){ 0 });
	assert_true(broken_look(f->w.broken, 0));
	broken_end(f->w.broken, 0, false);
	assert_false(broken_covers(f->w.broken, now - 640000, id_of('2')));
	broken_forget(f->w.broken);
	assert_true(broken_look(f->w.broken, 0));
	assert_true(broken_covers(f->w.broken, now - 640000, id_of('2')));
}

/* By an hour, in the middle of a build: what it made before is of one time, the rest of another. */
static void where_clocks_were_set_either_time_counts(void **state)
{
	static const int set[] = { 3600, -3600 };
	kii_autofree char *running = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(set); i++) {
		kii_autofree char *text = kii_xfmt("end %lld %lld 0 %d000 %s\n",
			(long long)now - 10200000, (long long)now - 10100000, set[i], id_of('1'));

		noted(text);
		left('a', '1', 10150);
		left('b', '1', 10150 - set[i]);
		left('c', '1', 10150 - set[i] / 2);
		left('d', '1', 10150 + set[i]);
		assert_true(tidy());
		still_there("cd");
	}
	/* One that runs is noted so. */
	broken_begin(f->w.broken, 0, &(struct broken_clock){
		.ahead = kii_io_wall() - kii_io_now(), .ahead_wall = -5000 },
		&(struct kii_texts){ 0 });
	running = read_notes();
	assert_non_null(strstr(running, " -5000 -5000\n"));
	broken_end(f->w.broken, 0, false);
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
	left('a', '1', 0);
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
	left('a', '1', 0);
	broken_end(f->w.broken, 3, true);
	/* It may be the other one's. */
	assert_false(tidy());
	still_there("a");
	broken_end(f->w.broken, 2, false);
	assert_false(tidy());
	still_there("");
}

/* It ended soon after it was last seen to run, however late the next worker comes. */
static void one_that_was_left_by_a_killed_worker_does(void **state)
{
	kii_autofree char *text = kii_xfmt("run %lld %lld 0 0 %s\n", (long long)now - 300000,
		(long long)now - 200000, id_of('1'));

	(void)state;
	left('a', '1', 250);
	left('b', '1', 90);
	left('c', '1', 60);
	noted(text);
	assert_true(tidy());
	still_there("c");
}

static void a_build_that_runs_is_noted_again_and_again(void **state)
{
	kii_autofree char *path = notes_path();
	kii_autobuf before = KII_BUF_INIT(4096), after = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };

	(void)state;
	begin(0);
	must(kii_io_read(path, &before, &err));
	usleep(2000);
	broken_beat(f->w.broken);
	must(kii_io_read(path, &after, &err));
	assert_true(strcmp(before.data, after.data) < 0);
	/* Where none runs, nothing is written. */
	broken_end(f->w.broken, 0, true);
	must(kii_io_remove_tree(path, &err));
	broken_beat(f->w.broken);
	assert_int_equal(access(path, F_OK), -1);
}

/* --- images --- */

static void images_of_a_label_that_nobody_told_of_are_noted(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/engine/layers", f->conf.paths.state_dir);
	kii_autobuf text = KII_BUF_INIT(4096);
	struct kii_error err = { 0 };

	(void)state;
	was_broken_off(200, 100, "9");
	/* Two of ours, one of which may lose its name; one of another time, and one not marked. */
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
	assert_non_null(strstr(text.data, "11111111111 "));
	assert_non_null(strstr(text.data, "22222222222 "));
	assert_null(strstr(text.data, "33333333333 "));
	assert_null(strstr(text.data, "44444444444 "));
	/* One that is known is left as it is. */
	was_broken_off(200, 100, "9");
	assert_true(tidy());
	assert_false(layers_due(f->w.layers));
}

/* --- images of a Docker, which carry nothing --- */

static bool is_known(char letter)
{
	return layers_knows(f->w.layers, id_of(letter));
}

/* These, of all that the tests speak of. */
static void known_are(const char *letters)
{
	for (char letter = '1'; letter <= '8'; letter++)
		if (is_known(letter) != (strchr(letters, letter) != NULL))
			fail_msg("%c is%s known", letter, is_known(letter) ? "" : " not");
}

static void step(char letter, char parent, int seconds_ago)
{
	toy_layer(f->toy, id_of(letter), parent ? id_of(parent) : "", NULL, 10,
		now / 1000 - seconds_ago);
}

static void docker(void)
{
	f->w.about.podman = false;
}

static void images_of_steps_that_nobody_told_of_are_noted(void **state)
{
	(void)state;
	docker();
	/* The second step's image comes first in the list, or last. */
	step('2', '1', 140);
	step('1', '9', 150);
	step('3', '2', 130);
	/* Of another base, of another time, and what was made of that. */
	step('4', 'c', 150);
	step('5', '9', 90);
	step('6', '5', 150);
	was_broken_off(200, 100, "9");
	layers_due(f->w.layers);
	assert_true(tidy());
	assert_true(layers_due(f->w.layers));
	known_are("123");
	/* No container is asked for, and what is known is left as it is. */
	assert_int_equal(toy_asked(f->toy, LIST), 0);
	was_broken_off(200, 100, "9");
	assert_true(tidy());
	assert_false(layers_due(f->w.layers));
}

/* It counts as a base then, where it is a step's. */
static void what_was_made_of_an_image_of_ours_is_noted(void **state)
{
	(void)state;
	docker();
	/* Ours; used by us, but older; ours, and has a name by now. */
	step('1', 0, 150);
	step('3', 0, 4000);
	toy_layer(f->toy, id_of('5'), "", "named:1", 10, now / 1000 - 150);
	layers_made(f->w.layers, id_of('1'), now - 160000);
	layers_made(f->w.layers, id_of('3'), now - 160000);
	layers_made(f->w.layers, id_of('5'), now - 160000);
	step('2', '1', 140);
	step('4', '3', 140);
	step('6', '5', 140);
	was_broken_off(200, 100, "9");
	assert_true(tidy());
	known_are("1235");
}

/* Then it is known, but not as ours. */
static void one_that_a_later_build_has_used_is_noted_all_the_same(void **state)
{
	struct kii_layer seen = { .created = now / 1000 - 5000 };

	(void)state;
	docker();
	memcpy(seen.id, id_of('1'), sizeof(seen.id));
	step('1', '9', 5000);
	layers_made(f->w.layers, id_of('1'), now);
	assert_false(layers_owns(f->w.layers, &seen));
	was_broken_off(5100, 4900, "9");
	assert_true(tidy());
	assert_true(layers_owns(f->w.layers, &seen));
	/* And by the next worker. */
	layers_free(f->w.layers);
	f->w.layers = layers_new(f->conf.paths.state_dir);
	assert_true(layers_owns(f->w.layers, &seen));
}

static void an_image_that_has_a_name_is_nobodys_step(void **state)
{
	(void)state;
	docker();
	/* But for our label, which a build's last image carries before it has its name, too. */
	toy_layer(f->toy, id_of('1'), id_of('9'), "named:1", 10, now / 1000 - 150);
	toy_layer(f->toy, id_of('2'), id_of('9'), "named:2", 10, now / 1000 - 150);
	/* What somebody else has made of that inherits it. */
	toy_layer(f->toy, id_of('3'), id_of('2'), "named:3", 10, now / 1000 - 140);
	for (const char *letter = "23"; *letter; letter++)
		toy_layer_label(f->toy, id_of(*letter), WORKER_LABEL_INSTANCE, f->w.instance);
	step('4', '1', 150);
	was_broken_off(200, 100, "9");
	assert_true(tidy());
	known_are("2");
}

static void a_step_of_nothing_is_known_where_a_stage_is_of_nothing(void **state)
{
	kii_autofree char *text = kii_xfmt("end %lld %lld 0 0 " BROKEN_SCRATCH "\n",
		(long long)now - 200000, (long long)now - 100000);
	int asked;

	(void)state;
	docker();
	step('1', 0, 150);
	step('2', 0, 150);
	toy_layer_imported(f->toy, id_of('2'));
	was_broken_off(200, 100, "9");
	assert_true(tidy());
	known_are("");
	noted(text);
	toy_fault(f->toy, &(struct toy_fault){ .match = HISTORY,
		.trouble = TOY_REFUSE, .status = 500, .times = 1 });
	assert_false(tidy());
	assert_true(tidy());
	known_are("1");
	/* Who is away is not asked for each. */
	step('4', 0, 150);
	step('5', 0, 150);
	noted(text);
	toy_fault(f->toy, &(struct toy_fault){ .match = HISTORY, .trouble = TOY_DROP });
	asked = toy_asked(f->toy, HISTORY);
	assert_false(tidy());
	/* One question; libcurl sends it again where a kept connection ends. */
	assert_in_range(toy_asked(f->toy, HISTORY), asked + 1, asked + 2);
	toy_faults_clear(f->toy);
	assert_true(tidy());
	known_are("145");
	/* One that has gone meanwhile is no error. */
	step('3', 0, 150);
	noted(text);
	toy_fault(f->toy, &(struct toy_fault){ .match = HISTORY,
		.trouble = TOY_REFUSE, .status = 404 });
	assert_true(tidy());
	known_are("145");
}

static void an_image_waits_for_builds_that_run_and_for_its_time(void **state)
{
	/* One has begun before it was made. */
	const struct broken_clock clock = clock_ahead(-160000);
	kii_autotexts bases = { .n = 0 };

	(void)state;
	docker();
	step('1', '9', 150);
	was_broken_off(200, 100, "9");
	f->conf.retention.working_containers_ms = 110000;
	assert_true(tidy());
	known_are("");
	f->conf.retention.working_containers_ms = 0;
	broken_begin(f->w.broken, 0, &clock, &bases);
	assert_false(tidy());
	known_are("");
	broken_end(f->w.broken, 0, false);
	assert_true(tidy());
	known_are("1");
}

/* An engine is slow to keep what is large. */
static void what_comes_after_the_end_is_looked_for(void **state)
{
	(void)state;
	docker();
	f->conf.retention.working_containers_ms = 0;
	begin(0);
	broken_end(f->w.broken, 0, true);
	assert_false(tidy());
	toy_layer(f->toy, id_of('2'), id_of('1'), NULL, 10, now / 1000 + 100);
	assert_false(tidy());
	known_are("2");
}

/* --- faults --- */

static void what_fails_is_done_later(void **state)
{
	static const struct { const char *call; int skip; } steps[] = {
		{ "GET /images/json", 0 }, { "GET /images/json", 1 }, { LIST, 0 }, { REMOVE, 0 } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		docker();
		step('1', '9', 150);
		was_broken_off(200, 100, "9");
		toy_fault(f->toy, &(struct toy_fault){ .match = "GET /images/json", .skip = i,
			.trouble = TOY_REFUSE, .status = 500, .times = 1 });
		assert_false(tidy());
		known_are("");
		toy_faults_clear(f->toy);
	}
	f->w.about.podman = true;
	for (size_t i = 0; i < KII_COUNT(steps); i++) {
		was_broken_off(200, 100, "1");
		left('a', '1', 150);
		left('b', '1', 150);
		toy_fault(f->toy, &(struct toy_fault){ .match = steps[i].call,
			.skip = steps[i].skip, .trouble = TOY_REFUSE, .status = 500, .times = 1 });
		assert_false(tidy());
		/* One that must stay does not keep the other. */
		assert_int_equal(toy_has_working(f->toy, id_of('a')) +
			toy_has_working(f->toy, id_of('b')), i == 3 ? 1 : 2);
		assert_true(tidy());
		still_there("");
	}
}

static void an_engine_that_is_away_is_not_asked_on(void **state)
{
	(void)state;
	was_broken_off(200, 100, "1");
	left('a', '1', 150);
	left('b', '1', 150);
	toy_fault(f->toy, &(struct toy_fault){ .match = REMOVE, .trouble = TOY_DROP });
	assert_false(tidy());
	still_there("ab");
	toy_faults_clear(f->toy);
	assert_true(tidy());
	still_there("");
}

static void notes_that_make_no_sense_are_left_out(void **state)
{
	static const char bad[] = "\nend\nend 1\nend 1 2\n"
		"end x 2 0 0 b\nend 1 x 0 0 b\nend 1 2 x 0 b\n"
		"end 1 2 0 x b\nend 1 2 0\n"
		"end 0 2 0 b\nend -1 2 0 b\nend 2 1 0 b\nends 1 2 0 b\n1 2 0 b\n"
		"end 99999999999999999999 1 0 b\nend 1 99999999999999999999 0 b\n";
	kii_autofree char *text = kii_xfmt("%send %lld %lld 0 0 x %s y", bad,
		(long long)now - 200000, (long long)now - 100000, id_of('1'));

	(void)state;
	noted(text);
	left('a', '1', 150);
	left('b', '2', 150);
	assert_true(tidy());
	still_there("b");
}

static void notes_may_get_lost(void **state)
{
	kii_autofree char *path = notes_path();
	/* A worker was killed when it wrote them. */
	kii_autofree char *rest = kii_xfmt("%s.aB3dEf", path);
	struct kii_error err = { 0 };

	(void)state;
	f->conf.retention.working_containers_ms = -10000;
	must(kii_io_publish(rest, "run 1", 5, 0600, &err));
	/* They cannot be written, but count as long as the worker lives. */
	assert_int_equal(mkdir(path, 0700), 0);
	begin(0);
	now = kii_io_wall();
	left('a', '1', 0);
	broken_end(f->w.broken, 0, true);
	assert_false(tidy());
	still_there("");
	/* They cannot be read. */
	reload();
	assert_false(broken_look(f->w.broken, 0));
	assert_int_equal(access(rest, F_OK), -1);
	must(kii_io_remove_tree(path, &err));
}

static void what_could_not_be_written_is_written_later(void **state)
{
	kii_autofree char *path = notes_path();
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	begin(0);
	broken_end(f->w.broken, 0, true);
	must(kii_io_remove_tree(path, &err));
	broken_beat(f->w.broken);
	assert_false(broken_look(f->w.broken, 10000));
	reload();
	assert_true(broken_look(f->w.broken, 0));
	/* Once. */
	must(kii_io_remove_tree(path, &err));
	broken_beat(f->w.broken);
	assert_int_equal(access(path, F_OK), -1);
}

/* So that none is left out that nobody has looked at. */
static void when_there_are_many_none_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < 384; i++)
		broken_end(f->w.broken, begin(i % 100), true);
	assert_false(broken_look(f->w.broken, 60000));
	broken_end(f->w.broken, begin(0), true);
	assert_true(broken_look(f->w.broken, 60000));
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
	assert_int_equal(strncmp(text.data, "run ", 4), 0);
	broken_end(f->w.broken, 100, false);
}

#define broken_test(name) cmocka_unit_test_setup_teardown(name, open_all, fix_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		broken_test(a_container_of_its_time_and_base_goes),
		broken_test(one_of_nothing_goes_where_a_stage_is_of_nothing),
		broken_test(a_container_of_a_step_of_ours_goes),
		broken_test(none_goes_before_it_is_old_enough),
		broken_test(age_goes_by_the_engines_clock),
		broken_test(age_does_not_wait_for_a_clock_that_was_set),
		broken_test(where_clocks_were_set_either_time_counts),
		broken_test(what_was_not_looked_at_is_not_forgotten),
		broken_test(a_build_that_ends_well_leaves_nothing),
		broken_test(one_that_ends_badly_does),
		broken_test(one_that_was_left_by_a_killed_worker_does),
		broken_test(a_build_that_runs_is_noted_again_and_again),
		broken_test(images_of_a_label_that_nobody_told_of_are_noted),
		broken_test(images_of_steps_that_nobody_told_of_are_noted),
		broken_test(what_was_made_of_an_image_of_ours_is_noted),
		broken_test(one_that_a_later_build_has_used_is_noted_all_the_same),
		broken_test(an_image_that_has_a_name_is_nobodys_step),
		broken_test(a_step_of_nothing_is_known_where_a_stage_is_of_nothing),
		broken_test(an_image_waits_for_builds_that_run_and_for_its_time),
		broken_test(what_comes_after_the_end_is_looked_for),
		broken_test(what_fails_is_done_later),
		broken_test(an_engine_that_is_away_is_not_asked_on),
		broken_test(notes_that_make_no_sense_are_left_out),
		broken_test(notes_may_get_lost),
		broken_test(what_could_not_be_written_is_written_later),
		broken_test(when_there_are_many_none_waits),
		broken_test(there_is_an_end_to_notes),
	};

	return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
