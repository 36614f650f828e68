/* SPDX-License-Identifier: MIT */
/*
 * plan_make DIR TIMES: plan the project in DIR so often, each time from its files; prints the
 * microseconds of each, a line each. For tests/bench/plan.
 */
#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plan.h"

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int plan(const char *path)
{
	const struct kii_plan_opts opts = { .kind = KII_PLAN_NIXPACKS };
	kii_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kii_plan *made = NULL;
	struct kii_error err = { 0 };
	long long start = now();

	if (dir < 0 || kii_plan_make(dir, &opts, &made, &err) != 0) {
		fprintf(stderr, "plan_make: %s\n", dir < 0 ? path : err.msg);
		return -1;
	}
	kii_plan_free(made);
	printf("%lld\n", now() - start);
	return 0;
}

int main(int argc, char **argv)
{
	long times = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	if (times < 1) {
		fprintf(stderr, "usage: plan_make DIR TIMES\n");
		return 64;
	}
	while (times--) {
		if (plan(argv[1]) != 0)
			return 1;
	}
	return 0;
}
