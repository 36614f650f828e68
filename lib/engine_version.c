/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_handle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "engine_facts_in.h"
#include "json.h"

/* The API versions that this client speaks, all 1.x: what it uses is the same in all of them. */
#define OLDEST 40
#define NEWEST 51

/* The minor number of "1.41", or -1. */
static int minor_of(const char *version)
{
	int minor;
	char behind;

	/* NOLINTNEXTLINE(cert-err34-c): four digits are never too much for an int */
	if (!version || sscanf(version, "1.%4d%c", &minor, &behind) != 1 || minor < 0)
		return -1;
	return minor;
}

static int ping(struct kii_engine *e, struct kii_call *c, struct kii_error *err)
{
	c->plain = true;
	kii_call_path(c, "/_ping");
	return kii_call_run(e, c, err);
}

int kii_engine_ping(struct kii_engine *e, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	return ping(e, &c, err);
}

static int get_version(struct kii_engine *e, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	c.plain = true;
	kii_call_path(&c, "/version");
	return kii_call_json(e, &c, out, err);
}

static bool is_podman(const json_t *version)
{
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(version, "Components"), i, part) {
		const char *name = kii_json_str(part, "Name");

		if (name && strncasecmp(name, "Podman", 6) == 0)
			return true;
	}
	return false;
}

/* An engine that is newer than we are: does it still speak what we do? */
static int check_oldest(const json_t *version, struct kii_error *err)
{
	const char *least = kii_json_str(version, "MinAPIVersion");

	if (minor_of(least) <= NEWEST)
		return 0;
	return kii_error_set(err, KII_EREFUSED, 0,
		"the engine wants API 1.%d at least, we speak 1.%d", minor_of(least), NEWEST);
}

static int choose(struct kii_engine *e, int theirs, const json_t *version, struct kii_error *err)
{
	if (theirs < 0)
		return kii_engine_odd("API version 1.x", err);
	if (theirs < OLDEST)
		return kii_error_set(err, KII_EREFUSED, 0,
			"the engine speaks API 1.%d, we want 1.%d at least", theirs, OLDEST);
	if (theirs > NEWEST && check_oldest(version, err))
		return -1;
	snprintf(e->api, sizeof(e->api), "1.%d", theirs > NEWEST ? NEWEST : theirs);
	return 0;
}

/* A kept connection that the engine has ended: there may be another engine by now. */
static void forget_dead(struct kii_engine *e)
{
	char byte;
	ssize_t n;

	if (e->live < 0)
		return;
	n = recv(e->live, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	e->live = -1;
	e->api[0] = '\0';
}

/*
 * The ping says what is needed in half a millisecond; Podman's version takes it hundreds, so that
 * is asked only where the ping says nothing, or something newer than we know.
 */
int kii_engine_negotiate(struct kii_engine *e, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *version = NULL;
	int theirs;

	forget_dead(e);
	if (e->api[0])
		return 0;
	c.want[0] = "Api-Version";
	c.want[1] = "Libpod-Api-Version";
	if (ping(e, &c, err))
		return -1;
	theirs = minor_of(c.header[0].data);
	e->podman = c.header[1].len > 0;
	if (theirs >= 0 && theirs <= NEWEST)
		return choose(e, theirs, NULL, err);
	if (get_version(e, &version, err))
		return -1;
	e->podman = is_podman(version);
	return choose(e, minor_of(kii_json_str(version, "ApiVersion")), version, err);
}

bool kii_engine_is_podman(const struct kii_engine *e)
{
	return e->podman;
}

const char *kii_engine_api(const struct kii_engine *e)
{
	return e->api;
}

bool kii_engine_info_rootless(const json_t *info)
{
	const json_t *option;
	size_t i;

	json_array_foreach(json_object_get(info, "SecurityOptions"), i, option) {
		if (json_is_string(option) && strstr(json_string_value(option), "name=rootless"))
			return true;
	}
	return json_is_true(json_object_get(info, "Rootless"));
}

int kii_engine_clock(struct kii_engine *e, int64_t *ms, struct kii_error *err)
{
	kii_autojson *info = NULL;

	if (kii_engine_info(e, &info, err))
		return -1;
	*ms = kii_engine_time(kii_json_str(info, "SystemTime"));
	return *ms ? 0 : kii_engine_odd("SystemTime", err);
}

int kii_engine_about(struct kii_engine *e, struct kii_engine_about *out, struct kii_error *err)
{
	kii_autojson *version = NULL;
	kii_autojson *info = NULL;
	struct kii_engine_about about = { 0 };

	if (kii_engine_negotiate(e, err) || get_version(e, &version, err) ||
	    kii_engine_info(e, &info, err))
		return -1;
	if (!kii_json_str(version, "Version"))
		return kii_engine_odd("Version", err);
	about.podman = is_podman(version);
	kii_engine_copy(about.version, sizeof(about.version), kii_json_str(version, "Version"));
	kii_engine_copy(about.api, sizeof(about.api), e->api);
	about.live_restore = json_is_true(json_object_get(info, "LiveRestoreEnabled"));
	about.rootless = kii_engine_info_rootless(info);
	/* Podman makes up a new ID for every answer. */
	if (!about.podman)
		kii_engine_copy(about.id, sizeof(about.id), kii_json_str(info, "ID"));
	*out = about;
	return 0;
}
