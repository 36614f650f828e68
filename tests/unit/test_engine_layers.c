/* SPDX-License-Identifier: MIT */
/* All images of an engine, and the removal of one, by a scripted engine. */
#include <config.h>

#include "engine_layers.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "testlib.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define IMAGE(id, more) "{\"Id\":\"" id "\"" more "}"

static void list(struct fake_pair *p, const char *body, size_t chunk)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
	fake_stream(p->fake, "", body, strlen(body), chunk);
}

static void every_image_is_listed_with_what_it_was_made_of(void **state)
{
	static const char body[] = "[\n" IMAGE("sha256:" A, ",\"ParentId\":\"\",\"RepoTags\":"
		"[\"<none>:<none>\"],\"RepoDigests\":[\"a@sha256:" B "\"],\"Size\":7,"
		"\"Created\":1700000000,\"Labels\":{\"x\":\"}\\\"]{\\\\\"}") " , "
		IMAGE(B, ",\"ParentId\":\"sha256:" A "\",\"RepoTags\":null,\"Size\":9") "]\n";
	struct fake_pair *p = *state;

	for (size_t chunk = 1; chunk < sizeof(body); chunk += 13) {
		struct kii_error err = { 0 };
		struct kii_layer *layers = NULL;
		size_t n = 0;

		list(p, body, chunk);
		must(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err));
		assert_int_equal(n, 2);
		assert_string_equal(layers[0].id, A);
		assert_string_equal(layers[0].parent, "");
		assert_true(layers[0].named);
		assert_int_equal(layers[0].size, 7);
		assert_int_equal(layers[0].created, 1700000000);
		assert_string_equal(layers[1].id, B);
		assert_string_equal(layers[1].parent, A);
		assert_false(layers[1].named);
		free(layers);
	}
}

static void podmans_own_name_of_a_layer_in_the_making_is_none(void **state)
{
	static const struct { const char *name; bool named; } cases[] = {
		{ "localhost/" A "-tmp:latest", false },
		{ A "-tmp:latest", false },
		{ "localhost/" A "-tmp@sha256:" B, false },
		{ "localhost/" A "-tmp", true },
		{ "localhost/" A "-temp:latest", true },
		{ "localhost/" A ":latest", true },
		{ "localhost/a" A "-tmp:latest", true },
		{ "registry/" A "-tmp:latest", true },
		{ "localhost/abc-tmp:latest", true },
	};
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		kii_autofree char *body = kii_xfmt("[" IMAGE(A, ",\"RepoTags\":[\"%s\"]") "]",
			cases[i].name);
		struct kii_error err = { 0 };
		struct kii_layer *layers = NULL;
		size_t n = 0;

		list(p, body, 4096);
		must(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err));
		assert_int_equal(n, 1);
		if (layers[0].named != cases[i].named)
			fail_msg("%s", cases[i].name);
		free(layers);
	}
}

static void there_may_be_none_or_many(void **state)
{
	struct fake_pair *p = *state;
	kii_autobuf body = KII_BUF_INIT(64u << 20);
	struct kii_error err = { 0 };
	struct kii_layer *layers = NULL;
	size_t n = 1;

	list(p, "[]", 2);
	must(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err));
	assert_int_equal(n, 0);
	free(layers);
	/* More values than a document may have. */
	for (unsigned i = 0; i < 20000; i++)
		kii_buf_fmt(&body, "%c{\"Id\":\"sha256:%064x\",\"RepoTags\":[],\"Size\":1}",
			i ? ',' : '[', i);
	kii_buf_char(&body, ']');
	list(p, body.data, 16384);
	must(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err));
	assert_int_equal(n, 20000);
	free(layers);
}

static void a_list_that_makes_no_sense_is_broken(void **state)
{
	static const char *const bodies[] = { "{}", "", "[", "[" IMAGE(A, ""), "[5]", "[\"a\"]",
		"[{}]", "[" IMAGE("sha256:aa", "") "]", "[{\"Id\":}]", "[{]}", "[[]]" };
	struct fake_pair *p = *state;
	kii_autobuf body = KII_BUF_INIT(4u << 20);

	for (size_t i = 0; i <= KII_COUNT(bodies); i++) {
		struct kii_error err = { 0 };
		struct kii_layer *layers = NULL;
		size_t n;

		/* And one that does not end. */
		if (i == KII_COUNT(bodies)) {
			kii_buf_str(&body, "[{\"Id\":\"");
			for (size_t k = 0; k < (1 << 20); k++)
				kii_buf_char(&body, 'a');
			kii_buf_str(&body, "\"}]");
		}
		list(p, i < KII_COUNT(bodies) ? bodies[i] : body.data, 16384);
		assert_int_equal(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err), -1);
		if (err.code != KII_EBROKEN)
			fail_msg("%zu: %d %s", i, err.code, err.msg);
	}
}

static void an_engine_may_refuse_the_list(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_layer *layers = NULL;
	size_t n;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 500, "", "{\"message\":\"x\"}");
	assert_int_equal(kii_engine_layers(p->engine, NULL, NULL, &layers, &n, &err), -1);
	assert_int_equal(err.code, KII_EBROKEN);
}

#define HALF "retrieving parent of image \\\"" B "\\\": you may need to remove it: locating item " \
	"named \\\"manifest\\\" for image with ID \\\"" A "\\\" (consider it): file does not exist"

static void an_image_without_its_manifest_is_found(void **state)
{
	static const struct { bool podman; int status; const char *body, *id; int rc; } cases[] = {
		{ true, 500, "{\"message\":\"" HALF "\"}", A, 0 },
		{ true, 500, "{\"message\":\"locating item named \\\"x\\\" for image with ID "
			"\\\"aa\\\"\"}", "", 0 },
		{ true, 500, "{\"message\":\"locating item named \\\"x\\\"\"}", "", 0 },
		{ true, 500, "{\"message\":\"x\"}", "", 0 },
		{ true, 500, "x", "", 0 },
		{ true, 200, "[]", "", 0 },
		{ true, 404, "{\"message\":\"" HALF "\"}", "", -1 },
		{ false, 500, "{\"message\":\"" HALF "\"}", "", -1 },
	};
	struct fake_pair *p = *state;

	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct kii_error err = { 0 };
		char id[65] = "x";
		int rc;

		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", cases[i].podman);
		fake_reply(p->fake, cases[i].status, "", cases[i].body);
		rc = kii_engine_half_made(p->engine, id, &err);
		if (rc != cases[i].rc || strcmp(id, cases[i].id) != 0)
			fail_msg("%zu: %d %s", i, rc, id);
		assert_int_equal(err.code == KII_OK, rc == 0);
	}
}

static void what_went_is_told(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;
	json_t *gone = NULL;

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "[{\"Untagged\":\"x\"},{\"Deleted\":\"" A "\"},"
		"{\"Deleted\":\"sha256:" B "\"},{\"Deleted\":\"odd\"}]");
	must(kii_engine_layer_remove(p->engine, "sha256:" A, &gone, &err));
	assert_int_equal(json_array_size(gone), 2);
	assert_string_equal(json_string_value(json_array_get(gone, 1)), B);
	json_decref(gone);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "DELETE /v1.41/images/" A "?noprune=1"));
	fake_reply(p->fake, 404, "", "{\"message\":\"No such image\"}");
	must(kii_engine_layer_remove(p->engine, B, &gone, &err));
	assert_string_equal(json_string_value(json_array_get(gone, 0)), B);
	json_decref(gone);
	fake_reply(p->fake, 409, "", "{\"message\":\"in use\"}");
	assert_int_equal(kii_engine_layer_remove(p->engine, B, &gone, &err), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	kii_error_clear(&err);
	assert_int_equal(kii_engine_layer_remove(p->engine, "x:latest", &gone, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(every_image_is_listed_with_what_it_was_made_of),
		FAKE_TEST(podmans_own_name_of_a_layer_in_the_making_is_none),
		FAKE_TEST(there_may_be_none_or_many),
		FAKE_TEST(a_list_that_makes_no_sense_is_broken),
		FAKE_TEST(an_engine_may_refuse_the_list),
		FAKE_TEST(an_image_without_its_manifest_is_found),
		FAKE_TEST(what_went_is_told),
	};

	return cmocka_run_group_tests_name("engine_layers", tests, NULL, NULL);
}
