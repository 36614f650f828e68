/* SPDX-License-Identifier: MIT */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "json.h"

/* Who must be able to read it. */
static void must_read(struct doctor *d, enum doctor_who who, const char *path)
{
	kii_autofree char *todo = kii_xfmt("chmod a+rX %s, and a+x the folders above it", path);

	if (doctor_try(&d->users[who], DOCTOR_READ, path) == DOCTOR_CANNOT)
		doctor_say(d, DOCTOR_FAIL, todo, "user %s cannot read %s", d->users[who].name,
			path);
}

/* What the public programs could change would be theirs to command. */
static void must_not_write(struct doctor *d, const char *path)
{
	const struct doctor_user *user = &d->users[DOCTOR_PUBLIC];
	kii_autofree char *todo = kii_xfmt("chown root %s && chmod go-w %s", path, path);

	switch (doctor_try(user, DOCTOR_WRITE, path)) {
	case DOCTOR_CAN:
		doctor_say(d, DOCTOR_FAIL, todo, "user %s may write %s", user->name, path);
		break;
	case DOCTOR_CANNOT:
		doctor_say(d, DOCTOR_OK, NULL, "user %s cannot write %s", user->name, path);
		break;
	default:
		break;
	}
}

static void must_not_reach(struct doctor *d, enum doctor_who who, const char *socket)
{
	const char *name = d->users[who].name;
	kii_autofree char *todo = kii_xfmt("take %s out of the socket's group, and close the "
		"socket to others", name);

	switch (doctor_try(&d->users[who], DOCTOR_CONNECT, socket)) {
	case DOCTOR_CAN:
	case DOCTOR_REFUSED:
		doctor_say(d, DOCTOR_FAIL, todo, "user %s reaches the engine's socket %s: whoever "
			"can do that is root on this machine", name, socket);
		break;
	case DOCTOR_CANNOT:
		doctor_say(d, DOCTOR_OK, NULL, "user %s does not reach the engine's socket", name);
		break;
	case DOCTOR_UNTRIED:
		doctor_say(d, DOCTOR_WARN, "run it as root",
			"whether user %s reaches the engine's socket could not be tried", name);
		break;
	case DOCTOR_ABSENT:
		break;   /* the engine is down, which is said elsewhere */
	}
}

static void check_tcp(struct doctor *d, const char *address)
{
	const char *name = d->users[DOCTOR_PUBLIC].name;
	kii_autofree char *todo = kii_xfmt("chown %s it && chmod 0400 it",
		d->users[DOCTOR_ENGINE].name);
	kii_autofree char *key = d->conf->docker.cert_path
		? kii_xfmt("%s/key.pem", d->conf->docker.cert_path) : NULL;

	if (!d->conf->docker.tls_verify || !key)
		doctor_say(d, DOCTOR_WARN, "use the engine's socket, or TLS with a client's key",
			"the engine at %s asks nobody who he is", address);
	else if (doctor_try(&d->users[DOCTOR_PUBLIC], DOCTOR_READ, key) == DOCTOR_CAN)
		doctor_say(d, DOCTOR_FAIL, todo, "user %s reads the engine's key %s", name, key);
	else
		doctor_say(d, DOCTOR_OK, NULL, "user %s does not read the engine's key",
			name);
}

void doctor_walls(struct doctor *d)
{
	const char *told = kii_json_str(d->status, "engine_address");
	const char *address = told ? told : d->conf->docker.socket_path;

	if (d->conf->file) {
		must_read(d, DOCTOR_PUBLIC, d->conf->file);
		must_read(d, DOCTOR_ENGINE, d->conf->file);
		must_not_write(d, d->conf->file);
	}
	for (size_t i = 0; i < d->conf->paths.n_layouts; i++) {
		must_read(d, DOCTOR_PUBLIC, d->conf->paths.layouts[i]);
		must_read(d, DOCTOR_ENGINE, d->conf->paths.layouts[i]);
		must_read(d, DOCTOR_NGINX, d->conf->paths.layouts[i]);
		must_not_write(d, d->conf->paths.layouts[i]);
	}
	if (strncmp(address, "unix://", 7) != 0) {
		check_tcp(d, address);
		return;
	}
	must_not_reach(d, DOCTOR_PUBLIC, address + 7);
	must_not_reach(d, DOCTOR_NGINX, address + 7);
}
