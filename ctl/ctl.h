/* SPDX-License-Identifier: MIT */
/*
 * ctl: the frame of kiisrvctl. A command is a function and a row: the row of a new command goes
 * into ctl/main.c, or into its parent's table. Results go to stdout, messages to stderr.
 */
#ifndef KII_CTL_H
#define KII_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_BAD_INPUT = 2,   /* a file or value that the user gave is wrong */
	CTL_USAGE = 64,      /* the command line itself is wrong (EX_USAGE) */
};

/* The global options. */
struct ctl {
	const char *config_file;    /* -c, --config; NULL: let kii_conf_load choose */
	bool json;                  /* --json: results as one JSON document */
};

/* argv[0] is the command's name; returns the exit status. */
typedef int ctl_run(struct ctl *ctl, int argc, char **argv);

/* A row; a table ends with a row without a name. */
struct ctl_command {
	const char *name;
	const char *args;           /* what follows the name in a usage line; NULL for nothing */
	const char *help;           /* a line without its full stop */
	ctl_run *run;               /* or, for a group of commands: */
	const struct ctl_command *sub;
};

/*
 * Run the command that argv[1] names; `prefix` is what stands before it in a usage line
 * ("kiisrvctl"). --help behind a group or a command prints help instead. Returns the exit status.
 */
int ctl_dispatch(struct ctl *ctl, const struct ctl_command *table, const char *prefix, int argc,
	char **argv);

/*
 * Take the global options out of the arguments, wherever they stand before a "--". Returns CTL_OK,
 * or CTL_USAGE after a message.
 */
int ctl_options(struct ctl *ctl, int *argc, char **argv);

/* Print "kiisrvctl: <text>" to stderr; gives CTL_USAGE, as analyzers are to see. */
#define ctl_usage(...) (ctl_say_usage(__VA_ARGS__), CTL_USAGE)
void ctl_say_usage(const char *fmt, ...) KII_PRINTF(1, 2);

/* Print the error to stderr; returns CTL_BAD_INPUT for EINVAL and ETOOBIG, else CTL_FAILED. */
int ctl_fail(const struct kii_error *err);

/* The same; with --json the error is {"error", "code", "field"}. */
int ctl_fail_as_asked(const struct ctl *ctl, const struct kii_error *err);

/* Print a JSON document to stdout, in ASCII: nothing in it can steer a terminal. */
void ctl_print_json(const json_t *document);

/* "versions refresh" */
ctl_run ctl_refresh;

/* Groups, each in the file of its name. */
extern const struct ctl_command ctl_config[];
extern const struct ctl_command ctl_images[];
extern const struct ctl_command ctl_jobs[];
extern const struct ctl_command ctl_layouts[];
extern const struct ctl_command ctl_versions[];

#endif
