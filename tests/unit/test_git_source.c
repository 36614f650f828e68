/* SPDX-License-Identifier: MIT */
/* Which repositories may be asked for, how their URLs are read, and which addresses are refused. */
#include <config.h>

#include "git_source.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "testlib.h"

static const struct kii_git_rules strict;
static const struct kii_git_rules loose = { true, true, true };

/* Names have the addresses that the test gives them. */
static const char *answer[4];
static int answer_code;
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **list);
void __wrap_freeaddrinfo(struct addrinfo *list);

static struct addrinfo *one(const char *text)
{
	struct addrinfo *a = kii_xcalloc(1, sizeof(*a));

	if (strchr(text, ':')) {
		struct sockaddr_in6 *in6 = kii_xcalloc(1, sizeof(*in6));

		in6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		a->ai_addr = (struct sockaddr *)in6;
		a->ai_addrlen = sizeof(*in6);
	} else {
		struct sockaddr_in *in = kii_xcalloc(1, sizeof(*in));

		in->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
		a->ai_addr = (struct sockaddr *)in;
		a->ai_addrlen = sizeof(*in);
	}
	a->ai_family = a->ai_addr->sa_family;
	return a;
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **list)
{
	(void)node;
	(void)service;
	(void)hints;
	if (answer_code)
		return answer_code;
	for (size_t i = 0; i < KII_COUNT(answer) && answer[i]; i++) {
		*list = one(answer[i]);
		list = &(*list)->ai_next;
	}
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

static void urls_have_one_form(void **state)
{
	static const struct { const char *text, *url, *user, *host,
		*path; unsigned port; } good[] = {
		{ "https://h.example/a/b.git", "https://h.example/a/b.git", NULL, "h.example",
		  "/a/b.git", 443 },
		{ "https://h:8443/a", "https://h:8443/a", NULL, "h", "/a", 8443 },
		{ "https://h:443/a", "https://h/a", NULL, "h", "/a", 443 },
		{ "https://h:/a", "https://h/a", NULL, "h", "/a", 443 },
		{ "https://[2001:db8::1]/a", "https://[2001:db8::1]/a", NULL, "2001:db8::1", "/a",
		443 },
		{ "https://[::1]:99/a", "https://[::1]:99/a", NULL, "::1", "/a", 99 },
		{ "http://h/a%20b", "http://h/a%20b", NULL, "h", "/a%20b", 80 },
		{ "git://h/a", "git://h/a", NULL, "h", "/a", 9418 },
		{ "ssh://h/a", "ssh://git@h/a", "git", "h", "/a", 22 },
		{ "ssh://me@h:2222/~you/a", "ssh://me@h:2222/~you/a", "me", "h", "/~you/a", 2222 },
		{ "git@h:a/b.git", "ssh://git@h/~/a/b.git", "git", "h", "/~/a/b.git", 22 },
		{ "me@h:/a", "ssh://me@h/a", "me", "h", "/a", 22 },
		{ "you@h:~you/a", "ssh://you@h/~you/a", "you", "h", "/~you/a", 22 },
		{ "git@[::1]:a", "ssh://git@[::1]/~/a", "git", "::1", "/~/a", 22 },
		{ "file:///srv/a.git", "file:///srv/a.git", NULL, NULL, "/srv/a.git", 0 },
	};
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		struct kii_git_source s;

		must(kii_git_source_parse(good[i].text, NULL, &loose, &s, &err));
		assert_string_equal(s.url, good[i].url);
		assert_string_equal(s.path, good[i].path);
		assert_int_equal(s.port, good[i].port);
		assert_string_equal(s.host ? s.host : "-", good[i].host ? good[i].host : "-");
		assert_string_equal(s.user ? s.user : "-", good[i].user ? good[i].user : "-");
		assert_string_equal(s.ref, "");
		kii_git_source_release(&s);
		/* What it is written as is read as the same. */
		must(kii_git_source_parse(good[i].url, "main", &loose, &s, &err));
		assert_string_equal(s.url, good[i].url);
		assert_string_equal(s.ref, "main");
		kii_git_source_release(&s);
	}
}

static void urls_that_could_be_something_else_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "-x", "--upload-pack=x", "-h:a", "h:a", "git@[::1:a", "ext::sh -c x", "ext::x",
		"fd::7", "h", "/etc", "./a",
		"../a", "a/b:c", "http:/h/a", "https://", "https:///a", "https://h", "https://h/",
		"https://-h/a", "https://.h/a", "https://h..x/a", "https://h\x80/a",
		"https://h/a b",
		"https://h/a\n", "https://h/a?x", "https://h/a#x", "https://h/$(x)",
		"https://h/`x`",
		"https://h/a;x", "https://h/../a", "https://h/a/..", "https://h/-a",
		"https://h/a/-b",
		"https://me@h/a", "https://me:pw@h/a", "https://h:0/a", "https://h:65536/a",
		"https://h:123456/a", "https://h:8x/a", "https://[::1/a", "https://[]/a",
		"https://[x]/a", "https://[1:2]/a", "https://[a:b.bad.ee]/a", "git://[1.2.3.4]/a",
		"https://[::1", "https://[]", "https://[", "https://[::1]x/a",
		"ssh://me:pw@h/a", "ssh://-oProxyCommand=x/a", "ssh://-o@h/a",
		"ssh://@h/a", "git@-h:a", "git@h:-a", "git@h:", "git@h:a b", "h::a",
		"file://h/a", "file:///", "file://", "ftp://h/a", "HTTPS://h/a", "git+ssh://h/a",
	};
	struct kii_error err = { 0 };
	struct kii_git_source s;
	char url[1100];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_git_source_parse(bad[i], NULL, &loose, &s, &err) == 0)
			fail_msg("%s is taken as %s", bad[i], s.url);
		assert_int_equal(err.code, KII_EINVAL);
		assert_string_equal(err.field, "git_repo");
		kii_error_clear(&err);
	}
	memset(url, 'a', sizeof(url));
	memcpy(url, "https://h/", 10);
	url[1025] = '\0';
	must_fail(kii_git_source_parse(url, NULL, &loose, &s, &err), KII_EINVAL);
	url[1024] = '\0';
	must(kii_git_source_parse(url, NULL, &loose, &s, &err));
	kii_git_source_release(&s);
}

static void schemes_are_allowed_one_by_one(void **state)
{
	static const struct kii_git_rules http = { .allow_http = true };
	static const struct kii_git_rules file = { .allow_file = true };
	struct kii_error err = { 0 };
	struct kii_git_source s;

	(void)state;
	must_fail(kii_git_source_parse("http://h/a", NULL, &strict, &s, &err), KII_EINVAL);
	must_fail(kii_git_source_parse("git://h/a", NULL, &strict, &s, &err), KII_EINVAL);
	must_fail(kii_git_source_parse("file:///a", NULL, &strict, &s, &err), KII_EINVAL);
	must_fail(kii_git_source_parse("file:///a", NULL, &http, &s, &err), KII_EINVAL);
	must_fail(kii_git_source_parse("http://h/a", NULL, &file, &s, &err), KII_EINVAL);
	must(kii_git_source_parse("git://h/a", NULL, &http, &s, &err));
	kii_git_source_release(&s);
	must(kii_git_source_parse("file:///a", NULL, &file, &s, &err));
	kii_git_source_release(&s);
}

static void references_follow_gits_own_rules(void **state)
{
	static const char *const good[] = { "main", "v1.0", "feature/x-y", "a@b", "\xc3\xa9",
		"HEAD",
		"0123456789abcdef0123456789abcdef01234567", "a.b/c.d" };
	static const char *const bad[] = { "-x", "--all", "a..b", "a b", "a\n", "a~1", "a^", "a:b",
		"a?",
		"a*", "a[b", "a\\b", "@", "a@{1}", "/a", "a/", "a//b", ".a", "a/.b", "a.lock",
		"a.lock/b", "a.", "\x7f", "\x01" };
	struct kii_error err = { 0 };
	struct kii_git_source s;
	char ref[300];

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++)
		assert_true(kii_git_ref_good(good[i]));
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		if (kii_git_ref_good(bad[i]))
			fail_msg("%s", bad[i]);
	}
	assert_false(kii_git_ref_good(""));
	memset(ref, 'a', sizeof(ref));
	ref[256] = '\0';
	assert_false(kii_git_ref_good(ref));
	assert_int_equal(kii_git_source_parse("https://h/a", "-x", &strict, &s, &err), -1);
	assert_string_equal(err.field, "git_branch");
}

static void addresses_near_here_are_private(void **state)
{
	static const char *const private[] = { "0.1.2.3", "10.0.0.1", "100.64.0.1",
		"100.127.255.255",
		"127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1",
		"192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::",
		"::1",
		"::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "::8.8.8.8",
		"64:ff9b::10.0.0.1",
		"64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::", "3fff::1",
		"5f00::1", "fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1" };
	static const char *const public[] = { "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1",
		"172.15.0.1", "172.32.0.1", "169.253.0.1", "192.0.1.1", "198.17.0.1", "198.20.0.1",
		"223.255.255.255", "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8",
		"2002:808:808::", "2001:200::1", "2001:4860::8888" };
	struct sockaddr_un other = { .sun_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(private) + KII_COUNT(public); i++) {
		bool near = i < KII_COUNT(private);
		const char *text = near ? private[i] : public[i - KII_COUNT(private)];
		struct addrinfo *a = one(text);

		if (kii_address_private(a->ai_addr) != near)
			fail_msg("%s", text);
		__wrap_freeaddrinfo(a);
	}
	assert_true(kii_address_private((const struct sockaddr *)&other));
}

static void a_host_is_bound_to_what_it_was_when_it_was_checked(void **state)
{
	struct kii_error err = { 0 };
	struct kii_git_source s;

	(void)state;
	answer[0] = "8.8.8.8";
	answer[1] = "2606:4700::1111";
	answer[2] = NULL;
	must(kii_git_source_parse("https://h:99/a", NULL, &strict, &s, &err));
	must(kii_git_source_resolve(&s, &strict, &err));
	assert_string_equal(s.resolve, "h:99:8.8.8.8,[2606:4700::1111]");
	assert_string_equal(s.address, "8.8.8.8");
	kii_git_source_release(&s);
	/* Whichever comes first here: an engine's network has none of the new kind. */
	answer[0] = "2606:4700::1111";
	answer[1] = "8.8.8.8";
	must(kii_git_source_parse("https://h:99/a", NULL, &strict, &s, &err));
	must(kii_git_source_resolve(&s, &strict, &err));
	assert_string_equal(s.resolve, "h:99:[2606:4700::1111],8.8.8.8");
	assert_string_equal(s.address, "8.8.8.8");
	kii_git_source_release(&s);
	/* One bad address among them is enough. */
	answer[2] = "127.0.0.1";
	must(kii_git_source_parse("https://h/a", NULL, &strict, &s, &err));
	assert_int_equal(kii_git_source_resolve(&s, &strict, &err), -1);
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "git_repo");
	assert_non_null(strstr(err.msg, "127.0.0.1"));
	kii_error_clear(&err);
	must(kii_git_source_resolve(&s, &loose, &err));
	assert_null(s.resolve);
	kii_git_source_release(&s);
	must(kii_git_source_parse("file:///a", NULL, &loose, &s, &err));
	must(kii_git_source_resolve(&s, &strict, &err));
	kii_git_source_release(&s);
}

/* Its transport has no option that would say where a name is, so it does not get the name. */
static void over_git_the_address_stands_in_the_url(void **state)
{
	static const struct { const char *address, *url, *want; } cases[] = {
		{ "8.8.8.8", "git://h/a", "git://8.8.8.8:9418/a" },
		{ "8.8.8.8", "git://h:99/~me/a", "git://8.8.8.8:99/~me/a" },
		{ "2606:4700::1111", "git://h/a", "git://[2606:4700::1111]:9418/a" },
	};
	static const struct kii_git_rules http = { .allow_http = true };
	static const char commit[] = "0123456789abcdef0123456789abcdef01234567";
	struct kii_git_source s, module;
	struct kii_error err = { 0 };

	(void)state;
	answer[1] = NULL;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		answer[0] = cases[i].address;
		must(kii_git_source_parse(cases[i].url, NULL, &http, &s, &err));
		must(kii_git_source_resolve(&s, &http, &err));
		assert_string_equal(s.bound, cases[i].want);
		assert_string_equal(s.url, cases[i].url);
		/* What is relative to it is looked up by its name again. */
		must(kii_git_source_submodule(&s, "./m", commit, &http, &module, &err));
		assert_string_equal(module.host, "h");
		assert_null(module.bound);
		answer[0] = "10.0.0.1";
		must_fail(kii_git_source_resolve(&module, &http, &err), KII_EINVAL);
		kii_git_source_release(&module);
		kii_git_source_release(&s);
	}
	answer[0] = "8.8.8.8";
	must(kii_git_source_parse("https://h/a", NULL, &http, &s, &err));
	must(kii_git_source_resolve(&s, &http, &err));
	assert_null(s.bound);
	kii_git_source_release(&s);
}

/* curl would not know what to do with one: "address:port:address" has too many colons. */
static void an_address_of_the_new_kind_is_checked_and_not_bound(void **state)
{
	static const char *const urls[] = { "https://[2606:4700::1111]/a",
		"git://[2606:4700::1111]:99/a", "git@[2606:4700::1111]:a" };
	static const struct kii_git_rules http = { .allow_http = true };
	struct kii_git_source s;
	struct kii_error err = { 0 };

	(void)state;
	answer[1] = NULL;
	for (size_t i = 0; i < KII_COUNT(urls); i++) {
		must(kii_git_source_parse(urls[i], NULL, &http, &s, &err));
		answer[0] = "2606:4700::1111";
		must(kii_git_source_resolve(&s, &http, &err));
		assert_null(s.resolve);
		assert_null(s.address);
		assert_null(s.bound);
		answer[0] = "fd00::1";
		must_fail(kii_git_source_resolve(&s, &http, &err), KII_EINVAL);
		kii_git_source_release(&s);
	}
}

static void a_host_that_there_is_not_is_said(void **state)
{
	struct kii_error err = { 0 };
	struct kii_git_source s;

	(void)state;
	must(kii_git_source_parse("https://h/a", NULL, &strict, &s, &err));
	answer_code = EAI_NONAME;
	must_fail(kii_git_source_resolve(&s, &strict, &err), KII_ENOTFOUND);
	answer_code = EAI_AGAIN;
	must_fail(kii_git_source_resolve(&s, &strict, &err), KII_EDOWN);
	answer_code = 0;
	kii_git_source_release(&s);
}

static void submodules_are_seen_from_their_parent(void **state)
{
	static const struct { const char *parent, *url, *want; } cases[] = {
		{ "https://h/a/b.git", "../c.git", "https://h/a/c.git" },
		{ "https://h/a/b.git", "./c", "https://h/a/b.git/c" },
		{ "https://h/a/b.git", "../../x/c", "https://h/x/c" },
		{ "https://h/a/b.git", "../../../x", NULL },
		{ "https://h/a/b", "https://other/x", "https://other/x" },
		{ "https://h/a/b", "git@other:x", "ssh://git@other/~/x" },
		{ "https://h/a/b", "http://other/x", NULL },
		{ "https://h/a/b", "file:///etc", NULL },
		{ "https://h/a/b", "/etc", NULL },
		{ "https://h/a/b", "ext::x", NULL },
		{ "https://h/a/b", "-x", NULL },
		{ "ssh://me@h:22022/a/b", "../c", "ssh://me@h:22022/a/c" },
		{ "https://h/a/b", "../-c", NULL },
	};
	static const char commit[] = "0123456789abcdef0123456789abcdef01234567";
	static const struct kii_git_rules file = { .allow_file = true };
	struct kii_git_source parent, s;
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(cases); i++) {
		int rc;

		must(kii_git_source_parse(cases[i].parent, NULL, &strict, &parent, &err));
		rc = kii_git_source_submodule(&parent, cases[i].url, commit, &file, &s, &err);
		if (rc == 0) {
			assert_string_equal(s.url, cases[i].want ? cases[i].want : "refused");
			assert_string_equal(s.ref, commit);
			kii_git_source_release(&s);
		} else {
			assert_null(cases[i].want);
			assert_string_equal(err.field, "submodules");
		}
		kii_error_clear(&err);
		kii_git_source_release(&parent);
	}
	must(kii_git_source_parse("file:///a/b", NULL, &file, &parent, &err));
	must(kii_git_source_submodule(&parent, "file:///c", commit, &file, &s, &err));
	kii_git_source_release(&s);
	must_fail(kii_git_source_submodule(&parent, "file:///c", "main", &file, &s, &err),
		KII_EINVAL);
	must_fail(kii_git_source_submodule(&parent, "file:///c",
		"0123456789abcdef0123456789abcdef0123456G", &file, &s, &err), KII_EINVAL);
	kii_git_source_release(&parent);
}

static void a_credential_is_for_one_host(void **state)
{
	static const char *const urls[] = { "https://h/a", "https://h/b", "https://h:99/a",
		"https://i/a", "ssh://h:443/a", "file:///a" };
	struct kii_git_source s[KII_COUNT(urls)];
	struct kii_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(urls); i++)
		must(kii_git_source_parse(urls[i], NULL, &loose, &s[i], &err));
	assert_true(kii_git_source_same_host(&s[0], &s[1]));
	for (size_t i = 2; i < KII_COUNT(urls); i++)
		assert_false(kii_git_source_same_host(&s[0], &s[i]));
	assert_false(kii_git_source_same_host(&s[5], &s[5]));
	for (size_t i = 0; i < KII_COUNT(urls); i++)
		kii_git_source_release(&s[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_have_one_form),
		cmocka_unit_test(urls_that_could_be_something_else_are_refused),
		cmocka_unit_test(schemes_are_allowed_one_by_one),
		cmocka_unit_test(references_follow_gits_own_rules),
		cmocka_unit_test(addresses_near_here_are_private),
		cmocka_unit_test(a_host_is_bound_to_what_it_was_when_it_was_checked),
		cmocka_unit_test(over_git_the_address_stands_in_the_url),
		cmocka_unit_test(an_address_of_the_new_kind_is_checked_and_not_bound),
		cmocka_unit_test(a_host_that_there_is_not_is_said),
		cmocka_unit_test(submodules_are_seen_from_their_parent),
		cmocka_unit_test(a_credential_is_for_one_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
