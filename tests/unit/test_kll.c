/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kll.h"

#include <stdlib.h>
#include <string.h>

#include "kllfix.h"

#define HEADER(name, variant) \
	"Name = \"" name "\";\nVariant = \"" variant "\";\nLayout = \"My Map\";\n" \
	"Base = \"Mini\";\nVersion = \"1\";\nAuthor = \"me\";\nKLL = \"0.5\";\n" \
	"Date = \"today\";\nGenerator = \"hand\";"
#define MAP "U\"ESC\" : U\"A\";\nU\"1\" : SYS\"SLEEP\";\nCONS\"PLAY\" : raw();"

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

static struct kii_kll *make(const json_t *request, enum kii_dialect dialect)
{
	struct kii_error err = { 0 };
	struct kii_kll *k = NULL;

	must(kii_kll_make(request, dialect, layouts, &k, &err));
	return k;
}

static void text_is(const struct kii_kll *k, size_t layer, const char *want)
{
	assert_true(layer < k->n_files);
	assert_string_equal(k->files[layer].text, want);
	assert_int_equal(k->files[layer].len, strlen(want));
}

/* The same request with one value set, in this dialect: the text of layer 0. */
static void layer0_is(const char *board, const char *path, const char *value,
	enum kii_dialect dialect, const char *want)
{
	kii_autojson *request = kllfix_request(board);
	struct kii_kll *k;

	kllfix_set(request, path, value);
	k = make(request, dialect);
	text_is(k, 0, want);
	kii_kll_free(k);
}

static void the_dialect_goes_by_env_and_tag(void **state)
{
	(void)state;
	assert_int_equal(kii_kll_dialect("latest", NULL, false), KII_KLL_LATEST);
	assert_int_equal(kii_kll_dialect("nightly", "v0.5.7", false), KII_KLL_LATEST);
	assert_int_equal(kii_kll_dialect("LTS", NULL, false), KII_KLL_LATEST);
	assert_int_equal(kii_kll_dialect("lts", NULL, false), KII_KLL_LTS);
	assert_int_equal(kii_kll_dialect("old", "v0.5.0", false), KII_KLL_LTS);
	assert_int_equal(kii_kll_dialect("latest", NULL, true), KII_KLL_REFERENCE_LATEST);
	assert_int_equal(kii_kll_dialect("lts", NULL, true), KII_KLL_REFERENCE_LTS);
}

static void a_small_request_becomes_one_file(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k = make(request, KII_KLL_LATEST);

	(void)state;
	assert_int_equal(k->n_files, 1);
	assert_string_equal(k->files[0].name, "MD1-My_Map-0.kll");
	text_is(k, 0, HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\n\n\n");
	assert_string_equal(k->board, "MD1");
	assert_string_equal(k->layout, "My_Map");
	assert_string_equal(k->variant, "");
	kii_kll_free(k);
	kii_kll_free(NULL);
}

static void header_order_is_fixed_and_utf8_goes_through(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.header", "{\"Generator\":\"g\",\"Date\":\"d\","
		"\"KLL\":\"0.5\",\"Author\":\"J\\u00f6rg \\\\\",\"Version\":\"\",\"Base\":\"Mini\","
		"\"Layout\":\"L x\",\"Variant\":\"hacker\",\"Name\":\"MD1\",\"More\":\"m\"}");
	k = make(request, KII_KLL_LATEST);
	text_is(k, 0, "Name = \"MD1\";\nVariant = \"hacker\";\nLayout = \"L x\";\n"
		"Base = \"Mini\";\nVersion = \"\";\nAuthor = \"J\xc3\xb6rg \\\";\nKLL = \"0.5\";\n"
		"Date = \"d\";\nGenerator = \"g\";\n\n\n\n" MAP "\n\n\n\n\n\n");
	kii_kll_free(k);
}

static void a_null_variant_is_an_empty_one(void **state)
{
	(void)state;
	layer0_is("MD1", "config.header.Variant", "null", KII_KLL_LATEST,
		HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\n\n\n");
	layer0_is("MD1", "config.header.Variant", NULL, KII_KLL_LATEST,
		HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\n\n\n");
}

static void defines_stand_between_header_and_map_of_layer_0(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.defines", "[{\"name\":\"\",\"value\":\"\"},"
		"{\"name\":\"b[1]\",\"value\":\"2; \\\\\"},{\"name\":\"\",\"value\":\"\"},"
		"{\"name\":\"a\",\"value\":\"\"}]");
	kllfix_set(request, "config.matrix[0].layers.1", "{\"key\":\"B\"}");
	k = make(request, KII_KLL_LATEST);
	text_is(k, 0, HEADER("MD1", "") "\n\nb[1] = \"2; \\\";\na = \"\";\n\n" MAP "\n\n\n\n\n\n");
	text_is(k, 1, HEADER("MD1", "") "\n\nU\"ESC\" : U\"B\";\n\n\n\n");
	kii_kll_free(k);
}

static void custom_text_follows_its_layers_map(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.custom", "{\"1\":\"\",\"0\":\"x : y;\\n\"}");
	kllfix_set(request, "config.matrix[0].layers.1", "{\"key\":\"B\"}");
	k = make(request, KII_KLL_LATEST);
	text_is(k, 0, HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\nx : y;\n\n\n\n\n");
	text_is(k, 1, HEADER("MD1", "") "\n\nU\"ESC\" : U\"B\";\n\n\n\n\n\n");
	kii_kll_free(k);
}

static void custom_above_the_highest_layer_creates_the_layers(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.custom", "{\"2\":\"c\"}");
	k = make(request, KII_KLL_LATEST);
	assert_int_equal(k->n_files, 3);
	text_is(k, 1, HEADER("MD1", "") "\n\n\n\n\n\n");
	text_is(k, 2, HEADER("MD1", "") "\n\n\n\n\n\nc\n\n");
	assert_string_equal(k->partial_maps,
		"stdFuncMap MD1-My_Map-1;stdFuncMap MD1-My_Map-2");
	kii_kll_free(k);
}

static void a_key_on_layer_3_only_gives_four_files(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.matrix", "[{\"code\":\"0x00\",\"layers\":{}},"
		"{\"code\":\"0x01\",\"layers\":{\"3\":{\"key\":\"A\"}}}]");
	k = make(request, KII_KLL_LATEST);
	assert_int_equal(k->n_files, 4);
	text_is(k, 0, HEADER("MD1", "") "\n\n\n\n\n\n\n\n\n\n");
	text_is(k, 1, HEADER("MD1", "") "\n\n\n\n\n\n");
	text_is(k, 2, HEADER("MD1", "") "\n\n\n\n\n\n");
	text_is(k, 3, HEADER("MD1", "") "\n\nU\"1\" : U\"A\";\n\n\n\n");
	assert_string_equal(k->files[3].name, "MD1-My_Map-3.kll");
	kii_kll_free(k);
}

static void seventeen_layers_are_made(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.matrix[0].layers.16", "{\"key\":\"B\"}");
	k = make(request, KII_KLL_LATEST);
	assert_int_equal(k->n_files, KII_KLL_LAYERS);
	assert_string_equal(k->files[16].name, "MD1-My_Map-16.kll");
	text_is(k, 16, HEADER("MD1", "") "\n\nU\"ESC\" : U\"B\";\n\n\n\n");
	kii_kll_free(k);
}

/* kll.md 13 and 5: the value of ESC; how it comes out as latest, LTS and the reference's LTS. */
static void values_become_lines(void **state)
{
	static const struct { const char *value, *latest, *lts, *reference_lts; } rows[] = {
		{ "#:ledControl( 0 , 15 )", "U\"ESC\" : ledControl( 0 , 15 );", NULL,
			"U\"ESC\" : ledControl( 3, 15, 0 );" },
		{ "#:ledControl(1,15)", "U\"ESC\" : ledControl(1,15);", NULL,
			"U\"ESC\" : ledControl( 4, 15, 0 );" },
		{ "#: ledControl( 3, 0 )", "U\"ESC\" :  ledControl( 3, 0 );", NULL,
			"U\"ESC\" : ledControl( 5, 0, 0);" },
		{ "#:ledControl(4, 255)", "U\"ESC\" : ledControl(4, 255);", NULL,
			"#U\"ESC\" : #:ledControl(4, 255);" },
		{ "#:ledControl(3, 255)", "U\"ESC\" : ledControl(3, 255);", NULL,
			"#U\"ESC\" : #:ledControl(3, 255);" },
		{ "#:animation_control(1)+ledControl(0,15)",
			"U\"ESC\" : animation_control(1)+ledControl(0,15);", NULL,
			"U\"ESC\" : ledControl( 3, 15, 0 );" },
		{ "#:animation_control(1)", "U\"ESC\" : animation_control(1);",
			"#U\"ESC\" : #:animation_control(1);",
			"#U\"ESC\" : #:animation_control(1);" },
		{ "#:A[x](start)", "U\"ESC\" : A[x](start);", NULL, "U\"ESC\" : A[x](start);" },
		{ "#:flashMode()", "U\"ESC\" : flashMode();", NULL, "U\"ESC\" : flashMode();" },
		{ "animation_control", "U\"ESC\" : U\"animation_control\";", NULL,
			"U\"ESC\" : U\"animation_control\";" },
		{ "ledControl(0,15)", "U\"ESC\" : U\"ledControl(0,15)\";", NULL,
			"U\"ESC\" : U\"ledControl(0,15)\";" },
		{ "cons:Z", "U\"ESC\" : U\"cons:Z\";", NULL, "U\"ESC\" : U\"cons:Z\";" },
		{ "CONS:PLAY", "U\"ESC\" : CONS\"PLAY\";", NULL, "U\"ESC\" : CONS\"PLAY\";" },
		{ "SYS:SLEEP", "U\"ESC\" : SYS\"SLEEP\";", NULL, "U\"ESC\" : SYS\"SLEEP\";" },
		{ "#", "U\"ESC\" : U\"#\";", NULL, "U\"ESC\" : U\"#\";" },
		{ " A", "U\"ESC\" : U\" A\";", NULL, "U\"ESC\" : U\" A\";" },
		{ "\\\\", "U\"ESC\" : U\"\\\";", NULL, "U\"ESC\" : U\"\\\";" },
	};
	static const struct { enum kii_dialect dialect; int line; } columns[] = {
		{ KII_KLL_LATEST, 0 }, { KII_KLL_REFERENCE_LATEST, 0 }, { KII_KLL_LTS, 1 },
		{ KII_KLL_REFERENCE_LTS, 2 },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autofree char *matrix = kii_xfmt(
			"[{\"code\":\"0x00\",\"layers\":{\"0\":{\"key\":\"%s\"}}}]", rows[i].value);
		const char *lines[3] = { rows[i].latest,
			rows[i].lts ? rows[i].lts : rows[i].latest, rows[i].reference_lts };

		for (size_t c = 0; c < KII_COUNT(columns); c++) {
			kii_autofree char *want = kii_xfmt("%s\n\n\n\n%s\n\n\n\n\n\n",
				HEADER("MD1", ""), lines[columns[c].line]);

			layer0_is("MD1", "config.matrix", matrix, columns[c].dialect, want);
		}
	}
}

/* The animation part of layer 0 as written in kll.md: | is a line's end. */
static void animations_are(const char *animations, const char *part)
{
	kii_autofree char *want = kii_xfmt("%s\n\n\n\n%s\n\n\n\n%s\n\n", HEADER("MD1", ""), MAP,
		part);

	for (char *p = want; (p = strchr(p, '|'));)
		*p = '\n';
	layer0_is("MD1", "config.animations", animations, KII_KLL_LATEST, want);
}

static void animations_come_in_their_order(void **state)
{
	(void)state;
	animations_are("{\"a\":{\"frames\":[\"#c\",\"F1\",\"# d\",\"F2\"],\"settings\":\"s\"},"
		"\"b\":{\"frames\":[\"#only\"],\"settings\":\"\"},"
		"\"c\":{\"frames\":[],\"settings\":\"\"},"
		"\"d\":{\"frames\":[\"X\"],\"settings\":\"t\"}}",
		"A[a] <= s;|#c|A[a, 1] <= F1;|# d|A[a, 2] <= F2;||### b is empty, skipping|"
		"### c is empty, skipping|A[d] <= t;|A[d, 1] <= X;|");
	animations_are("{\"z\":{\"frames\":[\"X\"],\"settings\":\"\"},"
		"\"a\":{\"frames\":[\"Y\"],\"settings\":\"\",\"type\":\"custom\"}}",
		"A[z] <= ;|A[z, 1] <= X;||A[a] <= ;|A[a, 1] <= Y;|");
}

static void frames_keep_their_spaces_and_lines(void **state)
{
	(void)state;
	animations_are("{\"a\":{\"frames\":[\"  P[1](1),\\n P[2](2)\\n\",\"\\n #x\",\"\"],"
		"\"settings\":\" s\\n\"}}",
		"A[a] <=  s|;|A[a, 1] <=   P[1](1),| P[2](2)|;|A[a, 2] <= | #x;|A[a, 3] <= ;|");
}

static void a_comment_joined_with_a_frame_is_split(void **state)
{
	(void)state;
	animations_are("{\"a\":{\"frames\":[\"# note\\nP[1](1),\\nP[2](2)\",\"F\"],"
		"\"settings\":\"s\"}}",
		"A[a] <= s;|# note|A[a, 1] <= P[1](1),|P[2](2);|A[a, 2] <= F;|");
	animations_are("{\"a\":{\"frames\":[\"#1\\n#2\\n\\n P\\n#3\"],\"settings\":\"s\"}}",
		"A[a] <= s;|#1|#2|A[a, 1] <= | P|#3;|");
	animations_are("{\"a\":{\"frames\":[\"#1\\n\\n#2\\nP\"],\"settings\":\"s\"}}",
		"A[a] <= s;|#1|#2|A[a, 1] <= P;|");
	animations_are("{\"a\":{\"frames\":[\"#1\\n #2\\nP\"],\"settings\":\"s\"}}",
		"A[a] <= s;|#1|A[a, 1] <=  #2|P;|");
	animations_are("{\"a\":{\"frames\":[\"#1\\n#2\",\"#3\\n\",\"#4\\n \\t\\n\"],"
		"\"settings\":\"s\"}}", "### a is empty, skipping");
}

static void lts_prints_no_animations(void **state)
{
	static const char one[] = "{\"a\":{\"frames\":[\"X\"],\"settings\":\"\"}}";
	static const char want[] = HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\n\n\n";

	(void)state;
	layer0_is("MD1", "config.animations", one, KII_KLL_LTS, want);
	layer0_is("MD1", "config.animations", one, KII_KLL_REFERENCE_LTS, want);
}

static void triggers_are_discarded(void **state)
{
	(void)state;
	layer0_is("MD1", "config.matrix[0].triggers",
		"{\"4\":{\"action\":\"a\",\"label\":\"l\",\"type\":\"t\"}}", KII_KLL_LATEST,
		HEADER("MD1", "") "\n\n\n\n" MAP "\n\n\n\n\n\n");
}

static void whitefox_goes_by_code(void **state)
{
	/* In another order, one code twice, one unknown. */
	static const char matrix[] =
		"[{\"code\":\"0x02\",\"layers\":{\"0\":{\"key\":\"C\"}}},"
		"{\"code\":\"0x99\",\"layers\":{\"0\":{\"key\":\"N\"},\"5\":{\"key\":\"N\"}}},"
		"{\"code\":\"0x01\",\"layers\":{\"1\":{\"key\":\"D\"},\"0\":{\"key\":\"B\"}}},"
		"{\"code\":\"0x01\",\"layers\":{\"0\":{\"key\":\"B2\"}}}]";
	kii_autojson *request = kllfix_request("WhiteFox");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.matrix", matrix);
	k = make(request, KII_KLL_LATEST);
	assert_int_equal(k->n_files, 2);
	text_is(k, 0, HEADER("WhiteFox", "") "\n\n\n\nCONS\"PLAY\" : U\"C\";\nU\"1\" : U\"B\";\n"
		"U\"1\" : U\"B2\";\n\n\n\n\n\n");
	text_is(k, 1, HEADER("WhiteFox", "") "\n\nU\"1\" : U\"D\";\n\n\n\n");
	kii_kll_free(k);
	/* The LTS base has no 0x02, and its first 0x01 is ONE. */
	k = make(request, KII_KLL_LTS);
	assert_int_equal(k->n_files, 2);
	text_is(k, 0, HEADER("WhiteFox", "") "\n\n\n\nU\"ONE\" : U\"B\";\nU\"ONE\" : U\"B2\";"
		"\n\n\n\n\n\n");
	text_is(k, 1, HEADER("WhiteFox", "") "\n\nU\"ONE\" : U\"D\";\n\n\n\n");
	kii_kll_free(k);
}

static void every_board_has_its_parameters(void **state)
{
	static const struct { const char *board, *script, *map; bool split; } rows[] = {
		{ "MD1", "infinity.bash", "stdFuncMap", false },
		{ "MD1.1", "infinity_led.bash", "stdFuncMap", false },
		{ "MDErgo1", "ergodox.bash", "infinity_ergodox/lcdFuncMap", true },
		{ "WhiteFox", "whitefox.bash", "stdFuncMap", false },
		{ "KType", "k-type.bash", "stdFuncMap", false },
		{ "K-Type", "k-type.bash", "stdFuncMap", false },
		{ "Kira", "kira.bash", "stdFuncMap", false },
		{ "GeminiDuskDawn", "geminiduskdawn.bash", "stdFuncMap", false },
		{ "GeminiDusk", "geminiduskdawn.bash", "stdFuncMap", false },
		{ "GeminiDawn", "geminiduskdawn.bash", "stdFuncMap", false },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autojson *request = kllfix_request(rows[i].board);
		kii_autofree char *first = kii_xfmt("%s %s-My_Map-0", rows[i].map, rows[i].board);
		kii_autofree char *others = kii_xfmt("%s %s-My_Map-1;%s %s-My_Map-2", rows[i].map,
			rows[i].board, rows[i].map, rows[i].board);
		struct kii_kll *k;

		kllfix_set(request, "config.matrix[0].layers.2", "{\"key\":\"A\"}");
		k = make(request, KII_KLL_LATEST);
		assert_string_equal(k->script, rows[i].script);
		assert_int_equal(k->split, rows[i].split);
		assert_string_equal(k->default_map, first);
		assert_string_equal(k->partial_maps, others);
		kii_kll_free(k);
	}
}

static void the_reference_cuts_names_at_dots(void **state)
{
	static const struct { const char *board, *layout, *first, *others; } rows[] = {
		{ "MD1", "Standard", "stdFuncMap MD1-Standard-0", "MD1-Standard-1;MD1-Standard-2" },
		{ "MD1.1", "Standard", "stdFuncMap MD1", "MD1;MD1" },
		{ "MD1.1", "v1.2", "stdFuncMap MD1", "MD1.1-v1;MD1.1-v1" },
		{ "MD1", "v1.2", "stdFuncMap MD1-v1", "MD1-v1;MD1-v1" },
		{ "MDErgo1", "a", "infinity_ergodox/lcdFuncMap MDErgo1-a-0",
			"MDErgo1-a-1;MDErgo1-a-2" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autojson *request = kllfix_request(rows[i].board);
		kii_autofree char *layout = kii_xfmt("\"%s\"", rows[i].layout);
		struct kii_kll *k;

		kllfix_set(request, "config.header.Layout", layout);
		kllfix_set(request, "config.matrix[0].layers.2", "{\"key\":\"A\"}");
		k = make(request, KII_KLL_REFERENCE_LATEST);
		assert_string_equal(k->default_map, rows[i].first);
		assert_string_equal(k->partial_maps, rows[i].others);
		kii_kll_free(k);
		k = make(request, KII_KLL_REFERENCE_LTS);
		assert_string_equal(k->partial_maps, rows[i].others);
		kii_kll_free(k);
	}
}

static void a_real_build_strips_one_ending(void **state)
{
	kii_autojson *request = kllfix_request("MD1.1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config.header.Layout", "\"v1.kll\"");
	kllfix_set(request, "config.matrix[0].layers.1", "{\"key\":\"A\"}");
	k = make(request, KII_KLL_LTS);
	assert_string_equal(k->default_map, "stdFuncMap MD1.1-v1.kll-0");
	assert_string_equal(k->partial_maps, "stdFuncMap MD1.1-v1.kll-1");
	kii_kll_free(k);
}

static void the_environment_is_the_builds(void **state)
{
	kii_autojson *one = kllfix_request("MD1");
	kii_autojson *split = kllfix_request("MDErgo1");
	char *env[4];
	struct kii_kll *k;

	(void)state;
	kllfix_set(one, "config.header.Variant", "\"hacker\"");
	k = make(one, KII_KLL_LATEST);
	assert_int_equal(kii_kll_env(k, env), 3);
	assert_string_equal(env[0], "DefaultMapOverride=stdFuncMap MD1-My_Map-0");
	assert_string_equal(env[1], "PartialMapsExpandedOverride=");
	assert_string_equal(env[2], "Layout=hacker");
	for (size_t i = 0; i < 3; i++)
		free(env[i]);
	kii_kll_free(k);
	k = make(split, KII_KLL_LATEST);
	assert_int_equal(kii_kll_env(k, env), 4);
	assert_string_equal(env[2], "Layout=");
	assert_string_equal(env[3], "SPLIT_KEYBOARD=1");
	for (size_t i = 0; i < 4; i++)
		free(env[i]);
	kii_kll_free(k);
}

static void the_stored_text_is_the_config_without_macros(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_kll *k;

	(void)state;
	kllfix_set(request, "config", "{\"z\":[1,2.5,null,\"\\u00e9\\n\"],\"macros\":{\"0\":[]},"
		"\"matrix\":[{\"layers\":{\"0\":{\"key\":\"A\",\"macros\":1}},\"board\":1,"
		"\"code\":\"0x00\"}],\"header\":{\"Name\":\"MD1\",\"Layout\":\"L\","
		"\"Base\":\"Mini\",\"Version\":\"\",\"Author\":\"\",\"KLL\":\"\","
		"\"Date\":\"\",\"Generator\":\"\",\"Variant\":null}}");
	k = make(request, KII_KLL_LATEST);
	assert_string_equal(k->stored, "{\"z\":[1,2.5,null,\"\xc3\xa9\\n\"],"
		"\"matrix\":[{\"layers\":{\"0\":{\"key\":\"A\",\"macros\":1}},\"board\":1,"
		"\"code\":\"0x00\"}],\"header\":{\"Name\":\"MD1\",\"Layout\":\"L\","
		"\"Base\":\"Mini\",\"Version\":\"\",\"Author\":\"\",\"KLL\":\"\","
		"\"Date\":\"\",\"Generator\":\"\",\"Variant\":null}}");
	assert_int_equal(k->stored_len, strlen(k->stored));
	/* The request itself is borrowed: it keeps what is not stored. */
	assert_non_null(json_object_get(json_object_get(request, "config"), "macros"));
	kii_kll_free(k);
}

static void key_of(const json_t *request, enum kii_dialect dialect, const char *image,
	char out[65])
{
	struct kii_kll *k = make(request, dialect);

	kii_kll_key(k, image, out);
	assert_int_equal(strlen(out), 64);
	assert_int_equal(strspn(out, "0123456789abcdef"), 64);
	kii_kll_free(k);
}

/* What is half of the work is left out where nobody needs it. */
static void parts_are_made_when_asked_for(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	struct kii_error err = { 0 };
	struct kii_kll *all = make(request, KII_KLL_LATEST), *k = NULL;
	char key[KII_HASH_HEX], content[KII_HASH_HEX];

	(void)state;
	must(kii_kll_make_parts(request, KII_KLL_LATEST, layouts, KII_KLL_HASH, &k, &err));
	assert_string_equal(k->stored_hash, all->stored_hash);
	assert_int_equal(k->stored_len, 0);
	kii_kll_key(all, "sha256:1", key);
	kii_kll_content(k, content);
	kii_kll_key_of(content, "sha256:1", content);
	assert_string_equal(key, content);
	kii_kll_free(k);
	must(kii_kll_make_parts(request, KII_KLL_LATEST, layouts, KII_KLL_STORED, &k, &err));
	assert_string_equal(k->stored, all->stored);
	assert_string_not_equal(k->stored_hash, all->stored_hash);
	kii_kll_free(k);
	kii_kll_free(all);
}

/* What `value` at `path` does to the key of a request with two animations. */
static bool changes_key(const char *path, const char *value)
{
	kii_autojson *request = kllfix_request("MD1");
	char before[65], after[65];

	kllfix_set(request, "config.animations",
		"{\"b\":{\"settings\":\"s\",\"frames\":[\"F\"]},"
		"\"a\":{\"settings\":\"\",\"frames\":[]}}");
	key_of(request, KII_KLL_LATEST, "sha256:1", before);
	kllfix_set(request, path, value);
	key_of(request, KII_KLL_LATEST, "sha256:1", after);
	return strcmp(before, after) != 0;
}

static void equal_requests_share_a_key(void **state)
{
	(void)state;
	assert_false(changes_key("env", "\"nightly\""));
	assert_false(changes_key("unknown", "1"));
	assert_false(changes_key("config.macros", "{\"0\":[1]}"));
	assert_false(changes_key("config.header", "{\"Generator\" : \"hand\",\"Date\":\"today\","
		"\"KLL\":\"0.5\",\"Author\":\"me\",\"Version\":\"1\", \"Base\":\"Mini\","
		"\"Layout\":\"My Map\",\"Variant\":\"\",\n\"Name\":\"MD1\"}"));
	assert_false(changes_key("config.animations",
		"{\"b\":{\"frames\":[\"F\"],\"settings\":\"s\"},"
		"\"a\":{\"frames\":[],\"settings\":\"\"}}"));
}

static void different_requests_do_not(void **state)
{
	(void)state;
	/* The order of animations, even of those whose order no line shows. */
	assert_true(changes_key("config.animations",
		"{\"a\":{\"settings\":\"\",\"frames\":[]},"
		"\"b\":{\"settings\":\"s\",\"frames\":[\"F\"]}}"));
	assert_true(changes_key("config.matrix[0].layers.0.key", "\"B\""));
	assert_true(changes_key("config.matrix[0].layers.0.label", "\"B\""));
	assert_true(changes_key("config.header.Variant", "\"hacker\""));
	assert_true(changes_key("config.header.Layout", "\"My_Map\""));
	assert_true(changes_key("config.custom", "{\"1\":\"\"}"));
	assert_true(changes_key("config.unknown", "1"));
}

static void the_key_names_image_and_dialect(void **state)
{
	kii_autojson *request = kllfix_request("MD1.1");
	char first[65], other[65];

	(void)state;
	key_of(request, KII_KLL_LATEST, "sha256:1", first);
	key_of(request, KII_KLL_LATEST, "sha256:2", other);
	assert_string_not_equal(first, other);
	key_of(request, KII_KLL_REFERENCE_LATEST, "sha256:1", other);
	assert_string_not_equal(first, other);
	key_of(request, KII_KLL_LTS, "sha256:1", other);
	assert_string_equal(first, other);   /* nothing in this request differs for LTS */
}

/* Names that are repeated before every frame blow a small body up: the file has a limit. */
static void a_file_beyond_its_limit_is_too_big(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	json_t *config = json_object_get(request, "config");
	json_t *frames = json_array();
	char name[256];
	struct kii_error err = { 0 };
	struct kii_kll *k = NULL;

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	for (int i = 0; i < 40000; i++)
		json_array_append_new(frames, json_string(""));
	json_object_set_new(config, "animations", json_pack("{s:{s:s,s:o}}", name, "settings", "",
		"frames", frames));
	must_fail(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), KII_ETOOBIG);
}

static void texts_beyond_their_limit_are_too_big(void **state)
{
	kii_autojson *request = kllfix_request("MD1");
	kii_autofree char *text = kii_xmalloc(9 << 20);
	json_t *config = json_object_get(request, "config");
	struct kii_error err = { 0 };
	struct kii_kll *k = NULL;

	(void)state;
	memset(text, 'x', 9 << 20);
	json_object_set_new(config, "custom", json_pack("{s:s#}", "0", text, 9 << 20));
	must_fail(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), KII_ETOOBIG);
	json_object_del(config, "custom");
	json_object_set_new(config, "unknown", json_stringn(text, 9 << 20));
	must_fail(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), KII_ETOOBIG);
	json_object_del(config, "unknown");
	json_object_set_new(config, "animations", json_pack("{s:{s:s,s:[],s:s#}}", "a", "settings",
		"", "frames", "unknown", text, 9 << 20));
	must_fail(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), KII_ETOOBIG);
	json_object_del(config, "animations");
	memcpy(text, "#:", 2);
	json_object_set_new(json_object_get(json_object_get(json_array_get(
		json_object_get(config, "matrix"), 0), "layers"), "0"), "key",
		json_stringn(text, 9 << 20));
	must_fail(kii_kll_make(request, KII_KLL_LATEST, layouts, &k, &err), KII_ETOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dialect_goes_by_env_and_tag),
		cmocka_unit_test(a_small_request_becomes_one_file),
		cmocka_unit_test(header_order_is_fixed_and_utf8_goes_through),
		cmocka_unit_test(a_null_variant_is_an_empty_one),
		cmocka_unit_test(defines_stand_between_header_and_map_of_layer_0),
		cmocka_unit_test(custom_text_follows_its_layers_map),
		cmocka_unit_test(custom_above_the_highest_layer_creates_the_layers),
		cmocka_unit_test(a_key_on_layer_3_only_gives_four_files),
		cmocka_unit_test(seventeen_layers_are_made),
		cmocka_unit_test(values_become_lines),
		cmocka_unit_test(animations_come_in_their_order),
		cmocka_unit_test(frames_keep_their_spaces_and_lines),
		cmocka_unit_test(a_comment_joined_with_a_frame_is_split),
		cmocka_unit_test(lts_prints_no_animations),
		cmocka_unit_test(triggers_are_discarded),
		cmocka_unit_test(whitefox_goes_by_code),
		cmocka_unit_test(every_board_has_its_parameters),
		cmocka_unit_test(the_reference_cuts_names_at_dots),
		cmocka_unit_test(a_real_build_strips_one_ending),
		cmocka_unit_test(the_environment_is_the_builds),
		cmocka_unit_test(the_stored_text_is_the_config_without_macros),
		cmocka_unit_test(parts_are_made_when_asked_for),
		cmocka_unit_test(equal_requests_share_a_key),
		cmocka_unit_test(different_requests_do_not),
		cmocka_unit_test(the_key_names_image_and_dialect),
		cmocka_unit_test(a_file_beyond_its_limit_is_too_big),
		cmocka_unit_test(texts_beyond_their_limit_are_too_big),
	};

	return cmocka_run_group_tests_name("kll", tests, setup, teardown);
}
