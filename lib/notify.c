/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io.h"
#include "log.h"
#include "mem.h"

void kii_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	kii_autoclose int fd = -1;
	char text[128];
	size_t len;
	int n;

	if (!path || !*path)
		return;
	len = strlen(path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || len >= sizeof(to.sun_path)) {
		kii_log_warn("notify_failed", "socket=%s", kii_q(path));
		return;
	}
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	n = snprintf(text, sizeof(text), "%s", state);
	if (!strcmp(state, "RELOADING=1"))
		n = snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%lld", state,
			(long long)kii_io_now() * 1000);
	if (sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		kii_log_warn("notify_failed", "socket=%s", kii_q(path));
}
