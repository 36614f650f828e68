/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll.h"

#include <stdlib.h>
#include <string.h>

#include "kllfix.h"

/* A valid request of `board` with one value replaced (NULL: taken out); the field at fault. */
struct row {
	const char *board;
	const char *path;
	const char *value;
	const char *field;   /* NULL: the path itself */
};

static struct kii_layouts *layouts;

static int setup(void **state)
{
	(void)state;
	layouts = kllfix_layouts();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kii_layouts_free(layouts);
	return 0;
}

static int make(const json_t *request, enum kii_dialect dialect, struct kii_error *err)
{
	struct kii_kll *k = NULL;
	int rc = kii_kll_make(request, dialect, layouts, &k, err);

	kii_kll_free(k);
	return rc;
}

static void expect_row(const struct row *row, enum kii_dialect dialect)
{
	kii_autojson *request = kllfix_request(row->board);
	const char *field = row->field ? row->field : row->path;
	struct kii_error err = { 0 };

	must(make(request, dialect, &err));
	kllfix_set(request, row->path, row->value);
	if (!make(request, dialect, &err))
		fail_msg("%s = %s was taken", row->path, row->value ? row->value : "(none)");
	if (err.code != KII_EINVAL || strcmp(err.field, field) != 0 ||
	    strncmp(err.msg, field, strlen(field)) != 0 ||
	    strncmp(err.msg + strlen(field), ": ", 2) != 0)
		fail_msg("%s = %s: code %d, field %s, not %s: %s", row->path,
			row->value ? row->value : "(none)", err.code, err.field, field, err.msg);
}

static void expect_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		expect_row(&rows[i], KII_KLL_LATEST);
		expect_row(&rows[i], KII_KLL_LTS);
	}
}

/* The same request with the value in place must be taken. */
static void expect_taken(const char *board, const char *path, const char *value)
{
	kii_autojson *request = kllfix_request(board);
	struct kii_error err = { 0 };

	kllfix_set(request, path, value);
	if (make(request, KII_KLL_LATEST, &err))
		fail_msg("%s = %s: %s", path, value, err.msg);
}

static void a_body_that_is_no_object_is_refused(void **state)
{
	static const char *const bodies[] = { "[]", "null", "1", "\"x\"" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bodies); i++) {
		kii_autojson *body = kllfix_json(bodies[i]);
		struct kii_error err = { 0 };

		assert_int_equal(make(body, KII_KLL_LATEST, &err), -1);
		assert_string_equal(err.field, "body");
	}
}

static void wrong_types_name_their_member(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "env", NULL, NULL },
		{ "MD1", "env", "null", NULL },
		{ "MD1", "env", "5", NULL },
		{ "MD1", "config", NULL, NULL },
		{ "MD1", "config", "null", NULL },
		{ "MD1", "config", "[]", NULL },
		{ "MD1", "config.header", NULL, NULL },
		{ "MD1", "config.header", "[]", NULL },
		{ "MD1", "config.header.Name", NULL, NULL },
		{ "MD1", "config.header.Name", "null", NULL },
		{ "MD1", "config.header.Variant", "1", NULL },
		{ "MD1", "config.header.Layout", NULL, NULL },
		{ "MD1", "config.header.Base", NULL, NULL },
		{ "MD1", "config.header.Version", NULL, NULL },
		{ "MD1", "config.header.Author", NULL, NULL },
		{ "MD1", "config.header.KLL", "0.5", NULL },
		{ "MD1", "config.header.Date", NULL, NULL },
		{ "MD1", "config.header.Generator", NULL, NULL },
		{ "MD1", "config.matrix", NULL, NULL },
		{ "MD1", "config.matrix", "{}", NULL },
		{ "MD1", "config.matrix[1]", "[]", NULL },
		{ "MD1", "config.matrix[1].code", NULL, NULL },
		{ "MD1", "config.matrix[1].code", "1", NULL },
		{ "MD1", "config.matrix[1].x", "\"1\"", NULL },
		{ "MD1", "config.matrix[1].y", "{}", NULL },
		{ "MD1", "config.matrix[1].w", "true", NULL },
		{ "MD1", "config.matrix[1].h", "[]", NULL },
		{ "MD1", "config.matrix[1].layers", NULL, NULL },
		{ "MD1", "config.matrix[1].layers", "null", NULL },
		{ "MD1", "config.matrix[1].layers.0", "\"A\"", NULL },
		{ "MD1", "config.matrix[1].layers.0.key", NULL, NULL },
		{ "MD1", "config.matrix[1].layers.0.key", "null", NULL },
		{ "MD1", "config.matrix[1].layers.0.label", "7", NULL },
		{ "MD1", "config.matrix[1].triggers", "[]", NULL },
		{ "MD1", "config.matrix[1].triggers", "{\"2\":{\"label\":\"\",\"type\":\"\"}}",
			"config.matrix[1].triggers.2.action" },
		{ "MD1", "config.matrix[1].triggers", "{\"2\":{\"action\":\"\",\"type\":\"\"}}",
			"config.matrix[1].triggers.2.label" },
		{ "MD1", "config.matrix[1].triggers", "{\"2\":{\"action\":\"\",\"label\":\"\"}}",
			"config.matrix[1].triggers.2.type" },
		{ "MD1", "config.custom", "[]", NULL },
		{ "MD1", "config.custom", "{\"1\":null}", "config.custom.1" },
		{ "MD1", "config.animations", "[]", NULL },
		{ "MD1", "config.animations", "{\"a\":[]}", "config.animations.a" },
		{ "MD1", "config.animations", "{\"a\":{\"frames\":[]}}",
			"config.animations.a.settings" },
		{ "MD1", "config.animations", "{\"a\":{\"settings\":\"\"}}",
			"config.animations.a.frames" },
		{ "MD1", "config.animations", "{\"a\":{\"settings\":\"\",\"frames\":[\"\",2]}}",
			"config.animations.a.frames[1]" },
		{ "MD1", "config.animations",
			"{\"a\":{\"settings\":\"\",\"frames\":[],\"type\":0}}",
			"config.animations.a.type" },
		{ "MD1", "config.defines", "{}", NULL },
		{ "MD1", "config.defines", "[1]", "config.defines[0]" },
		{ "MD1", "config.defines", "[{\"value\":\"\"}]", "config.defines[0].name" },
		{ "MD1", "config.defines", "[{\"name\":\"\"}]", "config.defines[0].value" },
		{ "MD1", "config.leds", "{}", NULL },
		{ "MD1", "config.leds", "[{\"id\":-1,\"x\":0,\"y\":0}]", "config.leds[0].id" },
		{ "MD1", "config.leds", "[{\"id\":1.5,\"x\":0,\"y\":0}]", "config.leds[0].id" },
		{ "MD1", "config.leds", "[{\"id\":1,\"y\":0}]", "config.leds[0].x" },
		{ "MD1", "config.leds", "[{\"id\":1,\"x\":0}]", "config.leds[0].y" },
		{ "MD1", "config.leds", "[{\"id\":1,\"x\":0,\"y\":0,\"scanCode\":1}]",
			"config.leds[0].scanCode" },
		{ "MD1", "config.canned", "[]", NULL },
	};

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
}

static void canned_animations_are_checked_by_type(void **state)
{
	static const struct row rows[] = {
		{ "", "c.settings", NULL, NULL },
		{ "", "c.type", NULL, NULL },
		{ "", "c.description", NULL, NULL },
		{ "", "c.frames", NULL, NULL },
		{ "", "c.frames[0]", "1", NULL },
		{ "", "c.configurable", NULL, NULL },
		{ "", "c.configurable[0]", "1", NULL },
		{ "", "c.configurable[0].name", NULL, NULL },
		{ "", "c.configurable[0].type", NULL, NULL },
		{ "", "c.configurable[0].default", NULL, NULL },
		{ "", "c.configurable[0].values", "{}", NULL },
		{ "", "c.custom-kll", "1", NULL },
	};
	static const char canned[] = "{\"c\":{\"settings\":\"\",\"type\":\"\","
		"\"description\":\"\",\"frames\":[\"f\"],\"custom-kll\":null,\"configurable\":["
		"{\"name\":\"n\",\"type\":\"t\",\"default\":null,\"values\":[]}]}}";

	(void)state;
	expect_taken("MD1", "config.canned", canned);
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autojson *request = kllfix_request("MD1");
		kii_autofree char *path = kii_xfmt("config.canned.%s", rows[i].path);
		struct kii_error err = { 0 };

		kllfix_set(request, "config.canned", canned);
		kllfix_set(request, path, rows[i].value);
		assert_int_equal(make(request, KII_KLL_LATEST, &err), -1);
		assert_string_equal(err.field, path);
	}
}

static void types_are_judged_before_meaning(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_error err = { 0 };

	(void)state;
	kllfix_set(request, "config.header.Name", "\"nonsense\"");
	kllfix_set(request, "config.leds", "[1]");
	assert_int_equal(make(request, KII_KLL_LATEST, &err), -1);
	assert_string_equal(err.field, "config.leds[0]");
}

static void text_with_nul_is_refused_where_it_stands(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "env", "\"\\u0000\"", NULL },
		{ "MD1", "config.header.Name", "\"MD1\\u0000\"", NULL },
		{ "MD1", "config.header.Layout", "\"a\\u0000b\"", NULL },
		{ "MD1", "config.header.Base", "\"Mini\\u0000\"", NULL },
		{ "MD1", "config.header.Variant", "\"\\u0000\"", NULL },
		{ "MD1", "config.matrix[0].code", "\"0x00\\u0000\"", NULL },
		{ "MD1", "config.matrix[0].layers.0.key", "\"#:a\\u0000\"", NULL },
		{ "MD1", "config.custom", "{\"0\":\"\\u0000\"}", "config.custom.0" },
	};

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
}

static void keyboards_without_table_or_base_are_refused(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "config.header.Name", "\"Fokal\"", NULL },
		{ "MD1", "config.header.Name", "\"\"", NULL },
		{ "MD1", "config.header.Name", "\"../MD1\"", NULL },
		{ "MD1", "config.header.Name", "\"MD1;x\"", NULL },
		{ "MD1", "config.header.Name", "\"MD1 \"", NULL },
		{ "MD1", "config.header.Name", "\"md1\"", NULL },
		{ "MD1", "config.header.Name", "\"WHITEFOX\"", NULL },
		{ "MD1", "config.header.Name", "\"Infinity\"", NULL },
		{ "MD1", "config.header.Name", "\"icpad\"", NULL },
		{ "MD1", "config.header.Base", "\"\"", NULL },
		{ "MD1", "config.header.Base", "\"mini\"", NULL },
		{ "MD1", "config.header.Base", "\"Other\"", NULL },
		{ "MD1", "config.header.Base", "\"../MD1-Mini\"", NULL },
		{ "MD1", "config.header.Base", "\"Mini.json\"", NULL },
		{ "MD1", "config.header.Base", "\"Mini\\\"\"", NULL },
		{ "MD1", "config.header.Base", "\"Mi\\\\ni;\"", NULL },
	};

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
}

static void lts_base_of_whitefox_must_exist(void **state)
{
	kii_autojson *request = kllfix_request("WhiteFox");
	struct kii_error err = { 0 };

	(void)state;
	kllfix_set(request, "config.header.Base", "\"Mini.lts\"");
	must(make(request, KII_KLL_LATEST, &err));
	assert_int_equal(make(request, KII_KLL_LTS, &err), -1);
	assert_string_equal(err.field, "config.header.Base");
}

static void layout_names_are_safe_in_files_and_lists(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "config.header.Layout", "\"\"", NULL },
		{ "MD1", "config.header.Layout", "\"a/b\"", NULL },
		{ "MD1", "config.header.Layout", "\"a\\\\b\"", NULL },
		{ "MD1", "config.header.Layout", "\"..\"", NULL },
		{ "MD1", "config.header.Layout", "\"a..b\"", NULL },
		{ "MD1", "config.header.Layout", "\".a\"", NULL },
		{ "MD1", "config.header.Layout", "\"-a\"", NULL },
		{ "MD1", "config.header.Layout", "\"a;b\"", NULL },
		{ "MD1", "config.header.Layout", "\"a\\\"b\"", NULL },
		{ "MD1", "config.header.Layout", "\"a'b\"", NULL },
		{ "MD1", "config.header.Layout", "\"a$b\"", NULL },
		{ "MD1", "config.header.Layout", "\"a\\tb\"", NULL },
		{ "MD1", "config.header.Layout", "\"caf\\u00e9\"", NULL },
		{ "MD1", "config.header.Layout", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaa\"", NULL },
		{ "MDErgo1", "config.header.Layout", "\"My-Map\"", NULL },
	};

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
	expect_taken("MD1", "config.header.Layout", "\"My-Map_1.2 x\"");
	expect_taken("MD1", "config.header.Layout", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaa\"");
}

static void variants_are_those_of_the_keyboard(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "config.header.Variant", "\"alphabet\"", NULL },
		{ "MD1", "config.header.Variant", "\"Standard\"", NULL },
		{ "MD1", "config.header.Variant", "\"a/b\"", NULL },
		{ "MD1", "config.header.Variant", "\"..\"", NULL },
		{ "MD1", "config.header.Variant", "\"a;b\"", NULL },
		{ "MD1", "config.header.Variant", "\"standard\\\"\"", NULL },
		{ "MD1.1", "config.header.Variant", "\"truefox\"", NULL },
		{ "WhiteFox", "config.header.Variant", "\"standard\"", NULL },
		{ "Kira", "config.header.Variant", "\"hacker\"", NULL },
		{ "GeminiDusk", "config.header.Variant", "\"hacker\"", NULL },
	};
	static const char *const whitefox[] = { "\"aria\"", "\"iso\"", "\"jackofalltrades\"",
		"\"truefox\"", "\"vanilla\"", "\"winkeyless\"", "\"\"", "null", NULL };
	static const char *const standard[] = { "MD1", "MD1.1", "MDErgo1", "KType", "K-Type",
		"Kira", "GeminiDuskDawn", "GeminiDusk", "GeminiDawn" };

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
	for (size_t i = 0; i < KII_COUNT(whitefox); i++)
		expect_taken("WhiteFox", "config.header.Variant", whitefox[i]);
	for (size_t i = 0; i < KII_COUNT(standard); i++)
		expect_taken(standard[i], "config.header.Variant", "\"standard\"");
	expect_taken("MD1", "config.header.Variant", "\"hacker\"");
	expect_taken("MD1.1", "config.header.Variant", "\"alphabet\"");
}

static void header_texts_stay_inside_their_quotes(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "config.header.Version", "\"1\\\"; x\"", NULL },
		{ "MD1", "config.header.Author", "\"me\\nyou\"", NULL },
		{ "MD1", "config.header.KLL", "\"0.5\\r\"", NULL },
		{ "MD1", "config.header.Date", "\"\\u0007\"", NULL },
		{ "MD1", "config.header.Generator", "\"\\u007f\"", NULL },
		{ "MD1", "config.header.Generator", "\"\\u0085\"", NULL },
	};
	char author[1100] = "\"";

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
	expect_taken("MD1", "config.header.Author", "\"J\\u00f6rg \\\\ ; 'x' \\u00a0\"");
	memset(author + 1, 'x', 1000);
	memcpy(author + 1001, "\"", 2);
	expect_taken("MD1", "config.header.Author", author);
	memcpy(author + 1001, "x\"", 3);
	expect_row(&(struct row){ "MD1", "config.header.Author", author, NULL }, KII_KLL_LATEST);
}

static void the_matrix_follows_its_base(void **state)
{
	static const struct row rows[] = {
		{ "MD1", "config.matrix[3]",
			"{\"code\":\"0x03\",\"layers\":{\"0\":{\"key\":\"A\"}}}", NULL },
		{ "MD1", "config.matrix[1].code", "\"0x02\"", NULL },
		{ "MD1", "config.matrix[1].code", "\"0X01\"", NULL },
		{ "MD1", "config.matrix[0]", NULL, "config.matrix[0].code" },
		{ "MD1", "config.matrix", "[]", NULL },
		{ "MD1", "config.matrix",
			"[{\"code\":\"0x00\",\"layers\":{}},{\"code\":\"0x01\",\"layers\":{}}]",
			NULL },
		{ "WhiteFox", "config.matrix", "[]", NULL },
		{ "WhiteFox", "config.matrix",
			"[{\"code\":\"0x7F\",\"layers\":{\"0\":{\"key\":\"A\"}}}]", NULL },
		{ "WhiteFox", "config.matrix[0].layers.0.key", "\"\"", NULL },
	};

	(void)state;
	expect_rows(rows, KII_COUNT(rows));
	expect_taken("MD1", "config.matrix[3]", "{\"code\":\"0x03\",\"layers\":{}}");
	expect_taken("WhiteFox", "config.matrix[3]",
		"{\"code\":\"0x03\",\"layers\":{\"0\":{\"key\":\"A\"}}}");
}

static void a_matrix_of_thousands_is_refused(void **state)
{
	kii_autojson *request = kllfix_request("WhiteFox");
	json_t *matrix = json_object_get(json_object_get(request, "config"), "matrix");
	struct kii_error err = { 0 };

	(void)state;
	while (json_array_size(matrix) < 1000)
		json_array_append(matrix, json_array_get(matrix, 0));
	must(make(request, KII_KLL_LATEST, &err));
	json_array_append(matrix, json_array_get(matrix, 0));
	assert_int_equal(make(request, KII_KLL_LATEST, &err), -1);
	assert_string_equal(err.field, "config.matrix");
}

static void layers_are_plain_numbers_to_16(void **state)
{
	static const char *const bad[] = { "a", "-1", "1.0", " 1", "1 ", "", "01", "00", "+1",
		"0x1", "17", "65536", "4294967296", "18446744073709551615",
		"99999999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *layers = kii_xfmt("{\"%s\":{\"key\":\"A\"}}", bad[i]);
		kii_autofree char *custom = kii_xfmt("{\"0\":\"\",\"%s\":\"\"}", bad[i]);
		const struct row rows[] = {
			{ "MD1", "config.matrix[2].layers", layers, NULL },
			{ "MD1", "config.custom", custom, NULL },
		};

		expect_rows(rows, KII_COUNT(rows));
	}
	for (size_t i = 0; i < 10; i++) {
		kii_autofree char *triggers = kii_xfmt(
			"{\"%s\":{\"action\":\"\",\"label\":\"\",\"type\":\"\"}}", bad[i]);
		const struct row row = { "MD1", "config.matrix[2].triggers", triggers, NULL };

		expect_rows(&row, 1);
	}
	expect_taken("MD1", "config.matrix[2].layers", "{\"16\":{\"key\":\"A\"}}");
	expect_taken("MD1", "config.custom", "{\"16\":\"x\",\"10\":\"\"}");
}

static void keys_stay_inside_their_quotes(void **state)
{
	static const char *const bad[] = { "\"\"", "\"\\\"\"", "\"a\\nb\"", "\"a\\r\"", "\"CONS:\"",
		"\"SYS:\"", "\"CONS:\\\"\"", "\"SYS:a\\n\"", "\"#:\"" };
	static const char *const good[] = { "\"\\\\\"", "\";\"", "\"cons:Z\"", "\" \"", "\"#\"",
		"\"#: \"", "\"#:\\\"\\n\"", "\"\\u00e9\"", "null" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		const struct row row = { "MD1", "config.matrix[1].layers.0.key", bad[i], NULL };

		expect_rows(&row, 1);
	}
	for (size_t i = 0; i + 1 < KII_COUNT(good); i++)
		expect_taken("MD1", "config.matrix[1].layers.0.key", good[i]);
}

static void defines_are_words_and_texts(void **state)
{
	static const char *const names[] = { "", "1a", "a b", "a-b", "a[", "a[]", "a[1", "a[x]",
		"a[1]b", "[1]", "\\u00e9", "a\\n" };
	static const char *const values[] = { "\\\"", "a\\nb", "a\\r" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		kii_autofree char *defines = kii_xfmt("[{\"name\":\"\",\"value\":\"\"},"
			"{\"name\":\"%s\",\"value\":\"v\"}]", names[i]);
		const struct row row = { "MD1", "config.defines", defines,
			"config.defines[1].name" };

		expect_rows(&row, 1);
	}
	for (size_t i = 0; i < KII_COUNT(values); i++) {
		kii_autofree char *defines = kii_xfmt("[{\"name\":\"n\",\"value\":\"%s\"}]",
			values[i]);
		const struct row row = { "MD1", "config.defines", defines,
			"config.defines[0].value" };

		expect_rows(&row, 1);
	}
	expect_taken("MD1", "config.defines", "[{\"name\":\"\",\"value\":\"\"},"
		"{\"name\":\"_a1[20]\",\"value\":\"\"},{\"name\":\"B\",\"value\":\"; \\\\\"}]");
}

static void animation_names_are_words(void **state)
{
	static const char *const bad[] = { "", "1a", "a b", "a.b", "a]", "\\u00e9", "a\\n" };
	static const char *const shown[] = { "", "1a", "a b", "a.b", "a]", "\xc3\xa9", "a\n" };
	kii_autofree char *name = kii_xmalloc(300);
	kii_autofree char *good = NULL;
	kii_autofree char *long_name = NULL;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *value = kii_xfmt(
			"{\"%s\":{\"settings\":\"\",\"frames\":[]}}", bad[i]);
		kii_autofree char *field = kii_xfmt("config.animations.%s", shown[i]);
		const struct row row = { "MD1", "config.animations", value, field };

		expect_rows(&row, 1);
	}
	memset(name, 'a', 256);
	name[256] = '\0';
	long_name = kii_xfmt("{\"%s\":{\"settings\":\"\",\"frames\":[]}}", name);
	name[127 - strlen("config.animations.")] = '\0';
	good = kii_xfmt("config.animations.%s", name);
	expect_row(&(struct row){ "MD1", "config.animations", long_name, good }, KII_KLL_LATEST);
	expect_taken("MD1", "config.animations", "{\"_A9\":{\"settings\":\"\",\"frames\":[]}}");
}

static void unknown_members_and_nulls_are_ignored(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_error err = { 0 };

	(void)state;
	kllfix_set(request, "extra", "1");
	kllfix_set(request, "config.extra", "{\"\":[]}");
	kllfix_set(request, "config.header.Extra", "\"\\\"\"");
	kllfix_set(request, "config.macros", "\"not even a map\"");
	kllfix_set(request, "config.matrix[0].board", "\"left\"");
	kllfix_set(request, "config.matrix[0].x", "null");
	kllfix_set(request, "config.matrix[0].triggers", "null");
	kllfix_set(request, "config.matrix[0].layers.0.label", "null");
	kllfix_set(request, "config.custom", "null");
	kllfix_set(request, "config.animations", "null");
	kllfix_set(request, "config.defines", "null");
	kllfix_set(request, "config.leds", "null");
	kllfix_set(request, "config.canned", "null");
	must(make(request, KII_KLL_LATEST, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_that_is_no_object_is_refused),
		cmocka_unit_test(wrong_types_name_their_member),
		cmocka_unit_test(canned_animations_are_checked_by_type),
		cmocka_unit_test(types_are_judged_before_meaning),
		cmocka_unit_test(text_with_nul_is_refused_where_it_stands),
		cmocka_unit_test(keyboards_without_table_or_base_are_refused),
		cmocka_unit_test(lts_base_of_whitefox_must_exist),
		cmocka_unit_test(layout_names_are_safe_in_files_and_lists),
		cmocka_unit_test(variants_are_those_of_the_keyboard),
		cmocka_unit_test(header_texts_stay_inside_their_quotes),
		cmocka_unit_test(the_matrix_follows_its_base),
		cmocka_unit_test(a_matrix_of_thousands_is_refused),
		cmocka_unit_test(layers_are_plain_numbers_to_16),
		cmocka_unit_test(keys_stay_inside_their_quotes),
		cmocka_unit_test(defines_are_words_and_texts),
		cmocka_unit_test(animation_names_are_words),
		cmocka_unit_test(unknown_members_and_nulls_are_ignored),
	};

	return cmocka_run_group_tests_name("kll_check", tests, setup, teardown);
}
