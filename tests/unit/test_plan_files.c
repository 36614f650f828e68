/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "plan_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"

static char *dir;
static int fd = -1;
static struct kii_tree *tree;

static int open_tree(void **state)
{
	(void)state;
	dir = test_dir_new();
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tree = kii_tree_new(fd);
	return 0;
}

static int close_tree(void **state)
{
	(void)state;
	kii_tree_free(tree);
	close(fd);
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static void put(const char *path, const char *text)
{
	kii_autofree char *whole = kii_xfmt("%s/%s", dir, path);
	kii_autofree char *folder = kii_xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));
	struct kii_error err = { 0 };
	FILE *out;

	must(kii_io_mkdirs(folder, 0755, &err));
	out = fopen(whole, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
	assert_int_equal(fclose(out), 0);
}

static void put_link(const char *path, const char *target)
{
	kii_autofree char *whole = kii_xfmt("%s/%s", dir, path);

	assert_int_equal(symlink(target, whole), 0);
}

static void paths_stay_inside(void **state)
{
	static const char *const good[] = { "a", "a/b", "./a", "a//b", "a..b", "..a", "a/...",
		"." };
	static const char *const bad[] = { "", "/", "/a", "..", "../a", "a/..", "a/../b", "a\nb",
		"a\x7f" };
	kii_autofree char *long_one = kii_xmalloc(600);

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++)
		assert_true(kii_tree_inside(good[i]));
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		assert_false(kii_tree_inside(bad[i]));
	memset(long_one, 'a', 599);
	long_one[599] = '\0';
	assert_false(kii_tree_inside(long_one));
}

static void files_and_folders_are_told_apart(void **state)
{
	(void)state;
	put("a/b.txt", "x");
	assert_true(kii_tree_has(tree, "a/b.txt"));
	assert_true(kii_tree_has(tree, "./a//b.txt"));
	assert_false(kii_tree_has(tree, "a"));
	assert_true(kii_tree_folder(tree, "a"));
	assert_true(kii_tree_folder(tree, "."));
	assert_false(kii_tree_folder(tree, "a/b.txt"));
	assert_false(kii_tree_has(tree, "a/b.txt/c"));
	assert_false(kii_tree_has(tree, "../a"));
	assert_false(kii_tree_folder(tree, ".."));
}

/* At the end, on the way, out of the root, and within it. */
static void no_link_is_followed(void **state)
{
	(void)state;
	put("real/x", "x");
	put_link("file", "/etc/passwd");
	put_link("folder", "/etc");
	put_link("up", "..");
	put_link("inside", "real");
	assert_false(kii_tree_has(tree, "file"));
	assert_false(kii_tree_folder(tree, "folder"));
	assert_false(kii_tree_has(tree, "folder/passwd"));
	assert_false(kii_tree_has(tree, "up/etc/passwd"));
	assert_false(kii_tree_has(tree, "inside/x"));
	assert_null(kii_tree_peek(tree, "file"));
	assert_null(kii_tree_peek(tree, "folder/passwd"));
	assert_null(kii_tree_peek(tree, "inside/x"));
	assert_string_equal(kii_tree_peek(tree, "real/x"), "x");
}

static void text_is_read_once(void **state)
{
	struct kii_error err = { 0 };
	const char *text = NULL, *again = NULL;

	(void)state;
	put("a", "one");
	must(kii_tree_text(tree, "a", &text, &err));
	assert_string_equal(text, "one");
	put("a", "two");
	must(kii_tree_text(tree, "a", &again, &err));
	assert_ptr_equal(text, again);
	must(kii_tree_text(tree, "none", &text, &err));
	assert_null(text);
}

static void what_is_too_much_is_refused(void **state)
{
	kii_autofree char *text = kii_xmalloc(KII_TREE_FILE + 1);
	struct kii_error err = { 0 };
	const char *out = NULL;
	int failed = 0;

	(void)state;
	memset(text, 'x', KII_TREE_FILE);
	text[KII_TREE_FILE] = '\0';
	for (int i = 0; i < 33; i++) {
		kii_autofree char *name = kii_xfmt("f%d", i);

		put(name, text);
		if (kii_tree_text(tree, name, &out, &err) == 0)
			continue;
		assert_int_equal(err.code, KII_ETOOBIG);
		kii_error_clear(&err);
		failed++;
	}
	assert_int_equal(failed, 1);
}

static void what_may_not_be_read_is_an_error(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/a", dir);
	struct kii_error err = { 0 };
	const char *text = NULL;
	bool root = geteuid() == 0;
	int rc;

	(void)state;
	put("a", "x");
	assert_int_equal(chmod(path, 0), 0);
	/* root reads everything, nobody does not */
	if (root)
		assert_int_equal(seteuid(65534), 0);
	rc = kii_tree_text(tree, "a", &text, &err);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, KII_EIO);
}

static void documents_become_values(void **state)
{
	static const struct { const char *path, *text, *want; } rows[] = {
		{ "a.json", "\xef\xbb\xbf{\"a\": 1}", "{\"a\":1}" },
		{ "a.jsonc", "{\"a\": [1, /* x */ 2,], // y\n \"b\": \"/*no*/ //, }\\\"\",}",
		  "{\"a\":[1,2],\"b\":\"/*no*/ //, }\\\"\"}" },
		{ "a.toml", "a = 1\nb = [true, 1.5, 1979-05-27, 'x', \"y\\u0000\"]\n[c]\nd = inf\n"
		  "\"k\\u0000\" = 1\n",
		  "{\"a\":1,\"b\":[true,1.5,\"1979-05-27\",\"x\",null],\"c\":{\"d\":null}}" },
		{ "a.yaml", "a: 1\nb: [x, \"y\", {c: d}]\n? [q]\n: 1\n? {r: s}\n: 2\ne: *f\n",
		  "{\"a\":\"1\",\"b\":[\"x\",\"y\",{\"c\":\"d\"}],\"e\":null}" },
		{ "b.yml", "", "{}" },
		{ "c.yml", "# nothing\n", "{}" },
		{ "d.yml", "text", "\"text\"" },
		{ "e.yml", "a: |\n  b\n  c\n", "{\"a\":\"b\\nc\\n\"}" },
		{ "Pipfile", "a = 'b'", "{\"a\":\"b\"}" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_error err = { 0 };
		const json_t *data = NULL;
		kii_autofree char *text = NULL;

		put(rows[i].path, rows[i].text);
		must(kii_tree_data(tree, rows[i].path, &data, &err));
		text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
		if (!text || strcmp(text, rows[i].want) != 0)
			fail_msg("%s: %s, not %s", rows[i].path, text ? text : "none",
				rows[i].want);
	}
}

static void documents_that_are_none_are_refused(void **state)
{
	static const struct { const char *path, *text; } rows[] = {
		{ "a.json", "{" }, { "b.json", "" }, { "c.json", "{\"a\":1,\"a\":2}" },
		{ "a.jsonc", "{\"a\": /* }" }, { "b.jsonc", "{\"a\" 1}" }, { "a.toml", "a" },
		{ "a.yaml", "a: [" }, { "b.yaml", "a: b: c" }, { "c.yaml", "\"\xff\"" },
		{ "d.yaml", "a: 1\na: 2" }, { "e.yaml", "\tx: 1" },
		/* by which the library never comes to an end */
		{ "f.yaml", "%\xab\xe9nc/\nx" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_error err = { 0 };
		const json_t *data = NULL;

		put(rows[i].path, rows[i].text);
		if (kii_tree_data(tree, rows[i].path, &data, &err) == 0)
			fail_msg("%s is taken", rows[i].path);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, rows[i].path);
		kii_error_clear(&err);
		/* and again, from what was kept */
		must_fail(kii_tree_data(tree, rows[i].path, &data, &err), KII_EINVAL);
		assert_null(kii_tree_look(tree, rows[i].path));
	}
}

static void yaml_has_a_cap_of_its_own(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	const json_t *data = NULL;

	(void)state;
	for (int i = 0; text.len <= KII_TREE_YAML; i++)
		kii_buf_fmt(&text, "k%d: [a]\n", i);
	put("big.yaml", text.data);
	must_fail(kii_tree_data(tree, "big.yaml", &data, &err), KII_ETOOBIG);
	text.data[KII_TREE_YAML - 20] = '\0';
	*strrchr(text.data, '\n') = '\0';
	put("fits.yaml", text.data);
	must(kii_tree_data(tree, "fits.yaml", &data, &err));
	assert_true(json_object_size(data) > 5000);
}

static void globs_find_in_one_order(void **state)
{
	static const char *const paths[] = { "b/x.go", "a/x.go", "x.go", "a/b/x.go", "a/.x.go",
		"node_modules/x.go", "vendor/x.go", "a b/x.go", "-a/x.go", "a/$x.go",
		"1/2/3/4/5/x.go", "1/2/3/4/5/6/x.go" };
	kii_autotexts found = { 0 };
	kii_autofree char *all = NULL;
	kii_autofree char *first = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(paths); i++)
		put(paths[i], "");
	put_link("c", "a");
	put_link("l.go", "x.go");
	kii_tree_glob(tree, "*.go", &found);
	kii_tree_glob(tree, "*/*.go", &found);
	kii_tree_glob(tree, "*/*/*.go", &found);
	kii_tree_glob(tree, "1/2/3/4/5/*.go", &found);
	kii_tree_glob(tree, "1/2/3/4/5/6/*.go", &found);
	all = kii_texts_join(&found, " ");
	assert_string_equal(all, "x.go a/x.go b/x.go a/b/x.go 1/2/3/4/5/x.go");
	first = kii_tree_first(tree, "*/x.go");
	assert_string_equal(first, "a/x.go");
	assert_null(kii_tree_first(tree, "*.rs"));
}

static void globs_know_so_many_names_and_no_more(void **state)
{
	kii_autotexts found = { 0 };
	kii_autotexts all = { 0 };
	kii_autofree char *folder = kii_xfmt("%s/many", dir);

	(void)state;
	assert_int_equal(mkdir(folder, 0755), 0);
	for (int i = 0; i < KII_TREE_NAMES + 500; i++) {
		kii_autofree char *path = kii_xfmt("%s/f%d", folder, i);

		assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	}
	put("top", "");
	kii_tree_glob(tree, "*", &found);
	assert_int_equal(found.n, 1);
	kii_tree_glob(tree, "many/*", &all);
	assert_int_equal(all.n, KII_TREE_NAMES - 2);
}

static void words_are_whole(void **state)
{
	(void)state;
	put("a", "pg-x pgx\nxpg my_pg\n  pg (1.0)\n");
	assert_true(kii_tree_mentions(tree, "a", "pg"));
	put("b", "pg-x pgx\nxpg my_pg pg");
	assert_true(kii_tree_mentions(tree, "b", "pg"));
	put("c", "pg-x pgx\nxpg my_pg");
	assert_false(kii_tree_mentions(tree, "c", "pg"));
	assert_false(kii_tree_mentions(tree, "none", "pg"));
}

static void lines_and_tools(void **state)
{
	kii_autofree char *line = NULL;
	kii_autofree char *tool = NULL;

	(void)state;
	put("v", "\n  # x\r\n\t v18 \r\n20\n");
	line = kii_tree_line(tree, "v");
	assert_string_equal(line, "v18");
	put("e", "\n#\n");
	assert_null(kii_tree_line(tree, "e"));
	assert_null(kii_tree_line(tree, "none"));
	put(".tool-versions", "nodejs\nnodejsx 1\n nodejs \t20.1 18 \r\nruby 3 # x\n");
	tool = kii_tree_tool(tree, "nodejs");
	assert_string_equal(tool, "20.1");
	assert_null(kii_tree_tool(tree, "go"));
}

static void members_are_found_by_their_path(void **state)
{
	kii_autojson *data = json_pack("{s:{s:{s:s, s:i, s:s}}}", "a", "b", "c", "text", "n", 1,
		"e", "");

	(void)state;
	assert_string_equal(kii_data_text(data, "a.b.c"), "text");
	assert_null(kii_data_text(data, "a.b.n"));
	assert_null(kii_data_text(data, "a.b.e"));
	assert_null(kii_data_text(data, "a.x.c"));
	assert_null(kii_data_text(data, "a.b.c.d"));
	assert_null(kii_data_text(NULL, "a"));
	assert_ptr_equal(kii_data_at(data, ""), data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_tree, close_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_stay_inside), TEST(files_and_folders_are_told_apart),
		TEST(no_link_is_followed), TEST(text_is_read_once),
		TEST(what_is_too_much_is_refused), TEST(what_may_not_be_read_is_an_error),
		TEST(documents_become_values), TEST(documents_that_are_none_are_refused),
		TEST(yaml_has_a_cap_of_its_own), TEST(globs_find_in_one_order),
		TEST(globs_know_so_many_names_and_no_more), TEST(words_are_whole),
		TEST(lines_and_tools), TEST(members_are_found_by_their_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
