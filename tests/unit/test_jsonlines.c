/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jsonlines.h"

#include <string.h>

#include "testlib.h"

/* Notes each document in `arg`, a buffer; one that is false is refused. */
static int note(void *arg, const json_t *document, struct kii_error *err)
{
	char *text = json_dumps(document, JSON_ENCODE_ANY | JSON_COMPACT);

	kii_buf_fmt(arg, "%s|", text);
	free(text);
	if (json_is_false(document))
		return kii_error_set(err, KII_ETIMEOUT, 0, "a test's end");
	return 0;
}

static int feed(const char *text, size_t len, size_t piece, struct kii_buf *out,
	struct kii_error *err)
{
	struct kii_jsonlines l;
	int rc = 0;

	kii_jsonlines_init(&l);
	for (size_t at = 0; rc == 0 && at < len; at += piece)
		rc = kii_jsonlines_feed(&l, text + at, len - at < piece ? len - at : piece, note,
			out, err);
	if (rc == 0)
		rc = kii_jsonlines_end(&l, note, out, err);
	kii_jsonlines_release(&l);
	return rc;
}

static void lines_come_in_any_pieces(void **state)
{
	static const char text[] = "{\"a\":1}\n\r\n[\"\xc3\xa9\\n\"]\r\n \n{\"b\":\"x\\ny\"}\ntrue";
	struct kii_error err = { 0 };

	(void)state;
	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		kii_autobuf out = KII_BUF_INIT(1000);

		must(feed(text, sizeof(text) - 1, piece, &out, &err));
		assert_string_equal(out.data,
			"{\"a\":1}|[\"\xc3\xa9\\n\"]|{\"b\":\"x\\ny\"}|true|");
	}
}

static void what_is_no_json_is_broken(void **state)
{
	static const char *const bad[] = { "{\"a\":1}\n{\"a\"\n", "x\n", "{} {}\n", "{\"a\":1",
		"\"\xff\"\n", "{\"a\":1,\"a\":2}\n" };
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autobuf out = KII_BUF_INIT(1000);

		must_fail(feed(bad[i], strlen(bad[i]), 3, &out, &err), KII_EBROKEN);
	}
}

static void a_line_has_an_end(void **state)
{
	kii_autobuf line = KII_BUF_INIT(4 << 20);
	kii_autobuf out = KII_BUF_INIT(4 << 20);
	struct kii_error err = { 0 };

	(void)state;
	kii_buf_char(&line, '"');
	while (line.len < KII_JSONLINES_MAX - 1)
		kii_buf_char(&line, 'x');
	kii_buf_char(&line, '"');
	must(feed(line.data, line.len, 10000, &out, &err));
	line.data[line.len - 1] = 'x';
	kii_buf_str(&line, "x\"\n");
	must_fail(feed(line.data, line.len, 10000, &out, &err), KII_EBROKEN);
	/* Without a line end it is refused as soon. */
	line.len -= 1;
	must_fail(feed(line.data, line.len, 10000, &out, &err), KII_EBROKEN);
}

static void who_takes_may_end_it(void **state)
{
	kii_autobuf out = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };

	(void)state;
	must_fail(feed("1\nfalse\n2\n", 10, 10, &out, &err), KII_ETIMEOUT);
	assert_string_equal(out.data, "1|false|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_any_pieces),
		cmocka_unit_test(what_is_no_json_is_broken),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(who_takes_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
