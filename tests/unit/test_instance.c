/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "instance.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "testlib.h"

#define GOOD "0123456789abcdef"

struct fixture {
	char *dir, *file;
};

static int setup(void **state)
{
	struct fixture *f = kii_xcalloc(1, sizeof(*f));
	struct kii_error err = { 0 };
	kii_autofree char *folder = NULL;

	f->dir = test_dir_new();
	folder = kii_xfmt("%s/engine", f->dir);
	must(kii_io_mkdirs(folder, 0700, &err));
	f->file = kii_xfmt("%s/instance", folder);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_dir_remove(f->dir);
	free(f->dir);
	free(f->file);
	free(f);
	return 0;
}

static void sixteen_hex_digits_are_read(void **state)
{
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	char got[KII_INSTANCE + 1];

	must(kii_io_publish(f->file, GOOD, 16, 0600, &err));
	must(kii_instance_read(f->dir, got, &err));
	assert_string_equal(got, GOOD);
	must(kii_io_publish(f->file, GOOD "\n", 17, 0600, &err));
	memset(got, 0, sizeof(got));
	must(kii_instance_read(f->dir, got, &err));
	assert_string_equal(got, GOOD);
}

static void anything_else_is_an_error(void **state)
{
	static const char *const texts[] = { "", "\n", "0123", GOOD "0", GOOD "\n\n",
		"0123456789ABCDEF", "0123456789abcde\n", GOOD GOOD GOOD GOOD GOOD };
	struct fixture *f = *state;
	struct kii_error err = { 0 };
	char got[KII_INSTANCE + 1];

	must_fail(kii_instance_read(f->dir, got, &err), KII_ENOTFOUND);
	for (size_t i = 0; i < KII_COUNT(texts); i++) {
		must(kii_io_publish(f->file, texts[i], strlen(texts[i]), 0600, &err));
		must_fail(kii_instance_read(f->dir, got, &err), KII_EIO);
	}
}

#define instance_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		instance_test(sixteen_hex_digits_are_read),
		instance_test(anything_else_is_an_error),
	};

	return cmocka_run_group_tests_name("instance", tests, NULL, NULL);
}
