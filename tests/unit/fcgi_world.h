/* SPDX-License-Identifier: MIT */
/* fcgi_world: fcgi_app as spawn-fcgi starts it, in a folder of its own. */
#ifndef KII_FCGI_WORLD_H
#define KII_FCGI_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "fcgi_client.h"

#define BODY_MAX 200000   /* what the configuration of the world says */

struct world {
	char *dir;
	char *socket;
	char *config;
	char *log;             /* stderr of all processes */
	char *notify;          /* where NOTIFY_SOCKET listens ... */
	bool told;             /* ... if the application is to know it */
	int notices;
	char *exe;             /* NULL: fcgi_app where it was built */
	pid_t keeper;          /* 0: not running */
};

/* A folder, a configuration, a socket for notices. */
struct world *world_new(void);
/* Everything that still runs is killed. */
void world_free(struct world *w);

void world_write_config(const struct world *w, const char *text);

/* Start and wait until it is ready or has ended; `files` limits descriptors, 0: not. */
void world_start(struct world *w, unsigned files);

/* Signal the keeper and wait for its end: its exit status, -1 when it took longer. */
int world_end(struct world *w, int sig, int limit_ms);
int world_wait(struct world *w, int limit_ms);

/* Wait until the log has the text. */
bool world_logged(const struct world *w, const char *text, int limit_ms);
/* How often it has it. */
size_t world_log_count(const struct world *w, const char *text);

/* The child that serves now. */
pid_t world_child(const struct world *w);

/* The next notice, "" when none comes. */
const char *world_notice(const struct world *w, char *room, size_t len, int limit_ms);

/* Kilobytes that a process has in memory. */
long world_memory(pid_t pid);

/* Does the process run? A zombie does not. */
bool world_runs(pid_t pid);

/* cmocka's setup and teardown: a world that runs; a world. */
int world_setup(void **state);
int world_setup_only(void **state);
int world_teardown(void **state);

#endif
