/* SPDX-License-Identifier: MIT */
/* Containers made whole or not at all, and what operators do to them: against a scripted engine. */
#include <config.h>

#include "container_make.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container_verbs.h"
#include "engine_limits.h"
#include "fakeengine.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MADE "{\"Id\":\"" ID "\",\"Warnings\":[]}"
#define PORT_TAKEN "{\"message\":\"Bind for 0.0.0.0:8080 failed: port is already allocated\"}"
#define FACTS(more) "{\"Id\":\"" ID "\",\"Name\":\"/mine\",\"State\":{\"Status\":\"created\"}," \
	"\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]}}" \
	more "}"
#define HOLDER "[{\"Id\":\"aaaaaaaaaaaabbbb\",\"Names\":[\"/other\"],\"State\":\"running\"," \
	"\"Ports\":[{\"IP\":\"0.0.0.0\",\"PrivatePort\":1,\"PublicPort\":8080,\"Type\":\"tcp\"}]}]"

static struct fake_pair *p;
static struct kii_tasks *tasks;
static struct kii_conf *conf;
static struct kii_container_request *request;
static struct kii_made made;
static struct kii_refusal refusal;
static struct kii_error err;

static int setup(void **state)
{
	struct kii_error why = { 0 };
	void *pair = NULL;

	(void)state;
	fake_pair_open(&pair);
	p = pair;
	setenv("DOCKER_HOST", fake_address(p->fake), 1);
	setenv("KIISRV_CONFIG", "/dev/null", 1);
	if (kii_conf_load(NULL, &conf, &why) || kii_tasks_new(conf, &tasks, &why))
		fail_msg("%s", why.msg);
	refusal.rule = NULL;
	made = (struct kii_made){ .warnings = NULL };
	kii_error_clear(&err);
	kii_limits_forget();
	fake_ping(p->fake, "1.41", false);
	return 0;
}

static int teardown(void **state)
{
	void *pair = p;

	(void)state;
	kii_tasks_free(tasks, 100);
	kii_conf_free(conf);
	kii_container_request_free(request);
	request = NULL;
	kii_made_release(&made);
	fake_pair_close(&pair);
	unsetenv("DOCKER_HOST");
	unsetenv("KIISRV_CONFIG");
	return 0;
}

/* Make {"image": "a", <more>}. */
static int make(const char *more)
{
	kii_autofree char *text = kii_xfmt("{\"image\": \"a\", %s}", more);
	kii_autojson *body = json_loads(text, 0, NULL);
	struct kii_error why = { 0 };

	if (kii_container_request_read(body, &request, &why))
		fail_msg("%s: %s", text, why.msg);
	return kii_container_make(p->engine, tasks, conf, request, "me", &made, &refusal, &err);
}

/* Lines of what the engine was asked, without bodies and versions, joined by blanks. */
static char *asked(void)
{
	kii_autofree char *seen = fake_seen(p->fake);
	kii_autobuf out = KII_BUF_INIT(65536);

	for (char *line = seen; *line; line += strcspn(line, "\n") + 1) {
		kii_autofree char *one = kii_xstrndup(line, strcspn(line, "\n"));
		char *version = strstr(one, "/v1.41");

		if (!strchr("GPD", *one) || !version)
			continue;
		memmove(version, version + 6, strlen(version + 6) + 1);
		one[strcspn(one, "?")] = '\0';
		kii_buf_fmt(&out, "%s; ", one);
	}
	return kii_buf_steal(&out);
}

static void was_asked(const char *want)
{
	kii_autofree char *got = asked();

	assert_string_equal(got, want);
}

#define TAKEN_AWAY "GET /containers/json; DELETE /containers/" ID "; "
#define LEFT "[{\"Id\":\"" ID "\",\"State\":\"created\"}]"

static void expect_taking_away(void)
{
	fake_reply(p->fake, 200, "", LEFT);
	fake_reply(p->fake, 204, "", "");
}

/* --- making --- */

static void a_container_is_made_and_started(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 204, "", "");
	assert_int_equal(make("\"name\": \"web\", \"start\": true"), 0);
	assert_string_equal(made.id, ID);
	assert_string_equal(made.name, "web");
	was_asked("POST /containers/create; POST /containers/" ID "/start; ");
}

static void without_a_name_it_is_looked_up(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 200, "", FACTS(""));
	assert_int_equal(make("\"start\": false"), 0);
	assert_string_equal(made.name, "mine");
}

static void it_carries_who_and_which_request(void **state)
{
	kii_autofree char *seen = NULL;

	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	assert_int_equal(make("\"name\": \"web\", \"labels\": {\"a\": \"b\"}"), 0);
	seen = fake_seen(p->fake);
	assert_non_null(strstr(seen, "\"Labels\":{\"a\":\"b\",\"kiisrv.by\":\"me\","
		"\"kiisrv.request\":\""));
	assert_non_null(strstr(seen, "\"StopTimeout\":10"));
}

static void further_networks_are_joined(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 200, "", "");
	assert_int_equal(make("\"name\": \"web\", \"networks\": [\"a\", \"b\"]"), 0);
	was_asked("POST /containers/create; POST /networks/b/connect; ");
}

static void the_mode_s_network_is_not_joined_twice(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 200, "", "");
	assert_int_equal(make("\"name\": \"web\", \"network_mode\": \"b\", \"networks\": [\"a\", "
		"\"b\"]"), 0);
	was_asked("POST /containers/create; POST /networks/a/connect; ");
}

static void volumes_come_first(void **state)
{
	(void)state;
	fake_reply(p->fake, 200, "", "{\"Driver\":\"local\",\"Options\":null}");
	fake_reply(p->fake, 404, "", "{}");
	fake_reply(p->fake, 201, "", "{}");
	fake_reply(p->fake, 201, "", MADE);
	assert_int_equal(make("\"name\": \"web\", \"volumes\": {\"old\": \"/a\", \"new\": \"/b\"}"),
		0);
	was_asked("GET /volumes/old; GET /volumes/new; POST /volumes/create; "
		"POST /containers/create; ");
}

static void a_volume_that_is_there_is_judged(void **state)
{
	(void)state;
	fake_reply(p->fake, 200, "", "{\"Driver\":\"local\",\"Options\":{\"o\":\"bind\","
		"\"device\":\"/etc\"}}");
	assert_int_equal(make("\"volumes\": {\"old\": \"/a\"}"), -1);
	assert_string_equal(refusal.rule, "bind_roots");
	was_asked("GET /volumes/old; ");
}

/* --- and not --- */

static void an_image_that_is_not_there_leaves_nothing(void **state)
{
	(void)state;
	fake_reply(p->fake, 404, "", "{\"message\":\"No such image: a\"}");
	fake_reply(p->fake, 200, "", "[]");
	assert_int_equal(make("\"name\": \"web\""), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	assert_string_equal(err.field, "image");
	was_asked("POST /containers/create; GET /containers/json; ");
}

static void what_does_not_start_is_taken_away(void **state)
{
	(void)state;
	fake_reply(p->fake, 404, "", "{}");
	fake_reply(p->fake, 201, "", "{}");
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 400, "", "{\"message\":\"exec: \\\"/x\\\": no such file or "
		"directory\"}");
	expect_taking_away();
	fake_reply(p->fake, 204, "", "");
	assert_int_equal(make("\"name\": \"web\", \"start\": true, \"volumes\": {\"v\": \"/v\"}"),
		-1);
	assert_string_equal(err.field, "command");
	was_asked("GET /volumes/v; POST /volumes/create; POST /containers/create; "
		"POST /containers/" ID "/start; " TAKEN_AWAY "DELETE /volumes/v; ");
}

static void a_volume_that_others_use_by_now_stays(void **state)
{
	(void)state;
	fake_reply(p->fake, 404, "", "{}");
	fake_reply(p->fake, 201, "", "{}");
	fake_reply(p->fake, 404, "", "{\"message\":\"No such image: a\"}");
	fake_reply(p->fake, 200, "", "[]");
	fake_reply(p->fake, 409, "", "{\"message\":\"volume is in use\"}");
	assert_int_equal(make("\"volumes\": {\"v\": \"/v\"}"), -1);
	assert_string_equal(err.field, "image");
	was_asked("GET /volumes/v; POST /volumes/create; POST /containers/create; "
		"GET /containers/json; DELETE /volumes/v; ");
}

static void a_network_that_is_not_there_leaves_nothing(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 404, "", "{\"message\":\"network b not found\"}");
	expect_taking_away();
	assert_int_equal(make("\"name\": \"web\", \"networks\": [\"a\", \"b\"]"), -1);
	assert_string_equal(err.field, "networks");
	was_asked("POST /containers/create; POST /networks/b/connect; " TAKEN_AWAY);
}

static void who_has_the_port_is_told(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 500, "", PORT_TAKEN);
	fake_reply(p->fake, 200, "", FACTS(""));
	fake_reply(p->fake, 200, "", HOLDER);
	expect_taking_away();
	assert_int_equal(make("\"name\": \"web\", \"start\": true, \"ports\": {\"8080\": \"80\"}"),
		-1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_string_equal(err.msg, "ports: port 8080/tcp is held by container other "
		"(aaaaaaaaaaaa)");
}

static void a_port_that_no_container_has_is_another_program_s(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	fake_reply(p->fake, 500, "", PORT_TAKEN);
	fake_reply(p->fake, 200, "", FACTS(""));
	fake_reply(p->fake, 200, "", "[]");
	expect_taking_away();
	assert_int_equal(make("\"name\": \"web\", \"start\": true, \"ports\": {\"8080\": \"80\"}"),
		-1);
	assert_string_equal(err.msg, "ports: a port is held by another program of the host");
}

/* Wait until the engine has been asked this, too. */
static void await_asked(const char *what)
{
	int64_t end = kii_io_now() + 20000;
	bool there = false;

	while (!there && kii_io_now() < end) {
		kii_autofree char *got = asked();

		there = strstr(got, what) != NULL;
		if (!there)
			poll(NULL, 0, 5);
	}
	assert_true(there);
}

static void an_engine_that_goes_away_is_asked_again_to_take_it_away(void **state)
{
	static const char half[] = "HTTP/1.1 204 No";

	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	/* it dies at the start, is not there, is there again and knows the container */
	fake_raw(p->fake, FAKE_HANGUP, half, sizeof(half) - 1);
	fake_raw(p->fake, FAKE_HANGUP, half, sizeof(half) - 1);
	fake_raw(p->fake, FAKE_HANGUP, half, sizeof(half) - 1);
	fake_ping(p->fake, "1.41", false);
	expect_taking_away();
	assert_int_equal(make("\"name\": \"web\", \"start\": true"), -1);
	assert_int_equal(err.code, KII_EDOWN);
	await_asked("DELETE /containers/" ID "; ");
}

static void what_cannot_be_taken_away_at_the_end_is_logged(void **state)
{
	(void)state;
	fake_reply(p->fake, 201, "", MADE);
	/* then it hangs up, on this and on all that comes */
	assert_int_equal(make("\"name\": \"web\", \"start\": true"), -1);
	kii_tasks_free(tasks, 100);
	tasks = NULL;
}

/* --- verbs --- */

static int verb(kii_verb_run *run, const char *id, const char *signal)
{
	const struct kii_verb v = { .id = id, .seconds = -1, .signal = signal, .force = true,
		.conf = conf };

	refusal.rule = NULL;
	kii_error_clear(&err);
	return run(p->engine, &v, &refusal, &err);
}

static void a_name_that_is_nobody_s_of_ours_is_not_looked_at(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		fake_reply(p->fake, 204, "", "");
	assert_int_equal(verb(kii_verb_stop, "web", NULL), 0);
	assert_int_equal(verb(kii_verb_kill, "web", "HUP"), 0);
	assert_int_equal(verb(kii_verb_remove, "web", NULL), 0);
	was_asked("POST /containers/web/stop; POST /containers/web/kill; "
		"DELETE /containers/web; ");
}

static void an_id_is_looked_at_once(void **state)
{
	(void)state;
	fake_reply(p->fake, 200, "", FACTS(""));
	fake_reply(p->fake, 204, "", "");
	fake_reply(p->fake, 204, "", "");
	assert_int_equal(verb(kii_verb_kill, ID, "HUP"), 0);
	assert_int_equal(verb(kii_verb_stop, ID, NULL), 0);
	was_asked("GET /containers/" ID "/json; POST /containers/" ID "/kill; "
		"POST /containers/" ID "/stop; ");
}

static void what_was_just_made_is_not_looked_at(void **state)
{
	static const char id[] = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789";

	(void)state;
	kii_verb_known("abcdef");
	kii_verb_known(id);
	fake_reply(p->fake, 204, "", "");
	assert_int_equal(verb(kii_verb_start, id, NULL), 0);
	was_asked("POST /containers/"
		"abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789/start; ");
	fake_reply(p->fake, 404, "", "{}");
	assert_int_equal(verb(kii_verb_start, "abcdef", NULL), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
}

static void what_is_ours_is_not_touched(void **state)
{
	static const char *const names[] = { "kiisrv-x", "0123456789ab", "0123456789AB", "0_2",
		"ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
	static kii_verb_run *const verbs[] = { kii_verb_start, kii_verb_stop, kii_verb_restart,
		kii_verb_kill, kii_verb_remove };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(names); i++) {
		for (size_t j = 0; j < KII_COUNT(verbs); j++) {
			fake_reply(p->fake, 200, "", FACTS(",\"Config\":{\"Labels\":{"
				"\"kiisrv.job\":\"x\"}}"));
			assert_int_equal(verb(verbs[j], names[i], "KILL"), -1);
			assert_string_equal(refusal.rule, "own_jobs");
		}
	}
}

static void what_is_not_there_is_not_found(void **state)
{
	(void)state;
	fake_reply(p->fake, 404, "", "{}");
	assert_int_equal(verb(kii_verb_start, "kiisrv-x", NULL), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	assert_null(refusal.rule);
}

static void kill_of_what_is_dead_is_done(void **state)
{
	(void)state;
	fake_reply(p->fake, 409, "", "{\"message\":\"is not running\"}");
	fake_reply(p->fake, 409, "", "{\"message\":\"is not running\"}");
	fake_reply(p->fake, 404, "", "{}");
	assert_int_equal(verb(kii_verb_kill, "web", "KILL"), 0);
	assert_int_equal(verb(kii_verb_kill, "web", "HUP"), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_int_equal(verb(kii_verb_kill, "web", "KILL"), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
}

static void a_start_says_who_has_the_port(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		fake_reply(p->fake, 200, "", FACTS(""));
		fake_reply(p->fake, 500, "", PORT_TAKEN);
		fake_reply(p->fake, 200, "", FACTS(""));
		fake_reply(p->fake, 200, "", HOLDER);
	}
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_non_null(strstr(err.msg, "held by container other"));
	assert_int_equal(verb(kii_verb_restart, "web", NULL), -1);
	assert_int_equal(err.code, KII_ECONFLICT);
	assert_non_null(strstr(err.msg, "held by container other"));
	/* and where that cannot be found out, that it is taken */
	fake_reply(p->fake, 200, "", FACTS(""));
	fake_reply(p->fake, 500, "", PORT_TAKEN);
	fake_reply(p->fake, 500, "", "{}");
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_string_equal(err.msg, "ports: a port is taken");
}

/* --- what is bound, at a start --- */

/* With one root. The engine is told of here: by DOCKER_HOST it is on a socket. */
static void configure(const char *dir)
{
	kii_autofree char *file = kii_xfmt("%s/kiisrv.toml", dir);
	kii_autofree char *text = kii_xfmt("containers.bind_roots = ['%s/root']\n", dir);
	struct kii_error why = { 0 };

	kii_conf_free(conf);
	conf = NULL;
	if (kii_io_publish(file, text, strlen(text), 0600, &why) ||
	    kii_conf_load(file, &conf, &why))
		fail_msg("%s", why.msg);
}

#define MOUNTED(by, mount) FACTS(",\"Config\":{\"Labels\":{\"" by "\":\"me\"}},\"Mounts\":[" \
	mount "]")
#define BIND(path) "{\"Type\":\"bind\",\"Source\":\"" path "\"}"
#define VOLUME "{\"Type\":\"volume\",\"Name\":\"v\"}"

static void what_a_start_binds_is_judged_again(void **state)
{
	kii_autofree char *dir = test_dir_new();
	kii_autofree char *root = kii_xfmt("%s/root", dir);
	kii_autofree char *link = kii_xfmt("%s/root/data", dir);
	kii_autofree char *facts = kii_xfmt(MOUNTED("kiisrv.by", BIND("%s")), link);
	kii_autofree char *others = kii_xfmt(MOUNTED("x", BIND("%s")), "/etc");

	(void)state;
	assert_int_equal(mkdir(root, 0755) + mkdir(link, 0755), 0);
	configure(dir);
	for (int i = 0; i < 2; i++) {
		fake_reply(p->fake, 200, "", i ? others : facts);
		fake_reply(p->fake, 204, "", "");
		assert_int_equal(verb(i ? kii_verb_restart : kii_verb_start, "web", NULL), 0);
	}
	/* a link out of the root is in its place since */
	assert_int_equal(rmdir(link) + symlink("/etc", link), 0);
	for (int i = 0; i < 2; i++) {
		fake_reply(p->fake, 200, "", facts);
		assert_int_equal(verb(i ? kii_verb_restart : kii_verb_start, "web", NULL), -1);
		assert_string_equal(refusal.rule, "bind_roots");
		assert_string_equal(refusal.field, "volumes");
	}
	was_asked("GET /containers/web/json; POST /containers/web/start; "
		"GET /containers/web/json; POST /containers/web/restart; "
		"GET /containers/web/json; GET /containers/web/json; ");
	test_dir_remove(dir);
}

/* The administrator has taken the roots away since. */
static void without_roots_nothing_is_bound(void **state)
{
	(void)state;
	fake_reply(p->fake, 200, "", MOUNTED("kiisrv.by", BIND("/srv")));
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_string_equal(refusal.rule, "bind_roots");
	was_asked("GET /containers/web/json; ");
}

static void a_start_s_volumes_are_judged_again(void **state)
{
	static const char facts[] = MOUNTED("kiisrv.by", VOLUME);
	kii_autofree char *dir = test_dir_new();

	(void)state;
	configure(dir);
	fake_reply(p->fake, 200, "", facts);
	fake_reply(p->fake, 200, "", "{\"Driver\":\"local\",\"Options\":{\"type\":\"none\","
		"\"o\":\"bind\",\"device\":\"/etc\"}}");
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_string_equal(refusal.rule, "bind_roots");
	/* one that is gone is the engine's to miss, one that cannot be looked at holds the start */
	fake_reply(p->fake, 200, "", facts);
	fake_reply(p->fake, 404, "", "{}");
	fake_reply(p->fake, 204, "", "");
	assert_int_equal(verb(kii_verb_start, "web", NULL), 0);
	fake_reply(p->fake, 200, "", facts);
	fake_reply(p->fake, 500, "", "{}");
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_null(refusal.rule);
	assert_int_equal(err.code, KII_EBROKEN);
	fake_reply(p->fake, 404, "", "{}");
	assert_int_equal(verb(kii_verb_start, "web", NULL), -1);
	assert_int_equal(err.code, KII_ENOTFOUND);
	test_dir_remove(dir);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_container_is_made_and_started),
		TEST(without_a_name_it_is_looked_up),
		TEST(it_carries_who_and_which_request),
		TEST(further_networks_are_joined),
		TEST(the_mode_s_network_is_not_joined_twice),
		TEST(volumes_come_first),
		TEST(a_volume_that_is_there_is_judged),
		TEST(an_image_that_is_not_there_leaves_nothing),
		TEST(what_does_not_start_is_taken_away),
		TEST(a_volume_that_others_use_by_now_stays),
		TEST(a_network_that_is_not_there_leaves_nothing),
		TEST(who_has_the_port_is_told),
		TEST(a_port_that_no_container_has_is_another_program_s),
		TEST(an_engine_that_goes_away_is_asked_again_to_take_it_away),
		TEST(what_cannot_be_taken_away_at_the_end_is_logged),
		TEST(a_name_that_is_nobody_s_of_ours_is_not_looked_at),
		TEST(an_id_is_looked_at_once),
		TEST(what_was_just_made_is_not_looked_at),
		TEST(what_is_ours_is_not_touched),
		TEST(what_is_not_there_is_not_found),
		TEST(kill_of_what_is_dead_is_done),
		TEST(a_start_says_who_has_the_port),
		TEST(what_a_start_binds_is_judged_again),
		TEST(without_roots_nothing_is_bound),
		TEST(a_start_s_volumes_are_judged_again),
	};

	return cmocka_run_group_tests_name("container_make", tests, NULL, NULL);
}
