/* SPDX-License-Identifier: MIT */
/* The engine's images as the operator's API tells them; a scripted engine. */
#include <config.h>

#include "engine_images.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "json.h"
#include "testlib.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LIST "[{\"Id\":\"sha256:" A "\",\"RepoTags\":[\"docker.io/library/nginx:alpine\"," \
	"\"docker.io/me/web:1\",\"r.example:5000/web:1\"],\"RepoDigests\":null,\"Created\":86400," \
	"\"Size\":7,\"Labels\":{\"a\":\"b\"}}," \
	"{\"Id\":\"sha256:" B "\",\"RepoTags\":[\"<none>:<none>\",7,\"\"],\"Labels\":null}]"
#define FIRST "{\"id\":\"sha256:" A "\",\"tags\":[\"nginx:alpine\",\"me/web:1\"," \
	"\"r.example:5000/web:1\"],\"digests\":[],\"created\":\"1970-01-02T00:00:00Z\"," \
	"\"size\":7,\"labels\":{\"a\":\"b\"}}"
#define SECOND "{\"id\":\"sha256:" B "\",\"tags\":[],\"digests\":[],\"created\":null,\"size\":0," \
	"\"labels\":{}}"

static void start_script(struct fake_pair *p)
{
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", false);
}

static void assert_json(json_t *got_take, const char *want)
{
	kii_autojson *got = got_take;
	kii_autobuf text = KII_BUF_INIT(10000);
	struct kii_error err = { 0 };

	must(kii_json_dump(got, 0, &text, &err));
	assert_string_equal(text.data, want);
}

static void assert_seen(struct fake_pair *p, const char *want)
{
	kii_autofree char *seen = fake_seen(p->fake);

	assert_string_equal(seen, want);
}

static void both_engines_names_are_told_alike(void **state)
{
	struct fake_pair *p = *state;
	struct kii_image_filter all = { 0 };
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", LIST);
	must(kii_engine_image_list(p->engine, &all, &out, &err));
	assert_json(out, "[" FIRST "," SECOND "]");
	assert_seen(p, "GET /_ping\nGET /v1.41/images/json?filters=%7B%7D\n");
}

static void a_name_matches_its_repository_or_its_tag(void **state)
{
	static const struct { const char *name; bool found; } rows[] = {
		{ "nginx", true }, { "nginx:alpine", true }, { "docker.io/library/nginx", true },
		{ "docker.io/me/web:1", true }, { "me/web", true }, { "r.example:5000/web", true },
		{ "r.example:5000/web:1", true }, { "web", false }, { "ngin", false },
		{ "nginx:alp", false }, { "me", false },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *out = NULL;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		struct kii_image_filter filter = { .name = rows[i].name };

		start_script(p);
		fake_reply(p->fake, 200, "", LIST);
		must(kii_engine_image_list(p->engine, &filter, &out, &err));
		if (json_array_size(out) != rows[i].found)
			fail_msg("%s", rows[i].name);
		json_decref(out);
	}
}

static void labels_and_dangling_are_the_engines_to_filter(void **state)
{
	struct fake_pair *p = *state;
	struct kii_image_filter filter = { .label = "a=\"b", .dangling = true };
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", "[]");
	must(kii_engine_image_list(p->engine, &filter, &out, &err));
	json_decref(out);
	assert_seen(p, "GET /_ping\nGET /v1.41/images/json?filters=%7B%22label%22%3A%5B%22a%3D"
		"%5C%22b%22%5D%2C%22dangling%22%3A%5B%22true%22%5D%7D\n");
}

static void what_cannot_be_asked_is_said(void **state)
{
	static const struct { struct kii_image_filter filter; const char *field; } rows[] = {
		{ { .name = "A" }, "name" }, { { .name = "" }, "name" },
		{ { .name = "a@sha256:0" }, "name" }, { { .label = "\xff" }, "label" },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *big = kii_xmalloc(5001);
	struct kii_image_filter filter = { .label = big };
	json_t *out = NULL;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		if (kii_engine_image_list(p->engine, &rows[i].filter, &out, &err) == 0)
			fail_msg("%zu", i);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, rows[i].field);
		kii_error_clear(&err);
	}
	memset(big, 'a', 5000);
	big[5000] = '\0';
	must_fail(kii_engine_image_list(p->engine, &filter, &out, &err), KII_ETOOBIG);
	must_fail(kii_engine_image_show(p->engine, "..", &out, &err), KII_EINVAL);
	must_fail(kii_engine_image_delete(p->engine, "a b", false, &out, &err), KII_EINVAL);
	must_fail(kii_engine_image_tag(p->engine, "A", "b", &err), KII_EINVAL);
	must_fail(kii_engine_image_tag(p->engine, "a", "B", &err), KII_EINVAL);
	must_fail(kii_engine_image_tag(p->engine, "a", "b@sha256:" A, &err), KII_EINVAL);
	must_fail(kii_image_check("sha256:" A "/", "x", &err), KII_EINVAL);
	must(kii_image_check("sha256:" A, "x", &err));
	assert_seen(p, "");
}

static void a_list_that_is_none_is_broken(void **state)
{
	static const char *const bodies[] = { "{}", "[{}]", "[7]", "nothing" };
	struct fake_pair *p = *state;
	struct kii_image_filter all = { 0 };
	struct kii_error err = { 0 };
	json_t *out = NULL;

	for (size_t i = 0; i < KII_COUNT(bodies); i++) {
		start_script(p);
		fake_reply(p->fake, 200, "", bodies[i]);
		must_fail(kii_engine_image_list(p->engine, &all, &out, &err), KII_EBROKEN);
		start_script(p);
		fake_reply(p->fake, 200, "", bodies[i]);
		must_fail(kii_engine_image_prune(p->engine, "a", "b", true, &out, &err),
			KII_EBROKEN);
	}
	start_script(p);
	fake_reply(p->fake, 200, "", "{}");
	must_fail(kii_engine_image_show(p->engine, "a", &out, &err), KII_EBROKEN);
}

/* So many images with so many labels as one JSON may not have values. */
static char *long_list(size_t n)
{
	kii_autobuf text = KII_BUF_INIT(64u << 20);

	for (size_t i = 0; i < n; i++) {
		kii_buf_fmt(&text, "%c{\"Id\":\"%064zx\",\"RepoTags\":[\"x-%zu:1\"],"
			"\"State\":\"running\",\"Labels\":{", i ? ',' : '[', i, i);
		for (int label = 0; label < 20; label++)
			kii_buf_fmt(&text, "%s\"label-%d\":\"]}\\\"{[\"", label ? "," : "",
				label);
		kii_buf_str(&text, "}}");
	}
	kii_buf_str(&text, "]");
	return kii_buf_steal(&text);
}

static void a_list_is_as_long_as_it_likes(void **state)
{
	const struct kii_image_filter all = { .name = NULL };
	struct fake_pair *p = *state;
	kii_autofree char *list = long_list(10000);
	kii_autojson *out = NULL;
	struct kii_container *containers;
	struct kii_image *images;
	struct kii_error err = { 0 };
	size_t n = 0;

	start_script(p);
	fake_stream(p->fake, "", list, strlen(list), 65536);
	must(kii_engine_image_list(p->engine, &all, &out, &err));
	assert_int_equal(json_array_size(out), 10000);
	fake_stream(p->fake, "", list, strlen(list), 65536);
	must(kii_engine_images(p->engine, "other-", &images, &n, &err));
	assert_int_equal(n, 0);
	kii_images_free(images, n);
	fake_stream(p->fake, "", list, strlen(list), 65536);
	must(kii_engine_list(p->engine, NULL, NULL, &containers, &n, &err));
	assert_int_equal(n, 10000);
	assert_string_equal(kii_json_str(containers[9999].labels, "label-19"), "]}\"{[");
	kii_containers_free(containers, n);
}

static void an_image_is_shown_with_what_it_runs(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:" A "\",\"RepoTags\":[],\"RepoDigests\":["
		"\"docker.io/library/a@sha256:" B "\"],\"Created\":\"1970-01-02T00:00:00.5Z\","
		"\"Size\":9,\"Architecture\":\"amd64\",\"Os\":\"\",\"RootFS\":{\"Layers\":[1,2]},"
		"\"Config\":{\"User\":\"7\",\"WorkingDir\":null,\"Entrypoint\":[\"/e\"],"
		"\"Cmd\":null,"
		"\"Env\":[\"A=b\"],\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/v\":{}},"
		"\"Labels\":null}}");
	must(kii_engine_image_show(p->engine, "docker.io/library/a:b", &out, &err));
	assert_json(out, "{\"id\":\"sha256:" A "\",\"tags\":[],\"digests\":[\"a@sha256:" B "\"],"
		"\"created\":\"1970-01-02T00:00:00Z\",\"size\":9,\"labels\":{},"
		"\"architecture\":\"amd64\",\"os\":null,\"layers\":2,\"user\":\"7\","
		"\"working_dir\":null,\"entrypoint\":[\"/e\"],\"command\":[],"
		"\"environment\":[\"A=b\"],\"ports\":[\"80/tcp\"],\"volumes\":[\"/v\"]}");
	assert_seen(p, "GET /_ping\nGET /v1.41/images/docker.io/library/a:b/json\n");
	fake_reply(p->fake, 404, "", "{\"message\":\"no\"}");
	must_fail(kii_engine_image_show(p->engine, "a", &out, &err), KII_ENOTFOUND);
}

static void a_tag_is_sent_in_two_parts(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	start_script(p);
	fake_reply(p->fake, 201, "", "");
	must(kii_engine_image_tag(p->engine, "sha256:" A, "r.example:5000/b/c", &err));
	fake_reply(p->fake, 404, "", "{}");
	must_fail(kii_engine_image_tag(p->engine, "a", "b:2", &err), KII_ENOTFOUND);
	assert_seen(p, "GET /_ping\nPOST /v1.41/images/sha256:" A "/tag?repo=r.example%3A5000"
		"%2Fb%2Fc&tag=latest\n"
		"POST /v1.41/images/a/tag?repo=docker.io%2Flibrary%2Fb&tag=2\n");
}

static void what_went_is_told_alike(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", "[{\"Deleted\":\"" A "\"},{\"Untagged\":"
		"\"docker.io/library/a:b\"},{\"Deleted\":\"sha256:" B "\"},{\"Other\":1},7]");
	must(kii_engine_image_delete(p->engine, "a:b", true, &out, &err));
	assert_json(out, "{\"untagged\":[\"a:b\"],\"deleted\":[\"sha256:" A "\",\"sha256:" B
		"\"]}");
	fake_reply(p->fake, 409, "", "{\"message\":\"in use\"}");
	must_fail(kii_engine_image_delete(p->engine, "a", false, &out, &err), KII_ECONFLICT);
	assert_seen(p, "GET /_ping\nDELETE /v1.41/images/a:b?force=1\nDELETE /v1.41/images/a\n");
}

static void prune_takes_the_nameless_or_all(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", LIST);
	fake_reply(p->fake, 200, "", "[{\"Deleted\":\"sha256:" B "\"}]");
	must(kii_engine_image_prune(p->engine, "l", "v", false, &out, &err));
	assert_json(out, "{\"untagged\":[],\"deleted\":[\"sha256:" B "\"],\"kept\":0}");
	assert_seen(p, "GET /_ping\nGET /v1.41/images/json?filters=%7B%22label%22%3A%5B%22l%3Dv%22"
		"%5D%7D\nDELETE /v1.41/images/sha256:" B "\n");
	start_script(p);
	fake_reply(p->fake, 200, "", LIST);
	fake_reply(p->fake, 200, "", "[{\"Untagged\":\"nginx:alpine\"}]");
	fake_reply(p->fake, 409, "", "{}");
	fake_reply(p->fake, 409, "", "{}");
	fake_reply(p->fake, 404, "", "{}");
	must(kii_engine_image_prune(p->engine, "l", "v", true, &out, &err));
	assert_json(out, "{\"untagged\":[\"nginx:alpine\"],\"deleted\":[],\"kept\":1}");
}

static void a_prune_ends_at_the_first_trouble(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	json_t *out = NULL;

	start_script(p);
	fake_reply(p->fake, 200, "", LIST);
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_engine_image_prune(p->engine, "l", "v", true, &out, &err), KII_EBROKEN);
	start_script(p);
	fake_reply(p->fake, 200, "", "[{\"Id\":\"x;y\"}]");
	must_fail(kii_engine_image_prune(p->engine, "l", "v", false, &out, &err), KII_EINVAL);
	start_script(p);
	fake_reply(p->fake, 200, "", LIST);
	fake_reply(p->fake, 200, "", "nothing");
	must_fail(kii_engine_image_prune(p->engine, "l", "v", false, &out, &err), KII_EBROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(both_engines_names_are_told_alike),
		FAKE_TEST(a_name_matches_its_repository_or_its_tag),
		FAKE_TEST(labels_and_dangling_are_the_engines_to_filter),
		FAKE_TEST(what_cannot_be_asked_is_said),
		FAKE_TEST(a_list_that_is_none_is_broken),
		FAKE_TEST(a_list_is_as_long_as_it_likes),
		FAKE_TEST(an_image_is_shown_with_what_it_runs),
		FAKE_TEST(a_tag_is_sent_in_two_parts),
		FAKE_TEST(what_went_is_told_alike),
		FAKE_TEST(prune_takes_the_nameless_or_all),
		FAKE_TEST(a_prune_ends_at_the_first_trouble),
	};

	return cmocka_run_group_tests_name("engine_images", tests, NULL, NULL);
}
