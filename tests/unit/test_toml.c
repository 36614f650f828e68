/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "toml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "io.h"
#include "testlib.h"

static void write_text(const char *text, size_t len, struct kii_buf *out)
{
	kii_buf_char(out, '\'');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c >= 0x7f)
			kii_buf_fmt(out, "<%02x>", c);
		else
			kii_buf_char(out, text[i]);
	}
	kii_buf_char(out, '\'');
}

/* The tree on one line: {'key'=value,...}, [..], 'text', i1, f0.5, true, d1979-05-27. */
static void write_value(const struct kii_toml *v, struct kii_buf *out)
{
	switch (v->type) {
	case KII_TOML_STRING:
		write_text(v->text, v->len, out);
		break;
	case KII_TOML_INTEGER:
		kii_buf_fmt(out, "i%lld", (long long)v->integer);
		break;
	case KII_TOML_FLOAT:
		kii_buf_fmt(out, "f%.17g", v->number);
		break;
	case KII_TOML_BOOLEAN:
		kii_buf_str(out, v->boolean ? "true" : "false");
		break;
	case KII_TOML_DATE:
		kii_buf_fmt(out, "d%s", v->text);
		break;
	default:
		kii_buf_char(out, v->type == KII_TOML_TABLE ? '{' : '[');
		for (size_t i = 0; i < v->n; i++) {
			const struct kii_toml *item = v->items[i];

			if (i)
				kii_buf_char(out, ',');
			if (v->type == KII_TOML_TABLE) {
				write_text(item->key, item->key_len, out);
				kii_buf_char(out, '=');
			}
			write_value(item, out);
		}
		kii_buf_char(out, v->type == KII_TOML_TABLE ? '}' : ']');
	}
}

/* A copy that ends where the memory ends, so that reading past the text is caught. */
static char *exact(const char *text, size_t len)
{
	char *copy = kii_xmalloc(len ? len : 1);

	memcpy(copy, text, len);
	return copy;
}

struct valid {
	const char *text, *tree;
};

static void expect_tree(const struct valid *v)
{
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	kii_autofree char *copy = exact(v->text, strlen(v->text));
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	must(kii_toml_parse(copy, strlen(v->text), "t", &root, &err));
	write_value(root, &out);
	if (strcmp(out.data, v->tree) != 0)
		fail_msg("%s\ngives %s\nnot   %s", v->text, out.data, v->tree);
}

struct invalid {
	const char *text;
	int line, column;
	const char *part;    /* of the message */
};

static void expect_error(const struct invalid *v)
{
	kii_autofree char *copy = exact(v->text, strlen(v->text));
	kii_autofree char *place = kii_xfmt("t:%d:%d: ", v->line, v->column);
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	if (kii_toml_parse(copy, strlen(v->text), "t", &root, &err) == 0)
		fail_msg("accepted: %s", v->text);
	assert_null(root);
	assert_int_equal(err.code, KII_EINVAL);
	if (strncmp(err.msg, place, strlen(place)) != 0 || !strstr(err.msg, v->part))
		fail_msg("%s\nsays  %s\nnot   %s...%s", v->text, err.msg, place, v->part);
}

#define EXPECT_TREES(table) do { \
		for (size_t i_ = 0; i_ < KII_COUNT(table); i_++) \
			expect_tree(&(table)[i_]); \
	} while (0)
#define EXPECT_ERRORS(table) do { \
		for (size_t i_ = 0; i_ < KII_COUNT(table); i_++) \
			expect_error(&(table)[i_]); \
	} while (0)

static void layout_of_lines(void **state)
{
	static const struct valid good[] = {
		{ "", "{}" },
		{ "\n\r\n\t \n", "{}" },
		{ "# only a comment", "{}" },
		{ "# t\xc3\xa4st \t\r\na=1#b\n# c\n", "{'a'=i1}" },
		{ "a=1\nb = 2\r\n\tc\t=\t3 ", "{'a'=i1,'b'=i2,'c'=i3}" },
	};
	static const struct invalid bad[] = {
		{ "a = 1 b = 2", 1, 7, "should end" },
		{ "[a] b = 1", 1, 5, "should end" },
		{ "a = 1\rb = 2", 1, 6, "carriage return" },
		{ "a = 1\r", 1, 6, "carriage return" },
		{ "# x\ry\n", 1, 4, "carriage return" },
		{ "a = '\r'", 1, 6, "carriage return" },
		{ "a = \"\"\"\r\"\"\"", 1, 8, "carriage return" },
		{ "# \x01", 1, 3, "control character 0x01" },
		{ "a = \"\x7f\"", 1, 6, "control character 0x7f" },
		{ "a = '''\x1f'''", 1, 8, "control character 0x1f" },
		{ "a = 1\f", 1, 6, "control character 0x0c" },
		{ "\xef\xbb\xbf" "a = 1", 1, 1, "byte order mark" },
		{ "a = 1\n\xc3\xa9 = 1", 2, 1, "a key is expected" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void bytes_that_are_no_utf8(void **state)
{
	static const struct invalid bad[] = {
		{ "a = '\x80'", 1, 6, "byte 0x80" },
		{ "a = '\xc1\x81'", 1, 6, "byte 0xc1" },
		{ "a = '\xc3'", 1, 6, "byte 0xc3" },
		{ "# \xc3", 1, 3, "byte 0xc3" },
		{ "# \xe2\x82", 1, 3, "byte 0xe2" },
		{ "# \xe0\x9f\xbf", 1, 3, "byte 0xe0" },
		{ "# \xed\xa0\x80", 1, 3, "byte 0xed" },
		{ "# \xf0\x8f\xbf\xbf", 1, 3, "byte 0xf0" },
		{ "# \xf4\x90\x80\x80", 1, 3, "byte 0xf4" },
		{ "# \xf5\x80\x80\x80", 1, 3, "byte 0xf5" },
		{ "# \xc3\xa9\xff", 1, 4, "byte 0xff" },
	};
	static const struct valid good[] = {
		{ "a = '\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf"
		  "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf'",
		  "{'a'='<c2><80><e0><a0><80><ed><9f><bf><ef><bf><bf><f0><90><80><80>"
		  "<f4><8f><bf><bf>'}" },
	};

	(void)state;
	EXPECT_ERRORS(bad);
	EXPECT_TREES(good);
}

static void nul_bytes_are_refused(void **state)
{
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	(void)state;
	must_fail(kii_toml_parse("a = 1\0", 6, "t", &root, &err), KII_EINVAL);
	must_fail(kii_toml_parse("\0", 1, "t", &root, &err), KII_EINVAL);
}

static void keys(void **state)
{
	static const struct valid good[] = {
		{ "aZ_-09=1\n1234=2\n-=3\ntrue=4", "{'aZ_-09'=i1,'1234'=i2,'-'=i3,'true'=i4}" },
		{ "\"a b\"=1\n'c\"d'=2\n\"\"=3", "{'a b'=i1,'c\"d'=i2,''=i3}" },
		{ "a.b.c=1\na . b\t.\"d\"=2\n'e'.f=3",
		  "{'a'={'b'={'c'=i1,'d'=i2}},'e'={'f'=i3}}" },
		{ "3.14=1", "{'3'={'14'=i1}}" },
		{ "\"\\u00e9\\n\"=1", "{'<c3><a9><0a>'=i1}" },
		{ "\"\\u0000\"=1", "{'<00>'=i1}" },
	};
	static const struct invalid bad[] = {
		{ "= 1", 1, 1, "a key is expected" },
		{ "a", 1, 2, "= is expected" },
		{ "a b = 1", 1, 3, "= is expected" },
		{ "a. = 1", 1, 4, "a key is expected" },
		{ ".a = 1", 1, 1, "a key is expected" },
		{ "a..b = 1", 1, 3, "a key is expected" },
		{ "a =", 1, 4, "a value is expected" },
		{ "a =\n1", 1, 4, "a value is expected" },
		{ "a\n= 1", 1, 2, "= is expected" },
		{ "\"\"\"a\"\"\" = 1", 1, 1, "cannot be a key" },
		{ "'''a''' = 1", 1, 1, "cannot be a key" },
		{ "\"a = 1", 1, 1, "without its end" },
		{ "\"a\nb\" = 1", 1, 1, "without its end" },
		{ "a+b = 1", 1, 2, "= is expected" },
		{ "a = 1\na = 2", 2, 1, "a is an integer already, since line 1" },
		{ "a = 1\n\"a\" = 2", 2, 1, "already" },
		{ "a.b = 1\na = 2", 2, 1, "a is a table already" },
		{ "a = 1\na.b = 2", 2, 1, "a is an integer already" },
		{ "a.b = 1\na.b.c = 2", 2, 3, "b is an integer already" },
		{ "a = []\na.b = 2", 2, 1, "a is an array already" },
		{ "\"x\\ny\" = 1\n\"x\\ny\" = 2", 2, 1, "x?y is an integer" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void strings(void **state)
{
	static const struct valid good[] = {
		{ "a=\"\"\nb=''", "{'a'='','b'=''}" },
		{ "a=\"\\b\\t\\n\\f\\r\\\"\\\\ \t\"", "{'a'='<08><09><0a><0c><0d>\"\\ <09>'}" },
		{ "a=\"\\u00E9\\U0001f600\\u0000\\uD7FF\\uE000\\U0010FFFF\"",
		  "{'a'='<c3><a9><f0><9f><98><80><00><ed><9f><bf><ee><80><80><f4><8f><bf><bf>'}" },
		{ "a='C:\\n \"x\" \t'", "{'a'='C:\\n \"x\" <09>'}" },
		{ "a=\"\"\"\"\"\"\nb=''''''", "{'a'='','b'=''}" },
		{ "a=\"\"\"\nx\r\n y\"\"\"", "{'a'='x<0a> y'}" },
		{ "a=\"\"\"\r\n\r\nx\"\"\"", "{'a'='<0a>x'}" },
		{ "a='''\n\nx\\\n'''", "{'a'='<0a>x\\<0a>'}" },
		{ "a=\"\"\"x \\\n\n \t y \\  \r\n z\"\"\"", "{'a'='x y z'}" },
		{ "a=\"\"\"x\\\n\"\"\"", "{'a'='x'}" },
		{ "a=\"\"\"\\\n  \\\n\"\"\"", "{'a'=''}" },
		{ "a=\"\"\"\"x\"\"\"", "{'a'='\"x'}" },
		{ "a=\"\"\"x\"\"y\"\"\"", "{'a'='x\"\"y'}" },
		{ "a=\"\"\"x\"\"\"\"", "{'a'='x\"'}" },
		{ "a=\"\"\"x\"\"\"\"\"", "{'a'='x\"\"'}" },
		{ "a=\"\"\"x\\\"\"\"\"", "{'a'='x\"'}" },
		{ "a='''x'''''", "{'a'='x'''}" },
	};
	static const struct invalid bad[] = {
		{ "a = \"x", 1, 5, "without its end" },
		{ "a = \"x\ny\"", 1, 5, "without its end" },
		{ "a = \"x\r\n\"", 1, 5, "without its end" },
		{ "a = 'x", 1, 5, "without its end" },
		{ "a = 'x\ny'", 1, 5, "without its end" },
		{ "a = \"\\", 1, 6, "unknown escape" },
		{ "a = \"\\x41\"", 1, 6, "unknown escape" },
		{ "a = \"\\e\"", 1, 6, "unknown escape" },
		{ "a = \"\\ \"", 1, 6, "unknown escape" },
		{ "a = \"\\\n\"", 1, 6, "unknown escape" },
		{ "a = \"\"\"\\ x\"\"\"", 1, 8, "unknown escape" },
		{ "a = \"\"\"\\  ", 1, 8, "unknown escape" },
		{ "a = \"\\u12g4\"", 1, 6, "\\u needs 4 hex digits" },
		{ "a = \"\\u12", 1, 6, "\\u needs 4 hex digits" },
		{ "a = \"\\U0001F60\"", 1, 6, "\\U needs 8 hex digits" },
		{ "a = \"\\uD800\"", 1, 6, "U+D800 is no character" },
		{ "a = \"\\uDFFF\"", 1, 6, "U+DFFF is no character" },
		{ "a = \"\\U00110000\"", 1, 6, "U+110000 is no character" },
		{ "a = \"\"\"x\"\"", 1, 5, "multi-line string without its end" },
		{ "a = \"\"\"x\\\n", 1, 5, "multi-line string without its end" },
		{ "a = '''x''\n", 1, 5, "multi-line string without its end" },
		{ "a = \"\"\"x\"\"\"\"\"\"", 1, 14, "should end" },
		{ "a = '''x''''''", 1, 14, "should end" },
		{ "a = \"x\"\"", 1, 8, "should end" },
		{ "a = x", 1, 5, "\"x\" is no value (text stands in quotes)" },
		{ "a = @", 1, 5, "a value is expected" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void integers(void **state)
{
	static const struct valid good[] = {
		{ "a=[0,+0,-0,7,+99,-17]", "{'a'=[i0,i0,i0,i7,i99,i-17]}" },
		{ "a=[1_000,5_349_221,1_2_3]", "{'a'=[i1000,i5349221,i123]}" },
		{ "a=[9223372036854775807,-9223372036854775808]",
		  "{'a'=[i9223372036854775807,i-9223372036854775808]}" },
		{ "a=[0xDEADBEEF,0xdead_beef,0o01234567,0b1101_0110,0x00]",
		  "{'a'=[i3735928559,i3735928559,i342391,i214,i0]}" },
		{ "a=0x7fffffffffffffff", "{'a'=i9223372036854775807}" },
	};
	static const char *const words[] = {
		"01", "-01", "+00", "0_1", "1_", "_1", "1__2", "+", "-", "++1", "+-1", "1a", "0x",
		"0xg", "0x_1", "0x1_", "0X1", "0o8", "0o", "0b2", "0B1", "+0x1", "-0o7", "- 1",
		"1,000", "0x1.5",
	};
	static const struct invalid large[] = {
		{ "a = 9223372036854775808", 1, 5, "64 bits" },
		{ "a = -9223372036854775809", 1, 5, "64 bits" },
		{ "a = 0xffffffffffffffff", 1, 5, "64 bits" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(large);
	for (size_t i = 0; i < KII_COUNT(words); i++) {
		kii_autofree char *text = kii_xfmt("a = %s", words[i]);
		struct kii_error err = { 0 };
		struct kii_toml *root = NULL;

		if (kii_toml_parse(text, strlen(text), "t", &root, &err) == 0)
			fail_msg("accepted: %s", text);
	}
}

static void floats(void **state)
{
	static const struct valid good[] = {
		{ "a=[1.0,3.1415,-0.01,+1.5]", "{'a'=[f1,f3.1415000000000002,f-0.01,f1.5]}" },
		{ "a=[5e+22,1e06,-2E-2,0e0,6.5e-1]",
		  "{'a'=[f4.9999999999999996e+22,f1000000,f-0.02,f0,f0.65000000000000002]}" },
		{ "a=[224_617.445_991,1_0e1_0,0.0]",
		  "{'a'=[f224617.44599099999,f100000000000,f0]}" },
		{ "a=[inf,+inf,-inf,nan,+nan]", "{'a'=[finf,finf,f-inf,fnan,fnan]}" },
	};
	static const char *const words[] = {
		".7", "7.", "3.e+20", "1.e2", "e1", "1e", "1e+", "1e1.5", "1.2.3", "01.5", "-01e1",
		"1_.5", "1._5", "1.5_", "1__0.5", "1e_1", "1e1_", "0_0.5", "Inf", "NaN", "infinity",
		"inf_", "--inf", "1.5f", "0x1p3", "True", "TRUE", "tru", "truee", "false1", "null",
	};

	(void)state;
	EXPECT_TREES(good);
	for (size_t i = 0; i < KII_COUNT(words); i++) {
		kii_autofree char *text = kii_xfmt("a = %s", words[i]);
		struct kii_error err = { 0 };
		struct kii_toml *root = NULL;

		if (kii_toml_parse(text, strlen(text), "t", &root, &err) == 0)
			fail_msg("accepted: %s", text);
	}
}

static void signs_of_nothing_and_nan_are_kept(void **state)
{
	static const char text[] = "a = -0.0\nb = -nan\nc = true\nd = false";
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	(void)state;
	must(kii_toml_parse(text, strlen(text), "t", &root, &err));
	assert_true(signbit(kii_toml_get(root, "a")->number));
	assert_true(isnan(kii_toml_get(root, "b")->number));
	assert_true(signbit(kii_toml_get(root, "b")->number));
	assert_int_equal(kii_toml_get(root, "c")->type, KII_TOML_BOOLEAN);
	assert_true(kii_toml_get(root, "c")->boolean);
	assert_false(kii_toml_get(root, "d")->boolean);
}

static void dates(void **state)
{
	static const struct valid good[] = {
		{ "a=1979-05-27T07:32:00Z", "{'a'=d1979-05-27T07:32:00Z}" },
		{ "a=1979-05-27t00:32:00.999999-07:00", "{'a'=d1979-05-27t00:32:00.999999-07:00}" },
		{ "a=1979-05-27 07:32:00z # c", "{'a'=d1979-05-27 07:32:00z}" },
		{ "a=1979-05-27 # c", "{'a'=d1979-05-27}" },
		{ "a=[1979-05-27,07:32:00 ,23:59:60.1]",
		  "{'a'=[d1979-05-27,d07:32:00,d23:59:60.1]}" },
		{ "a=[2000-02-29,2024-02-29,0000-12-31]",
		  "{'a'=[d2000-02-29,d2024-02-29,d0000-12-31]}" },
	};
	static const char *const words[] = {
		"1979-13-01", "1979-00-01", "1979-01-00", "1979-01-32", "1979-04-31", "1900-02-29",
		"2023-02-29", "1979-1-01", "1979-01-1", "79-01-01", "19790-01-01", "1979-05-27T",
		"1979-05-27T07:32", "1979-05-27 07", "1979-05-27T24:00:00", "1979-05-27T07:60:00",
		"1979-05-27T07:32:61", "1979-05-27T07:32:00.", "1979-05-27T07:32:00+",
		"1979-05-27T07:32:00+24:00", "1979-05-27T07:32:00+01:60",
		"1979-05-27T07:32:00+0100",
		"1979-05-27T07:32:00ZZ", "1979-05-27X07:32:00", "1979-05-27T7:32:00", "07:32",
		"7:32:00", "07:32:00Z", "07:32:0", "07:3a:00", "1979-05-27  07:32:00", "1979-05",
		"1979-05-27_07:32:00", "12:34", "1234-", "12:3",
	};

	(void)state;
	EXPECT_TREES(good);
	for (size_t i = 0; i < KII_COUNT(words); i++) {
		kii_autofree char *text = kii_xfmt("a = %s", words[i]);
		struct kii_error err = { 0 };
		struct kii_toml *root = NULL;

		if (kii_toml_parse(text, strlen(text), "t", &root, &err) == 0)
			fail_msg("accepted: %s", text);
	}
}

static void arrays(void **state)
{
	static const struct valid good[] = {
		{ "a=[]", "{'a'=[]}" },
		{ "a=[ 1, 'x', [2.5], {b=1} ]", "{'a'=[i1,'x',[f2.5],{'b'=i1}]}" },
		{ "a=[ # c\n 1 # d\r\n , # e\n 2,\n\n]", "{'a'=[i1,i2]}" },
		{ "a=[[],[[]],]", "{'a'=[[],[[]]]}" },
		{ "a=['''\nx''',\"\"\"y\"\"\"]", "{'a'=['x','y']}" },
	};
	static const struct invalid bad[] = {
		{ "a = [", 1, 6, "a value is expected" },
		{ "a = [1", 1, 7, "a comma or ] is expected" },
		{ "a = [1 2]", 1, 8, "a comma or ]" },
		{ "a = [,]", 1, 6, "a value is expected" },
		{ "a = [,1]", 1, 6, "a value is expected" },
		{ "a = [1,,2]", 1, 8, "a value is expected" },
		{ "a = [1]]", 1, 8, "should end" },
		{ "a = [1\n# c", 2, 4, "a comma or ]" },
		{ "a = [b = 1]", 1, 6, "\"b\" is no value" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void inline_tables(void **state)
{
	static const struct valid good[] = {
		{ "a={}", "{'a'={}}" },
		{ "a={ }", "{'a'={}}" },
		{ "a={ x = 1 , y = 'z' }", "{'a'={'x'=i1,'y'='z'}}" },
		{ "a={b.c=1,b.d=2,\"e\"={f={}}}", "{'a'={'b'={'c'=i1,'d'=i2},'e'={'f'={}}}}" },
		{ "a={b=[\n1,\n2]}", "{'a'={'b'=[i1,i2]}}" },
	};
	static const struct invalid bad[] = {
		{ "a = {", 1, 6, "a key is expected" },
		{ "a = {x=1", 1, 9, "a comma or } is expected" },
		{ "a = {x=1,}", 1, 10, "a key is expected" },
		{ "a = {,}", 1, 6, "a key is expected" },
		{ "a = {x=1 y=2}", 1, 10, "a comma or }" },
		{ "a = {x=1\n}", 1, 9, "a comma or }" },
		{ "a = {\nx=1}", 1, 6, "a key is expected" },
		{ "a = {x=1 # c\n}", 1, 10, "a comma or }" },
		{ "a = {x=1,x=2}", 1, 10, "x is an integer already" },
		{ "a = {x={y=1},x.z=2}", 1, 14, "x is a table already" },
		{ "a = {x.y=1,x=2}", 1, 12, "x is a table already" },
		{ "a = {}\na.b = 1", 2, 1, "a is a table already" },
		{ "a.b = {}\na.b.c = 1", 2, 3, "b is a table already" },
		{ "a = {}\n[a]", 2, 2, "a is a table already" },
		{ "a = {}\n[a.b]", 2, 2, "a is a table already" },
		{ "a = {b={}}\n[a.b.c]", 2, 2, "a is a table already" },
		{ "a = {b.c=1}\n[[a.b.d]]", 2, 3, "a is a table already" },
		{ "a = {}\n[[a]]", 2, 3, "a is a table already" },
		{ "a = [{}]\n[a.b]", 2, 2, "a is an array already" },
		{ "a = [{}]\n[[a]]", 2, 3, "a is an array already" },
		{ "a = []\n[[a]]", 2, 3, "a is an array already" },
		{ "a = []\n[a]", 2, 2, "a is an array already" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void tables(void **state)
{
	static const struct valid good[] = {
		{ "[a]", "{'a'={}}" },
		{ "[ a . \"b c\" . 'd' ] # c\nx=1", "{'a'={'b c'={'d'={'x'=i1}}}}" },
		{ "x=0\n[a.b]\nc=1\n[a]\nd=2\n[a.e]",
		  "{'x'=i0,'a'={'b'={'c'=i1},'d'=i2,'e'={}}}" },
		{ "[a]\nb.c=1\n[a.b.d]\ne=2", "{'a'={'b'={'c'=i1,'d'={'e'=i2}}}}" },
		{ "[a.b.c]\nx=1\n[a]\nb.y=2", "{'a'={'b'={'c'={'x'=i1},'y'=i2}}}" },
		{ "[a]\n[b]\n[a.c]", "{'a'={'c'={}},'b'={}}" },
	};
	static const struct invalid bad[] = {
		{ "[]", 1, 2, "a key is expected" },
		{ "[a", 1, 3, "] is expected" },
		{ "[a\n]", 1, 3, "] is expected" },
		{ "[a b]", 1, 4, "] is expected" },
		{ "[a.]", 1, 4, "a key is expected" },
		{ "[.a]", 1, 2, "a key is expected" },
		{ "[a]]", 1, 4, "should end" },
		{ "[a] # c\n[b] [c]", 2, 5, "should end" },
		{ "[a]\n[a]", 2, 2, "a is a table already, since line 1" },
		{ "[a]\n[b]\n[\"a\"]", 3, 2, "a is a table already" },
		{ "[a.b]\n[a]\n[a.b]", 3, 4, "b is a table already, since line 1" },
		{ "[a.b]\n[a]\n[a]", 3, 2, "a is a table already, since line 2" },
		{ "a = 1\n[a]", 2, 2, "a is an integer already" },
		{ "a = 1\n[a.b]", 2, 2, "a is an integer already" },
		{ "[a]\nb=1\n[a.b]", 3, 4, "b is an integer already" },
		{ "[a.b]\n[a]\nb=1", 3, 1, "b is a table already" },
		{ "a.b = 1\n[a]", 2, 2, "a is a table already" },
		{ "[a]\nb.c=1\n[a.b]", 3, 4, "b is a table already" },
		{ "[a.b.c]\nx=1\n[a]\nb.c.y=2", 4, 3, "c is a table already" },
		{ "[a.b.c]\n[a]\nb.x=1\n[a.b]", 4, 4, "b is a table already" },
		{ "[a.b]\nc.d=1\n[a]\nb.c.e=1", 4, 1, "b is a table already" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void arrays_of_tables(void **state)
{
	static const struct valid good[] = {
		{ "[[a]]", "{'a'=[{}]}" },
		{ "[[a]]\nx=1\n[[ a ]]\n[[a]]\nx=3", "{'a'=[{'x'=i1},{},{'x'=i3}]}" },
		{ "[[a]]\n[a.b]\nx=1\n[[a.c]]\n[[a.c]]\n[[a]]\n[[a.c]]\n[a.b]",
		  "{'a'=[{'b'={'x'=i1},'c'=[{},{}]},{'c'=[{}],'b'={}}]}" },
		{ "[[a.b]]\n[a]\nx=1", "{'a'={'b'=[{}],'x'=i1}}" },
		{ "[[a]]\nb.c=1\n[[a]]\nb.c=2", "{'a'=[{'b'={'c'=i1}},{'b'={'c'=i2}}]}" },
	};
	static const struct invalid bad[] = {
		{ "[[a]", 1, 4, "]] is expected" },
		{ "[[a] ]", 1, 4, "]] is expected" },
		{ "[ [a]]", 1, 3, "a key is expected" },
		{ "[[a]]]", 1, 6, "should end" },
		{ "[[]]", 1, 3, "a key is expected" },
		{ "[[a]]\n[a]", 2, 2, "a is an array already" },
		{ "[a]\n[[a]]", 2, 3, "a is a table already" },
		{ "[a.b]\n[[a]]", 2, 3, "a is a table already" },
		{ "[[a.b]]\n[[a]]", 2, 3, "a is a table already" },
		{ "a = 1\n[[a]]", 2, 3, "a is an integer already" },
		{ "[[a.b]]\n[a]\nb.c=1", 3, 1, "b is an array already" },
		{ "[[a]]\n[a.b]\n[a.b]", 3, 4, "b is a table already" },
		{ "[[a]]\nb=1\n[[a.b]]", 3, 5, "b is an integer already" },
	};

	(void)state;
	EXPECT_TREES(good);
	EXPECT_ERRORS(bad);
}

static void every_value_knows_its_place(void **state)
{
	static const char doc[] = "a = 1\n[t]\n  \"k\xc3\xa9\" = [ 1,\n\t'x' ]\n[[u]]\n[[u]]\n";
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;
	const struct kii_toml *t, *k;

	(void)state;
	must(kii_toml_parse(doc, strlen(doc), "t", &root, &err));
	assert_int_equal(root->line, 1);
	assert_int_equal(kii_toml_get(root, "a")->column, 5);
	assert_int_equal(kii_toml_get(root, "a")->key_column, 1);
	t = kii_toml_get(root, "t");
	assert_int_equal(t->line, 2);
	assert_int_equal(t->key_column, 2);
	k = t->items[0];
	assert_int_equal(k->key_line, 3);
	assert_int_equal(k->key_column, 3);
	assert_int_equal(k->column, 10);
	assert_int_equal(k->items[1]->line, 4);
	assert_int_equal(k->items[1]->column, 2);
	assert_int_equal(kii_toml_get(root, "u")->items[1]->line, 6);
	assert_null(kii_toml_get(root, "b"));
	assert_null(kii_toml_get(root, ""));
}

/* Text around `n` repetitions of `item`; must parse or fail as told. */
static void expect_many(const char *before, const char *item, size_t n, const char *after,
	const char *part)
{
	kii_autobuf text = KII_BUF_INIT(KII_TOML_SIZE + 100);
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	kii_buf_str(&text, before);
	for (size_t i = 0; i < n; i++)
		kii_buf_str(&text, item);
	kii_buf_str(&text, after);
	assert_false(text.overflow);
	if (!part) {
		must(kii_toml_parse(text.data, text.len, "t", &root, &err));
		return;
	}
	assert_int_equal(kii_toml_parse(text.data, text.len, "t", &root, &err), -1);
	assert_non_null(strstr(err.msg, part));
}

static void nesting_has_its_cap(void **state)
{
	static const char deep[] = "nested deeper than 32";

	(void)state;
	expect_many("a=", "[", 31, "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", NULL);
	expect_many("a=", "[", 32, "", deep);
	expect_many("a", ".a", 31, "=1", NULL);
	expect_many("a", ".a", 32, "=1", deep);
	expect_many("a=", "{a=", 31, "1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}", NULL);
	expect_many("a=", "{a=", 32, "", deep);
	expect_many("[a", ".a", 30, "]\na=1", NULL);
	expect_many("[a", ".a", 31, "]", NULL);
	expect_many("[a", ".a", 31, "]\na=1", deep);
	expect_many("[a", ".a", 32, "]", deep);
	expect_many("[[a", ".a", 31, "]]", deep);
	expect_many("", "[", 500000, "", "a key is expected");
	expect_many("a=", "[", 500000, "", deep);
}

static void numbers_of_values_and_members_have_their_caps(void **state)
{
	kii_autobuf text = KII_BUF_INIT(KII_TOML_SIZE);
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	(void)state;
	expect_many("a=[", "1,", KII_TOML_VALUES - 1, "]", NULL);
	expect_many("a=[", "1,", KII_TOML_VALUES, "]", "more than 100000 values");
	expect_many("a=[", "1,", KII_TOML_VALUES - 1, "]\nb.c=1", "more than 100000 values");
	expect_many("a=[", "1,", KII_TOML_VALUES - 1, "]\n[b.c]", "more than 100000 values");
	expect_many("a=[", "1,", KII_TOML_VALUES - 1, "]\n[b]", "more than 100000 values");
	expect_many("", "[[a]]\n", KII_TOML_VALUES, "", "more than 100000 values");
	for (int i = 0; i < KII_TOML_MEMBERS; i++)
		kii_buf_fmt(&text, "k%d = 1\n", i);
	must(kii_toml_parse(text.data, text.len, "t", &root, &err));
	kii_toml_free(kii_steal(&root));
	kii_buf_str(&text, "one-more = 1");
	assert_int_equal(kii_toml_parse(text.data, text.len, "t", &root, &err), -1);
	assert_string_equal(err.msg, "t:1025:1: more than 1024 members in a table");
}

static void the_text_has_its_cap(void **state)
{
	kii_autofree char *text = kii_xmalloc(KII_TOML_SIZE + 1);
	struct kii_error err = { 0 };
	kii_autotoml *root = NULL;

	(void)state;
	memset(text, '\n', KII_TOML_SIZE + 1);
	must(kii_toml_parse(text, KII_TOML_SIZE, "t", &root, &err));
	must_fail(kii_toml_parse(text, KII_TOML_SIZE + 1, "t", &root, &err), KII_ETOOBIG);
}

static void long_texts_cost_no_more_than_their_length(void **state)
{
	int64_t start = kii_io_now();

	(void)state;
	expect_many("a=[", "\"\",", 99000, "]", NULL);
	expect_many("a='", "\xc3\xa9", 500000, "'", NULL);
	expect_many("a=\"\"\"", "\"\"\\\n", 250000, "\"\"\"", NULL);
	expect_many("", "[[a]]\nb.c=1\n", 30000, "", NULL);
	expect_many("", "#", 1000000, "", NULL);
	/* quadratic work takes minutes */
	assert_true(kii_io_now() - start < 160000);
}

static void texts_are_shown_harmlessly(void **state)
{
	struct kii_toml_shown room;
	char long_text[100];

	(void)state;
	assert_string_equal(kii_toml_show(&room, "a\0\n\x7f" "b", 5), "a???b");
	memset(long_text, 'x', sizeof(long_text));
	kii_toml_show(&room, long_text, sizeof(long_text));
	assert_int_equal(strlen(room.text), 51);
	assert_string_equal(room.text + 48, "...");
	/* a character is not cut in two */
	memcpy(long_text + 47, "\xc3\xa9", 2);
	kii_toml_show(&room, long_text, sizeof(long_text));
	assert_string_equal(room.text + 46, "x...");
	assert_string_equal(kii_toml_type_name(KII_TOML_DATE), "a date or time");
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Any damage gives a tree or an error with a place, never anything else (sanitizers watch). */
static void damaged_texts_do_no_harm(void **state)
{
	static const char doc[] =
		"t = \"x\\u00e9\" # c\n[a.b]\nc = [1, 0x2f, -3.5e2, inf, 07:32:00,]\n"
		"d = {e.f = '''\nz''', g = 1979-05-27 07:32:00Z}\r\n[[h]]\ni.\"j k\" = true\n"
		"[[h]]\n[h.l]\nm = \"\"\"\nn\\\n  o\"\"\"\"\"\n";
	static const char spice[] = "\"'[]{}=.,#\\\n\r 0_-+e:T\x80";
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = sizeof(doc) - 1 - next_random(&seed) % 40;
		kii_autofree char *text = exact(doc, len);
		struct kii_error err = { 0 };
		kii_autotoml *root = NULL;

		for (uint32_t n = next_random(&seed) % 3 + 1; n; n--)
			text[next_random(&seed) % len] =
				spice[next_random(&seed) % (sizeof(spice) - 1)];
		if (kii_toml_parse(text, len, "t", &root, &err) != 0) {
			assert_int_equal(strncmp(err.msg, "t:", 2), 0);
			assert_null(root);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_of_lines),
		cmocka_unit_test(bytes_that_are_no_utf8),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(keys),
		cmocka_unit_test(strings),
		cmocka_unit_test(integers),
		cmocka_unit_test(floats),
		cmocka_unit_test(signs_of_nothing_and_nan_are_kept),
		cmocka_unit_test(dates),
		cmocka_unit_test(arrays),
		cmocka_unit_test(inline_tables),
		cmocka_unit_test(tables),
		cmocka_unit_test(arrays_of_tables),
		cmocka_unit_test(every_value_knows_its_place),
		cmocka_unit_test(nesting_has_its_cap),
		cmocka_unit_test(numbers_of_values_and_members_have_their_caps),
		cmocka_unit_test(the_text_has_its_cap),
		cmocka_unit_test(long_texts_cost_no_more_than_their_length),
		cmocka_unit_test(texts_are_shown_harmlessly),
		cmocka_unit_test(damaged_texts_do_no_harm),
	};

	return cmocka_run_group_tests_name("toml", tests, NULL, NULL);
}
