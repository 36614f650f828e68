/* SPDX-License-Identifier: MIT */
/* engine_ops_explain: what an engine's refusal means, in words of our own. */
#include <config.h>

#include "engine_ops.h"

#include <string.h>

#include "engine_call.h"
#include "log.h"

/*
 * Engines have no codes for these, and Podman says 500 to most: their phrases are what there is.
 * All of a row's phrases must be there; the first row counts.
 */
static const struct {
	const char *phrase, *too;
	enum kii_code code;
	const char *field;
	const char *words;
} causes[] = {
	{ "port is already allocated", NULL, KII_ECONFLICT, "ports", "a port is taken" },
	{ "address already in use", NULL, KII_ECONFLICT, "ports", "a port is taken" },
	{ "ame is already in use", NULL, KII_ECONFLICT, "name", "a container of this name is "
	  "there already" },
	{ "container name ", " is already in use", KII_ECONFLICT, "name", "a container of this "
	  "name is there already" },
	{ "o such image", NULL, KII_ENOTFOUND, "image", "there is no such image" },
	{ "image not known", NULL, KII_ENOTFOUND, "image", "there is no such image" },
	{ "unable to find user", NULL, KII_EINVAL, "user", "the image has no such user" },
	{ "unable to find group", NULL, KII_EINVAL, "user", "the image has no such group" },
	{ "network ", " not found", KII_ENOTFOUND, "networks", "there is no such network" },
	{ "unable to find network", NULL, KII_ENOTFOUND, "networks", "there is no such network" },
	{ "o command specified", NULL, KII_EINVAL, "command", "the image names no program" },
	{ "no command or entrypoint", NULL, KII_EINVAL, "command", "the image names no program" },
	{ "exec: ", "permission denied", KII_EINVAL, "command", "the program cannot be run" },
	{ "exec: ", "no such file or directory", KII_EINVAL, "command", "there is no such "
	  "program in the container" },
	{ "executable file not found", NULL, KII_EINVAL, "command", "there is no such program in "
	  "the container" },
	{ "bind source path does not exist", NULL, KII_EINVAL, "volumes", "the host has no such "
	  "folder or file" },
	{ "volume options", "not supported", KII_EINVAL, "volumes", "the engine cannot make such "
	  "a volume" },
	{ "o such volume", NULL, KII_ENOTFOUND, "volumes", "there is no such volume" },
	{ "nvalid signal", NULL, KII_EINVAL, "signal", "no signal has this name" },
	{ "logging driver does not support reading", NULL, KII_ECONFLICT, "", "the container's "
	  "log goes where it cannot be read" },
	{ "o such container", NULL, KII_ENOTFOUND, "", "there is no such container" },
	{ "no container with name or ID", NULL, KII_ENOTFOUND, "", "there is no such container" },
};

static int say(struct kii_error *err, enum kii_code code, int status, const char *field,
	const char *words)
{
	kii_error_clear(err);
	if (!*field)
		return kii_error_set(err, code, status, "%s", words);
	kii_error_field(err, field, "%s", words);
	err->code = code;
	err->detail = status;
	return -1;
}

int (kii_ops_explain)(const struct kii_call *c, struct kii_error *err)
{
	const char *text = c->refusal.data;

	if (c->status >= 400 && c->status != 404)
		kii_log_info("engine_refused", "status=%d msg=%s", c->status, kii_q(err->msg));
	for (size_t i = 0; c->status >= 400 && i < KII_COUNT(causes); i++) {
		if (strstr(text, causes[i].phrase) &&
		    (!causes[i].too || strstr(text, causes[i].too)))
			return say(err, causes[i].code, c->status, causes[i].field,
				causes[i].words);
	}
	if (err->code == KII_ENOTFOUND)
		return say(err, KII_ENOTFOUND, c->status, "", "there is no such container");
	if (err->code == KII_ECONFLICT)
		return say(err, KII_ECONFLICT, c->status, "", "the container's state does not "
			"allow this");
	return -1;
}

int kii_ops_check(const char *id, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (kii_engine_name(KII_NAME_PLAIN, "id", id, &why) == 0)
		return 0;
	return kii_error_set(err, KII_ENOTFOUND, 0, "there is no such container");
}

int kii_ops_run(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	return kii_call_run(e, c, err) ? kii_ops_explain(c, err) : 0;
}

int kii_ops_json(struct kii_engine *e, struct kii_call *c, json_t **out, struct kii_error *err)
{
	return kii_ops_run(e, c, err) ? -1 : kii_call_parse(c, out, err);
}
