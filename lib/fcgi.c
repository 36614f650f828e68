/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) && on;
}

/* The descriptor that the keeper waits on, when it started us; -1: it did not. */
static int ready_descriptor(void)
{
	const char *text = getenv(KII_READY_ENV);
	int fd = text ? (int)strtol(text, NULL, 10) : -1;

	unsetenv(KII_READY_ENV);
	if (fd > STDERR_FILENO && !fcntl(fd, F_SETFD, FD_CLOEXEC))
		return fd;
	return -1;
}

int kii_cgi_main(const struct kii_app *app)
{
	bool fastcgi = is_listening(STDIN_FILENO);
	int ready = ready_descriptor();
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	int status;

	kii_log_name(app->name);
	if (fastcgi && ready < 0)
		return kii_keeper_become(app->name);
	if (kii_conf_load(NULL, &conf, &err)) {
		kii_log_error("bad_config", "msg=%s", kii_q(err.msg));
		return KII_EXIT_CONFIG;
	}
	status = fastcgi ? kii_pool_run(app, conf, ready) : kii_cgi_run(app, conf);
	kii_conf_free(conf);
	return status;
}
