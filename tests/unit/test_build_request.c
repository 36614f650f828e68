/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "build_request.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "testlib.h"

/* JSON in which ' stands for ". */
static int take(const char *text, bool plan, struct kii_build_request *out, struct kii_error *err)
{
	kii_autofree char *quoted = kii_xstrdup(text);
	kii_autojson *j = NULL;

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	assert_int_equal(kii_json_parse(quoted, strlen(quoted), "body", &j, err), 0);
	return kii_build_request_take(j, plan, out, err);
}

/* --- the requirement's four, as printed --- */

static void the_printed_requests_are_taken(void **state)
{
	struct kii_error err = { 0 };

	(void)state;
	{
		kii_autobuild r = { .doc = NULL };

		must(take("{'id':'build-001','git_repo':"
			"'https://github.com/user/app.git','git_branch':'main',"
			"'buildpack_type':'nixpacks','image_tag':'myapp:latest',"
			"'nixpacks_config':{'start_command':'npm start',"
			"'variables':{'NODE_ENV':'production'}}}", false, &r, &err));
		assert_int_equal(r.pack, KII_PACK_NIXPACKS);
		assert_string_equal(r.id, "build-001");
		assert_string_equal(r.repo, "https://github.com/user/app.git");
		assert_string_equal(r.branch, "main");
		assert_string_equal(r.image, "docker.io/library/myapp:latest");
		assert_string_equal(r.start_command, "npm start");
		assert_string_equal(kii_json_str(r.variables, "NODE_ENV"), "production");
	}
	{
		kii_autobuild r = { .doc = NULL };

		must(take("{'id':'build-002','git_repo':"
			"'https://github.com/user/static-site.git','buildpack_type':'static',"
			"'image_tag':'mysite:latest','static_config':"
			"{'build_command':'npm run build','output_dir':'dist'}}", false, &r, &err));
		assert_int_equal(r.pack, KII_PACK_STATIC);
		assert_null(r.branch);
		assert_string_equal(r.build_command, "npm run build");
		assert_string_equal(r.output_dir, "dist");
	}
	{
		kii_autobuild r = { .doc = NULL };

		must(take("{'id':'build-003','git_repo':'https://github.com/user/docker-app.git',"
			"'buildpack_type':'dockerfile','image_tag':'dockerapp:latest',"
			"'dockerfile_config':{'dockerfile_path':'Dockerfile','build_args':"
			"{'VERSION':'1.0.0'}}}", false, &r, &err));
		assert_int_equal(r.pack, KII_PACK_DOCKERFILE);
		assert_string_equal(r.dockerfile, "Dockerfile");
		assert_string_equal(kii_json_str(r.build_args, "VERSION"), "1.0.0");
		assert_null(r.target);
	}
	{
		kii_autobuild r = { .doc = NULL };

		must(take("{'id':'build-004','git_repo':"
			"'https://github.com/user/compose-app.git',"
			"'buildpack_type':'docker-compose','image_tag':'composeapp:latest',"
			"'compose_config':{'compose_file':'docker-compose.yml','service':'web'}}",
			false, &r, &err));
		assert_int_equal(r.pack, KII_PACK_COMPOSE);
		assert_string_equal(r.compose_file, "docker-compose.yml");
		assert_string_equal(r.service, "web");
	}
}

static void all_else_is_taken_too(void **state)
{
	kii_autobuild r = { .doc = NULL };
	struct kii_error err = { 0 };

	(void)state;
	must(take("{'git_repo':'git@host.example:user/app.git','git_branch':'v1.2',"
		"'git_auth':'deploy','submodules':true,'context_root':'sub/dir',"
		"'buildpack_type':'static','image_tag':'r.x:5000/a:1',"
		"'environment':{'A':'','B_2':'x y'},"
		"'registry_auth':'reg','no_cache':true,'pull':true,'network_mode':'none',"
		"'limits':{'memory':1073741824,'cpus':1.5,'timeout':90},'static_config':"
		"{'is_static':true,'is_spa':true,'nginx_config':'deploy/nginx.conf',"
		"'build_command':'','output_dir':null},'id':null,'nixpacks_config':null}", false,
		&r, &err));
	assert_null(r.id);
	assert_null(r.build_command);
	assert_true(r.submodules && r.no_cache && r.pull && r.is_static && r.is_spa);
	assert_string_equal(r.root, "sub/dir");
	assert_string_equal(r.network, "none");
	assert_int_equal(r.memory, 1073741824);
	assert_true(r.cpus == 1.5);
	assert_int_equal(r.timeout_ms, 90000);
	assert_int_equal(json_object_size(r.environment), 2);
	assert_string_equal(r.image, "r.x:5000/a:1");
	assert_string_equal(r.registry_auth, "reg");
	assert_string_equal(r.git_auth, "deploy");
}

static void the_same_request_has_the_same_text(void **state)
{
	kii_autobuild a = { .doc = NULL };
	kii_autobuild b = { .doc = NULL };
	struct kii_error err = { 0 };
	kii_autofree char *x = NULL;
	kii_autofree char *y = NULL;

	(void)state;
	must(take("{'buildpack_type':'static','git_repo':'https://h/p','image_tag':'a'}", false, &a,
		&err));
	must(take(" {'image_tag':'a', 'git_repo':'https://h/p', 'buildpack_type':'static'}", false,
		&b, &err));
	x = kii_build_request_text(&a);
	y = kii_build_request_text(&b);
	assert_string_equal(x, y);
}

static void a_plan_needs_no_tag(void **state)
{
	kii_autobuild r = { .doc = NULL };
	kii_autobuild again = { .doc = NULL };
	struct kii_error err = { 0 };

	(void)state;
	must(take("{'buildpack_type':'nixpacks','git_repo':'https://h/p'}", true, &r, &err));
	assert_null(r.image);
	must_fail(take("{'buildpack_type':'nixpacks','git_repo':'https://h/p','image_tag':'-'}",
		true, &again, &err), KII_EINVAL);
}

static void all_services_have_names_of_their_own(void **state)
{
	kii_autobuild r = { .doc = NULL };
	kii_autobuild again = { .doc = NULL };
	struct kii_error err = { 0 };

	(void)state;
	must(take("{'buildpack_type':'docker-compose','git_repo':'https://h/p',"
		"'compose_config':{'service':''}}", false, &r, &err));
	assert_null(r.image);
	assert_null(r.service);
	must_fail(take("{'buildpack_type':'docker-compose','git_repo':'https://h/p',"
		"'image_tag':'a'}", false, &again, &err), KII_EINVAL);
}

/* --- what is refused --- */

#define OF(pack, more) "{'buildpack_type':'" pack "','git_repo':'https://h/p',"\
	"'image_tag':'a'," more "}"
#define TOP(more) OF("dockerfile", more)

static const struct { const char *text, *field; } bad[] = {
	{ "[]", "body" },
	{ "'x'", "body" },
	{ "{}", "buildpack_type" },
	{ "{'buildpack_type':null}", "buildpack_type" },
	{ "{'buildpack_type':'compose'}", "buildpack_type" },
	{ "{'buildpack_type':7}", "buildpack_type" },
	{ "{'buildpack_type':'static'}", "git_repo" },
	{ "{'buildpack_type':'static','git_repo':''}", "git_repo" },
	{ "{'buildpack_type':'static','git_repo':'https://h/p'}", "image_tag" },
	{ "{'buildpack_type':'static','git_repo':'https://h/p','image_tag':''}", "image_tag" },
	{ "{'buildpack_type':'static','git_repo':'https://h/p','image_tag':'A B'}", "image_tag" },
	{ "{'buildpack_type':'static','git_repo':'https://h/p','image_tag':'a@sha256:"
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}", "image_tag" },
	{ "{'buildpack_type':'static','git_repo':'https://h/p','source':"
	  "'0123456789abcdef0123456789abcdef','image_tag':'a'}", "source" },
	{ "{'buildpack_type':'static','source':'0123456789abcdef0123456789abcdef','git_branch':'x',"
	  "'image_tag':'a'}", "git_branch" },
	{ "{'buildpack_type':'static','source':'0123456789abcdef0123456789abcdef','git_auth':'x',"
	  "'image_tag':'a'}", "git_auth" },
	{ "{'buildpack_type':'static','source':'0123456789abcdef0123456789abcdef',"
	  "'submodules':true,'image_tag':'a'}", "submodules" },
	{ "{'buildpack_type':'static','source':'../x','image_tag':'a'}", "source" },
	{ TOP("'id':''"), "id" },
	{ TOP("'id':'-x'"), "id" },
	{ TOP("'id':'a/b'"), "id" },
	{ TOP("'id':'a\\nb'"), "id" },
	{ TOP("'id':'a\\u0000'"), "id" },
	{ TOP("'id':7"), "id" },
	{ TOP("'git_branch':'-x'"), "git_branch" },
	{ TOP("'git_branch':'--upload-pack=x'"), "git_branch" },
	{ TOP("'git_branch':'a..b'"), "git_branch" },
	{ TOP("'git_branch':'a b'"), "git_branch" },
	{ TOP("'git_branch':'a:b'"), "git_branch" },
	{ TOP("'git_branch':'a.lock'"), "git_branch" },
	{ TOP("'git_branch':'a@{1}'"), "git_branch" },
	{ TOP("'git_branch':'/a'"), "git_branch" },
	{ TOP("'git_branch':'a/'"), "git_branch" },
	{ TOP("'git_branch':'a\\n'"), "git_branch" },
	{ TOP("'git_auth':'../x'"), "git_auth" },
	{ TOP("'registry_auth':'A'"), "registry_auth" },
	{ TOP("'submodules':1"), "submodules" },
	{ TOP("'no_cache':'yes'"), "no_cache" },
	{ TOP("'context_root':'../x'"), "context_root" },
	{ TOP("'context_root':'/x'"), "context_root" },
	{ TOP("'context_root':'a/../b'"), "context_root" },
	{ TOP("'context_root':'a\\u0001'"), "context_root" },
	{ TOP("'environment':[]"), "environment" },
	{ TOP("'environment':{'1A':'x'}"), "environment.1A" },
	{ TOP("'environment':{'A-B':'x'}"), "environment.A-B" },
	{ TOP("'environment':{'A':7}"), "environment.A" },
	{ TOP("'environment':{'A':'x\\ny'}"), "environment.A" },
	{ TOP("'network_mode':'host'"), "network_mode" },
	{ TOP("'network_mode':'container:x'"), "network_mode" },
	{ TOP("'limits':7"), "limits" },
	{ TOP("'limits':{'memory':'1 GiB'}"), "limits.memory" },
	{ TOP("'limits':{'memory':1}"), "limits.memory" },
	{ TOP("'limits':{'cpus':0}"), "limits.cpus" },
	{ TOP("'limits':{'cpus':1e9}"), "limits.cpus" },
	{ TOP("'limits':{'timeout':0}"), "limits.timeout" },
	{ TOP("'limits':{'timeout':1e99}"), "limits.timeout" },
	{ TOP("'limits':{'disk':1}"), "limits.disk" },
	{ TOP("'privileged':true"), "privileged" },
	{ TOP("'static_config':{}"), "static_config" },
	{ TOP("'dockerfile_config':[]"), "dockerfile_config" },
	{ TOP("'dockerfile_config':{'path':'x'}"), "dockerfile_config.path" },
	{ TOP("'dockerfile_config':{'dockerfile_path':'../Dockerfile'}"),
	  "dockerfile_config.dockerfile_path" },
	{ TOP("'dockerfile_config':{'dockerfile_path':'/etc/passwd'}"),
	  "dockerfile_config.dockerfile_path" },
	{ TOP("'dockerfile_config':{'dockerfile_path':'x/'}"),
	  "dockerfile_config.dockerfile_path" },
	{ TOP("'dockerfile_config':{'target':'-x'}"), "dockerfile_config.target" },
	{ TOP("'dockerfile_config':{'target':'$(id)'}"), "dockerfile_config.target" },
	{ TOP("'dockerfile_config':{'build_args':{'A;B':'x'}}"),
	  "dockerfile_config.build_args.A;B" },
	{ OF("nixpacks", "'nixpacks_config':{'start_command':'a\\nRUN b'}"),
	  "nixpacks_config.start_command" },
	{ OF("nixpacks", "'nixpacks_config':{'providers':'node'}"), "nixpacks_config.providers" },
	{ OF("nixpacks", "'nixpacks_config':{'providers':['node','../x']}"),
	  "nixpacks_config.providers[1]" },
	{ OF("static", "'static_config':{'output_dir':'/var'}"), "static_config.output_dir" },
	{ OF("static", "'static_config':{'nginx_config':'..'}"), "static_config.nginx_config" },
	{ OF("static", "'static_config':{'is_static':true,'build_command':'x'}"),
	  "static_config.build_command" },
	{ OF("docker-compose", "'compose_config':{'service':'a b'}"), "compose_config.service" },
	{ OF("docker-compose", "'compose_config':{'compose_file':'../x.yml','service':'a'}"),
	  "compose_config.compose_file" },
};

static void every_member_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autobuild r = { .doc = NULL };
		struct kii_error err = { 0 };

		if (take(bad[i].text, false, &r, &err) == 0)
			fail_msg("%s was taken", bad[i].text);
		assert_int_equal(err.code, KII_EINVAL);
		if (strcmp(err.field, bad[i].field) != 0)
			fail_msg("%s: field %s", bad[i].text, err.field);
	}
}

static void only_repositories_are_repositories(void **state)
{
	static const char *const good[] = { "https://h/p", "http://h:80/p/q.git", "git://h/p",
		"ssh://git@h:22/p", "ssh://h/~u/p", "git@h:p/q.git", "u-1@h.x:p",
		"file:///srv/git/p.git", "https://[::1]:8/p" };
	static const char *const no[] = { "-x", "--upload-pack=x", "p", "/p", "./p", "h:p",
		"ext::sh -c id", "https://", "https://h", "https://h/", "https:///p",
		"https://u@h/p", "https://u:s3cret@h/p", "ssh://u:s3cret@h/p", "ssh://-oX@h/p",
		"ssh://-h/p", "git@-h:p", "git@h:-p", "ftp://h/p", "file://h/p", "file:p",
		"https://h/p q", "https://h/$(id)", "https://h/p;id", "https://h/p\\nq",
		"HTTPS://h/p", "fd::17", "git@h:x::y" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good) + KII_COUNT(no); i++) {
		bool fits = i < KII_COUNT(good);
		const char *url = fits ? good[i] : no[i - KII_COUNT(good)];
		kii_autofree char *text = kii_xfmt("{'buildpack_type':'static','image_tag':'a',"
			"'git_repo':'%s'}", url);
		kii_autobuild r = { .doc = NULL };
		struct kii_error err = { 0 };

		if ((take(text, false, &r, &err) == 0) != fits)
			fail_msg("%s: %s", url, err.msg);
		assert_null(strstr(err.msg, "s3cret"));
	}
}

static void too_much_is_refused(void **state)
{
	kii_autobuf many = KII_BUF_INIT(1u << 20);
	kii_autobuf names = KII_BUF_INIT(1u << 20);
	kii_autofree char *long_one = kii_xfmt(OF("nixpacks", "'nixpacks_config':"
		"{'build_command':'%05000d'}"), 0);
	kii_autobuild r = { .doc = NULL };
	kii_autobuild s = { .doc = NULL };
	kii_autobuild t = { .doc = NULL };
	struct kii_error err = { 0 };

	(void)state;
	for (int i = 0; i < 257; i++) {
		kii_buf_fmt(&many, "%s'A%d':'x'", i ? "," : "{'buildpack_type':'static',"
			"'git_repo':'https://h/p','image_tag':'a','environment':{", i);
		kii_buf_fmt(&names, "%s'a%d'", i ? "," : "{'buildpack_type':'nixpacks',"
			"'git_repo':'https://h/p','image_tag':'a','nixpacks_config':"
			"{'providers':[", i);
	}
	kii_buf_str(&many, "}}");
	kii_buf_str(&names, "]}}");
	must_fail(take(many.data, false, &r, &err), KII_EINVAL);
	must_fail(take(names.data, false, &s, &err), KII_EINVAL);
	must_fail(take(long_one, false, &t, &err), KII_EINVAL);
}

static void buildpacks_have_names(void **state)
{
	(void)state;
	assert_string_equal(kii_buildpack_name(KII_PACK_COMPOSE), "docker-compose");
	assert_string_equal(kii_buildpack_name(KII_PACK_NIXPACKS), "nixpacks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_printed_requests_are_taken),
		cmocka_unit_test(all_else_is_taken_too),
		cmocka_unit_test(the_same_request_has_the_same_text),
		cmocka_unit_test(a_plan_needs_no_tag),
		cmocka_unit_test(all_services_have_names_of_their_own),
		cmocka_unit_test(every_member_is_checked),
		cmocka_unit_test(only_repositories_are_repositories),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(buildpacks_have_names),
	};

	return cmocka_run_group_tests_name("build_request", tests, NULL, NULL);
}
