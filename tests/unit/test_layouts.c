/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "layouts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

#define HEADER "\"header\":{\"Name\":\"MD1\",\"Variant\":\"hacker\",\"Layout\":\"L\"," \
	"\"Base\":\"B\",\"Version\":\"1\",\"Author\":\"a\",\"KLL\":\"0.5\",\"Date\":\"d\"," \
	"\"Generator\":\"g\"}"
#define KEY(code, key) "{\"code\":\"" code "\",\"layers\":{\"0\":{\"key\":\"" key "\"}}}"
#define LED "{\"id\":1,\"x\":0,\"y\":0}"
#define GOOD "{" HEADER ",\"matrix\":[" KEY("0x01", "A") "," KEY("0x02", "B") "]," \
	"\"leds\":[" LED "]}"
#define OTHER "{" HEADER ",\"matrix\":[" KEY("0x07", "Z") "]}"

/* Two folders for each test. */
struct dirs {
	char *first;
	char *second;
	const char *both[2];
};

static int setup(void **state)
{
	struct dirs *d = kii_xcalloc(1, sizeof(*d));

	d->first = test_dir_new();
	d->second = test_dir_new();
	d->both[0] = d->first;
	d->both[1] = d->second;
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct dirs *d = *state;

	test_dir_remove(d->first);
	test_dir_remove(d->second);
	free(d->first);
	free(d->second);
	free(d);
	return 0;
}

static void put(const char *dir, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0644, &err));
}

static struct kii_layouts *load(const struct dirs *d)
{
	struct kii_layouts *l = NULL;
	struct kii_error err = { 0 };

	must(kii_layouts_load(d->both, 2, &l, &err));
	return l;
}

/* Loading must fail with EINVAL, this field, and these words in the message. */
static void refused(const struct dirs *d, const char *field, const char *words)
{
	struct kii_layouts *l = NULL;
	struct kii_error err = { 0 };

	assert_int_equal(kii_layouts_load(d->both, 2, &l, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, field);
	if (!strstr(err.msg, words))
		fail_msg("'%s' is not in: %s", words, err.msg);
}

static void a_layout_gives_its_facts(void **state)
{
	struct kii_layouts *l;
	const struct kii_layout *a;

	put(((struct dirs *)*state)->first, "MD1-A.json", GOOD);
	l = load(*state);
	a = kii_layouts_find(l, "MD1-A.json");
	assert_non_null(a);
	assert_string_equal(a->file, "MD1-A.json");
	assert_string_equal(a->name, "MD1");
	assert_string_equal(a->variant, "hacker");
	assert_string_equal(a->layout, "L");
	assert_string_equal(a->base, "B");
	assert_int_equal(a->n_keys, 2);
	assert_int_equal(a->n_leds, 1);
	assert_string_equal(a->codes[1], "0x02");
	assert_string_equal(a->triggers[1], "B");
	kii_layouts_free(l);
	kii_layouts_free(NULL);
}

static void the_first_folder_wins_and_all_are_sorted(void **state)
{
	struct dirs *d = *state;
	struct kii_layouts *l;

	put(d->first, "MD1-M.json", GOOD);
	put(d->second, "MD1-M.json", OTHER);
	put(d->second, "MD1-A.json", OTHER);
	put(d->second, "MD1-Z.json", OTHER);
	put(d->second, "README.md", "no layout");
	put(d->second, ".hidden.json", "no layout");
	l = load(d);
	assert_int_equal(kii_layouts_count(l), 3);
	assert_string_equal(kii_layouts_at(l, 0)->file, "MD1-A.json");
	assert_string_equal(kii_layouts_at(l, 1)->file, "MD1-M.json");
	assert_string_equal(kii_layouts_at(l, 2)->file, "MD1-Z.json");
	assert_null(kii_layouts_at(l, 3));
	assert_int_equal(kii_layouts_find(l, "MD1-M.json")->n_keys, 2);
	assert_int_equal(kii_layouts_find(l, "MD1-Z.json")->n_keys, 1);
	kii_layouts_free(l);
}

static void names_are_looked_up_exactly(void **state)
{
	struct dirs *d = *state;
	struct kii_layouts *l;

	put(d->first, "MD1-A.json", GOOD);
	l = load(d);
	assert_null(kii_layouts_find(l, "md1-A.json"));
	assert_null(kii_layouts_find(l, "MD1-A"));
	assert_null(kii_layouts_find(l, "./MD1-A.json"));
	assert_null(kii_layouts_find(l, ""));
	kii_layouts_free(l);
}

static void missing_folders_are_skipped(void **state)
{
	struct dirs *d = *state;
	struct kii_layouts *l;

	rmdir(d->first);
	l = load(d);
	assert_int_equal(kii_layouts_count(l), 0);
	assert_null(kii_layouts_find(l, "MD1-A.json"));
	kii_layouts_free(l);
}

static void a_folder_that_is_none_is_an_io_error(void **state)
{
	struct dirs *d = *state;
	kii_autofree char *file = kii_xfmt("%s/file", d->first);
	const char *dirs[] = { file };
	struct kii_layouts *l = NULL;
	struct kii_error err = { 0 };

	put(d->first, "file", "");
	must_fail(kii_layouts_load(dirs, 1, &l, &err), KII_EIO);
}

static void links_of_both_kinds_are_followed(void **state)
{
	struct dirs *d = *state;
	kii_autofree char *link = kii_xfmt("%s/MD1-Link.json", d->first);
	struct kii_layouts *l;

	put(d->first, "MD1-A.json", GOOD);
	assert_int_equal(symlink("MD1-A.json", link), 0);
	put(d->first, "MD1-Plain.json", "MD1-A.json");
	put(d->first, "MD1-Line.json", "MD1-Plain.json\n");
	put(d->first, "MD1-Crlf.json", "MD1-Plain.json\r\n");
	l = load(d);
	assert_int_equal(kii_layouts_count(l), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(kii_layouts_at(l, i)->triggers[0], "A");
	kii_layouts_free(l);
}

static void eight_links_in_a_row_are_followed_and_nine_refused(void **state)
{
	struct dirs *d = *state;
	struct kii_layouts *l;

	put(d->first, "L0.json", GOOD);
	for (int i = 1; i <= 8; i++) {
		kii_autofree char *name = kii_xfmt("L%d.json", i);
		kii_autofree char *target = kii_xfmt("L%d.json", i - 1);

		put(d->first, name, target);
	}
	l = load(d);
	assert_int_equal(kii_layouts_count(l), 9);
	kii_layouts_free(l);
	put(d->second, "Loop.json", "Loop.json");
	refused(d, "body", "Loop.json: body: more than 8 links");
}

static void links_stay_in_their_folder(void **state)
{
	struct dirs *d = *state;
	kii_autofree char *gone = kii_xfmt("%s/MD1-Gone.json", d->first);
	struct kii_layouts *l = NULL;
	struct kii_error err = { 0 };

	put(d->second, "MD1-A.json", GOOD);
	put(d->first, "MD1-Gone.json", "MD1-A.json");
	must_fail(kii_layouts_load(d->both, 2, &l, &err), KII_ENOTFOUND);
	put(d->first, "MD1-Gone.json", "../x/MD1-A.json");
	refused(d, "body", "MD1-Gone.json");
	put(d->first, "MD1-Gone.json", "MD1-A.json\nmore.json");
	refused(d, "body", "MD1-Gone.json");
	put(d->first, "MD1-Gone.json", "");
	refused(d, "body", "MD1-Gone.json");
	must(kii_io_publish(gone, "MD1-A.json\0more", 15, 0644, &err));
	refused(d, "body", "MD1-Gone.json");
}

static void a_bad_layout_refuses_the_start(void **state)
{
	struct dirs *d = *state;

	put(d->first, "MD1-A.json", "{");
	refused(d, "body", "MD1-A.json: body: line 1");
	put(d->first, "MD1-A.json", "{" HEADER "}");
	refused(d, "config.matrix", "MD1-A.json: config.matrix: is missing");
	put(d->first, "MD1-A.json", "{" HEADER ",\"matrix\":[" KEY("0x01", "A") ","
		"{\"code\":\"0x02\",\"layers\":{\"1\":{\"key\":\"B\"}}}]}");
	refused(d, "config.matrix[1].layers", "layer 0 is missing");
}

static void a_huge_layout_is_refused(void **state)
{
	struct dirs *d = *state;
	kii_autofree char *text = kii_xmalloc((5 << 20) + 1);
	struct kii_layouts *l = NULL;
	struct kii_error err = { 0 };

	memset(text, ' ', 5 << 20);
	text[5 << 20] = '\0';
	put(d->first, "MD1-A.json", text);
	must_fail(kii_layouts_load(d->both, 2, &l, &err), KII_ETOOBIG);
}

static void too_many_layouts_are_refused(void **state)
{
	struct dirs *d = *state;

	put(d->first, "0.json", OTHER);
	for (int i = 1; i <= 4096; i++) {
		kii_autofree char *from = kii_xfmt("%s/0.json", d->first);
		kii_autofree char *to = kii_xfmt("%s/%d.json", d->first, i);

		assert_int_equal(symlink(from, to), 0);
	}
	refused(d, "", "more than 4096 layouts");
}

#define WITH_DIRS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRS(a_layout_gives_its_facts),
		WITH_DIRS(the_first_folder_wins_and_all_are_sorted),
		WITH_DIRS(names_are_looked_up_exactly),
		WITH_DIRS(missing_folders_are_skipped),
		WITH_DIRS(a_folder_that_is_none_is_an_io_error),
		WITH_DIRS(links_of_both_kinds_are_followed),
		WITH_DIRS(eight_links_in_a_row_are_followed_and_nine_refused),
		WITH_DIRS(links_stay_in_their_folder),
		WITH_DIRS(a_bad_layout_refuses_the_start),
		WITH_DIRS(a_huge_layout_is_refused),
		WITH_DIRS(too_many_layouts_are_refused),
	};

	return cmocka_run_group_tests_name("layouts", tests, NULL, NULL);
}
