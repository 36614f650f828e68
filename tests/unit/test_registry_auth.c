/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "registry_auth.h"

#include <string.h>

#include "json.h"
#include "secret.h"
#include "testlib.h"

static int take(const char *secret, const char *domain, json_t **out, struct kii_error *err)
{
	kii_autosecret in = KII_BUF_INIT(KII_SECRET_MAX);
	kii_autosecret text = KII_BUF_INIT(KII_SECRET_MAX);

	kii_buf_str(&in, secret);
	if (kii_registry_auth(&in, domain, "registry_auth", &text, err) != 0)
		return -1;
	return kii_json_parse(text.data, text.len, "auth", out, err);
}

static void expect(const char *secret, const char *domain, const char *user, const char *password)
{
	kii_autojson *got = NULL;
	struct kii_error err = { 0 };

	must(take(secret, domain, &got, &err));
	assert_string_equal(kii_json_str(got, "username"), user);
	assert_string_equal(kii_json_str(got, "password"), password);
	assert_string_equal(kii_json_str(got, "serveraddress"), domain);
	assert_int_equal(json_object_size(got), 3);
}

static void refused(const char *secret, const char *domain, const char *why)
{
	kii_autojson *got = NULL;
	struct kii_error err = { 0 };

	if (take(secret, domain, &got, &err) == 0)
		fail_msg("taken: %s", secret);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "registry_auth");
	if (!strstr(err.msg, why))
		fail_msg("%s: %s", secret, err.msg);
}

static void name_and_password_are_for_their_registry(void **state)
{
	static const char one[] = "{\"username\":\"u\",\"password\":\"p:\\u00e4\","
		"\"serveraddress\":\"r.example.org:5000\"}";
	static const char hub[] = "{\"username\":\"u\",\"password\":\"p\","
		"\"serveraddress\":\"https://index.docker.io/v1/\"}";

	(void)state;
	expect(one, "r.example.org:5000", "u", "p:\xc3\xa4");
	refused(one, "r.example.org", "nothing for registry r.example.org");
	refused(one, "docker.io", "nothing for registry docker.io");
	expect(hub, "docker.io", "u", "p");
	refused(hub, "index.docker.io.evil", "nothing for registry");
}

static void a_clients_config_has_one_for_each(void **state)
{
	static const char config[] = "{\"auths\":{"
		"\"https://index.docker.io/v1/\":{\"auth\":\"dTpwOng=\"},"
		"\"R.example.org\":{\"username\":\"v\",\"password\":\"q\"},"
		"\"http://t.example.org/\":{\"auth\":\"eDp5\",\"identitytoken\":\"tok\"},"
		"\"empty\":{}, \"bad\":{\"auth\":\"!\"}, \"nocolon\":{\"auth\":\"Zm9v\"},"
		"\"nul\":{\"auth\":\"AAA6\"}},\"credsStore\":\"pass\"}";
	kii_autojson *got = NULL;
	struct kii_error err = { 0 };

	(void)state;
	expect(config, "docker.io", "u", "p:x");
	expect(config, "r.example.org", "v", "q");
	must(take(config, "t.example.org", &got, &err));
	assert_string_equal(kii_json_str(got, "identitytoken"), "tok");
	assert_null(json_object_get(got, "password"));
	refused(config, "other", "nothing for registry other");
	refused(config, "empty", "neither username");
	refused(config, "bad", "neither username");
	refused(config, "nocolon", "neither username");
	refused(config, "nul", "neither username");
}

static void other_forms_are_refused_and_not_quoted(void **state)
{
	static const char *const bad[] = { "", "s3cret", "[]", "\"s3cret\"", "{}",
		"{\"username\":\"s3cret\"}", "{\"username\":\"u\",\"password\":\"s3cret\"}",
		"{\"auths\":[]}", "{\"auths\":\"s3cret\"}", "{\"auths\":{\"r\":\"s3cret\"}}" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autojson *got = NULL;
		struct kii_error err = { 0 };

		must_fail(take(bad[i], "r", &got, &err), KII_EINVAL);
		assert_null(strstr(err.msg, "s3cret"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_and_password_are_for_their_registry),
		cmocka_unit_test(a_clients_config_has_one_for_each),
		cmocka_unit_test(other_forms_are_refused_and_not_quoted),
	};

	return cmocka_run_group_tests_name("registry_auth", tests, NULL, NULL);
}
