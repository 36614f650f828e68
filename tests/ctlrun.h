/* SPDX-License-Identifier: MIT */
/* ctlrun: kiisrvctl as a process, with a configuration and folders of its own. */
#ifndef KII_CTLRUN_H
#define KII_CTLRUN_H

#include <sys/types.h>

#include "buf.h"

#define CTLRUN_ARGS 10

struct ctlrun {
	char *dir;             /* holds kiisrv.toml, state/ and run/ */
	char *conf;
	char *program;
	const char *out_to;    /* where its output goes; NULL: into `out` */
	struct kii_buf out, err;
	pid_t pid;
	int master;            /* of the terminal; -1: none */
	int on_tty;            /* the descriptor that is one */
};

/* KIISRV_CONFIG names the configuration from then on. Fails the test where something fails. */
void ctlrun_init(struct ctlrun *r);
void ctlrun_release(struct ctlrun *r);

/*
 * Start it with these arguments up to a NULL. `on_tty` is STDOUT_FILENO or STDERR_FILENO to make
 * that a terminal, else 0.
 */
void ctlrun_start(struct ctlrun *r, int on_tty, const char *const args[CTLRUN_ARGS + 1]);
/* Its exit status (128 and the signal for one); `out` and `err` are its texts. */
int ctlrun_wait(struct ctlrun *r);
#define ctlrun(r, ...) (ctlrun_start(r, 0, (const char *const[CTLRUN_ARGS + 1]){ __VA_ARGS__ }), \
	ctlrun_wait(r))

#endif
