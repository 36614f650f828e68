/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_in.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

static char *dir;
static char *file;

static int clear_environment(void **state)
{
	static const char *const names[] = { "KIISRV_CONFIG", "DOCKER_HOST", "DOCKER_TLS_VERIFY",
		"DOCKER_CERT_PATH", "XDG_RUNTIME_DIR" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(names); i++)
		unsetenv(names[i]);
	return 0;
}

static int make_folder(void **state)
{
	(void)state;
	dir = test_dir_new();
	file = kii_xfmt("%s/kiisrv.toml", dir);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	test_dir_remove(dir);
	free(file);
	free(dir);
	return 0;
}

static void write_file(const char *text)
{
	struct kii_error err = { 0 };

	must(kii_io_publish(file, text, strlen(text), 0600, &err));
}

/* What the text gives; caller frees. */
static struct kii_conf *load(const char *text)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;

	write_file(text);
	must(kii_conf_load(file, &conf, &err));
	return conf;
}

/* The text is refused at `place`, and the message goes on as told. */
static void refused(const char *text, const char *place, const char *part)
{
	kii_autofree char *start = kii_xfmt("%s:%s: ", file, place);
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;

	write_file(text);
	if (kii_conf_load(file, &conf, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_null(conf);
	assert_int_equal(err.code, KII_EINVAL);
	if (strncmp(err.msg, start, strlen(start)) != 0 ||
	    strncmp(err.msg + strlen(start), part, strlen(part)) != 0)
		fail_msg("%s\nsays  %s\nnot   %s%s", text, err.msg, start, part);
}

static void an_empty_file_means_the_defaults(void **state)
{
	struct kii_conf *conf = load("");

	(void)state;
	assert_false(conf->docker.podman);
	assert_false(conf->docker.rootless);
	assert_string_equal(conf->docker.socket_path, "unix:///run/docker.sock");
	assert_false(conf->docker.tls_verify);
	assert_null(conf->docker.cert_path);
	assert_int_equal(conf->docker.timeout_ms, 300000);
	assert_string_equal(conf->docker.build_dir, KII_STATEDIR "/engine/work");
	assert_int_equal(conf->docker.max_concurrent_pulls, 2);
	assert_string_equal(conf->paths.state_dir, KII_STATEDIR);
	assert_string_equal(conf->paths.run_dir, KII_RUNDIR);
	assert_int_equal(conf->paths.n_layouts, 2);
	assert_string_equal(conf->paths.layouts[0], KII_SYSCONFDIR "/layouts");
	assert_string_equal(conf->paths.layouts[1], KII_DATADIR "/layouts");
	assert_string_equal(conf->firmware.image_prefix, "kiisrv-");
	assert_false(conf->firmware.bind);
	assert_int_equal(conf->firmware.timeout_ms, 900000);
	assert_int_equal(conf->firmware.idle_timeout_ms, 300000);
	assert_int_equal(conf->firmware.memory, INT64_C(512) << 20);
	assert_true(conf->firmware.cpus > 1.99 && conf->firmware.cpus < 2.01);
	assert_int_equal(conf->firmware.pids, 128);
	assert_int_equal(conf->firmware.tmp, INT64_C(256) << 20);
	assert_string_equal(conf->firmware.git_url, "https://github.com/kiibohd/controller.git");
	assert_int_equal(conf->firmware.git_refresh_ms, 6 * 3600000);
	assert_int_equal(conf->queue.slots, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(conf->queue.max_waiting, 64);
	assert_int_equal(conf->queue.per_client, 4);
	assert_int_equal(conf->http.body, INT64_C(2) << 20);
	assert_int_equal(conf->limits.log, INT64_C(16) << 20);
	assert_int_equal(conf->limits.artifact, INT64_C(64) << 20);
	assert_int_equal(conf->limits.disk_floor, INT64_C(1) << 30);
	assert_int_equal(conf->retention.artifacts, INT64_C(2) << 30);
	assert_int_equal(conf->retention.artifact_days, 30);
	assert_int_equal(conf->retention.log_days, 90);
	assert_int_equal(conf->retention.audit_days, 365);
	assert_int_equal(conf->retention.build_cache, INT64_C(10) << 30);
	assert_int_equal(conf->retention.working_containers_ms, 3600000);
	kii_conf_free(conf);
}

static void every_key_is_taken_from_the_file(void **state)
{
	struct kii_conf *conf = load(
		"docker = {runtime = 'podman', rootless = true, socket_path = '/s', timeout = 7}\n"
		"paths.state_dir = '/a//'\npaths.run_dir = '/b'\n"
		"paths.layouts = ['/c/', '/', '/d']\n"
		"[firmware]\nimage_prefix = 'r.example--x__'\ntransport = 'bind'\n"
		"timeout = '90 s'\nidle_timeout = '1500ms'\nmemory = 33554432\ncpus = 0.5\n"
		"pids = 9\ntmp = '2 MiB'\ngit_url = 'git://h:9418/a.git'\ngit_refresh = 0\n"
		"[queue]\nslots = 3\nmax_waiting = 5\nper_client = 2\n"
		"[http]\nbody = '64 KiB'\n[limits]\nlog = 4096\nartifact = '4096 B'\n"
		"disk_floor = 0\n[retention]\nartifacts = '1 TiB'\nartifact_days = 1\n"
		"log_days = 2\naudit_days = 3\nbuild_cache = 0\n"
		"working_containers = '2 h'\n"
		"[containers]\nbind_roots = ['/srv/', '/data']\n"
		"capabilities = ['NET_ADMIN']\ndevices = ['/dev/ttyACM0']\nprivileged = true\n"
		"host_namespaces = true\ncontainer_namespaces = true\n");

	(void)state;
	assert_string_equal(conf->file, file);
	assert_true(conf->docker.podman && conf->docker.rootless);
	assert_string_equal(conf->docker.socket_path, "unix:///s");
	assert_int_equal(conf->docker.timeout_ms, 7000);
	assert_string_equal(conf->docker.build_dir, "/a/engine/work");
	assert_string_equal(conf->paths.state_dir, "/a");
	assert_string_equal(conf->paths.run_dir, "/b");
	assert_int_equal(conf->paths.n_layouts, 3);
	assert_string_equal(conf->paths.layouts[0], "/c");
	assert_string_equal(conf->paths.layouts[1], "/");
	assert_string_equal(conf->paths.layouts[2], "/d");
	assert_string_equal(conf->firmware.image_prefix, "r.example--x__");
	assert_true(conf->firmware.bind);
	assert_int_equal(conf->firmware.timeout_ms, 90000);
	assert_int_equal(conf->firmware.idle_timeout_ms, 1500);
	assert_int_equal(conf->firmware.memory, INT64_C(32) << 20);
	assert_true(conf->firmware.cpus > 0.49 && conf->firmware.cpus < 0.51);
	assert_int_equal(conf->firmware.pids, 9);
	assert_int_equal(conf->firmware.tmp, INT64_C(2) << 20);
	assert_string_equal(conf->firmware.git_url, "git://h:9418/a.git");
	assert_int_equal(conf->firmware.git_refresh_ms, 0);
	assert_int_equal(conf->queue.slots, 3);
	assert_int_equal(conf->queue.max_waiting, 5);
	assert_int_equal(conf->queue.per_client, 2);
	assert_int_equal(conf->http.body, 65536);
	assert_int_equal(conf->limits.log, 4096);
	assert_int_equal(conf->limits.artifact, 4096);
	assert_int_equal(conf->limits.disk_floor, 0);
	assert_int_equal(conf->retention.artifacts, INT64_C(1) << 40);
	assert_int_equal(conf->retention.artifact_days, 1);
	assert_int_equal(conf->retention.log_days, 2);
	assert_int_equal(conf->retention.audit_days, 3);
	assert_int_equal(conf->retention.build_cache, 0);
	assert_int_equal(conf->retention.working_containers_ms, 7200000);
	assert_int_equal(conf->containers.bind_roots.n, 2);
	assert_string_equal(conf->containers.bind_roots.items[0], "/srv");
	assert_string_equal(conf->containers.bind_roots.items[1], "/data");
	assert_string_equal(conf->containers.capabilities.items[0], "NET_ADMIN");
	assert_string_equal(conf->containers.devices.items[0], "/dev/ttyACM0");
	assert_true(conf->containers.privileged && conf->containers.host_namespaces
		&& conf->containers.container_namespaces);
	kii_conf_free(conf);
}

static void the_docker_table_of_mikrocloud_is_taken(void **state)
{
	struct kii_conf *conf = load(
		"[docker]\n"
		"runtime = \"docker\"  # or \"podman\"\n"
		"socket_path = \"/var/run/docker.sock\"  # or \"/run/user/1000/podman.sock\"\n"
		"rootless = false\n"
		"build_dir = \"/tmp/mikrocloud/builds\"\n"
		"timeout = 300\n"
		"max_concurrent_pulls = 3\n");

	(void)state;
	assert_string_equal(conf->docker.socket_path, "unix:///var/run/docker.sock");
	assert_string_equal(conf->docker.build_dir, "/tmp/mikrocloud/builds");
	assert_int_equal(conf->docker.max_concurrent_pulls, 3);
	kii_conf_free(conf);
}

static void what_is_unknown_is_refused(void **state)
{
	(void)state;
	refused("[dokcer]\n", "1:2", "dokcer: unknown table; known are docker, paths, firmware, "
		"queue, build, http, limits, retention, containers, images");
	refused("\n[docker]\n  sokcet = 1\n", "3:3", "docker.sokcet: unknown key; docker has "
		"runtime, socket_path, rootless, build_dir, timeout, max_concurrent_pulls");
	refused("[queue]\nslots = 1\n[queue.x]\n", "3:8", "queue.x: unknown key; queue has slots, "
		"operator_slots, max_waiting, per_client");
	refused("timeout = 3\n", "1:1", "timeout: unknown table");
	refused("docker = 1\n", "1:1", "docker: must be a table, not an integer");
	refused("[[queue]]\nslots = 1\n", "1:3", "queue: must be a table, not an array");
	refused("[\"queue\\u0000\"]\n", "1:2", "queue?: unknown table");
	refused("[queue]\n\"slots\\u0000\" = 1\n", "2:1", "queue.slots?: unknown key");
	refused("[docker\n", "1:8", "] is expected");
}

static void values_of_the_wrong_type_are_refused(void **state)
{
	static const struct { const char *text, *place, *part; } bad[] = {
		{ "[docker]\nruntime = 1", "2:11", "docker.runtime: must be \"docker\" or "
		  "\"podman\", not an integer" },
		{ "[docker]\nruntime = 'lxc'", "2:11", "docker.runtime: must be \"docker\" or "
		  "\"podman\", not \"lxc\"" },
		{ "[docker]\nruntime = \"podman\\u0000\"", "2:11", "docker.runtime: must be "
		  "\"docker\" or \"podman\", not \"podman?\"" },
		{ "[docker]\nrootless = 'yes'", "2:12", "docker.rootless: must be true or false, "
		  "not a string" },
		{ "[docker]\nsocket_path = 1", "2:15", "docker.socket_path: must be the path of a "
		  "socket, not an integer" },
		{ "[docker]\ntimeout = 1.5", "2:11", "docker.timeout: must be seconds as an "
		  "integer, or text such as \"15 min\" (ms, s, min, h, d), not a float" },
		{ "[queue]\nslots = '3'", "2:9", "queue.slots: must be an integer, not a string" },
		{ "[firmware]\ncpus = '2'", "2:8", "firmware.cpus: must be a number, "
		  "not a string" },
		{ "[http]\nbody = 1.0", "2:8", "http.body: must be bytes as an integer, or text "
		  "such as \"512 MiB\" (B, KiB, MiB, GiB, TiB), not a float" },
		{ "[paths]\nstate_dir = []", "2:13", "paths.state_dir: must be the name of a "
		  "folder, not an array" },
		{ "[containers]\nbind_roots = '/x'", "2:14", "containers.bind_roots: must be a "
		  "list of absolute paths, not a string" },
		{ "[containers]\nbind_roots = ['/x', 'y']", "2:14", "containers.bind_roots: must "
		  "be " },
		{ "[containers]\ncapabilities = 'ALL'", "2:16", "containers.capabilities: must be "
		  "a list of capabilities, not a string" },
		{ "[containers]\ncapabilities = ['NET_RAW', 2]", "2:16", "containers.capabilities:"
		  " must be the name of a capability, not an integer" },
		{ "[containers]\ncapabilities = ['CAP_NET_RAW']", "2:16",
		  "containers.capabilities: must be names such as \"NET_ADMIN\", without CAP_" },
		{ "[paths]\nlayouts = '/x'", "2:11", "paths.layouts: must be a list of folders, "
		  "not a string" },
		{ "[paths]\nlayouts = ['/x', 2]", "2:11", "paths.layouts: must be the name of a "
		  "folder, not an integer" },
		{ "[firmware]\nimage_prefix = 1979-05-27", "2:16", "firmware.image_prefix: must be "
		  "a string, not a date or time" },
		{ "[firmware]\ngit_url = true", "2:11", "firmware.git_url: must be the URL of a "
		  "repository, not a boolean" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		refused(bad[i].text, bad[i].place, bad[i].part);
}

/* Other transports run programs, and a password in the URL would lie open to who may look. */
static void repositories_are_plain_urls(void **state)
{
	static const char *const good[] = { "https://h/a", "http://h:81/a/b.git",
		"git://[::1]:1/a", "file:///srv/a-b_c+1~d.git" };
	static const char *const bad[] = { "", "x", "ext::sh -c id", "ssh://h/a", "git@h:a",
		"/srv/a", "https:///a", "https://h", "https://h/", "https://u:p@h/a",
		"https://u@h/a",
		"https://h:x/a", "https://h/a?b", "https://h/a b", "https://h/a%0a", "file://h/a",
		"file:///", "--upload-pack=id", "https://h/a\\u0000", "HTTPS://h/a" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		kii_autofree char *text = kii_xfmt("firmware.git_url = \"%s\"", good[i]);
		struct kii_conf *conf = load(text);

		assert_string_equal(conf->firmware.git_url, good[i]);
		kii_conf_free(conf);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *text = kii_xfmt("firmware.git_url = \"%s\"", bad[i]);

		refused(text, "1:20", "firmware.git_url: must");
	}
}

static void values_out_of_range_are_refused(void **state)
{
	static const struct { const char *text, *place, *part; } bad[] = {
		{ "[queue]\nslots = -1", "2:9", "queue.slots: must be between 0 and 64" },
		{ "[queue]\nslots = 65", "2:9", "queue.slots: must be between 0 and 64" },
		{ "[firmware]\ncpus = 0", "2:8", "firmware.cpus: must be between 0.01 and 1024" },
		{ "[firmware]\ncpus = nan", "2:8", "firmware.cpus: must be between 0.01 and 1024" },
		{ "[firmware]\ncpus = inf", "2:8", "firmware.cpus: must be between 0.01 and 1024" },
		{ "[firmware]\nmemory = 16777215", "2:10", "firmware.memory: must be between "
		  "16 MiB and 1 TiB" },
		{ "[limits]\ndisk_floor = -1", "2:14", "limits.disk_floor: must be between 0 B and "
		  "1024 TiB" },
		{ "[docker]\ntimeout = '999 ms'", "2:11", "docker.timeout: must be between 1 s and "
		  "1 h" },
		{ "[docker]\ntimeout = 3601", "2:11", "docker.timeout: must be between 1 s "
		  "and 1 h" },
		{ "[firmware]\ntimeout = '2 d'", "2:11", "firmware.timeout: must be between 1 s "
		  "and 1 d" },
		{ "[firmware]\nimage_prefix = ''", "2:16", "firmware.image_prefix: must be 1 to "
		  "128 of" },
		{ "[firmware]\nimage_prefix = '-x'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'X'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'a b'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'r:1/'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'a:1'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'a..'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'a___b'", "2:16", "firmware.image_prefix: must be" },
		{ "[firmware]\nimage_prefix = 'a-_'", "2:16", "firmware.image_prefix: must be" },
		{ "[build]\nsource_network = '-x'", "2:18", "build.source_network: must be" },
		{ "[http]\nbody = 4194305", "2:8", "http.body: must be between 1 KiB and 4 MiB" },
		{ "[paths]\nstate_dir = 'x'", "2:13", "paths.state_dir: must be absolute" },
		{ "[paths]\nstate_dir = ''", "2:13", "paths.state_dir: must be absolute" },
		{ "[paths]\nstate_dir = \"/x\\n\"", "2:13", "paths.state_dir: must not hold "
		  "control characters" },
		{ "[paths]\nstate_dir = \"/x\\u0000y\"", "2:13", "paths.state_dir: must not hold" },
		{ "[paths]\nlayouts = []", "2:11", "paths.layouts: must list 1 to 8 folders" },
		{ "[paths]\nlayouts = ['/','/','/','/','/','/','/','/','/']", "2:11",
		  "paths.layouts: must list 1 to 8 folders" },
		{ "[containers]\ndevices = ['/','/','/','/','/','/','/','/','/','/','/','/','/',"
		  "'/','/','/','/','/','/','/','/','/','/',"
		  "'/','/','/','/','/','/','/','/','/','/']",
		  "2:11", "containers.devices: must list at most 32" },
		{ "[paths]\nlayouts = ['/a', '/b', 'c']", "2:11", "paths.layouts: must be "
		  "absolute" },
		{ "[paths]\nrun_dir = '/2345678901234567890123456789012345678901234567890123456789"
		  "0123456789012345678901'", "2:11", "paths.run_dir: must be at most 80 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++)
		refused(bad[i].text, bad[i].place, bad[i].part);
}

static void amounts_have_units(void **state)
{
	static const struct { const char *text; int64_t ms; } good[] = {
		{ "1500 ms", 1500 }, { "2s", 2000 }, { "15 min", 900000 }, { "6  h", 21600000 },
		{ "1 d", 86400000 }, { "001 s", 1000 },
	};
	static const char *const bad[] = { "", "s", "5", "5 sec", "5 S", " 5 s", "5 s ", "-5 s",
		"1.5 s", "5_0 s", "9223372036854775808 ms", "9223372036854775807 s", "5 s\\u0000",
		"5 MiB" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		kii_autofree char *text = kii_xfmt("firmware.timeout = '%s'", good[i].text);
		struct kii_conf *conf = load(text);

		assert_int_equal(conf->firmware.timeout_ms, good[i].ms);
		kii_conf_free(conf);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *text = kii_xfmt("firmware.timeout = \"%s\"", bad[i]);

		refused(text, "1:20", "firmware.timeout: must be seconds as an integer");
	}
	refused("firmware.timeout = 9223372036854775807", "1:20",
		"firmware.timeout: must be seconds as an integer");
	refused("http.body = '5 MB'", "1:13", "http.body: must be bytes as an integer");
}

static void amounts_are_shown_exactly(void **state)
{
	static const struct { enum kii_conf_type type; int64_t n; const char *text; } rows[] = {
		{ KII_CONF_SIZE, 0, "0 B" }, { KII_CONF_SIZE, 1000, "1000 B" },
		{ KII_CONF_SIZE, 1536, "1536 B" }, { KII_CONF_SIZE, 3072, "3 KiB" },
		{ KII_CONF_SIZE, INT64_C(1) << 40, "1 TiB" }, { KII_CONF_DURATION, 0, "0 s" },
		{ KII_CONF_DURATION, 1500, "1500 ms" }, { KII_CONF_DURATION, 90000, "90 s" },
		{ KII_CONF_DURATION, 7200000, "2 h" }, { KII_CONF_DURATION, 86400000, "1 d" },
	};

	(void)state;
	for (size_t i = 0; i < KII_COUNT(rows); i++) {
		kii_autofree char *text = kii_conf_amount(rows[i].type, rows[i].n);

		assert_string_equal(text, rows[i].text);
	}
}

/* The socket of this file, in the environment as it is; NULL where it is refused. */
static char *socket_of(const char *text, struct kii_error *err)
{
	struct kii_conf *conf = NULL;
	char *path = NULL;

	write_file(text);
	if (kii_conf_load(file, &conf, err) != 0)
		return NULL;
	path = kii_steal(&conf->docker.socket_path);
	kii_conf_free(conf);
	return path;
}

static void expect_socket(const char *text, const char *want)
{
	struct kii_error err = { 0 };
	kii_autofree char *path = socket_of(text, &err);

	if (!path)
		fail_msg("%s: %s", text, err.msg);
	assert_string_equal(path, want);
}

static void the_socket_follows_runtime_and_rootless(void **state)
{
	kii_autofree char *docker = kii_xfmt("unix:///run/user/%u/docker.sock",
		(unsigned)geteuid());
	kii_autofree char *podman = kii_xfmt("unix:///run/user/%u/podman/podman.sock",
		(unsigned)geteuid());

	(void)state;
	expect_socket("", "unix:///run/docker.sock");
	expect_socket("docker.runtime = 'podman'", "unix:///run/podman/podman.sock");
	expect_socket("docker.rootless = true", docker);
	expect_socket("docker = {rootless = true, runtime = 'podman'}", podman);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	expect_socket("docker.rootless = true", docker);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	expect_socket("", "unix:///run/docker.sock");
	expect_socket("docker.rootless = true", "unix:///run/user/7/docker.sock");
	expect_socket("docker = {rootless = true, runtime = 'podman'}",
		"unix:///run/user/7/podman/podman.sock");
	expect_socket("docker = {rootless = true, socket_path = '/x'}", "unix:///x");
}

static void addresses_have_one_form(void **state)
{
	static const struct { const char *text, *want; } good[] = {
		{ "/x/y", "unix:///x/y" },
		{ "unix:///x", "unix:///x" },
		{ "tcp://h:1", "tcp://h:1" },
		{ "tcp://10.0.0.1:65535", "tcp://10.0.0.1:65535" },
		{ "tcp://[::1]:2375", "tcp://[::1]:2375" },
		{ "tcp://docker-host_1.example", "tcp://docker-host_1.example:2375" },
		{ "tcp://[::1]", "tcp://[::1]:2375" },
	};
	static const char *const bad[] = { "", "x", "unix://x", "unix://", "tcp://", "tcp://:1",
		"tcp://h:", "tcp://h:0", "tcp://h:65536", "tcp://h:1x", "tcp://h: 1", "tcp://h:+1",
		"tcp://h:1/x", "tcp://u@h:1", "tcp://[]:1", "tcp://[::1", "tcp://[g]:1",
		"tcp://[::1]1", "http://h", "ssh://h", "npipe://x", "/x\ty" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(good); i++) {
		kii_autofree char *text = kii_xfmt("docker.socket_path = '%s'", good[i].text);

		expect_socket(text, good[i].want);
	}
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *text = kii_xfmt("docker.socket_path = '%s'", bad[i]);

		refused(text, "1:22", "docker.socket_path: must ");
	}
}

static void sockets_too_long_are_refused(void **state)
{
	char path[109];
	char host[400];
	struct kii_error err = { 0 };
	char *out = NULL;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	must_fail(kii_conf_address(path, "f", &out, &err), KII_EINVAL);
	path[107] = '\0';
	must(kii_conf_address(path, "f", &out, &err));
	free(out);
	snprintf(host, sizeof(host), "tcp://%0390d", 1);
	must_fail(kii_conf_address(host, "f", &out, &err), KII_EINVAL);
}

static void docker_host_beats_the_file(void **state)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf;

	(void)state;
	setenv("DOCKER_HOST", "", 1);
	expect_socket("docker.socket_path = '/f'", "unix:///f");
	setenv("DOCKER_HOST", "unix:///e", 1);
	expect_socket("docker.socket_path = '/f'", "unix:///e");
	expect_socket("docker = {rootless = true, runtime = 'podman'}", "unix:///e");
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	expect_socket("", "unix:///e");
	setenv("DOCKER_CERT_PATH", "/certs", 1);
	setenv("DOCKER_HOST", "tcp://h", 1);
	conf = load("");
	assert_string_equal(conf->docker.socket_path, "tcp://h:2376");
	assert_true(conf->docker.tls_verify);
	assert_string_equal(conf->docker.cert_path, "/certs");
	kii_conf_free(conf);
	unsetenv("DOCKER_CERT_PATH");
	assert_null(socket_of("", &err));
	assert_string_equal(err.msg, "environment DOCKER_TLS_VERIFY: docker.socket_path: TLS needs "
		"DOCKER_CERT_PATH, the folder of ca.pem, cert.pem and key.pem");
	kii_error_clear(&err);
	setenv("DOCKER_HOST", "ssh://h", 1);
	assert_null(socket_of("", &err));
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "docker.socket_path");
	assert_non_null(strstr(err.msg, "environment DOCKER_HOST: docker.socket_path: must be"));
}

static void the_file_is_found(void **state)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	kii_autofree char *missing = kii_xfmt("%s/missing", dir);

	(void)state;
	write_file("queue.slots = 7");
	setenv("KIISRV_CONFIG", file, 1);
	must(kii_conf_load(NULL, &conf, &err));
	assert_int_equal(conf->queue.slots, 7);
	kii_conf_free(conf);
	setenv("KIISRV_CONFIG", missing, 1);
	must(kii_conf_load(file, &conf, &err));
	kii_conf_free(conf);
	must_fail(kii_conf_load(NULL, &conf, &err), KII_ENOTFOUND);
	must_fail(kii_conf_load(missing, &conf, &err), KII_ENOTFOUND);
	must_fail(kii_conf_load(dir, &conf, &err), KII_EIO);
}

static void the_installed_file_may_be_missing(void **state)
{
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;

	(void)state;
	if (access(KII_SYSCONFDIR "/kiisrv.toml", F_OK) == 0)
		skip();
	setenv("KIISRV_CONFIG", "", 1);
	must(kii_conf_load(NULL, &conf, &err));
	assert_null(conf->file);
	kii_conf_free(conf);
	kii_conf_free(NULL);
}

static void a_file_too_large_is_refused(void **state)
{
	kii_autofree char *text = kii_xmalloc((1 << 20) + 2);
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;

	(void)state;
	memset(text, '\n', (1 << 20) + 1);
	text[(1 << 20) + 1] = '\0';
	write_file(text);
	must_fail(kii_conf_load(file, &conf, &err), KII_ETOOBIG);
}

static void show_says_where_values_came_from(void **state)
{
	kii_autobuf out = KII_BUF_INIT(1 << 20);
	kii_autofree char *slots = NULL;
	struct kii_conf *conf;

	(void)state;
	setenv("DOCKER_HOST", "tcp://h:2376", 1);
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_CERT_PATH", "/certs", 1);
	conf = load("[queue]\n\nslots = 7\n");
	kii_conf_show(conf, &out);
	kii_conf_free(conf);
	slots = kii_xfmt("queue.slots = 7                              # from %s:3\n", file);
	assert_non_null(strstr(out.data, slots));
	assert_non_null(strstr(out.data, "docker.socket_path = \"tcp://h:2376\"          "
		"# from environment DOCKER_HOST\n"));
	assert_non_null(strstr(out.data, "queue.max_waiting = 64                       "
		"# from default\n"));
	assert_non_null(strstr(out.data, "\n# TLS to the engine; from environment "
		"DOCKER_TLS_VERIFY\n# certificates in /certs; from environment "
		"DOCKER_CERT_PATH\n"));
}

static void what_is_shown_loads_again(void **state)
{
	kii_autobuf one = KII_BUF_INIT(1 << 20);
	kii_autobuf two = KII_BUF_INIT(1 << 20);
	struct kii_conf *conf = load("[paths]\nstate_dir = '/a\"b\\c'\n[firmware]\ncpus = 0.1\n"
		"timeout = '1500 ms'\nmemory = 16777217\ntransport = 'bind'\n");

	(void)state;
	kii_conf_show(conf, &one);
	kii_conf_free(conf);
	conf = load(one.data);
	assert_string_equal(conf->paths.state_dir, "/a\"b\\c");
	assert_int_equal(conf->firmware.memory, 16777217);
	for (size_t i = 0; i < kii_conf_n_keys; i++)
		kii_conf_note_take(conf, &kii_conf_keys[i], kii_xstrdup("x"));
	kii_conf_show(conf, &two);
	for (const char *p = one.data, *q = two.data; *p; p = strchr(p, '\n') + 1) {
		assert_int_equal(strncmp(p, q, (size_t)(strstr(p, "# from") - p)), 0);
		q = strchr(q, '\n') + 1;
	}
	kii_conf_free(conf);
}

static void json_has_every_key(void **state)
{
	const json_t *keys;
	struct kii_conf *conf;
	json_t *all;
	size_t images = 0;

	(void)state;
	setenv("DOCKER_HOST", "tcp://h:2376", 1);
	setenv("DOCKER_TLS_VERIFY", "1", 1);
	setenv("DOCKER_CERT_PATH", "/certs\xff", 1);
	conf = load("firmware.timeout = '1500 ms'");
	all = kii_conf_json(conf);
	keys = json_object_get(all, "keys");
	while (kii_bases_known(images))
		images++;
	assert_int_equal(json_object_size(keys), kii_conf_n_keys + images + 2);
#define VALUE(name) json_object_get(json_object_get(keys, name), "value")
	assert_string_equal(json_string_value(json_object_get(all, "file")), file);
	assert_string_equal(json_string_value(VALUE("docker.runtime")), "docker");
	assert_true(json_is_false(VALUE("docker.rootless")));
	assert_int_equal(json_integer_value(VALUE("docker.timeout")), 300);
	assert_int_equal((int)(json_real_value(VALUE("firmware.timeout")) * 10), 15);
	assert_int_equal((int)json_real_value(VALUE("firmware.cpus")), 2);
	assert_int_equal(json_integer_value(VALUE("firmware.memory")), 536870912);
	assert_int_equal(json_integer_value(VALUE("queue.per_client")), 4);
	assert_int_equal(json_array_size(VALUE("paths.layouts")), 2);
	assert_int_equal(json_array_size(VALUE("containers.bind_roots")), 0);
	assert_true(json_is_true(VALUE("docker.tls_verify")));
	assert_true(json_is_null(VALUE("docker.cert_path")));
#undef VALUE
	assert_string_equal(json_string_value(json_object_get(json_object_get(keys,
		"docker.socket_path"), "from")), "environment DOCKER_HOST");
	json_decref(all);
	kii_conf_free(conf);
}

static void base_images_have_the_names_of_the_detectors(void **state)
{
	struct kii_conf *conf = load("[images]\nnode = 'a.example:5000/b:{version}'\n"
		"nginx = 'c@sha256:00'\n");
	kii_autobuf shown = KII_BUF_INIT(1 << 20);
	kii_autofree char *one = kii_bases_reference(&conf->images, "node", "18");
	kii_autofree char *two = kii_bases_reference(&conf->images, "nginx", "1");
	kii_autofree char *three = kii_bases_reference(&conf->images, "node-run", "18");
	kii_autojson *all = kii_conf_json(conf);
	const json_t *node = json_object_get(json_object_get(all, "keys"), "images.node");
	kii_autofree char *from = kii_xfmt("%s:2", file);

	(void)state;
	assert_string_equal(one, "a.example:5000/b:18");
	assert_string_equal(two, "c@sha256:00");
	assert_string_equal(three, "docker.io/library/node:18-bookworm-slim");
	assert_string_equal(kii_json_str(node, "value"), "a.example:5000/b:{version}");
	assert_string_equal(kii_json_str(node, "from"), from);
	kii_conf_show(conf, &shown);
	assert_non_null(strstr(shown.data, "images.nginx = \"c@sha256:00\""));
	assert_non_null(strstr(shown.data, "images.go = \"docker.io/library/golang:{version}"));
	kii_conf_free(conf);
	refused("[images]\nnodd = 'x'", "2:1", "images.nodd: unknown key; images has bun, clojure");
	refused("[images]\nnode = 1", "2:8", "images.node: must be the name of an image, not "
		"an integer");
	refused("[images]\nnode = 'a b'", "2:1", "images.node: must be the name of an image");
	refused("[images]\nnode = \"a\\u0000b\"", "2:8", "images.node: must be the name");
	refused("[images]\n\"node\\u0000\" = 'a'", "2:1", "images.node?: unknown key");
	refused("images = 1", "1:1", "images: must be a table");
}

static void json_leaves_out_names_that_are_no_text(void **state)
{
	kii_autofree char *odd = kii_xfmt("%s/\xff.toml", dir);
	struct kii_error err = { 0 };
	struct kii_conf *conf = NULL;
	json_t *all, *slots;

	(void)state;
	must(kii_io_publish(odd, "queue.slots = 1", 15, 0600, &err));
	must(kii_conf_load(odd, &conf, &err));
	all = kii_conf_json(conf);
	slots = json_object_get(json_object_get(all, "keys"), "queue.slots");
	assert_true(json_is_null(json_object_get(all, "file")));
	assert_true(json_is_null(json_object_get(slots, "from")));
	assert_int_equal(json_integer_value(json_object_get(slots, "value")), 1);
	json_decref(all);
	kii_conf_free(conf);
}

/* The example: "#key = value" is a default, "# text" a comment. */
static char *example(bool uncommented)
{
	const char *top = getenv("KII_BUILDDIR");
	kii_autofree char *path = kii_xfmt("%s/packaging/kiisrv.toml", top ? top : ".");
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	char *out;

	must(kii_io_read(path, &text, &err));
	out = kii_buf_steal(&text);
	for (char *p = out; uncommented && *p; p++) {
		if ((p == out || p[-1] == '\n') && p[0] == '#' && p[1] >= 'a' && p[1] <= 'z')
			p[0] = ' ';
	}
	return out;
}

static void the_example_is_the_defaults(void **state)
{
	kii_autofree char *text = example(true);
	kii_autofree char *commented = example(false);
	kii_autobuf one = KII_BUF_INIT(1 << 20);
	kii_autobuf two = KII_BUF_INIT(1 << 20);
	struct kii_conf *conf = load(text);

	(void)state;
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		if (strcmp(conf->origins[i], "default") == 0)
			fail_msg("%s.%s is not in the example", kii_conf_keys[i].table,
				kii_conf_keys[i].name);
		kii_conf_note_take(conf, &kii_conf_keys[i], kii_xstrdup("default"));
	}
	kii_conf_show(conf, &one);
	kii_conf_free(conf);
	conf = load(commented);
	kii_conf_show(conf, &two);
	kii_conf_free(conf);
	assert_string_equal(one.data, two.data);
	assert_null(strstr(two.data, "kiisrv.toml:"));
}

static void the_manual_has_every_key(void **state)
{
	kii_autofree char *path = test_source("docs/man/kiisrv.toml.5");
	kii_autobuf text = KII_BUF_INIT(1 << 20);
	struct kii_error err = { 0 };
	const char *images;

	(void)state;
	must(kii_io_read(path, &text, &err));
	images = strstr(text.data, "\n.Ss [images]\n");
	assert_non_null(images);
	for (size_t i = 0; kii_bases_known(i); i++) {
		if (!strstr(images, kii_bases_known(i)->name))
			fail_msg("images.%s is not in the manual", kii_bases_known(i)->name);
	}
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];
		kii_autofree char *head = kii_xfmt("\n.Ss [%s]\n", key->table);
		kii_autofree char *entry = kii_xfmt("\n.It Ic %s", key->name);
		const char *section = strstr(text.data, head);
		const char *found = section ? strstr(section, entry) : NULL;
		const char *next = section ? strstr(section + strlen(head), "\n.Ss") : NULL;

		while (found && !strchr(" \n", found[strlen(entry)]))
			found = strstr(found + 1, entry);
		if (!found || (next && found > next))
			fail_msg("%s.%s is not in the manual", key->table, key->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, clear_environment, clear_environment)
		TEST(an_empty_file_means_the_defaults),
		TEST(every_key_is_taken_from_the_file),
		TEST(the_docker_table_of_mikrocloud_is_taken),
		TEST(what_is_unknown_is_refused),
		TEST(values_of_the_wrong_type_are_refused),
		TEST(repositories_are_plain_urls),
		TEST(values_out_of_range_are_refused),
		TEST(amounts_have_units),
		TEST(amounts_are_shown_exactly),
		TEST(the_socket_follows_runtime_and_rootless),
		TEST(addresses_have_one_form),
		TEST(sockets_too_long_are_refused),
		TEST(docker_host_beats_the_file),
		TEST(the_file_is_found),
		TEST(the_installed_file_may_be_missing),
		TEST(a_file_too_large_is_refused),
		TEST(show_says_where_values_came_from),
		TEST(what_is_shown_loads_again),
		TEST(json_has_every_key),
		TEST(base_images_have_the_names_of_the_detectors),
		TEST(json_leaves_out_names_that_are_no_text),
		TEST(the_example_is_the_defaults),
		TEST(the_manual_has_every_key),
	};

	return cmocka_run_group_tests_name("conf", tests, make_folder, remove_folder);
}
