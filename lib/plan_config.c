/* SPDX-License-Identifier: MIT */
/* What a project says in nixpacks.toml, nixpacks.json and Procfile, and the variables. */
#include <config.h>

#include "plan_in.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "path.h"

#define NAME_MAX_LEN   128
#define VALUE_MAX      8192
#define VARIABLES_MAX  256
#define COMMANDS_MAX   64
#define COMMAND_MAX    16384

static bool is_variable(const char *name)
{
	size_t len = strlen(name);

	return len && len <= NAME_MAX_LEN && !isdigit((unsigned char)name[0]) &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		len;
}

int kii_plan_variable(struct kii_draft *d, const char *field, const char *name,
	const json_t *value, struct kii_error *err)
{
	static const char prefix[] = "NIXPACKS_";
	const char *text = json_string_value(value);

	if (!is_variable(name))
		return kii_error_field(err, field, "\"%.60s\" is no name of a variable (letters, "
			"digits and _, not first a digit)", name);
	if (!text || strlen(text) != json_string_length(value) ||
	    !kii_draft_is_text(text, false) || strlen(text) > VALUE_MAX)
		return kii_error_field(err, field, "%s must be one line of text, at most %d bytes",
			name, VALUE_MAX);
	if (strncmp(name, prefix, strlen(prefix)) == 0) {
		name += strlen(prefix);
		if (!json_object_get(d->steer, name))
			kii_json_set_str(d->steer, name, text);
	} else if (!json_object_get(d->plan->variables, name)) {
		kii_json_set_str(d->plan->variables, name, text);
	}
	if (json_object_size(d->steer) + json_object_size(d->plan->variables) > VARIABLES_MAX)
		return kii_error_field(err, field, "more than %d variables", VARIABLES_MAX);
	return 0;
}

int kii_plan_variables(struct kii_draft *d, struct kii_error *err)
{
	const char *name;
	json_t *value;

	if (d->opts->variables && !json_is_object(d->opts->variables))
		return kii_error_field(err, "variables", "must be an object of texts");
	json_object_foreach((json_t *)d->opts->variables, name, value) {
		kii_autofree char *field = kii_xfmt("variables.%.100s", name);

		if (kii_plan_variable(d, field, name, value, err) != 0)
			return -1;
	}
	return 0;
}

/* What may stand in a table of nixpacks.toml, and what each may be. */
enum kind { TEXT, TEXTS, TABLE, UNUSED };
struct member {
	const char *name;
	enum kind kind;
};
static const struct member top_members[] = {
	{ "providers", TEXTS }, { "variables", TABLE }, { "phases", TABLE }, { "start", TABLE },
	{ "buildImage", UNUSED }, { "staticAssets", UNUSED }, { "$schema", TEXT }, { NULL },
};
static const struct member start_members[] = {
	{ "cmd", TEXT }, { "runImage", UNUSED }, { "onlyIncludeFiles", UNUSED }, { NULL },
};
static const struct member phases_members[] = {
	{ "setup", TABLE }, { "install", TABLE }, { "build", TABLE }, { NULL },
};
static const struct member phase_members[] = {
	{ "cmds", TEXTS }, { "aptPkgs", TEXTS }, { "nixPkgs", TEXTS }, { "nixLibs", UNUSED },
	{ "nixOverlays", UNUSED }, { "nixpkgsArchive", UNUSED }, { "cacheDirectories", UNUSED },
	{ "onlyIncludeFiles", UNUSED }, { "paths", UNUSED }, { "dependsOn", UNUSED }, { NULL },
};

static int wrong(struct kii_draft *d, const struct kii_path *at, const char *what,
	struct kii_error *err)
{
	char place[128];

	kii_path_text(at, place, sizeof(place));
	return kii_error_field(err, d->config_file, "%s %s", place, what);
}

static int check_text(struct kii_draft *d, const struct kii_path *at, const json_t *value,
	struct kii_error *err)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value) || !kii_draft_is_text(text, true) ||
	    strlen(text) > COMMAND_MAX)
		return wrong(d, at, "must be text of at most 16 KiB", err);
	return 0;
}

static int check_texts(struct kii_draft *d, const struct kii_path *at, const json_t *value,
	struct kii_error *err)
{
	if (!json_is_array(value) || json_array_size(value) > COMMANDS_MAX)
		return wrong(d, at, "must be a list of at most 64 texts", err);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (check_text(d, KII_PATH_ITEM(at, i), json_array_get(value, i), err) != 0)
			return -1;
	}
	return 0;
}

static int check_member(struct kii_draft *d, const struct kii_path *at,
	const struct member *member, const json_t *value, struct kii_error *err)
{
	char place[128];

	switch (member->kind) {
	case TEXT:
		return check_text(d, at, value, err);
	case TEXTS:
		return check_texts(d, at, value, err);
	case TABLE:
		return json_is_object(value) ? 0 : wrong(d, at, "must be a table", err);
	default:
		/* what orders phases says nothing new: they have their order */
		kii_path_text(at, place, sizeof(place));
		if (strcmp(member->name, "dependsOn") != 0)
			kii_draft_note(d, "%s: %s has no meaning here and is left out",
				d->config_file, place);
		return 0;
	}
}

static int check_table(struct kii_draft *d, const struct kii_path *at, const json_t *table,
	const struct member *members, struct kii_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)table, name, value) {
		const struct kii_path *here = KII_PATH_NAME(at, name);
		const struct member *m = members;

		while (m->name && strcmp(m->name, name) != 0)
			m++;
		if (!m->name)
			return wrong(d, here, members == phases_members ?
				"is no phase: there are setup, install and build" :
				"is not known", err);
		if (check_member(d, here, m, value, err) != 0)
			return -1;
	}
	return 0;
}

static int check_config(struct kii_draft *d, struct kii_error *err)
{
	const json_t *phases = json_object_get(d->config, "phases");
	const struct kii_path *at = KII_PATH_NAME(NULL, "phases");
	const char *name;
	json_t *phase;

	if (!json_is_object(d->config))
		return kii_error_field(err, d->config_file, "must be an object");
	if (check_table(d, NULL, d->config, top_members, err) != 0 ||
	    check_table(d, KII_PATH_NAME(NULL, "start"), json_object_get(d->config, "start"),
		start_members, err) != 0 ||
	    check_table(d, at, phases, phases_members, err) != 0)
		return -1;
	json_object_foreach((json_t *)phases, name, phase) {
		if (check_table(d, KII_PATH_NAME(at, name), phase, phase_members, err) != 0)
			return -1;
	}
	return 0;
}

int kii_plan_config(struct kii_draft *d, struct kii_error *err)
{
	const char *named = kii_draft_steer(d, "CONFIG_FILE");
	const char *name;
	json_t *value;

	d->config_file = named ? named :
		kii_tree_has(d->tree, "nixpacks.toml") ? "nixpacks.toml" : "nixpacks.json";
	if (kii_tree_data(d->tree, d->config_file, &d->config, err) != 0)
		return -1;
	if (!d->config && named)
		return kii_error_field(err, "variables.NIXPACKS_CONFIG_FILE",
			"there is no such file in the project");
	if (!d->config)
		return 0;
	if (check_config(d, err) != 0)
		return -1;
	json_object_foreach(json_object_get(d->config, "variables"), name, value) {
		if (kii_plan_variable(d, d->config_file, name, value, err) != 0)
			return -1;
	}
	return 0;
}

/* The command behind "name:"; false when the line is no process. */
static bool process_line(const char *line, size_t len, char **name, char **command)
{
	size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (!n || n >= len || line[n] != ':')
		return false;
	*name = kii_xstrndup(line, n);
	for (n++; n < len && isblank((unsigned char)line[n]); n++)
		;
	while (len > n && isspace((unsigned char)line[len - 1]))
		len--;
	*command = kii_xstrndup(line + n, len - n);
	return true;
}

/* "web", else the first that is no release; the others are told. */
static int read_procfile(struct kii_draft *d, char **start, struct kii_error *err)
{
	const char *text = NULL;
	bool web = false;

	if (kii_tree_text(d->tree, "Procfile", &text, err) != 0)
		return -1;
	for (size_t n; text && *text; text += n + (text[n] ? 1 : 0)) {
		kii_autofree char *name = NULL;
		kii_autofree char *command = NULL;

		n = strcspn(text, "\n");
		if (!process_line(text, n, &name, &command))
			continue;
		if (!*command || strlen(command) > COMMAND_MAX ||
		    !kii_draft_is_text(command, false))
			return kii_error_field(err, "Procfile", "process %.40s must have one line "
				"of text as its command", name);
		if (strcmp(name, "release") == 0) {
			kii_draft_note(d, "Procfile: release is not run by the image; run it "
				"before a new version starts");
		} else if (!*start || (strcmp(name, "web") == 0 && !web)) {
			web = strcmp(name, "web") == 0;
			free(*start);
			*start = kii_steal(&command);
		}
	}
	return 0;
}

int kii_plan_given(struct kii_draft *d, char **hold, struct kii_error *err)
{
	const char *asked = d->opts->start_command;
	const char *steered = kii_draft_steer(d, "START_CMD");
	const char *config = kii_data_text(d->config, "start.cmd");

	if (asked && *asked) {
		if (!kii_draft_is_text(asked, true) || strlen(asked) > COMMAND_MAX)
			return kii_error_field(err, "start_command", "must be text of at most "
				"16 KiB");
		*hold = kii_xstrdup(asked);
	} else if (steered || config) {
		*hold = kii_xstrdup(steered ? steered : config);
	} else if (read_procfile(d, hold, err) != 0) {
		return -1;
	}
	d->given_start = *hold;
	return 0;
}
