/* SPDX-License-Identifier: MIT */
/* What cmocka needs before itself, and what every unit test wants. */
#ifndef KII_TESTLIB_H
#define KII_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "error.h"

/* A call that must work; its error's text is shown when it does not. */
#define must(call) do { \
		if ((call) != 0) \
			fail_msg("%s: %s (field '%s')", #call, err.msg, err.field); \
	} while (0)

/* A call that must fail with `want`; the error is cleared for the next one. */
#define must_fail(call, want) do { \
		if ((call) == 0) \
			fail_msg("%s: did not fail", #call); \
		if (err.code != (want)) \
			fail_msg("%s: %s, not %s: %s", #call, kii_code_word(err.code), \
				kii_code_word(want), err.msg); \
		kii_error_clear(&err); \
	} while (0)

/* A new folder below TMPDIR; caller frees the name and calls test_dir_remove. Never fails. */
char *test_dir_new(void);
void test_dir_remove(const char *dir);

/* Is this a run (valgrind's) whose speed says nothing? Cases that measure work skip then. */
bool test_is_slow(void);

/* The source folder's `path` as a heap string. */
char *test_source(const char *path);

#endif
