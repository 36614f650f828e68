/* SPDX-License-Identifier: MIT */
/*
 * Plans of small projects, which are written down in tests/plan/<name>.cases:
 *
 *   @case NAME            a new project
 *   @file PATH            its file; the lines below, up to the next line with @
 *   @opt NAME=VALUE       of the request: start_command, build_command, kind, output_dir,
 *                         nginx_config, is_spa, provider; "env NAME=VALUE" is a variable
 *   @want LINE            a line of the plan as `render` writes it; * stands for anything
 *   @not TEXT             stands nowhere in it
 *   @error CODE FIELD TEXT   it is refused: the stable word, the field (- for none), part of the text
 */
#include <config.h>

#include "plan.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"

#define RENDERED_MAX (8u << 20)

static char *dir;

static int make_folder(void **state)
{
	(void)state;
	dir = test_dir_new();
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(dir);
	return 0;
}

static void write_file(const char *path, const char *text, size_t len)
{
	kii_autofree char *whole = kii_xfmt("%s/%s", dir, path);
	kii_autofree char *folder = kii_xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));
	struct kii_error err = { 0 };
	FILE *out;

	must(kii_io_mkdirs(folder, 0755, &err));
	out = fopen(whole, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}

static int make_plan(const struct kii_plan_opts *opts, struct kii_plan **plan,
	struct kii_error *err)
{
	kii_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return kii_plan_make(fd, opts, plan, err);
}

static void render_list(struct kii_buf *out, const char *word, const struct kii_texts *list)
{
	for (size_t i = 0; i < list->n; i++)
		kii_buf_fmt(out, "%s %s\n", word, list->items[i]);
}

static void render_lines(struct kii_buf *out, const char *word, const char *text)
{
	for (size_t n; *text; text += n + (text[n] ? 1 : 0)) {
		n = strcspn(text, "\n");
		kii_buf_fmt(out, "%s %.*s\n", word, (int)n, text);
	}
}

static void render(const struct kii_plan *plan, struct kii_buf *out)
{
	const char *name;
	json_t *value;

	render_list(out, "provider", &plan->providers);
	for (size_t i = 0; i < plan->n_versions; i++)
		kii_buf_fmt(out, "version %s %s from %s\n", plan->versions[i].name,
			plan->versions[i].value, plan->versions[i].source);
	render_list(out, "setup", &plan->setup);
	render_list(out, "install", &plan->install);
	render_list(out, "build", &plan->build);
	kii_buf_fmt(out, "start %s\n", plan->start);
	json_object_foreach(plan->variables, name, value)
		kii_buf_fmt(out, "env %s=%s\n", name, json_string_value(value));
	render_list(out, "image", &plan->images);
	render_list(out, "note", &plan->notes);
	render_lines(out, "|", plan->dockerfile);
	render_lines(out, "<", plan->ignore_before);
	render_lines(out, ">", plan->ignore_after);
}

struct project {
	char name[120];
	struct kii_plan_opts opts;
	json_t *variables, *providers;
	struct kii_texts wants, nots, kept;
	char *error;
};

/* The text lives as long as the project. */
static const char *keep(struct project *p, const char *text)
{
	kii_texts_add(&p->kept, text);
	return p->kept.items[p->kept.n - 1];
}

static void take_option(struct project *p, const char *line)
{
	const char *sign = strchr(line, '=');
	kii_autofree char *name = NULL;
	const char *value;

	if (!sign)
		fail_msg("%s: @opt %s", p->name, line);
	name = kii_xstrndup(line, (size_t)(sign - line));
	value = keep(p, sign + 1);
	if (strcmp(name, "start_command") == 0)
		p->opts.start_command = value;
	else if (strcmp(name, "build_command") == 0)
		p->opts.build_command = value;
	else if (strcmp(name, "kind") == 0)
		p->opts.kind = strcmp(value, "static") == 0 ? KII_PLAN_STATIC : KII_PLAN_NIXPACKS;
	else if (strcmp(name, "output_dir") == 0)
		p->opts.output_dir = value;
	else if (strcmp(name, "nginx_config") == 0)
		p->opts.nginx_config = value;
	else if (strcmp(name, "is_spa") == 0)
		p->opts.is_spa = strcmp(value, "true") == 0;
	else if (strcmp(name, "provider") == 0)
		json_array_append_new(p->providers, json_string(value));
	else if (strncmp(name, "env ", 4) == 0)
		json_object_set_new(p->variables, name + 4, json_string(value));
	else
		fail_msg("%s: @opt %s", p->name, line);
}

static bool has_line(const char *text, const char *pattern)
{
	for (size_t n; *text; text += n + 1) {
		kii_autofree char *line = NULL;

		n = strcspn(text, "\n");
		line = kii_xstrndup(text, n);
		/* brackets and backslashes are what they are */
		if (strcmp(line, pattern) == 0 ||
		    (strchr(pattern, '*') && !strpbrk(pattern, "[\\?") &&
		     fnmatch(pattern, line, 0) == 0))
			return true;
	}
	return false;
}

static void check_plan(const struct project *p, const struct kii_plan *plan)
{
	kii_autobuf text = KII_BUF_INIT(RENDERED_MAX);
	kii_autojson *all = kii_plan_json(plan);

	assert_non_null(all);
	assert_string_equal(kii_json_str(all, "dockerfile"), plan->dockerfile);
	render(plan, &text);
	for (size_t i = 0; i < p->wants.n; i++) {
		if (!has_line(text.data, p->wants.items[i]))
			fail_msg("%s: no line: %s\n%s", p->name, p->wants.items[i], text.data);
	}
	for (size_t i = 0; i < p->nots.n; i++) {
		if (strstr(text.data, p->nots.items[i]))
			fail_msg("%s: there is: %s\n%s", p->name, p->nots.items[i], text.data);
	}
	if (!p->wants.n && !p->nots.n)
		fail_msg("%s: nothing is wanted", p->name);
}

static void check_error(const struct project *p, const struct kii_error *err)
{
	char word[32] = "", field[128] = "";
	int n = 0;

	if (sscanf(p->error, "%31s %127s %n", word, field, &n) < 2)
		fail_msg("%s: @error %s", p->name, p->error);
	if (strcmp(word, kii_code_word(err->code)) != 0 ||
	    strcmp(field, *err->field ? err->field : "-") != 0 || !strstr(err->msg, p->error + n))
		fail_msg("%s: %s, field %s: %s", p->name, kii_code_word(err->code), err->field,
			err->msg);
}

static void finish(struct project *p)
{
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	p->opts.variables = p->variables;
	p->opts.providers = p->providers;
	if (make_plan(&p->opts, &plan, &err) == 0) {
		if (p->error)
			fail_msg("%s: is planned: %s", p->name, plan->dockerfile);
		assert_int_equal(err.code, KII_OK);
		check_plan(p, plan);
	} else {
		assert_null(plan);
		if (!p->error)
			fail_msg("%s: %s (field %s)", p->name, err.msg, err.field);
		check_error(p, &err);
	}
	kii_plan_free(plan);
	json_decref(p->variables);
	json_decref(p->providers);
	kii_texts_release(&p->wants);
	kii_texts_release(&p->nots);
	kii_texts_release(&p->kept);
	free(p->error);
	memset(p, 0, sizeof(*p));
	test_dir_remove(dir);
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void begin(struct project *p, const char *name)
{
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->variables = json_object();
	p->providers = json_array();
}

/* The value of a line "@word value", or NULL. */
static const char *directive(const char *line, const char *word)
{
	size_t len = strlen(word);

	if (line[0] != '@' || strncmp(line + 1, word, len) != 0 ||
	    (line[len + 1] && line[len + 1] != ' '))
		return NULL;
	return line[len + 1] ? line + len + 2 : line + len + 1;
}

static void take_line(struct project *p, const char *line)
{
	const char *value;

	if ((value = directive(line, "opt")))
		take_option(p, value);
	else if ((value = directive(line, "want")))
		kii_texts_add(&p->wants, value);
	else if ((value = directive(line, "not")))
		kii_texts_add(&p->nots, value);
	else if ((value = directive(line, "error")))
		p->error = kii_xstrdup(value);
	else
		fail_msg("%s: %s", p->name, line);
}

/* Where the lines of a file end: at the next that begins with @. */
static const char *end_of_file(const char *text)
{
	while (*text && *text != '@') {
		text += strcspn(text, "\n");
		text += *text ? 1 : 0;
	}
	return text;
}

static void run_cases(const char *name)
{
	kii_autofree char *file = kii_xfmt("tests/plan/%s.cases", name);
	kii_autofree char *path = test_source(file);
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	struct project p = { .name = "" };
	const char *at;

	must(kii_io_read(path, &text, &err));
	for (at = text.data; *at; ) {
		size_t n = strcspn(at, "\n");
		kii_autofree char *line = kii_xstrndup(at, n);
		const char *value;

		at += n + (at[n] ? 1 : 0);
		if (!*line || *line == '#')
			continue;
		if ((value = directive(line, "case"))) {
			if (*p.name)
				finish(&p);
			begin(&p, value);
		} else if ((value = directive(line, "file"))) {
			const char *end = end_of_file(at);

			write_file(value, at, (size_t)(end - at));
			at = end;
		} else {
			take_line(&p, line);
		}
	}
	finish(&p);
}

#define CASES(name) static void name(void **state) { (void)state; run_cases(#name); }
CASES(clojure) CASES(crystal) CASES(dart) CASES(deno) CASES(dotnet) CASES(elixir) CASES(gleam)
CASES(go) CASES(haskell) CASES(java) CASES(node) CASES(node_sites) CASES(php) CASES(python)
CASES(python_web) CASES(ruby) CASES(rust) CASES(scala) CASES(shell) CASES(swift) CASES(zig)
CASES(site) CASES(static_files) CASES(config) CASES(procfile) CASES(variables) CASES(hostile)

static const struct kii_plan_opts plain = { .kind = KII_PLAN_NIXPACKS };

static void links_lead_nowhere(void **state)
{
	kii_autofree char *file = kii_xfmt("%s/package.json", dir);
	kii_autofree char *folder = kii_xfmt("%s/public", dir);
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_int_equal(symlink("/etc", folder), 0);
	must_fail(make_plan(&plain, &plan, &err), KII_ENOTFOUND);
	write_file("index.html", "x", 1);
	must(make_plan(&plain, &plan, &err));
	assert_string_equal(plan->providers.items[0], "static");
	kii_plan_free(plan);
}

static void what_is_no_file_is_not_there(void **state)
{
	kii_autofree char *fifo = kii_xfmt("%s/package.json", dir);
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_file("go.mod/x", "", 0);
	must_fail(make_plan(&plain, &plan, &err), KII_ENOTFOUND);
}

static void a_file_that_is_too_large_is_named(void **state)
{
	size_t len = (1 << 20) + 1;
	kii_autofree char *text = kii_xmalloc(len);
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	memset(text, ' ', len);
	write_file("package.json", text, len);
	if (make_plan(&plain, &plan, &err) == 0)
		fail_msg("is planned");
	assert_int_equal(err.code, KII_ETOOBIG);
	assert_string_equal(err.field, "package.json");
	kii_error_clear(&err);
	write_file("package.json", "{}", 2);
	write_file("Procfile", text, len);
	must_fail(make_plan(&plain, &plan, &err), KII_ETOOBIG);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	write_file("package.json", "{}\0x", 4);
	must_fail(make_plan(&plain, &plan, &err), KII_EINVAL);
	write_file("package.json", "{\"scripts\":{\"start\":\"\xff\"}}", 26);
	must_fail(make_plan(&plain, &plan, &err), KII_EINVAL);
	write_file("package.json", "{}", 2);
	write_file("Procfile", "web: \xc3\n", 7);
	must_fail(make_plan(&plain, &plan, &err), KII_EINVAL);
}

/* Depth, numbers of files, and names that nobody could type. */
static void large_and_deep_trees_are_planned(void **state)
{
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };
	kii_autobuf deep = KII_BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 400; i++)
		kii_buf_str(&deep, "d/");
	kii_buf_str(&deep, "go.mod");
	write_file(deep.data, "", 0);
	for (int i = 0; i < 1000; i++) {
		kii_autofree char *path = kii_xfmt("src/p%d/f%d.go", i % 40, i);

		write_file(path, "package x\n", 10);
	}
	write_file("cmd/$(id)/main.go", "package main\n", 13);
	write_file("cmd/ok/main.go", "package main\n", 13);
	write_file("go.mod", "module m\n", 9);
	must(make_plan(&plain, &plan, &err));
	assert_string_equal(plan->build.items[0],
		"go build -ldflags='-s -w' -o out ./cmd/ok");
	assert_null(strstr(plan->dockerfile, "$(id)"));
	kii_plan_free(plan);
}

/* The whole is long, but no line of it may be too long for a builder. */
static void a_line_that_no_builder_takes_is_refused(void **state)
{
	kii_autofree char *long_one = kii_xmalloc(16001);
	kii_autojson *variables = json_object();
	struct kii_plan_opts opts = { .start_command = long_one, .variables = variables };
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	memset(long_one, '\t', 16000);
	long_one[0] = 'x';
	long_one[16000] = '\0';
	write_file("start.sh", "", 0);
	must(make_plan(&opts, &plan, &err));
	kii_plan_free(plan);
	plan = NULL;
	for (int i = 0; i < 255; i++) {
		kii_autofree char *name = kii_xfmt("V%d", i);
		kii_autofree char *value = kii_xmalloc(8001);

		memset(value, '"', 8000);
		value[8000] = '\0';
		json_object_set_new(variables, name, json_string(value));
	}
	must_fail(make_plan(&opts, &plan, &err), KII_ETOOBIG);
}

/* The configuration's images stand in the defaults' place, with the version or without. */
static void base_images_can_be_replaced(void **state)
{
	struct kii_bases bases = { 0 };
	struct kii_plan_opts opts = { .images = &bases };
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_bases_set(&bases, "node", "mirror.example:5000/n:{version}-x", "f:1", &err));
	must(kii_bases_set(&bases, "node-run", "local@sha256:ab", "f:2", &err));
	must_fail(kii_bases_set(&bases, "nodd", "x", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "x y", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "-x", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "x{version}\nRUN id", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "x{version}{version}", "f:3", &err), KII_EINVAL);
	must_fail(kii_bases_set(&bases, "node", "{version}", "f:3", &err), KII_EINVAL);
	write_file("package.json", "{\"engines\":{\"node\":\"18\"}}", 25);
	write_file("index.js", "", 0);
	must(make_plan(&opts, &plan, &err));
	assert_non_null(strstr(plan->dockerfile, "FROM mirror.example:5000/n:18-x AS build\n"));
	assert_non_null(strstr(plan->dockerfile, "FROM local@sha256:ab\n"));
	assert_int_equal(plan->images.n, 2);
	kii_plan_free(plan);
	kii_bases_release(&bases);
}

static void every_name_of_a_base_image_is_known_once(void **state)
{
	const struct kii_base *one;
	const char *last = "";
	size_t n = 0;

	(void)state;
	for (; (one = kii_bases_known(n)); n++) {
		assert_true(strcmp(last, one->name) < 0);
		last = one->name;
	}
	assert_true(n > 25);
}

static void the_providers_have_names(void **state)
{
	const char *const *names = kii_plan_providers();
	size_t n = 0;

	(void)state;
	while (names[n])
		n++;
	assert_int_equal(n, 20);
}

static void requests_of_the_wrong_types_are_refused(void **state)
{
	kii_autojson *list = json_pack("[i]", 1);
	kii_autojson *object = json_pack("{s:i}", "X", 1);
	const struct kii_plan_opts bad[] = {
		{ .variables = list }, { .variables = object }, { .providers = object },
		{ .providers = list },
	};
	struct kii_plan *plan = NULL;
	struct kii_error err = { 0 };

	(void)state;
	write_file("start.sh", "", 0);
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(make_plan(&bad[i], &plan, &err), KII_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clojure), TEST(crystal), TEST(dart), TEST(deno), TEST(dotnet), TEST(elixir),
		TEST(gleam), TEST(go), TEST(haskell), TEST(java), TEST(node), TEST(node_sites),
		TEST(php), TEST(python), TEST(python_web), TEST(ruby), TEST(rust), TEST(scala),
		TEST(shell), TEST(swift), TEST(zig), TEST(site), TEST(static_files), TEST(config),
		TEST(procfile), TEST(variables), TEST(hostile), TEST(links_lead_nowhere),
		TEST(what_is_no_file_is_not_there), TEST(a_file_that_is_too_large_is_named),
		TEST(bytes_that_are_no_text_are_refused), TEST(large_and_deep_trees_are_planned),
		TEST(a_line_that_no_builder_takes_is_refused), TEST(base_images_can_be_replaced),
		TEST(every_name_of_a_base_image_is_known_once), TEST(the_providers_have_names),
		TEST(requests_of_the_wrong_types_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
