/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "json.h"
#include "testlib.h"

/* A folder with folders and links in it; "in" is the root, by way of a link. */
struct place {
	char *dir;
	struct kii_conf *conf;
};

static void make(const char *dir, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void link_to(const char *dir, const char *name, const char *target)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);

	assert_int_equal(symlink(target, path), 0);
}

/* `more` are the lines of [containers]. */
static void configure(struct place *p, const char *address, const char *more)
{
	kii_autofree char *file = kii_xfmt("%s/conf.toml", p->dir);
	kii_autofree char *text = kii_xfmt("docker.socket_path = '%s'\n[containers]\n%s\n",
		address, more);
	struct kii_error err = { 0 };

	kii_conf_free(p->conf);
	p->conf = NULL;
	must(kii_io_publish(file, text, strlen(text), 0600, &err));
	must(kii_conf_load(file, &p->conf, &err));
}

static void configure_roots(struct place *p)
{
	kii_autofree char *address = kii_xfmt("%s/in/sock/engine.sock", p->dir);
	kii_autofree char *more = kii_xfmt("bind_roots = ['%s/root', '%s/nowhere']", p->dir,
		p->dir);

	configure(p, address, more);
}

static int setup(void **state)
{
	struct place *p = kii_xcalloc(1, sizeof(*p));
	char real[4096];
	char *dir = test_dir_new();

	p->dir = kii_xstrdup(realpath(dir, real));
	free(dir);
	make(p->dir, "in");
	make(p->dir, "in/deep");
	make(p->dir, "in/sock");
	make(p->dir, "outside");
	make(p->dir, "inside");
	link_to(p->dir, "in/out", "../outside");
	link_to(p->dir, "in/up", "..");
	link_to(p->dir, "in/away", "/etc/passwd");
	link_to(p->dir, "root", "in");
	unsetenv("DOCKER_HOST");
	configure_roots(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	kii_conf_free(p->conf);
	test_dir_remove(p->dir);
	free(p->dir);
	free(p);
	return 0;
}

static struct kii_container_request *request(const char *more)
{
	kii_autofree char *text = kii_xfmt("{\"image\": \"a\", %s}", more);
	struct kii_container_request *r = NULL;
	struct kii_error err = { 0 };
	kii_autojson *body = NULL;

	must(kii_json_parse(text, strlen(text), "body", &body, &err));
	must(kii_container_request_read(body, &r, &err));
	return r;
}

/* Refused by `rule` at `field`; NULL: allowed. */
static void judged(const struct place *p, const char *more, const char *rule, const char *field)
{
	struct kii_container_request *r = request(more);
	struct kii_refusal no = { .rule = "none" };
	bool allowed = kii_container_policy_allows(p->conf, r, &no);

	if (allowed == (rule != NULL))
		fail_msg("%s: %s", more, allowed ? "allowed" : no.msg);
	if (rule) {
		assert_string_equal(no.rule, rule);
		assert_string_equal(no.field, field);
		assert_ptr_equal(strstr(no.msg, rule), no.msg);
	}
	kii_container_request_free(r);
}

/* The same of a bind of <dir>/<name>. */
static void bound(const struct place *p, const char *name, const char *rule)
{
	kii_autofree char *more = kii_xfmt("\"volumes\": [{\"source\": \"%s/%s\", \"target\": "
		"\"/x\"}]", p->dir, name);

	judged(p, more, rule, "volumes[0]");
}

static void what_is_harmless_is_allowed(void **state)
{
	const struct place *p = *state;

	judged(p, "\"network_mode\": \"bridge\"", NULL, NULL);
	judged(p, "\"network_mode\": \"none\"", NULL, NULL);
	judged(p, "\"networks\": [\"front\"], \"pid_mode\": \"private\"", NULL, NULL);
	judged(p, "\"volumes\": {\"data\": \"/data\"}, \"capabilities_drop\": [\"ALL\"]", NULL,
		NULL);
	judged(p, "\"volumes\": [{\"target\": \"/a\"}], \"security_options\": "
		"[\"no-new-privileges\"]", NULL, NULL);
}

static void by_default_each_is_refused_by_its_rule(void **state)
{
	const struct place *p = *state;

	judged(p, "\"privileged\": true", "privileged", "privileged");
	judged(p, "\"security_options\": [\"seccomp=unconfined\"]", "privileged",
		"security_options");
	judged(p, "\"capabilities\": [\"NET_ADMIN\"]", "capabilities", "capabilities");
	judged(p, "\"devices\": [\"/dev/kmsg\"]", "devices", "devices");
	judged(p, "\"network_mode\": \"host\"", "host_namespaces", "network_mode");
	judged(p, "\"networks\": [\"front\", \"host\"]", "host_namespaces", "networks");
	judged(p, "\"pid_mode\": \"host\"", "host_namespaces", "pid_mode");
	judged(p, "\"ipc_mode\": \"host\"", "host_namespaces", "ipc_mode");
	judged(p, "\"uts_mode\": \"host\"", "host_namespaces", "uts_mode");
	judged(p, "\"userns_mode\": \"host\"", "host_namespaces", "userns_mode");
	judged(p, "\"cgroupns_mode\": \"host\"", "host_namespaces", "cgroupns_mode");
	judged(p, "\"network_mode\": \"container:web\"", "container_namespaces", "network_mode");
	judged(p, "\"pid_mode\": \"container:web\"", "container_namespaces", "pid_mode");
}

static void the_configuration_allows(void **state)
{
	struct place *p = *state;

	configure(p, "/run/x.sock", "privileged = true\nhost_namespaces = true\n"
		"container_namespaces = true\ncapabilities = ['NET_ADMIN']\n"
		"devices = ['/dev/kmsg']");
	judged(p, "\"privileged\": true", NULL, NULL);
	judged(p, "\"security_options\": [\"seccomp=unconfined\"]", NULL, NULL);
	judged(p, "\"capabilities\": [\"NET_ADMIN\", \"CAP_NET_ADMIN\"]", NULL, NULL);
	judged(p, "\"capabilities\": [\"NET_ADMIN\", \"SYS_ADMIN\"]", "capabilities",
		"capabilities");
	judged(p, "\"devices\": [\"/dev/kmsg\"]", NULL, NULL);
	judged(p, "\"devices\": [\"/dev/mem\"]", "devices", "devices");
	judged(p, "\"network_mode\": \"host\", \"pid_mode\": \"container:web\"", NULL, NULL);
}

static void binds_stay_within_the_roots(void **state)
{
	const struct place *p = *state;

	bound(p, "in/deep", NULL);
	bound(p, "root/deep", NULL);
	bound(p, "outside", "bind_roots");
	bound(p, "inside", "bind_roots");
	bound(p, "in/out", "bind_roots");
	bound(p, "in/up/outside", "bind_roots");
	bound(p, "in/away", "bind_roots");
	bound(p, "in/missing", "bind_roots");
	bound(p, "no/such", "bind_roots");
	judged(p, "\"volumes\": {\"/etc\": \"/x\"}", "bind_roots", "volumes./etc");
}

static void a_bind_is_of_what_is_behind_its_links(void **state)
{
	const struct place *p = *state;
	kii_autofree char *more = kii_xfmt("\"volumes\": {\"%s/root/deep\": \"/x\"}", p->dir);
	kii_autofree char *want = kii_xfmt("%s/in/deep", p->dir);
	struct kii_container_request *r = request(more);
	struct kii_refusal no;

	assert_true(kii_container_policy_allows(p->conf, r, &no));
	assert_string_equal(r->volumes[0].source, want);
	kii_container_request_free(r);
}

static void the_engine_s_socket_is_never_bound(void **state)
{
	struct place *p = *state;

	bound(p, "in/sock", "engine_socket");
	bound(p, "in", "engine_socket");
	bound(p, "in/up", "engine_socket");
	configure(p, "/run/x.sock", "bind_roots = ['/']");
	judged(p, "\"volumes\": {\"/\": \"/x\"}", "engine_socket", "volumes./");
	judged(p, "\"volumes\": {\"/run\": \"/x\"}", "engine_socket", "volumes./run");
	bound(p, "in/sock", NULL);
}

static void nothing_of_another_machine_is_bound(void **state)
{
	struct place *p = *state;

	configure(p, "tcp://engine.example:2376", "bind_roots = ['/']");
	bound(p, "in/deep", "bind_roots");
}

static void volumes_are_no_binds_by_another_name(void **state)
{
#define VOLUME(more) "\"volumes\": [{\"source\": \"v\", \"target\": \"/v\", " more "}]"
	const struct place *p = *state;
	kii_autofree char *inside = kii_xfmt(VOLUME("\"driver_options\": {\"type\": \"none\", "
		"\"o\": \"bind\", \"device\": \"%s/in/deep\"}"), p->dir);
	kii_autofree char *out = kii_xfmt(VOLUME("\"driver_options\": {\"o\": \"bind\", "
		"\"device\": \"%s/in/out\"}"), p->dir);
	kii_autofree char *plain = kii_xfmt(VOLUME("\"driver_options\": {\"o\": \"ro\", "
		"\"device\": \"%s/in/deep\"}"), p->dir);
	kii_autofree char *loop = kii_xfmt(VOLUME("\"driver_options\": {\"o\": \"ro,loop\", "
		"\"device\": \"%s/in/deep\"}"), p->dir);

	judged(p, VOLUME("\"driver\": \"local\""), NULL, NULL);
	judged(p, VOLUME("\"driver_options\": {\"type\": \"tmpfs\", \"device\": \"tmpfs\"}"), NULL,
		NULL);
	judged(p, inside, NULL, NULL);
	judged(p, out, "bind_roots", "volumes[0]");
	judged(p, VOLUME("\"driver\": \"nfs\""), "volume_driver", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"type\": \"nfs\", \"device\": \":/x\"}"),
		"volume_options", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"type\": \"ext4\", \"device\": \"/dev/sda1\"}"),
		"volume_options", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"o\": \"bind\"}"), "volume_options", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"type\": \"tmpfs\", \"device\": \"/etc\", \"o\": "
		"\"bind\"}"), "volume_options", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"type\": \"tmpfs\", \"device\": \"etc\", \"o\": "
		"\"size=1m,rbind\"}"), "volume_options", "volumes[0]");
	judged(p, VOLUME("\"driver_options\": {\"type\": \"tmpfs\", \"device\": \"tmpfs\", "
		"\"o\": \"size=1m,mode=700,noexec,uid=1000\"}"), NULL, NULL);
	judged(p, loop, "volume_options", "volumes[0]");
	/* a word of mount's, and a file that it would read */
	judged(p, VOLUME("\"driver_options\": {\"type\": \"tmpfs\", \"device\": \"-T/v/fstab\"}"),
		"volume_options", "volumes[0]");
	judged(p, plain, "volume_options", "volumes[0]");
#undef VOLUME
}

int main(void)
{
#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		PLACE_TEST(what_is_harmless_is_allowed),
		PLACE_TEST(by_default_each_is_refused_by_its_rule),
		PLACE_TEST(the_configuration_allows),
		PLACE_TEST(binds_stay_within_the_roots),
		PLACE_TEST(a_bind_is_of_what_is_behind_its_links),
		PLACE_TEST(the_engine_s_socket_is_never_bound),
		PLACE_TEST(nothing_of_another_machine_is_bound),
		PLACE_TEST(volumes_are_no_binds_by_another_name),
	};

	return cmocka_run_group_tests_name("container_policy", tests, NULL, NULL);
}
