/* SPDX-License-Identifier: MIT */
/*
 * What stays out of a context. The results of the tables are what moby's own matcher (0.6.1) said
 * to these files and paths.
 */
#include <config.h>

#include "dockerignore.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "testlib.h"

#define PATHS "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo"

struct row {
	const char *text;
	const char *paths;       /* joined by '|' */
	const char *out;         /* a digit a path: 1 where it stays out */
	const char *walked;      /* the same of a walk; NULL: no difference */
};

static const struct row rows[] = {
	{ "", PATHS, "00000000", NULL },
	{ "# a comment\n\n   \n", PATHS, "00000000", NULL },
	{ " # no comment\n", "#|no_comment|a", "000", NULL },
	{ "#a\n", "#a|a", "00", NULL },
	{ "\\#a\n", "#a|a", "10", NULL },
	{ "foo\n", PATHS, "00111000", NULL },
	{ "foo", PATHS, "00111000", NULL },
	{ "foo\r\nb\r\n", PATHS, "01111000", NULL },
	{ "foo/\n", PATHS, "00111000", NULL },
	{ "/foo\n", PATHS, "00111000", NULL },
	{ "/foo/\n", PATHS, "00111000", NULL },
	{ "//foo\n", PATHS, "00111000", NULL },
	{ "./foo\n", PATHS, "00111000", NULL },
	{ "foo/.\n", PATHS, "00111000", NULL },
	{ "foo/../b\n", PATHS, "01000000", NULL },
	{ "../foo\n", PATHS, "00000000", NULL },
	{ "/..//foo\n", PATHS, "00111000", NULL },
	{ "..\n", PATHS, "00000000", NULL },
	{ ".\n", PATHS, "00000000", NULL },
	{ "/\n", PATHS, "00000000", NULL },
	{ "   foo\t \n", PATHS, "00111000", NULL },
	{ "\302\240foo\343\200\200\n", PATHS, "00111000", NULL },
	{ "\357\273\277foo\n", PATHS, "00111000", NULL },
	{ "a\n\357\273\277foo\n",
	  "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo|\357\273\277foo",
	  "100000001", NULL },
	{ "\357\273\277f*\n\357\273\277f?o\n",
	  "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo|fo/x",
	  "001110001", NULL },
	{ "*\n", PATHS, "11111111", NULL },
	{ "*/*\n", PATHS, "00011011", NULL },
	{ "*/bar\n", PATHS, "00011000", NULL },
	{ "*foo\n", PATHS, "00111100", NULL },
	{ "foo*\n", "foo|foobar|foo/bar|xfoo", "1110", NULL },
	{ "f*o\n", "foo|fo|f/o|fxxo|f/oo", "11010", NULL },
	{ "?\n", "a|b|ab|a/b|\303\251|.", "110111", NULL },
	{ "?\??\n",
	  "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo|\303\251\303\251|\303\251x\303\251",
	  "0011101001", NULL },
	{ "f?o\n", "foo|f/o|f\303\251o|fo", "1010", NULL },
	{ "**\n", PATHS, "11111111", NULL },
	{ "**/foo\n", PATHS, "00111011", NULL },
	{ "**foo\n", PATHS, "00111111", NULL },
	{ "foo/**\n", PATHS, "00011000", NULL },
	{ "foo**\n",
	  "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo|foobar/x",
	  "001110001", NULL },
	{ "**/foo/**\n", PATHS, "00011000", NULL },
	{ "**/bar/*\n", PATHS, "00001010", NULL },
	{ "foo/**/baz\n", "foo/baz|foo/bar/baz|foo/x/y/baz|foo/xbaz|xfoo/baz", "11100", NULL },
	{ "**/**\n", PATHS, "11111111", NULL },
	{ "**/**/foo\n", PATHS, "00111011", NULL },
	{ "***\n", PATHS, "11111111", NULL },
	{ "****/foo\n", PATHS, "00111011", NULL },
	{ "**/*.go\n", "a.go|x/a.go|x/y/a.go|a.go/x|ago|x/.go", "111101", NULL },
	{ "*.go\n", "a.go|x/a.go|.go|a.goo", "1010", NULL },
	{ "**.go\n", "a.go|x/a.go|.go|ago", "1110", NULL },
	{ "a**b\n", "ab|axb|a/b|a/x/b|ax/b", "10111", NULL },
	{ "a/**/b/**/c\n", "a/b/c|a/x/b/y/z/c|a/b/xc|a/c", "1100", NULL },
	{ "**/a/**/b\n", "a/b|x/a/b|x/a/y/b|a/y/b/z|ab", "11110", NULL },
	{ "**/node_modules\n",
	  "node_modules|node_modules/a|x/node_modules/a/b|xnode_modules|x/xnode_modules",
	  "11100", NULL },
	{ "[ab]\n", "a|b|c|ab", "1100", NULL },
	{ "[^a]\n", "a|b|\303\251|ab", "0110", NULL },
	{ "[a-c]x\n", "ax|bx|cx|dx", "1110", NULL },
	{ "[^a-c]x\n", "ax|bx|cx|dx", "0001", NULL },
	{ "[a\\-c]\n", "a|b|c|-", "1011", NULL },
	{ "[\\]a]\n", "]|a|b", "110", NULL },
	{ "[\303\251-\303\274]\n", "\303\251|\303\253|\303\274|e", "1110", NULL },
	{ "[a*b]\n", "a|a]|*|b|ab]", "00001", NULL },
	{ "[?]\n", "?|a|[|^]|[]|^", "000110", NULL },
	{ "[*]\n", "*|a|[]|^^]|]", "00111", NULL },
	{ "x[!a]\n", "xa|x!|xb", "110", NULL },
	{ "[[:digit:]]\n", "1|a|d]|:]|:", "10000", NULL },
	{ "[[:alpha:]]x*\n", "ax|1x|axy", "101", NULL },
	{ "\\d\n", "1|d|\\d", "100", NULL },
	{ "\\D*\n", "1|d|dx", "011", NULL },
	{ "\\w\\s\n", "a_|_a|a1", "000", NULL },
	{ "[\\d]\n", "1|d", "10", NULL },
	{ "\\a*\n", "a|b", "00", NULL },
	{ "\\*\n", "*|a", "10", NULL },
	{ "a\\?\n", "a?|ab", "10", NULL },
	{ "\\[a\\]\n", "[a]|a", "10", NULL },
	{ "a]\n", "a]|a", "10", NULL },
	{ "a]*\n", "a]b|a]", "11", NULL },
	{ "\\!a\n", "!a|a", "10", NULL },
	{ "a.b\n", "a.b|axb", "10", NULL },
	{ "a.?\n", "a.b|axb", "10", NULL },
	{ "a+?\n", "a+b|aab|aaab", "100", NULL },
	{ "(a)*\n", "(a)|(a)x|a", "110", NULL },
	{ "$a*\n", "$a|$ab|a", "110", NULL },
	{ "^a\n", "^a|a", "10", NULL },
	{ "^a*\n", "a|ab|^a", "110", NULL },
	{ "a^*\n", "a^|a^b|a", "000", NULL },
	{ "**/^a*\n", "a|^a|x/a", "100", NULL },
	{ "foo\n!foo\n", PATHS, "00000000", NULL },
	{ "foo\n!foo/bar\n", PATHS, "00100000", NULL },
	{ "foo\n!foo/bar\nfoo/bar/baz\n",
	  "a|b|foo|foo/bar|foo/bar/baz|afoo|bar/foo|x/y/foo|foo/bar/x",
	  "001010000", NULL },
	{ "!foo\nfoo\n", PATHS, "00111000", NULL },
	{ "*\n!foo\n", PATHS, "11000111", NULL },
	{ "*\n!foo/bar\n", PATHS, "11100111", NULL },
	{ "foo/*\n!foo/bar\n", PATHS, "00000000", NULL },
	{ "foo/**\n!foo/bar\n", PATHS, "00000000", NULL },
	{ "**\n!**/foo\n", PATHS, "11000100", NULL },
	{ "*\n!**/*.go\n", "a.go|x/a.go|x/b|x/y/z.go", "0010", NULL },
	{ "*\n!*/\n", PATHS, "00000000", NULL },
	{ "foo\n! foo/bar \n", PATHS, "00100000", NULL },
	{ "foo\n!/foo/bar/\n", PATHS, "00100000", NULL },
	{ "foo\n!./foo/./bar\n", PATHS, "00100000", NULL },
	{ "foo\n!foo/bar\n!foo\n", PATHS, "00000000", NULL },
	{ "foo\n!foo/bar\nfoo*\n", PATHS, "00111000", "00100000" },
	{ "foo\n!foo/bar\n**/baz\n", PATHS, "00101000", NULL },
	{ "*.md\n!README*.md\nREADME-secret.md\n",
	  "a.md|README.md|README-x.md|README-secret.md|x/a.md",
	  "10010", NULL },
	{ "*.md\nREADME-secret.md\n!README*.md\n",
	  "a.md|README.md|README-secret.md",
	  "100", NULL },
	{ "a/b\n!a\n", "a|a/b|a/b/c|a/c", "0000", "0110" },
	{ "**/x\n!a/**/x\n", "x|a/x|a/b/x|b/x|b/x/y|a/x/y", "100110", NULL },
	{ "\303\251\n", "\303\251|e", "10", NULL },
	{ "\303\251*\n", "\303\251|\303\251a|e", "110", NULL },
	{ "\346\227\245\346\234\254?\n",
	  "\346\227\245\346\234\254\350\252\236|\346\227\245\346\234\254",
	  "10", NULL },
	{ "a b\n", "a b", "1", NULL },
	{ "a?b\n", "a.b|a-b", "11", NULL },
	{ "Dockerfile\n.dockerignore\n", "Dockerfile|.dockerignore|x/Dockerfile", "110", NULL },
	{ ".git\n", ".git|.git/config|x/.git|.gitignore", "1100", NULL },
	{ ".*\n", ".git|.a/b|a|.a.b", "1101", NULL },
	{ "**/.*\n", ".git|a/.b|a/.b/c|a", "1110", NULL },
	{ "!a\n", "a|b", "00", NULL },
	{ "a\n!\\a\n", "a", "1", NULL },
	{ "temp?\n", "tempa|temp|tempab", "100", NULL },
	{ "*/temp*\n", "a/temp|a/tempx|a/b/temp|temp", "1100", NULL },
	{ "*/*/temp*\n", "a/b/temp|a/temp|a/b/tempx/y", "101", NULL },
	{ "a/*/../b\n", "a/b|a/x/b|b", "100", NULL },
	{ "a\\\\b\n", "a\\b|ab", "10", NULL },
	{ "{a,b}*\n", "{a,b}|{a,b}c|a|b", "1100", NULL },
	{ "*.{js,ts}\n", "a.js|a.{js,ts}|a.ts", "010", NULL },
};

/* Made at random. */
static const struct row random_rows[] = {
	{ "b\n!**/\\_[[:alpha:]]b/**/\n",
	  "a b/ab|a/b|b/b/b|a b/b|a b/ab|1/.a", "001000", NULL },
	{ "a/[ab][a-c]\n!b\357\273\277\357\273\277\\d\n\\a**/[^a]..\n!foo[\\]a]\n",
	  "a/ab/ab/.a|a]|foo/a/ab|.a|ab/[|a/\303\251/a/a.b", "100000", NULL },
	{ "foo\n\\*/**[ab]/\\*\n",
	  "]/.a/afoo|foo/a/a b|foo/a/foo|1/\\/ab/foo|[/\\|a/ab/a", "011000", NULL },
	{ "..[ab]\n!/[ab]?foo[*b]\n[ab][^a]b\n",
	  "foo|b|a b/_|!a/b|ab/foo/a|foo/afoo/1/foo", "001000", NULL },
	{ "!?\n[a-c]\n!**/**[[:alpha:]][[:alpha:]]\n",
	  "a/a/^|foo|[/]/a|ab/foo/_|1|b/-/b/b", "100001", NULL },
	{ "!/**\n\\.#![^a]\n[[:alpha:]]*/**/**\n\303\251ab\n",
	  "b/]|a/a b/ab|foo/_/a|.a/a/[/-|*|foo/^", "111001", NULL },
	{ "[ab]\\d\\*...b\n.[ab]../\n\\w\n[$[^a]\303\251\303\251\n",
	  "ab/foo/ab/b|b/foo|_/a/[/[|ab/a.b/ab|\\/b|ab", "011000", NULL },
	{ "\\_\n!\303\251?/****/\n!$**\357\273\277[[:alpha:]]\357\273\277\n",
	  "[/a/x/^|_/*/foob/foo|foo/b/b|\303\251/\303\251/]|b/a]/[/ab|1/a/foob", "010000", NULL },
	{ "b**/..ab\n.?//\n",
	  ".a/foob/\303\251|\\|.a/^/foo|foo/a/-|-/.a/ab/b|b", "101000", NULL },
	{ "!#/**\303\251\n!/+[?]-/\n**/foo/\na*b**/\n",
	  "1/b/_/ab|ab/a|b|ab/.a/b|a|-", "010100", NULL },
	{ "-.**\n[ab]/\n",
	  "ab/b/b|a/b/ab/#a|foo/foo/\303\251/[|a b/[|foo/x|\303\251/*/[", "010000", NULL },
	{ "**/[ab][^a]\n\\*?b\n",
	  "!a/a.b|\\|a/foo/a.b/b|foob/foo|a b/.a/ab|b/a]/b", "000011", NULL },
	{ "![^a]**\n**/**-\n.\n",
	  "a.b|foo/b|*/a/foo|a.b/]/1|b|-/\303\251", "000001", NULL },
	{ "[a-c][^a]\n![ab]?\n**a\n",
	  "b/ab/a/ab|*/]/foo/ab|b/foo|-/ab/foo|[/a]/ab|a/foo", "100001", NULL },
	{ "\\_/**\n?[\\]a]/\n",
	  "\303\251|b/ab/b|_|a.b/a/ab/afoo|a/a/[/b|.a/#a/1", "000001", NULL },
	{ "..\\d[a-c]**a\n![a-c]b\na*\n[ab]foo\n",
	  "a/foob/a/a|[/[/b|b/foob/a|_|^|a/ab/foo/afoo", "100001", NULL },
	{ "foo\n[a-c]**/*a*b*\n![a-c]\\***/\n",
	  "foo|a/ab|b|b/b/b|ab/foo/ab|-", "110010", NULL },
	{ "!/?foofoo/\n!bfoo[a-c]b\n[ab]\n![^a]....[a*]\\w\\a\n",
	  "foo/ab|afoo|]/a/foo/a b|a.b|a/1|foo/\303\251/b", "000010", NULL },
	{ "-\n!\357\273\277^/foo\n\\...\n",
	  "ab/a/\\|1/b/b/ab|-/b/a|_/^|a]/b|ab/foo", "001000", NULL },
	{ "foo\n/[a-c]\n.\\*\n",
	  "b/x|ab/foo/foob|b/b/b|!a/a/foo|ab/_/.a|foo", "101001", NULL },
	{ "!**/foo[[:alpha:]]\\d\n[^a]a**/ \nfoo/\n",
	  "ab/!a|b/foob/ab|foo|b|b/*|[/foo/foo/ab", "001000", NULL },
	{ "?\n**\\.\n!*.[ab]+.[^a]\n//**.**/\\*[ab]\n",
	  "b/b|foo/ab|a]/ab/ab|]/a/a|a|afoo/1/b", "100110", NULL },
	{ "[^a]\n$[\\]a]/\n\\*?/**?\n\\.[a*]_\n",
	  "ab/foob|ab/\\/a|*/foo|a/foo/ab|a/ab/.a|b/a]/foo", "001001", NULL },
	{ "b\n/\n",
	  "ab/foob/b|\\/b/_/.a|!a/b/a/a|b|a b/b|b/[", "000101", NULL },
	{ "?*a^[ab]\n\\w*\n",
	  "ab|ab|b/ab/ab/\303\251|#a/1/b|foo/a]/foo/foo|b/!a", "111011", NULL },
	{ "![ab]?foo\\.[?]b\n\357\273\277[[:alpha:]]\n",
	  "afoo/a|.a/foo|foo/b/a/foob|b/[|b|ab/b", "000110", NULL },
	{ "[a*]**/\n./**/***a\n![ab]^b!a*\n\\*\303\251[*b]../*\n",
	  "a/^|*/.a/b|a|^/1/a/b|^|ab/a/#a", "111101", NULL },
	{ "**/foo**//\n[^a][ab]foo#[a-c]\n",
	  "a/.a|b|foo|a b|-/foo/]/a.b|ab/foo", "001011", NULL },
	{ "**/?\n?/**//\n!**//**/a\n**/\\*/**[ab]\n",
	  "b/b/foo/foob|*/foob/[/[|b|]/1/b/\\|ab/a/a/a]|ab", "111100", NULL },
	{ "a**\n*..\n../[ab]/**)\\.\n",
	  "a/a]/a/ab|b/b|a/a.b|b/b|a/\\/b|]/*/foo", "101010", NULL },
	{ "[ab]$\\*\303\251b\n/\n\303\251\n",
	  "b/x/b|\303\251/ab/foob|ab/b|#a/\\/ab|ab/a/foo|a/\303\251/foob", "010000", NULL },
	{ "../***\303\251\n[ab]\n",
	  "a b/b/a|a/a/a|-/\\|foo/foob/]/a.b|-/\303\251|ab/]/]", "010000", NULL },
	{ "!+^**\na\n/\n![\\]a][ab]**\n",
	  "foo/afoo/ab/a|\\/foo/^/*|a/b/foo/a]|b/a]/b|ab/ab/a.b/-|foo/.a", "001000", NULL },
	{ "/****\303\251\n/foo////**\n",
	  "ab/\303\251/-|-/foo/afoo|_/foo|a|ab/a|*/b/foo", "100000", NULL },
	{ "[^a]\n//\n!/[a-c]/**a.\n",
	  "foo/afoo|-|b/b/a|a/foo|foo/ab|a/b/a.b", "011000", NULL },
	{ "**//****/[a-c]\n[a-c]foofoo\n[^a]*?\n!\\./\303\251\\d\n",
	  "foo/1/foo/b|a|ab/^/foob|ab/a|ab/-/a|a.b/ab/b/a", "110111", NULL },
	{ "b\n/b?\\*\n",
	  "b/ab/.a|#a|ab/a]/\\/a|ab|\\|_", "100000", NULL },
	{ "-/\n\303\251/**?/\\_\n",
	  "\303\251/\303\251/a|-/a]/b/*|b|1/a]|\303\251/.a|foo", "010000", NULL },
	{ "/**\\*\\w..\n\\*b\n[a-c][^a]/\n",
	  "ab/!a|a.b/.a/ab|[/_/ab/ab|b|a]/a b/#a/a]|foo/b/_/-", "100010", NULL },
	{ "/[\\]a]\n\303\251*.]\\./\n/ .\n/*/**\303\251\\a^\n",
	  "ab/]|*/#a/a]/foo|a.b/ab|a/foo/a/b|b/_|a/a b", "000101", NULL },
	{ "?\n\\.#[[:alpha:]][ab]\n**a*b[?]foo\nfoo[?]_**/\n",
	  "a/a b/foo/x|a b/-/b|a/foo|[/-/\\/1|a|a/b", "101111", NULL },
	{ "(\n/\303\251.**\nb\n",
	  ".a/[/foo/^|b/ab|foob/1|-/]|b/b/a|-", "010010", NULL },
	{ "[a*]/_\na\n",
	  "b/ab/*/^|foo|a/b/[/#a|a/ab/#a/ab|a/foob|x/[", "001110", NULL },
	{ "]/)$[?]/**\n?\n!..**/\n",
	  "afoo/.a|a|#a|_/foo/x/#a|a b/1|afoo", "010100", NULL },
	{ "?[ab]\303\251/)\n/**b\303\251\n[^a]\n",
	  "b|[/a/foo|ab/a.b|a/foo/ab|a/foo|#a", "110000", NULL },
	{ "/**_\\*//.\n!_**[*b]**?\n**/**/b\n\\*\n",
	  "[/b/ab/1|^/foo/!a|a/b/a b|foo/ab/b|foo/a]/_/b|^", "101110", NULL },
	{ "/a?\n$[a-c]\n.../\\*\n",
	  "foo/!a|b/x|!a/a b/a|#a/a/foo/a|ab/ab/a.b/a|1/b/b", "000010", NULL },
	{ "\\.\\w*[^a](b\n[\\]a]\n",
	  "foo/a b/foo/ab|foob/ab|a/foo/b/a.b|-/a/foo/foo|a]/foo/foo/a|ab/ab/1", "001000", NULL },
	{ "\\.\nfoo\n![^a]]**/\n",
	  "foo/^|a/b/a|a]|*/a|a|b/a/foob", "100000", NULL },
	{ "/**foo\\d\n[\\]a]\n",
	  "a|foo|a/#a/foo|ab/b/b/1|a|foo/foo", "101010", NULL },
	{ "_**[ab]a.a\na*b**\n[ab]\n",
	  "ab|ab/a/a.b/x|a.b/[|foob|foo|b/x/a]/ab", "111001", NULL },
	{ "![^a]foofoo\n/\\... _[^a]\n\357\273\277[[:alpha:]]\n",
	  "_/a.b|x/ab|a|ab/#a/ab|foo/a/ab|ab/\\/ab/!a", "011000", NULL },
	{ "./\n[[:alpha:]]\n",
	  "a/!a/a/-|a/b|foo/b/foo/foo|foob/ab|a/a/^/a|a/b/a/]", "110011", NULL },
	{ "a*b\n[ab]\n**/[ab]\303\251\n",
	  "a|_/a/-|foo/x/b/ab|b|ab/\\|a", "100111", NULL },
	{ "/**/[a-c]**/\n.foo\\w//a*b\n/**[a-c][*b]\\_\n",
	  "b/ab/\303\251|foo/ab/foo/foo|1/]|[/b|b|ab/ab/foo/foob", "110111", NULL },
	{ "![^a]**[ab].a*b**\n!/\\a/*foo[a-c]\nfoo\n",
	  "\\/\303\251/foob|b/b|foo/\303\251/afoo|x/a|b/foo/.a|b/ab/b", "001000", NULL },
	{ "!.\n**//a*\n!/**]/\n",
	  "afoo/a|]/b/b|ab|foo/ab/a|.a/a.b|1/ab/\\/\\", "101111", NULL },
	{ "#\303\251/\n?b\n$*/[[:alpha:]]\n",
	  "_|ab/foo/foo/-|foo/a/a|b/a/b/ab|a b/a|foo/foo/foo", "010000", NULL },
	{ "[\\]a]/\n[a-c]..*[a-c]/**\n",
	  "[/a/a.b/!a|!a/b/foo/foo|ab/ab|ab|foob/b/ab/*|a/^/a", "000001", NULL },
	{ "[\\]a]\n!..]\n",
	  "a/b|a|.a/!a|1/b|]/!a/foo/foo|foob/a/-", "110010", NULL },
	{ "![^a]/**[^a]\n![?]#[^a]*\n!\\d..[^a]\n/[^a]///\n",
	  "afoo/a|foo/.a/ab/_|x|ab/foob|a|!a/b/a b", "001000", NULL },
	{ "**/[\\***/[ab]\n!?/**a^\n",
	  "\303\251|foo/!a/a/b|_/ab|a/a|foo|ab/.a", "010100", NULL },
	{ "(*?[a-c]\\*[ab]\nb\n",
	  "b|a]|[/1/[/_|a|#a/b/b|b/a.b/[/.a", "100001", NULL },
	{ "?\n!foo?\\.\\d/****/\n",
	  "a/1/_/[|_/.a/a/foo|\303\251/ab/\303\251/-|#a/\\/]|b|a/a.b/_", "111011", NULL },
	{ "//**[ab]\n/\\*/b\n!\\*\357\273\277..\n",
	  "b/b/[/foo|b|ab/b/foob/foo|a b/]|*/afoo/b/\\|x", "111010", NULL },
	{ "a**/\n![\\a\\./**][ab]\n![*b]*[[:alpha:]]**/\n",
	  "\303\251/*|foo/b/b|foo/ab/a/b|ab/\303\251|foob|ab", "000101", NULL },
	{ "b\n$\n",
	  "1/foob/a/b|b/b/ab|-/foo/#a|b|foob|a]/b/ab/^", "010100", NULL },
	{ "!#\n[^a]/**/**/\n! [[:alpha:]]?\n/\303\251[a-c]foo\303\251\n",
	  "^/ab/foo/a|b/[|a]/foo|a.b/-|a/-|b/a/\303\251", "110001", NULL },
	{ "[a-c]/*[ab]\nfoo?\n",
	  "a/ab/b/b|foo/foo/a/ab|*/a/foo|a]/a/a|\303\251/x/ab|b", "100000", NULL },
	{ "?\n..\\*/\\_[a-c]\\a\n",
	  "#a|b/foo/a|b/foo/a|foo/a/ab|b|foo", "011010", NULL },
	{ "?[^a]\\*\n/****..\n!a?\n!]\n",
	  "foo|1/b/\\|b/\\|-|afoo|b/*/foo/[", "000001", NULL },
	{ "/**/**[?]b\\w\n!\\*[?]^.b[*b]\n/**a\n$\n",
	  "b/b|ab|!a/ab/a|ab|a/.a/.a/ab|ab", "001010", NULL },
	{ "!+)**\n[a-c]/**//\n",
	  "ab/foo/foob/a]|foo/foo/[|\\|b/foo/^|b/1/b|a/\303\251", "000111", NULL },
	{ "b\nfoo[?]/\n!/!.\n\\..**/\n",
	  "x|ab/a.b|b/x|foo|\\/[/b|b/foo/a", "001001", NULL },
	{ "\\w[ab]foo[^a][a-c]\n!/fooa/*\n[[:alpha:]]\n",
	  "a]/afoo/ab/a|a/foob|b|]/ab/ab|b/afoo|ab/*/.a/a", "011010", NULL },
	{ "../)foob*\na\n",
	  "^/foob/foo/ab|ab/a|a/a/a b/a]|foo/b|ab/1/\303\251|a]/ab/a/ab", "001000", NULL },
	{ "/**[ab]**\n[ab]**a\n.(\\_\n.\n",
	  "#a|]/a]|ab/ab|ab/a/ab/a|ab/!a/ab|]/!a/a/b", "011111", NULL },
	{ "\\*\\.\n[ab]\n",
	  "1/foo|ab|foo/foo|foo/1/b|a/b|ab", "000010", NULL },
	{ "![^a]\n/b\n)//[a-c][a-c]/\n",
	  "_|b/b|_/foo|ab/afoo/a b/-|ab|foo/-/ab", "010000", NULL },
	{ "/?\n/[a-c]\n]\303\251/**[ab]\na\n",
	  "-/!a/ab|ab/foob/a/.a|foo/ab/]|b/a b|1/a.b|ab", "100110", NULL },
	{ "!*\\w!\n!/**/ b\n\\.\n*/**\n",
	  "foo/b/#a/\\|ab/foo/.a|b|foo/_|foo|[/a/a.b", "110101", NULL },
	{ "[ab]/\n!/**\\d**\n\\a\\aa*b/*\n",
	  "_/^|\\/1/foo|-/a.b|foo/a/.a|a/foo/\303\251/foo|^/a/a.b", "000010", NULL },
	{ "****\n!*\na/****/[^a]\n",
	  "1/b/ab|a/!a/-|foob/a/ab/foo|foo|foob|foo/foo", "010000", NULL },
	{ "foo\nafoo\\*[^a]/\n!-\n!foo[?[^a]\n",
	  "ab/a.b/foo/_|[/a/foo|b|b/a]/foo/[|foo/!a/ab|_/a", "000010", NULL },
	{ "[^a])?/[ab]/\n****/?[ab]\n\\a\n",
	  "b|ab/a/ab/a b|b|.a/ab/a.b|a.b/foo|^/ab/a", "010101", NULL },
	{ "***+\na\n",
	  ".a/-/ab/b|]/foo|foo|]/foo|a/b|b/]", "000010", NULL },
	{ "a\n?a*b\n!/**/[a*]foo\n",
	  "a|\303\251/a|b/ab/foo/b|\303\251/ab/a/afoo|a]|\303\251/ab/b/ab", "100000", NULL },
	{ "*/b/\n^]a.\n",
	  "foo/a/\\/a]|a/a]|.a/\\/x/foo|a/a/foo|foo/b|a/!a", "000010", NULL },
	{ "a\303\251[\\]a]\n[^a]\n",
	  "[/a/b/foo|a]|ab/\303\251/-|b|a/*/a/foob|a/foo/ab/x", "100100", NULL },
	{ "[a-c][a-c]*\n!*+/[[:alpha:]]\n/\n",
	  "afoo/ab|b|foob|ab/*|x/b|b/]/a]/ab", "000100", NULL },
	{ "![a-c]\n!..#/\n^[ab][a-c]\n[^a][ab]//\n",
	  "ab/]/foob|[|ab/-|b/!a/foo/b|!a/foo/afoo|ab", "101011", NULL },
	{ "!\\*.foo***/\n![a-c]\\w..^/**\303\251\n**/\n!foo\n",
	  "a/_/1|foob|\303\251/!a/b/_|a/b/a/ab|foo|ab", "111101", NULL },
	{ "/**/foo\n/**\\d/***b[a-c]\n![a-c]**/\n",
	  "b|ab|a]/b|foo/#a/foob|foob|afoo", "000100", NULL },
	{ "\303\251(/..[ab]\n!b\n/**/**/\\w\n",
	  "a|b/b/ab/ab|b/-/a|foo/foo|a/\303\251/b|!a/foo", "111010", NULL },
	{ "\303\251b /**[ab].\nfoo\n!//ab/**/**\n",
	  "b/_|\\/ab|foo|foo/x/ab/\303\251|foo/a]/ab|ab/\303\251/b", "001110", NULL },
	{ "[?]/****.*\\*\n_ \n\303\251\n",
	  "-|foo/*/ab|foo/b/!a|_/foo/a/a|foo|foo/ab", "000100", NULL },
	{ "![?]\357\273\277\n[ab]**[ab]\nfoofoo[\\]a]/**\n[ab]/**//**a**/\n",
	  "a/a|afoo/foo/\\/b|b/afoo|ab/ab|\303\251/\\/]/b|a/ab/a/a]", "111101", NULL },
	{ "/**\n[a-c]a\n![a-c]\n",
	  "foo/foo|foo/a|foo/a]|a.b/foob|b/b/ab|-/^/-/foo", "111101", NULL },
	{ "!a*b**\n\\_\n[^a]bb[a-c]\n[a-c][ab]-\n",
	  "a.b/ab/foo/.a|foo/ab/-|a.b/a|_/b/foo/a|a]|a.b/a/foo/foo", "000100", NULL },
	{ "/a+]/**/\n[ab]\n!/\303\251[*b][a-c]\n",
	  "foo/b|a/ab/b/foo|b/a]/foo|b/a b/a/foo|^/b/foob/[|!a/ab/.a/afoo", "011100", NULL },
	{ "!?\n?\n",
	  "foo|foo/b/foob|ab/foo/!a|ab/\\/ab/\303\251|ab/b/ab|b", "000001", NULL },
	{ "[^a]/..\nb\303\251\n!a/**\na*b\n",
	  "b/a|ab/ab/_|foo|a]|1/foo|b", "010000", NULL },
	{ "[[:alpha:]]\nfoo\n",
	  "foo/[|\303\251/a.b|*/b/a|b/ab|a/_|[/]/a/\303\251", "100110", NULL },
	{ "[ab]\n foo\\*\nb..\n\303\251\\w?\n",
	  "x/\\/ab/\\|foo/*/foo/foob|ab/b/-|a|foo/foo|]/\303\251/ab/foo", "000100", NULL },
	{ "[a-c]\n!?\\*\n\\*\\d\\*\\.\n",
	  "-/x/a b|b|foo/foo/foo|a/^/!a|*/foo|\303\251/a/\\", "010100", NULL },
	{ "/a\\*\\*\\.foo\n/b\n!^/..[^a][ab].\n\303\251\303\251**/\n",
	  "b/ab|a|b|-|b/\303\251/a.b/foo|\303\251/b", "101010", NULL },
	{ "\\w\n[a-c]/[a*]\n[\\]a]a?\n",
	  "b/ab/\303\251/foo|a|foo|\\/\303\251/ab|b|a/a", "110011", NULL },
	{ "**/[ab]\n**..\n![ab]\303\251./\n!?[a-c]\n",
	  "x/!a/b/foo|!a/x/a|\\/foob|b/a|a/a/b|b", "100111", "110111" },
	{ " *+[ab][^a]/\n***[^a][\\]a]/**\n[a-c][ab]\\_b\n",
	  "foo/foo/a|*|foo/b/-/1|a]/ab/a/foo|[|-/foob", "000100", NULL },
	{ "**\n!/**[a-c]\n/b..\n",
	  "foo|ab|foo/a b/foo|b/ab/x/b|afoo/#a/!a/a|foo", "111001", NULL },
	{ "/.**a*b****/\n^?\n",
	  "ab/*|a/_/a/a.b|b/foo/foo|#a/]|1/a/ab|foo", "011010", NULL },
	{ "b\n\\a/foo\n#/+[a-c]a\\.\n[^a]**.\n",
	  "b/a/x/a|b/b|foo/b/b|a/b/#a/b|b|b/\\", "110011", NULL },
	{ "!\\d\n[^a]\n",
	  "^/ab/a.b/a]|a b/foo|a/foo/ab|a/b|a/a/foo/a b|foo/#a/[/afoo", "100000", NULL },
	{ "!foo\n![a-c]\n!/***[a-c]_\\*\nb**?\\w\n",
	  "a|b/#a|b|ab/b/foo/a b|a/ab/a/!a|a", "010000", NULL },
	{ "!a/**/**!\n?[^a]/**/**\n",
	  "b|ab/b/a|b|\303\251/a]|foo|afoo/]", "010000", NULL },
	{ " b/\n**//#!?#\n\303\251**/\n",
	  "[|ab|a/a|foob/a b|b/a/_|!a/foo", "000010", NULL },
	{ "a*\n*foo\n",
	  "a/ab|#a/a/a]|-/foob/!a|b/b/foo/^|b/a/b|ab/!a/ab/afoo", "100001", NULL },
	{ "[a-c][ab]\n/-[a*]\\w..\n**/[^a]+[\\]a]-foo\n",
	  "_/b/a|a/x/b|ab/\\/ab/foo|foo/a/ab|foo|a", "001000", NULL },
	{ "\\_^[ab]\n**[^a]ab\\.?\n[ab]\n",
	  "b|#a/foo/a/[|foob/b/a.b/[|a b/b/#a/*|ab/foo/b/[|x/foo", "100000", NULL },
	{ "![a-c]/^\n^**/\n/\n//[a-c]****/\n",
	  "foob/afoo/foob|^/ab/b/foo|^/ab|a]/foo/a.b/foo|ab|a/ab", "011111", NULL },
	{ "!.^a*b\303\251\na\\afoo\n![a-c]\n/**^\\*\n",
	  "b/a/_/\\|\303\251|a b/foo/foo|b/.a/a]/a|*/afoo/[|a/foob", "000010", NULL },
	{ "([^a]\nfoo/\n [^a]#\\_[ab]\n",
	  "a.b/b|foob|1/b/b|#a/a/b|foo/a/b|\\", "000010", NULL },
	{ "!\\*/?\303\251\n[\\]a][ab][a-c]\\.\n**/[ab]\n",
	  "foo/a|a/ab/foo|-|foo/a/ab/a.b|b/b/ab/a|1/foo", "110110", NULL },
	{ "^foo..\n[[:alpha:]]\n**/\\*b\303\251)/\n]\n",
	  "foob/a|foo/#a/foo/\303\251|a/ab/foo/x|a/ab/foo/ab|foo|a b/foo", "001100", NULL },
	{ "**$*/\n/a**\n",
	  "#a/afoo/]|_/1/a|a/afoo/foob|b/1|ab|b/b/b/afoo", "001010", NULL },
	{ "foo#[^a]_.\n/a[^a]?\n![ab]**/[ab]a*b\nb**/\\.\n",
	  "1|a/ab/afoo|a/b/a/foo|1|ab/x/[/x|.a", "001000", NULL },
	{ "[ab]\n!..ab\n!\\*\n",
	  ".a/!a|a|a]/.a/a|ab/[/b|ab/ab/b/a]|a]/x/x", "010000", NULL },
	{ "/**?[ab]**\n!foo/foofoo..\\*\n![^a]\n//..?\n",
	  "b|-/foo/1|b/foo/foo/ab|-/b/ab/#a|foo/ab/ab/\\|ab/ab/ab", "000011", "001111" },
	{ "!?( ?[\\]a]\n/\303\251\\w/\303\251$\n[ab]/\n[a-c][[:alpha:]]\n",
	  "a]/ab/!a/a|b/a/]/b|\\/foo/1/a|a/a|foo/*/*|\\/[/[/a", "010100", NULL },
	{ "?!/\n**foo\n",
	  "-/1/foo/#a|ab|#a/a|^/-|!a/b|ab/.a/b", "100000", NULL },
	{ "\\w[a-c]\n_\357\273\277*)..\n",
	  "a b/!a|ab/ab/a b/-|x/a/_/b|a/_/b/a b|ab/ab|ab/b/afoo/foo", "010011", NULL },
	{ "!\\_#\\d\n!$\n/[^a]\n",
	  "ab/a|_|#a/b/a.b/ab|[/*|a/a/!a|foo/#a", "010100", NULL },
	{ "!\\.[^a]/[^a]*/\na?\n",
	  "a|a|foo/]/a/foob|foo/-/b/ab|b/.a/1|ab/a]/a b", "000001", NULL },
	{ "!\\_b!a..\\_\n[^a]**\n",
	  "b/foob/foo/.a|.a/^/ab/foo|ab/[|ab/a|foo/ab|a", "110010", NULL },
	{ "+\n!a*..\n!\357\273\277[a-c].**/\n**[\\]a]\n",
	  "ab/]/a|ab/a]|.a/.a/ab|ab/a/!a|ab/a|^", "100110", NULL },
	{ "\357\273\277-\n\\*../**\n",
	  "b|-/a]|foo|foo/x|ab/-/x|b/ab/afoo", "010000", NULL },
	{ "!**/**....[ab]\n![a-c]/\\*/***/\n?\n\357\273\277\303\251/[a-c]\\w\n",
	  "a/]/ab|a.b/a/a/foo|a/a/ab/b|_/a.b/ab|-/.a/ab|a/!a/ab", "101111", NULL },
	{ "?\n!..**/?[ab]\n",
	  "foo|foo/foo|ab|foo|b/foo/#a/.a|foo/foo/^", "000010", NULL },
	{ "/foofoo[^a]//\n\\*\\*\n/\303\251\n[ab]**\n",
	  "a.b|!a/x/\\/!a|1|1|ab/b|ab/ab/*", "100011", NULL },
	{ "\\w\n!.**/foo.\n!\\*****\n",
	  "b|ab|ab/]/^|foo/#a|b|_", "100011", NULL },
	{ "/**b\n/**foo\na\n",
	  "x/_/a|b|foo/ab|b|a/ab|\\/ab/.a/ab", "011111", NULL },
	{ "**a\n\303\251[ab]a**/..foo\n",
	  "ab|foo/b/\303\251/b|\303\251/ab|*/\\/ab/a|b/ab/b/a|a/.a/*/foo", "000111", NULL },
	{ "!?[ab]b**$\n!**\n[a-c]?\n[a-c]\n",
	  "-/ab/x/a]|ab/b/#a/foo|foo/a/\303\251|a/!a/b/ab|a.b/b/foo|ab/a.b", "010101", NULL },
	{ "^?**/a\n![^a][^a][ab]**/*\n",
	  "\\|ab/ab|ab/#a/foo/b|ab|afoo/a b/a/foo|^/\\/!a/a", "000011", NULL },
	{ "**///?\n!../**]**\\d\n#[ab]-b\n?.[^a]a\n",
	  "b|*/!a/b|foob/b/]|\303\251/^|foo/a]/[/a b|ab/ab/ab/!a", "111110", NULL },
	{ "!a*ba/ ?/\na\n?a/\303\251\n",
	  "a|_|a/\\/ab|!a|a/ab/foob|b/b/!a", "101010", NULL },
	{ "[a-c][^a]\n[^a]/**\n[*b]\n!_\303\251\n",
	  "ab/foob/1|foo/!a|foo/\303\251/x/foo|_|a/b/ab/ab|[/ab/a", "100001", NULL },
	{ "[a*]\n!\357\273\277a*b[[:alpha:]]\n",
	  ".a/]/b|ab/b|]/!a/-|a/a/ab|[/^|a/ab/#a/_", "001000", NULL },
};

static bool walk(const struct kii_ignore *ignore, const char *path)
{
	kii_autofree char *part = kii_xstrdup(path);
	bool states[2][16] = { { false } };
	const bool *parent = NULL;
	size_t now = 0;
	bool out = false;

	assert_true(kii_ignore_count(ignore) <= 16);
	for (char *p = part;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		out = kii_ignore_walk(ignore, part, parent, states[now]);
		parent = states[now];
		now = 1 - now;
		*p = c;
		if (!c)
			return out;
	}
}

static void check(const struct row *row)
{
	kii_autofree char *paths = kii_xstrdup(row->paths);
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };
	char *save = NULL;
	size_t n = 0;

	if (kii_ignore_parse(row->text, strlen(row->text), "f", &ignore, &err) != 0)
		fail_msg("%s: %s", row->text, err.msg);
	for (char *path = strtok_r(paths, "|", &save); path; path = strtok_r(NULL, "|", &save)) {
		char flat = kii_ignore_match(ignore, path) ? '1' : '0';
		char deep = walk(ignore, path) ? '1' : '0';
		char want = (row->walked ? row->walked : row->out)[n];

		if (flat != row->out[n] || deep != want)
			fail_msg("%s: %s: %c and %c, not %c and %c", row->text, path, flat, deep,
				row->out[n], want);
		n++;
	}
	assert_int_equal(n, strlen(row->out));
	kii_ignore_free(ignore);
}

static void patterns_match_what_moby_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++)
		check(&rows[i]);
	for (size_t i = 0; i < KII_COUNT(random_rows); i++)
		check(&random_rows[i]);
}

/* moby's walk skips looking at a pattern, and then what is below it does not inherit it. */
static void a_walk_forgets_what_it_did_not_look_at(void **state)
{
	static const struct row row = { "foo\n!foo/bar\nfoo*\n", "foo|foo/bar|foo/x", "111",
		"101" };

	(void)state;
	check(&row);
}

static void what_is_no_pattern_is_named_by_its_line(void **state)
{
	static const char *const bad[] = {
		"!\n", "a\n! \n", "!/\n", "[\n", "a[\n", "[]a]\n", "[a\n", "[a-]\n", "[-a]\n",
		"[z-a]x\n", "a\\\n", "[\\\n", "\\e*\n", "\\\303\251\n", "[[:x:]]\n", "[]\n",
		"[^]\n", "[a-\\d]\n", "\\1\n", "a\n[b\n",
		"\\b*\n", "\\Qx\\E\n", "\\pN\n", "\\x41\n", "\\077\n",
	};
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		must_fail(kii_ignore_parse(bad[i], strlen(bad[i]), "f", &ignore, &err), KII_EINVAL);
	assert_int_equal(kii_ignore_parse("a\n\n[b\n", 6, ".dockerignore", &ignore, &err), -1);
	assert_string_equal(err.msg, ".dockerignore: line 3: no pattern that Docker could read");
	kii_error_clear(&err);
	assert_int_equal(kii_ignore_parse("!\n", 2, "f", &ignore, &err), -1);
	assert_string_equal(err.msg, "f: line 1: \"!\" needs a pattern behind it");
	kii_error_clear(&err);
	must_fail(kii_ignore_parse("a\0b\0", 4, "f", &ignore, &err), KII_EINVAL);
	kii_ignore_free(ignore);
}

static void rules_are_added_to_rules(void **state)
{
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	(void)state;
	must(kii_ignore_parse("a\nb\n", 4, "f", &ignore, &err));
	must(kii_ignore_parse("!a\n", 3, "g", &ignore, &err));
	must(kii_ignore_parse("", 0, "h", &ignore, &err));
	assert_int_equal(kii_ignore_count(ignore), 3);
	assert_false(kii_ignore_match(ignore, "a"));
	assert_true(kii_ignore_match(ignore, "b"));
	kii_ignore_free(ignore);
}

static void a_file_has_limits(void **state)
{
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	(void)state;
	for (int i = 0; i < KII_IGNORE_LINE; i++)
		kii_buf_char(&text, '*');
	must(kii_ignore_parse(text.data, text.len, "f", &ignore, &err));
	assert_true(kii_ignore_match(ignore, "a/b"));
	kii_ignore_free(ignore);
	ignore = NULL;
	kii_buf_char(&text, '*');
	must_fail(kii_ignore_parse(text.data, text.len, "f", &ignore, &err), KII_ETOOBIG);
	kii_buf_reset(&text);
	for (int i = 0; i < KII_IGNORE_PATTERNS; i++)
		kii_buf_str(&text, "a\n");
	must(kii_ignore_parse(text.data, text.len, "f", &ignore, &err));
	assert_int_equal(kii_ignore_count(ignore), KII_IGNORE_PATTERNS);
	kii_ignore_free(ignore);
	ignore = NULL;
	kii_buf_str(&text, "a\n");
	must_fail(kii_ignore_parse(text.data, text.len, "f", &ignore, &err), KII_ETOOBIG);
	kii_buf_reset(&text);
	while (text.len <= KII_IGNORE_BYTES)
		kii_buf_str(&text, "# nothing but comments\n");
	must_fail(kii_ignore_parse(text.data, text.len, "f", &ignore, &err), KII_ETOOBIG);
	kii_ignore_free(ignore);
}

/* A pattern that takes its time by going through all its readings one by one would not end. */
static void a_hostile_pattern_costs_no_more_than_its_length(void **state)
{
	kii_autobuf text = KII_BUF_INIT(2000);
	kii_autobuf path = KII_BUF_INIT(2000);
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++) {
		kii_buf_str(&text, "*a**/");
		kii_buf_str(&path, "aa/");
	}
	kii_buf_str(&text, "b\n");
	kii_buf_str(&path, "a");
	must(kii_ignore_parse(text.data, text.len, "f", &ignore, &err));
	assert_false(kii_ignore_match(ignore, path.data));
	kii_ignore_free(ignore);
}

/* Seconds of the processor's. */
static double cost(const struct kii_ignore *ignore, const char *path)
{
	clock_t begun = clock();

	assert_false(kii_ignore_match(ignore, path));
	return (double)(clock() - begun) / CLOCKS_PER_SEC;
}

/* Each folder above it counts, too: a question for each of them would take the length squared. */
static void a_deep_path_costs_no_more_than_its_length(void **state)
{
	kii_autobuf text = KII_BUF_INIT(100000);
	kii_autobuf deep = KII_BUF_INIT(4000);
	kii_autobuf flat = KII_BUF_INIT(4000);
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 500; k++)
			kii_buf_str(&text, "*?");
		kii_buf_fmt(&text, "%d\n", i);
	}
	for (int i = 0; i < 500; i++) {
		kii_buf_str(&deep, "ab/");
		kii_buf_str(&flat, "abc");
	}
	kii_buf_str(&deep, "x");
	kii_buf_str(&flat, "x");
	must(kii_ignore_parse(text.data, text.len, "f", &ignore, &err));
	assert_true(cost(ignore, deep.data) < 20 * cost(ignore, flat.data) + 0.1);
	kii_ignore_free(ignore);
}

static struct kii_ignore *parsed(const char *text)
{
	struct kii_ignore *ignore = NULL;
	struct kii_error err = { 0 };

	must(kii_ignore_parse(text, strlen(text), "f", &ignore, &err));
	return ignore;
}

static void folders_with_exceptions_below_are_known(void **state)
{
	static const struct { const char *text, *folder; bool may; } cases[] = {
		{ "a\n", "a", false }, { "a\n!a/b\n", "a", true }, { "a\n!a/b\n", "a/b", false },
		{ "a\n!a/b/c\n", "a/b", true }, { "a\n!ab/c\n", "a", false },
		{ "*\n!**/c\n", "a", true }, { "*\n!b/*\n", "a", false },
		{ "*\n!b/*\n", "b", true },
		{ "*\n!b*\n", "b/c", true },
		{ "*\n!?/c\n", "a", true }, { "*\n!a\n", "a", false },
		{ "!b\na\n", "a", false },
		{ "*\n!a\\.b/c\n", "b", false }, { "*\n!a\\.b/c\n", "a.b", true },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct kii_ignore *ignore = parsed(cases[i].text);

		if (kii_ignore_may_except(ignore, cases[i].folder) != cases[i].may)
			fail_msg("%s: %s", cases[i].text, cases[i].folder);
		kii_ignore_free(ignore);
	}
}

static void exceptions_with_wildcards_are_known(void **state)
{
	static const struct { const char *text; bool wild; } cases[] = {
		{ "*\n", false }, { "*\n!a\n", false },
		{ "!a/b\n!**/c\n", true }, { "!a?\n", true },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		struct kii_ignore *ignore = parsed(cases[i].text);

		assert_int_equal(kii_ignore_wild_exceptions(ignore), cases[i].wild);
		kii_ignore_free(ignore);
	}
	kii_ignore_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_what_moby_matches),
		cmocka_unit_test(a_walk_forgets_what_it_did_not_look_at),
		cmocka_unit_test(what_is_no_pattern_is_named_by_its_line),
		cmocka_unit_test(rules_are_added_to_rules),
		cmocka_unit_test(a_file_has_limits),
		cmocka_unit_test(a_hostile_pattern_costs_no_more_than_its_length),
		cmocka_unit_test(a_deep_path_costs_no_more_than_its_length),
		cmocka_unit_test(folders_with_exceptions_below_are_known),
		cmocka_unit_test(exceptions_with_wildcards_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
