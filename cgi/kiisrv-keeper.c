/* SPDX-License-Identifier: MIT */
/*
 * kiisrv-keeper: what every executable becomes under spawn-fcgi (lib/fcgi_keeper.c): it holds the
 * listening socket and keeps a child that serves. A program of its own, since one that is linked
 * with libcurl or SQLite costs up to two megabytes before it has done anything. Its first word
 * (argv[0]) is the executable, its second the name in the log.
 */
#include <config.h>

#include <stdio.h>

#include "fcgi_private.h"
#include "log.h"

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("kiisrv-keeper is started by kiisrv's own programs\n", stderr);
		return 2;
	}
	kii_log_name(argv[1]);
	return kii_keeper_run(argv[0]);
}
