/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

void ctl_say_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("kiisrvctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry kiisrvctl --help.\n", stderr);
}

static int status_of(const struct kii_error *err)
{
	return err->code == KII_EINVAL || err->code == KII_ETOOBIG ? CTL_BAD_INPUT : CTL_FAILED;
}

int ctl_fail(const struct kii_error *err)
{
	kii_autofree char *text = ctl_clean(err->msg);

	fprintf(stderr, "kiisrvctl: %s\n", text);
	return status_of(err);
}

int ctl_fail_as_asked(const struct ctl *ctl, const struct kii_error *err)
{
	kii_autojson *answer = json_object();

	if (!ctl->json)
		return ctl_fail(err);
	kii_json_set_str(answer, "error", err->msg);
	kii_json_set_str(answer, "code", kii_code_word(err->code));
	if (err->field[0])
		kii_json_set_str(answer, "field", err->field);
	json_dumpf(answer, stderr, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputc('\n', stderr);
	return status_of(err);
}

void ctl_print_json(const json_t *document)
{
	json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
}

/* What stands behind "--config" or "-c"; *taken is the number of arguments used. NULL: neither. */
static const char *config_option(int left, char **argv, int *taken)
{
	*taken = 1;
	if (strncmp(argv[0], "--config=", 9) == 0)
		return argv[0] + 9;
	*taken = 2;
	if (strcmp(argv[0], "-c") == 0 || strcmp(argv[0], "--config") == 0)
		return left > 1 && argv[1] ? argv[1] : "";
	return NULL;
}

int ctl_options(struct ctl *ctl, int *argc, char **argv)
{
	int kept = 1;
	int i = 1;

	while (i < *argc && strcmp(argv[i], "--") != 0) {
		int taken;
		const char *file = config_option(*argc - i, argv + i, &taken);

		if (file && !*file)
			return ctl_usage("%s needs a file", argv[i]);
		if (file) {
			ctl->config_file = file;
			i += taken;
		} else if (strcmp(argv[i], "--json") == 0) {
			ctl->json = true;
			i++;
		} else {
			argv[kept++] = argv[i++];
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	return CTL_OK;
}

static bool is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is_help(argv[i]))
			return true;
	}
	return false;
}

static int group_help(const struct ctl_command *table, const char *prefix)
{
	printf("Usage: %s COMMAND\n\nCommands:\n", prefix);
	for (; table->name; table++) {
		kii_autofree char *usage = kii_xfmt("%s%s%s", table->name,
			table->sub || table->args ? " " : "",
			table->sub ? "COMMAND" : table->args ? table->args : "");

		printf("  %s\n      %s.\n", usage, table->help);
	}
	puts("\nOptions of all commands:\n"
		"  -c, --config FILE   the configuration; else KIISRV_CONFIG, else the\n"
		"                      installed kiisrv.toml\n"
		"  --json              results, and errors, as JSON\n"
		"  --help              help; behind a command, that command's\n"
		"  --version           the version (without a command)\n\n"
		"Exit status: 0 done, 1 failed, 2 bad input, 64 bad command line.");
	return CTL_OK;
}

/* A command whose usage line has no options: what looks like one is not its operand. */
static bool has_stray_option(const struct ctl_command *command, int argc, char **argv)
{
	if (!command->args || strchr(command->args, '-'))
		return false;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--", 2) == 0)
			return true;
	}
	return false;
}

static int run_one(struct ctl *ctl, const struct ctl_command *command, const char *prefix,
	int argc, char **argv)
{
	kii_autofree char *name = kii_xfmt("%s %s", prefix, command->name);

	if (command->sub)
		return ctl_dispatch(ctl, command->sub, name, argc, argv);
	if (!wants_help(argc, argv) && has_stray_option(command, argc, argv))
		return ctl_usage("%s has no options", name);
	if (!wants_help(argc, argv))
		return command->run(ctl, argc, argv);
	printf("Usage: %s%s%s\n\n%s.\n", name, command->args ? " " : "",
		command->args ? command->args : "", command->help);
	return CTL_OK;
}

int ctl_dispatch(struct ctl *ctl, const struct ctl_command *table, const char *prefix, int argc,
	char **argv)
{
	if (argc < 2)
		return ctl_usage("which command of %s?", prefix);
	if (is_help(argv[1]))
		return group_help(table, prefix);
	for (const struct ctl_command *command = table; command->name; command++) {
		if (strcmp(command->name, argv[1]) == 0)
			return run_one(ctl, command, prefix, argc - 1, argv + 1);
	}
	return ctl_usage("%s has no command %s", prefix, argv[1]);
}
