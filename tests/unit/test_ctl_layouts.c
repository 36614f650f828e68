/* SPDX-License-Identifier: MIT */
/* kiisrvctl layouts as a process. */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define HEADER(name, layout, base) "\"header\":{\"Name\":\"" name "\",\"Variant\":\"standard\"," \
	"\"Layout\":\"" layout "\",\"Base\":\"" base "\",\"Version\":\"1\",\"Author\":\"a\"," \
	"\"KLL\":\"0.5\",\"Date\":\"d\",\"Generator\":\"g\"}"
#define MATRIX ",\"matrix\":[{\"code\":\"0x01\",\"layers\":{\"0\":{\"key\":\"A\"}}}]"
#define GOOD "{" HEADER("Kira", "Standard", "Standard") MATRIX "}"
#define OTHER "{" HEADER("Kira", "Standard", "Standard") MATRIX ",\"leds\":[" \
	"{\"id\":1,\"x\":0,\"y\":0}]}"
#define NO_BASE "{" HEADER("Kira", "Odd", "None") MATRIX "}"
#define WRONG "{" HEADER("Kira", "Odd", "None") ",\"matrix\":[{\"code\":\"1\",\"layers\":{}}]}"

static struct ctlrun r;
static char *mine;    /* the server's first folder */
static char *theirs;  /* the set */

static void put(const char *dir, const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0600, &err));
}

static void put_link(const char *dir, const char *name, const char *target)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);

	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
	kii_autofree char *conf = NULL;

	(void)state;
	ctlrun_init(&r);
	mine = kii_xfmt("%s/etc/layouts", r.dir);
	theirs = kii_xfmt("%s/theirs", r.dir);
	assert_int_equal(mkdir(theirs, 0700), 0);
	conf = kii_xfmt("[paths]\nlayouts = [\"%s\", \"%s/shipped\"]\n", mine, r.dir);
	put(r.dir, "kiisrv.toml", conf);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ctlrun_release(&r);
	free(mine);
	free(theirs);
	return 0;
}

static void assert_says(const struct kii_buf *text, const char *want)
{
	if (!strstr(text->data, want))
		fail_msg("no \"%s\" in: %s", want, text->data);
}

static void assert_names(const json_t *list, const char *want)
{
	kii_autobuf all = KII_BUF_INIT(10000);
	size_t i;
	json_t *one;

	assert_true(json_is_array(list));
	json_array_foreach(list, i, one)
		kii_buf_fmt(&all, "%s%s", i ? " " : "", json_is_string(one)
			? json_string_value(one) : kii_json_str(one, "file"));
	assert_string_equal(all.data, want);
}

static json_t *answer(void)
{
	json_t *j = json_loads(r.out.data, 0, NULL);

	if (!j)
		fail_msg("no JSON: %s", r.out.data);
	return j;
}

/* What a file of the server's folder holds, or NULL. */
static char *mine_has(const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", mine, name);
	kii_autobuf text = KII_BUF_INIT(100000);
	struct kii_error err = { 0 };

	return kii_io_read(path, &text, &err) == 0 ? kii_buf_steal(&text) : NULL;
}

static void assert_mine(const char *name, const char *want)
{
	kii_autofree char *text = mine_has(name);

	if (want)
		assert_string_equal(text, want);
	else
		assert_null(text);
}

static void no_layouts_are_an_empty_list(void **state)
{
	kii_autojson *list = NULL;

	(void)state;
	assert_int_equal(ctlrun(&r, "layouts", "list"), CTL_OK);
	assert_string_equal(r.out.data, "FILE  NAME  VARIANT  LAYOUT  BASE  KEYS  LEDS  FOLDER\n");
	assert_int_equal(ctlrun(&r, "layouts", "list", "--json"), CTL_OK);
	list = answer();
	assert_int_equal(json_array_size(list), 0);
	assert_int_equal(ctlrun(&r, "layouts", "check"), CTL_OK);
	assert_string_equal(r.out.data, "0 layouts, 0 wrong, 0 that cannot be built\n");
}

static void what_the_server_knows_is_listed(void **state)
{
	kii_autojson *list = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_io_mkdirs(mine, 0700, &err));
	put(mine, "Kira-Standard.json", OTHER);
	put_link(mine, "Kira-Link.json", "Kira-Standard.json");
	assert_int_equal(ctlrun(&r, "layouts", "list"), CTL_OK);
	assert_says(&r.out,
		"\nKira-Link.json      Kira  standard  Standard  Standard  1     1     ");
	assert_int_equal(ctlrun(&r, "layouts", "list", "--json"), CTL_OK);
	list = answer();
	assert_names(list, "Kira-Link.json Kira-Standard.json");
	assert_string_equal(kii_json_str(json_array_get(list, 1), "folder"), mine);
	assert_int_equal(kii_json_int(json_array_get(list, 1), "leds", 0), 1);
	put(mine, "Kira-Bad.json", WRONG);
	assert_int_equal(ctlrun(&r, "layouts", "list"), CTL_BAD_INPUT);
	assert_says(&r.err, "Kira-Bad.json: config.matrix[0].layers: layer 0 is missing");
}

static void a_folder_is_checked_file_by_file(void **state)
{
	kii_autojson *result = NULL;

	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put(theirs, "Kira-Odd.json", NO_BASE);
	assert_int_equal(ctlrun(&r, "layouts", "check", theirs), CTL_OK);
	assert_says(&r.out, "Kira-Odd.json: config.header.Base: ");
	assert_says(&r.out, "\n2 layouts, 0 wrong, 1 that cannot be built\n");
	put(theirs, "Kira-A.json", WRONG);
	put(theirs, "Kira-B.json", "{");
	put(theirs, "-x.json", GOOD);
	put(theirs, "a b\033[2J.json", GOOD);
	put_link(theirs, "Kira-C.json", "Kira-None.json");
	assert_int_equal(ctlrun(&r, "layouts", "check", theirs), CTL_BAD_INPUT);
	assert_says(&r.out, "Kira-A.json: config.matrix[0].layers: layer 0 is missing\n");
	assert_says(&r.out, "Kira-B.json: body: ");
	assert_says(&r.out, "Kira-C.json: ");
	assert_says(&r.out, "a b^[[2J.json: a layout's name");
	assert_says(&r.out, "\n7 layouts, 5 wrong\n");
	assert_int_equal(ctlrun(&r, "--json", "layouts", "check", theirs), CTL_BAD_INPUT);
	result = answer();
	assert_names(json_object_get(result, "wrong"),
		"-x.json Kira-A.json Kira-B.json Kira-C.json a b\033[2J.json");
	assert_names(json_object_get(result, "unbuildable"), "");
	assert_int_equal(kii_json_int(result, "layouts", 0), 7);
	assert_string_equal(kii_json_str(json_array_get(json_object_get(result, "wrong"), 1),
		"field"), "config.matrix[0].layers");
}

static void a_folder_that_is_named_must_be_there(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "layouts", "check", "/nonexistent"), CTL_FAILED);
	assert_says(&r.err, "/nonexistent");
	assert_int_equal(ctlrun(&r, "layouts", "check", "/dev/null"), CTL_FAILED);
	assert_int_equal(ctlrun(&r, "layouts", "import", "/nonexistent"), CTL_FAILED);
	put(r.dir, "etc", "");   /* one of the server's that is no folder */
	assert_int_equal(ctlrun(&r, "layouts", "check"), CTL_FAILED);
	assert_says(&r.err, "etc/layouts");
}

static void a_set_is_taken_over_whole(void **state)
{
	kii_autofree char *link = kii_xfmt("%s/Kira-Link.json", mine);
	kii_autofree char *file = kii_xfmt("%s/Kira-Standard.json", mine);
	char target[100] = "";
	struct stat st;

	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put_link(theirs, "Kira-Link.json", "Kira-Standard.json");
	put(theirs, "Kira-Text.json", "Kira-Standard.json\n");
	put(theirs, "README.md", "no layout");
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_OK);
	assert_says(&r.out, "added    Kira-Link.json -> Kira-Standard.json\n");
	assert_says(&r.out, ": 3 added, 0 changed, 0 as they were\n");
	assert_says(&r.out, "systemctl reload kiisrv\n");
	assert_mine("Kira-Standard.json", GOOD);
	assert_mine("Kira-Text.json", "Kira-Standard.json\n");
	assert_mine("README.md", NULL);
	assert_int_equal(readlink(link, target, sizeof(target) - 1), 18);
	assert_string_equal(target, "Kira-Standard.json");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(ctlrun(&r, "layouts", "check"), CTL_OK);
	assert_says(&r.out, "3 layouts, 0 wrong, 0 that cannot be built\n");
}

static void only_what_differs_is_written(void **state)
{
	kii_autojson *result = NULL;
	kii_autofree char *file = kii_xfmt("%s/Kira-Same.json", mine);
	struct stat before, after;

	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put(theirs, "Kira-Same.json", GOOD);
	put(theirs, "Kira-File.json", GOOD);
	put_link(theirs, "Kira-Link.json", "Kira-Standard.json");
	put_link(theirs, "Kira-Moved.json", "Kira-Standard.json");
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_OK);
	put(mine, "Kira-Own.json", GOOD);
	assert_int_equal(stat(file, &before), 0);
	put(theirs, "Kira-Standard.json", OTHER);
	put_link(theirs, "Kira-Moved.json", "Kira-Same.json");
	put_link(theirs, "Kira-File.json", "Kira-Same.json");
	assert_int_equal(ctlrun(&r, "--json", "layouts", "import", theirs), CTL_OK);
	result = answer();
	assert_names(json_object_get(result, "added"), "");
	assert_names(json_object_get(result, "changed"),
		"Kira-File.json Kira-Moved.json Kira-Standard.json");
	assert_int_equal(kii_json_int(result, "same", 0), 2);
	assert_string_equal(kii_json_str(result, "folder"), mine);
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_mine("Kira-Moved.json", GOOD);
	assert_mine("Kira-Link.json", OTHER);
	assert_mine("Kira-Own.json", GOOD);
	put(theirs, "Kira-File.json", GOOD);   /* the link that is there becomes a file again */
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_OK);
	assert_says(&r.out, "changed  Kira-File.json\n");
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_OK);
	assert_says(&r.out, ": 0 added, 0 changed, 5 as they were\n");
	assert_null(strstr(r.out.data, "eload"));
}

static void a_dry_run_writes_nothing(void **state)
{
	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	assert_int_equal(ctlrun(&r, "layouts", "import", "--dry-run", theirs), CTL_OK);
	assert_says(&r.out, "added    Kira-Standard.json\n");
	assert_says(&r.out, ": 1 would be added, 0 changed, 0 as they were\n");
	assert_null(strstr(r.out.data, "eload"));
	assert_int_equal(access(mine, F_OK), -1);
}

static void a_set_with_a_wrong_layout_is_left_whole(void **state)
{
	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put(theirs, "Kira-Wrong.json", WRONG);
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_says(&r.out, "Kira-Wrong.json: config.matrix[0].layers: layer 0 is missing\n");
	assert_says(&r.err, "nothing was taken over: 1 of the layouts");
	assert_int_equal(ctlrun(&r, "--json", "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_string_equal(r.out.data, "");
	assert_says(&r.err, "\"code\":\"bad_request\"");
	assert_int_equal(access(mine, F_OK), -1);
}

static void links_out_of_the_set_are_refused(void **state)
{
	kii_autofree char *outside = kii_xfmt("%s/secret.json", r.dir);

	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put(r.dir, "secret.json", GOOD);
	put_link(theirs, "Kira-Out.json", outside);
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_says(&r.err, "links must be to other layouts of the folder");
	put_link(theirs, "Kira-Out.json", "../secret.json");
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_int_equal(access(mine, F_OK), -1);
}

static void an_empty_or_own_folder_is_refused(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_says(&r.err, "there are no layouts in");
	must(kii_io_mkdirs(mine, 0700, &err));
	put(mine, "Kira-Standard.json", GOOD);
	assert_int_equal(ctlrun(&r, "layouts", "import", mine), CTL_BAD_INPUT);
	assert_says(&r.err, "is the server's own folder");
}

static void what_cannot_be_written_is_told(void **state)
{
	kii_autofree char *busy = kii_xfmt("%s/Kira-Standard.json", mine);
	kii_autofree char *link = kii_xfmt("%s/Kira-Link.json", mine);
	struct kii_error err = { 0 };

	(void)state;
	put(theirs, "Kira-Standard.json", GOOD);
	put_link(theirs, "Kira-Link.json", "Kira-Standard.json");
	must(kii_io_mkdirs(busy, 0700, &err));   /* a folder has the name */
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_FAILED);
	assert_says(&r.err, "Kira-Standard.json");
	assert_int_equal(rmdir(busy), 0);
	must(kii_io_mkdirs(link, 0700, &err));
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_FAILED);
	assert_says(&r.err, "Kira-Link.json");
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_OK);
	test_dir_remove(mine);
	put(r.dir, "etc/layouts", "");
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_FAILED);
	assert_says(&r.err, "layouts");
}

static void a_wrong_command_line_is_told(void **state)
{
	(void)state;
	assert_int_equal(ctlrun(&r, "layouts", "list", "x"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "layouts", "check", "x", "y"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "layouts", "import"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "layouts", "import", "x", "y"), CTL_USAGE);
	assert_int_equal(ctlrun(&r, "layouts", "import", "--wet", "x"), CTL_USAGE);
	assert_says(&r.err, "--wet");
}

static void a_wrong_configuration_is_told(void **state)
{
	(void)state;
	put(r.dir, "kiisrv.toml", "[nowhere]\n");
	assert_int_equal(ctlrun(&r, "layouts", "list"), CTL_BAD_INPUT);
	assert_int_equal(ctlrun(&r, "layouts", "check"), CTL_BAD_INPUT);
	assert_int_equal(ctlrun(&r, "layouts", "import", theirs), CTL_BAD_INPUT);
	assert_says(&r.err, "nowhere");
}

#define with_run(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_run(no_layouts_are_an_empty_list),
		with_run(what_the_server_knows_is_listed),
		with_run(a_folder_is_checked_file_by_file),
		with_run(a_folder_that_is_named_must_be_there),
		with_run(a_set_is_taken_over_whole),
		with_run(only_what_differs_is_written),
		with_run(a_dry_run_writes_nothing),
		with_run(a_set_with_a_wrong_layout_is_left_whole),
		with_run(links_out_of_the_set_are_refused),
		with_run(an_empty_or_own_folder_is_refused),
		with_run(what_cannot_be_written_is_told),
		with_run(a_wrong_command_line_is_told),
		with_run(a_wrong_configuration_is_told),
	};

	return cmocka_run_group_tests_name("ctl_layouts", tests, NULL, NULL);
}
