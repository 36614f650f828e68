/* SPDX-License-Identifier: MIT */
/* kiisrvctl as a process: its texts and exit statuses. */
#include <config.h>

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "testlib.h"

static char *dir;
static char *file;
static char *program;
static struct kii_buf out = KII_BUF_INIT(1 << 20);
static struct kii_buf err_out = KII_BUF_INIT(1 << 20);

static int make_folder(void **state)
{
	const char *top = getenv("KII_BUILDDIR");

	(void)state;
	unsetenv("KIISRV_CONFIG");
	unsetenv("DOCKER_HOST");
	unsetenv("DOCKER_TLS_VERIFY");
	unsetenv("DOCKER_CERT_PATH");
	dir = test_dir_new();
	file = kii_xfmt("%s/kiisrv.toml", dir);
	program = kii_xfmt("%s/kiisrvctl", top ? top : ".");
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(program);
	free(file);
	free(dir);
	kii_buf_release(&out);
	kii_buf_release(&err_out);
	return 0;
}

static void write_file(const char *text)
{
	struct kii_error err = { 0 };

	must(kii_io_publish(file, text, strlen(text), 0600, &err));
}

static void into(int fd, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (to < 0 || dup2(to, fd) < 0)
		_exit(126);
}

static void slurp(const char *path, struct kii_buf *text)
{
	struct kii_error err = { 0 };

	kii_buf_reset(text);
	must(kii_io_read(path, text, &err));
}

/* Run it with up to five arguments; its texts are in `out` and `err_out`. The exit status. */
static int run_to(const char *out_path, const char *const args[5])
{
	kii_autofree char *err_path = kii_xfmt("%s/err", dir);
	char *argv[7] = { program };
	int status = 0;
	pid_t pid;

	for (size_t i = 0; i < 5 && args[i]; i++)
		argv[i + 1] = (char *)args[i];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		into(STDOUT_FILENO, out_path);
		into(STDERR_FILENO, err_path);
		execv(program, argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(WIFEXITED(status));
	slurp(err_path, &err_out);
	return WEXITSTATUS(status);
}

static int run_args(const char *const args[5])
{
	kii_autofree char *out_path = kii_xfmt("%s/out", dir);
	int status = run_to(out_path, args);

	slurp(out_path, &out);
	return status;
}
#define run(...) run_args((const char *const[6]){ __VA_ARGS__ })

static void a_good_file_is_ok(void **state)
{
	kii_autofree char *text = kii_xfmt("%s: ok\n", file);

	(void)state;
	write_file("[queue]\nslots = 3\n");
	assert_int_equal(run("-c", file, "config", "check"), CTL_OK);
	assert_string_equal(out.data, text);
	assert_string_equal(err_out.data, "");
}

static void a_bad_file_is_bad_input(void **state)
{
	kii_autofree char *text = kii_xfmt("kiisrvctl: %s:2:9: queue.slots: must be an integer, "
		"not a string\n", file);

	(void)state;
	write_file("[queue]\nslots = 'x'\n");
	assert_int_equal(run("--config", file, "config", "check"), CTL_BAD_INPUT);
	assert_string_equal(out.data, "");
	assert_string_equal(err_out.data, text);
	assert_int_equal(run("--config", file, "config", "show"), CTL_BAD_INPUT);
	assert_string_equal(err_out.data, text);
}

static void a_missing_file_is_a_failure(void **state)
{
	kii_autofree char *missing = kii_xfmt("--config=%s/missing", dir);

	(void)state;
	assert_int_equal(run(missing, "config", "check"), CTL_FAILED);
	assert_non_null(strstr(err_out.data, "missing: No such file"));
}

static void show_prints_every_value_and_its_origin(void **state)
{
	kii_autofree char *line = kii_xfmt("\nqueue.slots = 3                              "
		"# from %s:2\n", file);

	(void)state;
	write_file("[queue]\nslots = 3\n");
	setenv("KIISRV_CONFIG", file, 1);
	assert_int_equal(run("config", "show"), CTL_OK);
	unsetenv("KIISRV_CONFIG");
	assert_non_null(strstr(out.data, line));
	assert_non_null(strstr(out.data, "docker.runtime = \"docker\"                    "
		"# from default\n"));
}

static void results_and_errors_come_as_json(void **state)
{
	json_t *answer;

	(void)state;
	write_file("[queue]\nslots = 3\n");
	assert_int_equal(run("config", "show", "--json", "-c", file), CTL_OK);
	answer = json_loads(out.data, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(answer,
		"keys"), "queue.slots"), "value")), 3);
	json_decref(answer);

	assert_int_equal(run("--json", "config", "check", "-c", file), CTL_OK);
	answer = json_loads(out.data, 0, NULL);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(answer, "file")), file);
	json_decref(answer);

	write_file("[queue]\nslots = -1\n");
	assert_int_equal(run("--json", "config", "check", "-c", file), CTL_BAD_INPUT);
	assert_string_equal(out.data, "");
	answer = json_loads(err_out.data, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "bad_request");
	assert_string_equal(json_string_value(json_object_get(answer, "field")), "queue.slots");
	assert_non_null(strstr(json_string_value(json_object_get(answer, "error")), ":2:9: "));
	json_decref(answer);

	assert_int_equal(run("--json", "config", "check", "-c", "/no/such"), CTL_FAILED);
	answer = json_loads(err_out.data, 0, NULL);
	assert_null(json_object_get(answer, "field"));
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "not_found");
	json_decref(answer);
}

static void bad_command_lines_are_usage_errors(void **state)
{
	static const struct { const char *args[5]; const char *part; } bad[] = {
		{ { NULL }, "which command of kiisrvctl?" },
		{ { "config" }, "which command of kiisrvctl config?" },
		{ { "confg" }, "kiisrvctl has no command confg" },
		{ { "config", "chek" }, "kiisrvctl config has no command chek" },
		{ { "config", "check", "more" }, "config check takes no arguments" },
		{ { "config", "show", "--verbose" }, "config show takes no arguments" },
		{ { "config", "show", "--", "--json" }, "config show takes no arguments" },
		{ { "config", "show", "--", "--help" }, "config show takes no arguments" },
		{ { "-c" }, "-c needs a file" },
		{ { "--config=", "config", "check" }, "--config= needs a file" },
		{ { "--config", "", "config", "check" }, "--config needs a file" },
		{ { "--version", "config" }, "kiisrvctl has no command --version" },
		{ { "--jsn" }, "kiisrvctl has no command --jsn" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (run_args(bad[i].args) != CTL_USAGE || !strstr(err_out.data, bad[i].part))
			fail_msg("row %zu: %s", i, err_out.data);
		assert_string_equal(out.data, "");
		assert_non_null(strstr(err_out.data, "Try kiisrvctl --help."));
	}
}

static void help_is_printed(void **state)
{
	(void)state;
	assert_int_equal(run("--help"), CTL_OK);
	assert_non_null(strstr(out.data, "Usage: kiisrvctl COMMAND\n"));
	assert_non_null(strstr(out.data, "\n  config COMMAND\n      Check or show"));
	assert_non_null(strstr(out.data, "--json"));
	assert_int_equal(run("-h"), CTL_OK);
	assert_int_equal(run("config", "--help"), CTL_OK);
	assert_non_null(strstr(out.data, "Usage: kiisrvctl config COMMAND\n"));
	assert_non_null(strstr(out.data, "\n  check\n      Read"));
	assert_int_equal(run("config", "show", "--help"), CTL_OK);
	assert_non_null(strstr(out.data, "Usage: kiisrvctl config show\n\nPrint every key"));
	assert_string_equal(err_out.data, "");
	assert_int_equal(run("--version"), CTL_OK);
	assert_string_equal(out.data, PACKAGE_STRING "\n");
}

/*
 * Every command that help lists, behind `group` ("config "), has its entry in the manual by its
 * full name; those of a group in turn. Returns how many there are.
 */
static int expect_in_manual(const char *manual, const char *group)
{
	kii_autofree char *name = kii_xstrndup(group, strcspn(group, " "));
	kii_autofree char *help = NULL;
	const char *p;
	int n = 0;

	assert_int_equal(run(*name ? name : "--help", *name ? "--help" : NULL), CTL_OK);
	help = kii_xstrdup(out.data);
	for (p = help; (p = strstr(p, "\n  ")) != NULL;) {
		size_t len = strcspn(p += 3, " \n");
		kii_autofree char *entry = kii_xfmt("\n.It Cm %s%.*s", group, (int)len, p);
		kii_autofree char *inner = kii_xfmt("%.*s ", (int)len, p);

		/* options and explanations begin otherwise */
		if (*p < 'a' || *p > 'z')
			continue;
		if (strncmp(p + len, " COMMAND\n", 9) == 0)
			n += expect_in_manual(manual, inner);
		else if (!strstr(manual, entry))
			fail_msg("no entry: %s", entry);
		else
			n++;
	}
	return n;
}

static void the_manual_has_every_command(void **state)
{
	kii_autofree char *path = test_source("docs/man/kiisrvctl.8");
	kii_autobuf manual = KII_BUF_INIT(1 << 20);

	(void)state;
	slurp(path, &manual);
	assert_true(expect_in_manual(manual.data, "") >= 3);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
	static const char *const args[5] = { "--help" };

	(void)state;
	assert_int_equal(run_to("/dev/full", args), CTL_FAILED);
	assert_non_null(strstr(err_out.data, "kiisrvctl: write: No space"));
}

static int say_args(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	return 100 + argc + (strcmp(argv[0], "say") == 0 ? 10 : 0);
}

static void a_command_gets_its_own_arguments(void **state)
{
	static const struct ctl_command table[] = {
		{ "say", "WORD", "Say it", say_args },
		{ NULL },
	};
	char name[] = "kiisrvctl", json[] = "--json", say[] = "say", word[] = "-x", last[] = "--",
		c[] = "-c", f[] = "F";
	char *argv[] = { name, json, say, word, c, f, last, json, NULL };
	struct ctl ctl = { .config_file = NULL };
	int argc = 8;

	(void)state;
	assert_int_equal(ctl_options(&ctl, &argc, argv), CTL_OK);
	assert_true(ctl.json);
	assert_string_equal(ctl.config_file, "F");
	assert_int_equal(argc, 5);
	assert_string_equal(argv[2], "-x");
	assert_string_equal(argv[4], "--json");
	assert_null(argv[5]);
	assert_int_equal(ctl_dispatch(&ctl, table, "kiisrvctl", argc, argv), 114);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_file_is_ok),
		cmocka_unit_test(a_bad_file_is_bad_input),
		cmocka_unit_test(a_missing_file_is_a_failure),
		cmocka_unit_test(show_prints_every_value_and_its_origin),
		cmocka_unit_test(results_and_errors_come_as_json),
		cmocka_unit_test(bad_command_lines_are_usage_errors),
		cmocka_unit_test(help_is_printed),
		cmocka_unit_test(the_manual_has_every_command),
		cmocka_unit_test(output_that_cannot_be_written_is_a_failure),
		cmocka_unit_test(a_command_gets_its_own_arguments),
	};

	return cmocka_run_group_tests_name("ctl_config", tests, make_folder, remove_folder);
}
