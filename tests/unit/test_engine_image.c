/* SPDX-License-Identifier: MIT */
/* Images, volumes and the process list: what is read from JSON. */
#include <config.h>

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "fakeengine.h"
#include "testlib.h"

static void images_go_by_their_last_part(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_image *images;
	size_t n;
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "["
		"{\"Id\":\"sha256:1\",\"RepoTags\":[\"kiisrv-a:latest\",\"x/kiisrv-no\",3,"
		"\"reg:5000/team/kiisrv-b:v1\"]},"
		"{\"Id\":\"sha256:2\",\"RepoTags\":[\"localhost/kiisrv-gone:latest\"]},"
		"{\"Id\":\"sha256:3\",\"RepoTags\":null},"
		"{\"Id\":\"sha256:4\",\"RepoTags\":[\"kiisrv/other:latest\",\"<none>:<none>\"]}]");
	fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:1\",\"Size\":5,\"Created\":"
		"\"2026-11-28T22:38:10Z\",\"Config\":{\"User\":\"1000\"}}");
	fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:1\",\"Config\":null}");
	fake_reply(p->fake, 404, "", "{}");
	must(kii_engine_images(p->engine, "kiisrv-", &images, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(images[0].name, "kiisrv-a:latest");
	assert_string_equal(images[0].id, "sha256:1");
	assert_string_equal(images[0].user, "1000");
	assert_int_equal(images[0].size, 5);
	assert_int_equal(images[0].created, 1795905490);
	assert_string_equal(images[1].name, "kiisrv-b:v1");
	assert_string_equal(images[1].user, "");
	kii_images_free(images, n);
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nGET /v1.41/images/json\n"
		"GET /v1.41/images/sha256:1/json\nGET /v1.41/images/sha256:1/json\n"
		"GET /v1.41/images/sha256:2/json\n");
	free(seen);
	kii_images_free(NULL, 0);
}

/* Whatever order the engine lists them in. */
static void of_several_registries_one_image_counts(void **state)
{
	static const char *const lists[] = {
		"[{\"Id\":\"sha256:1\",\"RepoTags\":[\"reg.example/kiisrv-b:latest\"]},"
		"{\"Id\":\"sha256:2\",\"RepoTags\":[\"localhost/kiisrv-a:latest\","
		"\"x/kiisrv-c:latest\"]},"
		"{\"Id\":\"sha256:3\",\"RepoTags\":[\"kiisrv-a:latest\"]},"
		"{\"Id\":\"sha256:4\",\"RepoTags\":[\"localhost/kiisrv-b:latest\","
		"\"a/kiisrv-c:latest\"]}]",
		"[{\"Id\":\"sha256:4\",\"RepoTags\":[\"a/kiisrv-c:latest\","
		"\"localhost/kiisrv-b:latest\"]},"
		"{\"Id\":\"sha256:3\",\"RepoTags\":[\"kiisrv-a:latest\"]},"
		"{\"Id\":\"sha256:2\",\"RepoTags\":[\"x/kiisrv-c:latest\","
		"\"localhost/kiisrv-a:latest\"]},"
		"{\"Id\":\"sha256:1\",\"RepoTags\":[\"reg.example/kiisrv-b:latest\"]}]",
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_image *images;
	kii_autofree char *seen = NULL;
	size_t n;

	for (size_t i = 0; i < KII_COUNT(lists); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, 200, "", lists[i]);
		fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:3\"}");
		fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:4\"}");
		fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:4\"}");
		must(kii_engine_images(p->engine, "kiisrv-", &images, &n, &err));
		assert_int_equal(n, 3);
		assert_string_equal(images[0].name, "kiisrv-a:latest");
		assert_string_equal(images[1].name, "kiisrv-b:latest");
		assert_string_equal(images[2].name, "kiisrv-c:latest");
		kii_images_free(images, n);
	}
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "images/sha256:3/json\nGET /v1.41/images/sha256:4/json\n"
		"GET /v1.41/images/sha256:4/json\n"));
	assert_null(strstr(seen, "sha256:1/json"));
	assert_null(strstr(seen, "sha256:2/json"));
}

static void image_lists_that_lack_are_broken(void **state)
{
	static const struct { const char *list, *image; } rows[] = {
		{ "{}", NULL },
		{ "[{}]", NULL },
		{ "[{\"Id\":\"sha256:1\",\"RepoTags\":[\"k:1\",\"k:2\"]}]", "{}" },
		{ "[{\"Id\":\"sha256:1\",\"RepoTags\":[\"k:1\"]}]", "{\"Id\":\"\"}" },
		{ "[{\"Id\":\"sha256:1\",\"RepoTags\":[\"k:1\"]}]", "{\"Id\":\"1\\u001b\"}" },
		{ "[{\"Id\":\"../1\",\"RepoTags\":[\"k:1\"]}]", NULL },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_image *images;
	size_t n;

	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", false);
		fake_reply(p->fake, 200, "", rows[i].list);
		if (rows[i].image)
			fake_reply(p->fake, 200, "", rows[i].image);
		must_fail(kii_engine_images(p->engine, "k", &images, &n, &err), KII_EBROKEN);
	}
}

static void an_image_is_inspected_by_its_name(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_image image;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"Id\":\"sha256:1\"}");
	must(kii_engine_image_inspect(p->engine, "kiisrv-controller-057:latest", &image, &err));
	assert_string_equal(image.name, "kiisrv-controller-057:latest");
	kii_image_release(&image);
	fake_reply(p->fake, 404, "", "{\"message\":\"No such image\"}");
	must_fail(kii_engine_image_inspect(p->engine, "a:b", &image, &err), KII_ENOTFOUND);
}

static void volumes_are_names(void **state)
{
	static const char *const bad[] = {
		"[]", "{}", "{\"Volumes\":{}}", "{\"Volumes\":[{\"Name\":\"a\"},{}]}",
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	char **names;
	size_t n;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"Volumes\":[{\"Name\":\"a\"},{\"Name\":\"b\"}]}");
	must(kii_engine_volumes(p->engine, "k", "v", &names, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(names[1], "b");
	kii_names_free(names, n);
	fake_reply(p->fake, 200, "", "{\"Volumes\":null}");
	must(kii_engine_volumes(p->engine, "k", "v", &names, &n, &err));
	assert_int_equal(n, 0);
	kii_names_free(names, n);
	kii_names_free(NULL, 0);
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		fake_reply(p->fake, 200, "", bad[i]);
		must_fail(kii_engine_volumes(p->engine, "k", "v", &names, &n, &err), KII_EBROKEN);
	}
}

static void a_volume_is_removed_or_was_not_there(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 204, "", "");
	must(kii_engine_volume_remove(p->engine, "v", &err));
	fake_reply(p->fake, 404, "", "{}");
	must(kii_engine_volume_remove(p->engine, "v", &err));
	fake_reply(p->fake, 409, "", "{\"message\":\"in use\"}");
	must_fail(kii_engine_volume_remove(p->engine, "v", &err), KII_ECONFLICT);
}

static void a_process_list_is_clean_text(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(1 << 16);
	char *seen;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"Titles\":[\"PID\",\"COMMAND\"],\"Processes\":"
		"[[\"1\",\"sh\\n2 \\u001b[31mroot\"],[3,null],7]}");
	must(kii_engine_top(p->engine, "abc", &text, &err));
	assert_string_equal(text.data, "PID COMMAND\n1 sh?2 ?[31mroot\n \n\n");
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "/top?stream=false&ps_args=-eo%20pid%2Cuser%2Ctime%2Cargs\n"));
	free(seen);
}

static void a_process_list_is_cut(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf body = KII_BUF_INIT(1 << 20);
	kii_autobuf text = KII_BUF_INIT(1 << 16);
	kii_autobuf small = KII_BUF_INIT(100);

	kii_buf_str(&body, "{\"Titles\":[],\"Processes\":[");
	for (int i = 0; i < 1000; i++)
		kii_buf_fmt(&body, "%s[\"%0600d\"]", i ? "," : "", i);
	kii_buf_str(&body, "]}");
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", body.data);
	must(kii_engine_top(p->engine, "abc", &text, &err));
	assert_in_range(text.len, 15 << 10, 16 << 10);
	fake_reply(p->fake, 200, "", body.data);
	must_fail(kii_engine_top(p->engine, "abc", &small, &err), KII_ETOOBIG);
}

static void no_process_is_a_conflict(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autobuf text = KII_BUF_INIT(1 << 16);

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "");
	must_fail(kii_engine_top(p->engine, "abc", &text, &err), KII_ECONFLICT);
	fake_reply(p->fake, 409, "", "{}");
	must_fail(kii_engine_top(p->engine, "abc", &text, &err), KII_ECONFLICT);
	fake_reply(p->fake, 200, "", "{}");
	must_fail(kii_engine_top(p->engine, "abc", &text, &err), KII_EBROKEN);
	assert_string_equal(text.data, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(images_go_by_their_last_part),
		FAKE_TEST(of_several_registries_one_image_counts),
		FAKE_TEST(image_lists_that_lack_are_broken),
		FAKE_TEST(an_image_is_inspected_by_its_name),
		FAKE_TEST(volumes_are_names),
		FAKE_TEST(a_volume_is_removed_or_was_not_there),
		FAKE_TEST(a_process_list_is_clean_text),
		FAKE_TEST(a_process_list_is_cut),
		FAKE_TEST(no_process_is_a_conflict),
	};

	return cmocka_run_group_tests_name("engine_image", tests, NULL, NULL);
}
