/* SPDX-License-Identifier: MIT */
/* What the environment says, and what follows from the rest. */
#include <config.h>

#include "conf_in.h"

#include <stdlib.h>
#include <unistd.h>

#define SLOTS_MAX 64

/* A variable's value; set but empty is as good as not set. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void note(struct kii_conf *conf, const char *table, const char *name, const char *origin)
{
	kii_conf_note_take(conf, kii_conf_find(table, name), kii_xstrdup(origin));
}

static int apply_docker_host(struct kii_conf *conf, struct kii_error *err)
{
	const char *host = variable("DOCKER_HOST");
	char *address = NULL;

	if (!host)
		return 0;
	if (kii_conf_address(host, "docker.socket_path", &address, err) != 0)
		return kii_error_wrap(err, "environment DOCKER_HOST");
	free(conf->docker.socket_path);
	conf->docker.socket_path = address;
	note(conf, "docker", "socket_path", "environment DOCKER_HOST");
	return 0;
}

/* The rootless engines put their sockets into the user's own run folder. */
static void default_socket(struct kii_conf *conf)
{
	const char *name = conf->docker.podman ? "podman/podman.sock" : "docker.sock";
	const char *xdg = variable("XDG_RUNTIME_DIR");

	if (!conf->docker.rootless) {
		conf->docker.socket_path = kii_xfmt("unix:///run/%s", name);
	} else if (xdg && *xdg == '/') {
		conf->docker.socket_path = kii_xfmt("unix://%s/%s", xdg, name);
		note(conf, "docker", "socket_path", "environment XDG_RUNTIME_DIR");
	} else {
		conf->docker.socket_path = kii_xfmt("unix:///run/user/%u/%s",
			(unsigned)geteuid(), name);
	}
}

static int apply_tls(struct kii_conf *conf, struct kii_error *err)
{
	conf->docker.tls_verify = variable("DOCKER_TLS_VERIFY") != NULL;
	conf->docker.cert_path = kii_xstrdup(variable("DOCKER_CERT_PATH"));
	if (conf->docker.tls_verify && conf->docker.socket_path[0] == 't' &&
	    !conf->docker.cert_path) {
		kii_error_field(err, "docker.socket_path", "TLS needs DOCKER_CERT_PATH, the folder "
			"of ca.pem, cert.pem and key.pem");
		return kii_error_wrap(err, "environment DOCKER_TLS_VERIFY");
	}
	return 0;
}

int kii_conf_complete(struct kii_conf *conf, struct kii_error *err)
{
	if (apply_docker_host(conf, err) != 0)
		return -1;
	if (!conf->docker.socket_path)
		default_socket(conf);
	if (apply_tls(conf, err) != 0)
		return -1;
	if (!conf->docker.build_dir)
		conf->docker.build_dir = kii_xfmt("%s/engine/work", conf->paths.state_dir);
	if (!conf->queue.slots) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);

		conf->queue.slots = cores < 1 ? 1 : cores > SLOTS_MAX ? SLOTS_MAX : cores;
	}
	return 0;
}
