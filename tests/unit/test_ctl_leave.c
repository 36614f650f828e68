/* SPDX-License-Identifier: MIT */
/* kiisrvctl leave-engine as a process; the test plays the engine. */
#include <config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ctl.h"
#include "ctlrun.h"
#include "fakeengine.h"
#include "io.h"
#include "testlib.h"

#define INSTANCE "0123456789abcdef"
#define FILTER "filters=%7B%22label%22%3A%5B%22kiisrv.instance%3D" INSTANCE "%22%5D%7D"
#define JSON "Content-Type: application/json\r\n"

static struct ctlrun r;
static struct fake *fake;

static void put(const char *name, const char *text)
{
	kii_autofree char *path = kii_xfmt("%s/%s", r.dir, name);
	struct kii_error err = { 0 };

	must(kii_io_publish(path, text, strlen(text), 0600, &err));
}

/* A worker has run here. */
static int setup(void **state)
{
	kii_autofree char *engine = NULL;
	struct kii_error err = { 0 };

	(void)state;
	ctlrun_init(&r);
	engine = kii_xfmt("%s/state/engine", r.dir);
	must(kii_io_mkdirs(engine, 0700, &err));
	put("state/engine/lock", "1\n");
	put("state/engine/instance", INSTANCE);
	fake = fake_new();
	setenv("DOCKER_HOST", fake_address(fake), 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("DOCKER_HOST");
	fake_free(fake);
	ctlrun_release(&r);
	return 0;
}

static void list_two(void)
{
	fake_ping(fake, "1.41", false);
	fake_reply(fake, 200, JSON, "[{\"Id\":\"aa\",\"Names\":[\"/one\"],\"State\":\"running\","
		"\"Labels\":{}},{\"Id\":\"bb\",\"Names\":[\"/two\"],\"State\":\"exited\","
		"\"Labels\":{}}]");
}

static void containers_and_volumes_go(void **state)
{
	kii_autofree char *seen = NULL;

	(void)state;
	list_two();
	fake_reply(fake, 204, "", "");
	/* it has ended and gone by itself meanwhile */
	fake_reply(fake, 404, JSON, "{\"message\":\"No such container\"}");
	fake_reply(fake, 200, JSON, "{\"Volumes\":[{\"Name\":\"kiisrv-" INSTANCE "-git\"}]}");
	fake_reply(fake, 204, "", "");
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_OK);
	assert_string_equal(r.out.data, "removed 2 containers, 1 volumes\n");
	seen = fake_seen(fake);
	if (!strstr(seen, FILTER) || !strstr(seen, "DELETE /v1.41/containers/aa?") ||
	    !strstr(seen, "DELETE /v1.41/containers/bb?") ||
	    !strstr(seen, "DELETE /v1.41/volumes/kiisrv-" INSTANCE "-git"))
		fail_msg("asked for: %s", seen);
}

static void json_says_how_many(void **state)
{
	(void)state;
	fake_ping(fake, "1.41", false);
	fake_reply(fake, 200, JSON, "[]");
	fake_reply(fake, 200, JSON, "{\"Volumes\":null}");
	assert_int_equal(ctlrun(&r, "leave-engine", "--json"), CTL_OK);
	assert_non_null(strstr(r.out.data, "\"containers\": 0"));
	assert_non_null(strstr(r.out.data, "\"volumes\": 0"));
}

static void an_engine_that_fails_is_an_error(void **state)
{
	(void)state;
	list_two();
	fake_reply(fake, 500, JSON, "{\"message\":\"it is stuck\"}");
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "stuck"));
	fake_reset(fake);
	fake_ping(fake, "1.41", false);
	fake_reply(fake, 200, JSON, "[]");
	fake_reply(fake, 500, JSON, "{\"message\":\"no volumes\"}");
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
	setenv("DOCKER_HOST", "unix:///nowhere.sock", 1);
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
}

static void a_worker_that_runs_is_in_the_way(void **state)
{
	kii_autofree char *path = kii_xfmt("%s/state/engine/lock", r.dir);
	kii_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "stop it first"));
	assert_int_equal(fake_connections(fake), 0);
}

static void where_no_worker_has_run_there_is_nothing(void **state)
{
	kii_autofree char *lock = kii_xfmt("%s/state/engine/lock", r.dir);
	kii_autofree char *instance = kii_xfmt("%s/state/engine/instance", r.dir);

	(void)state;
	unlink(instance);
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_OK);
	unlink(lock);
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_OK);
	assert_string_equal(r.out.data, "removed 0 containers, 0 volumes\n");
	assert_int_equal(fake_connections(fake), 0);
}

/* A wrong one must not select the containers of another. */
static void a_damaged_instance_is_an_error(void **state)
{
	kii_autofree char *lock = kii_xfmt("%s/state/engine/lock", r.dir);

	(void)state;
	put("state/engine/instance", "0123");
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
	assert_non_null(strstr(r.err.data, "not 16 hex digits"));
	unlink(lock);
	assert_int_equal(symlink("/dev/null", lock), 0);
	assert_int_equal(ctlrun(&r, "leave-engine"), CTL_FAILED);
	assert_int_equal(fake_connections(fake), 0);
}

#define leave_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		leave_test(containers_and_volumes_go),
		leave_test(json_says_how_many),
		leave_test(an_engine_that_fails_is_an_error),
		leave_test(a_worker_that_runs_is_in_the_way),
		leave_test(where_no_worker_has_run_there_is_nothing),
		leave_test(a_damaged_instance_is_an_error),
	};

	return cmocka_run_group_tests_name("ctl_leave", tests, NULL, NULL);
}
