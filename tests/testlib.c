/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "testlib.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

char *test_dir_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = kii_xfmt("%s/kii-test-XXXXXX", tmp ? tmp : "/tmp");

	if (!mkdtemp(dir))
		fail_msg("cannot make %s", dir);
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void test_dir_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool test_is_slow(void)
{
	return getenv("KII_SLOW") != NULL;
}

char *test_source(const char *path)
{
	const char *top = getenv("KII_SRCDIR");

	return kii_xfmt("%s/%s", top ? top : ".", path);
}
