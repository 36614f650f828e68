/* SPDX-License-Identifier: MIT */
/* ctl_containers: "kiisrvctl containers": what its files share. */
#ifndef KII_CTL_CONTAINERS_H
#define KII_CTL_CONTAINERS_H

#include "ctl_api.h"

#define CTL_CONTAINERS_PATH "/api/v1/containers"

/* What a command line says; what is not said is NULL, false or -1. */
struct ctl_containers {
	struct ctl_api api;
	const char *server;
	const char *state, *name, *label;            /* of a list */
	const char *since, *signal, *stream;
	bool all, force, volumes, follow, timestamps, start;
	const char *pull;
	int64_t timeout, tail;
};

/* What the options of each command end with. */
#define CTL_CONTAINERS_OPTIONS { "server", required_argument, NULL, 's' }, { NULL, 0, NULL, 0 }

/*
 * Take the options that `longs` has out of the command line and open the API: CTL_OK, optind at the
 * first operand, or, with nothing open, an exit status after a message. `least` and `most` operands
 * there must be.
 */
struct option;
int ctl_containers_begin(const struct ctl *ctl, struct ctl_containers *c,
	const struct option *longs, int argc, char **argv, int least, int most, const char *usage);

/* Text as it may stand in a path or a query; caller frees. */
char *ctl_containers_escape(const char *text);
/* "/api/v1/containers/<id><verb>"; caller frees. */
char *ctl_containers_path(const char *id, const char *verb);

#define CTL_CONTAINERS_LOGS_ARGS "[-f] [--tail N] [--since TIME] [--timestamps] " \
	"[--stream STREAM] [--server URL] CONTAINER"
#define CTL_CONTAINERS_STATS_ARGS "[-f] [--server URL] CONTAINER"
ctl_run ctl_containers_logs, ctl_containers_stats;

extern const struct ctl_command ctl_containers[];

#endif
