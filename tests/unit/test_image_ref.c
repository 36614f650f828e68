/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "image_ref.h"

#include <string.h>

#include "testlib.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_come_to_one_form(void **state)
{
	static const char *const cases[][2] = {
		{ "nginx", "docker.io/library/nginx:latest" },
		{ "nginx:alpine", "docker.io/library/nginx:alpine" },
		{ "docker.io/nginx", "docker.io/library/nginx:latest" },
		{ "index.docker.io/library/nginx", "docker.io/library/nginx:latest" },
		{ "user/app", "docker.io/user/app:latest" },
		{ "localhost/app", "localhost/app:latest" },
		{ "127.0.0.1:5000/a/b-c/d__e/f.g/h---i:1.0_X-y",
			"127.0.0.1:5000/a/b-c/d__e/f.g/h---i:1.0_X-y" },
		{ "Host/app", "Host/app:latest" },
		{ "r.example.org/app@sha256:" HEX, "r.example.org/app@sha256:" HEX },
		{ "app:2@sha256:" HEX, "docker.io/library/app:2@sha256:" HEX },
		{ "[::1]:5000/app:x", "[::1]:5000/app:x" },
		{ "localhost:5000/app", "localhost:5000/app:latest" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct kii_image_ref ref = { .tag = "" };
		struct kii_image_ref again = { .tag = "" };
		kii_autofree char *text = NULL;
		struct kii_error err = { 0 };

		must(kii_image_ref_parse(cases[i][0], "image", &ref, &err));
		text = kii_image_ref_text(&ref);
		assert_string_equal(text, cases[i][1]);
		must(kii_image_ref_parse(text, "image", &again, &err));
		assert_memory_equal(&again.domain, &ref.domain, strlen(ref.domain) + 1);
		assert_string_equal(again.path, ref.path);
		assert_string_equal(again.tag, ref.tag);
		assert_string_equal(again.digest, ref.digest);
	}
}

static void the_name_is_without_tag_and_digest(void **state)
{
	struct kii_image_ref ref = { .tag = "" };
	kii_autofree char *name = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_image_ref_parse("a/b:c@sha256:" HEX, "image", &ref, &err));
	name = kii_image_ref_name(&ref);
	assert_string_equal(name, "docker.io/a/b");
}

static void what_is_no_name_is_refused(void **state)
{
	static const char *const bad[] = {
		"", ":x", "@sha256:" HEX, "a:", "a:-x", "a:.x", "a@", "a@sha256:12", "a@md5:" HEX,
		"A", "a/B", "a//b", "/a", "a/", "-a", "a-", "a..b", "a___b", "a.-b", "a b", "a\nb",
		"$(id)", ";id", "--help", "../a", "a/../b", "http://h/a", "h:x/a",
		"h:123456/a", "-h.x/a", "h-.x/a", ".h/a", "h..x/a", "[::1/a", "[x]/a", "a:b:c",
		"a@sha256:" HEX "0", "\xc3\xa4", "h:/a",
	};
	struct kii_image_ref ref = { .tag = "kept" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		struct kii_error err = { 0 };

		if (kii_image_ref_parse(bad[i], "image", &ref, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, "image");
		assert_string_equal(ref.tag, "kept");
	}
}

static void what_is_too_long_is_refused(void **state)
{
	char name[400], tag[200];
	struct kii_image_ref ref = { .tag = "" };
	struct kii_error err = { 0 };

	(void)state;
	memset(name, 'a', sizeof(name));
	name[247] = '\0';
	must(kii_image_ref_parse(name, "image", &ref, &err));
	name[247] = 'a';
	name[248] = '\0';
	must_fail(kii_image_ref_parse(name, "image", &ref, &err), KII_EINVAL);
	memset(tag, 'b', sizeof(tag));
	memcpy(tag, "a:", 2);
	tag[130] = '\0';
	must(kii_image_ref_parse(tag, "image", &ref, &err));
	tag[130] = 'b';
	tag[131] = '\0';
	must_fail(kii_image_ref_parse(tag, "image", &ref, &err), KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_to_one_form),
		cmocka_unit_test(the_name_is_without_tag_and_digest),
		cmocka_unit_test(what_is_no_name_is_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests_name("image_ref", tests, NULL, NULL);
}
