/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_request.h"

#include <string.h>

#include "json.h"
#include "testlib.h"

static struct kii_container_request *read_text(const char *text, struct kii_error *err)
{
	struct kii_container_request *r = NULL;
	kii_autojson *body = NULL;

	if (kii_json_parse(text, strlen(text), "body", &body, err) != 0)
		fail_msg("no JSON: %s", text);
	return kii_container_request_read(body, &r, err) == 0 ? r : NULL;
}

static struct kii_container_request *good(const char *text)
{
	struct kii_error err = { 0 };
	struct kii_container_request *r = read_text(text, &err);

	if (!r)
		fail_msg("%s: %s", text, err.msg);
	return r;
}

/* {"image": "a", <more>} must be refused at `field`, for a reason that has `part` in it. */
static void refused(const char *more, const char *field, const char *part)
{
	kii_autofree char *text = kii_xfmt("{\"image\": \"a\", %s}", more);
	struct kii_error err = { 0 };

	if (read_text(text, &err))
		fail_msg("%.200s: taken", text);
	if (err.code != KII_EINVAL || strcmp(err.field, field) != 0 || !strstr(err.msg, part))
		fail_msg("%.200s: %s (field '%s'), not '%s' with '%s'", text, err.msg, err.field,
			field, part);
}

/* What the engine gets for {"image": "a", <more>} has this member, by names with dots. */
static void engine_gets(const char *more, const char *path, const char *want)
{
	kii_autofree char *text = kii_xfmt("{\"image\": \"a\", %s}", more);
	struct kii_container_request *r = good(text);
	kii_autojson *body = kii_container_request_engine(r, "me");
	kii_autobuf got = KII_BUF_INIT(65536);
	struct kii_error err = { 0 };
	const json_t *at = body;

	while (*path && at) {
		kii_autofree char *name = kii_xstrndup(path, strcspn(path, "."));

		at = json_object_get(at, name);
		path += strlen(name) + (path[strlen(name)] == '.');
	}
	if (at)
		must(kii_json_dump(at, JSON_SORT_KEYS, &got, &err));
	assert_string_equal(got.data, want);
	kii_container_request_free(r);
}

static void the_requirement_s_example_is_taken(void **state)
{
	struct kii_container_request *r = good("{\n"
		"    \"image\": \"nginx:alpine\",\n"
		"    \"name\": \"my-nginx\",\n"
		"    \"ports\": {\"8080\": \"80\"},\n"
		"    \"environment\": {\"ENV\": \"production\"},\n"
		"    \"restart_policy\": \"unless-stopped\"\n  }");
	kii_autojson *body = kii_container_request_engine(r, "deploy");
	kii_autobuf text = KII_BUF_INIT(65536);
	struct kii_error err = { 0 };

	(void)state;
	assert_string_equal(r->name, "my-nginx");
	assert_false(r->start);
	assert_int_equal(r->pull, KII_PULL_MISSING);
	must(kii_json_dump(body, JSON_SORT_KEYS, &text, &err));
	assert_string_equal(text.data, "{\"Env\":[\"ENV=production\"],\"ExposedPorts\":{\"80/tcp\":"
		"{}},\"HostConfig\":{\"AutoRemove\":false,\"Mounts\":[],\"NetworkMode\":\"default\""
		",\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]},"
		"\"Privileged\":false,\"ReadonlyRootfs\":false,\"RestartPolicy\":{"
		"\"MaximumRetryCount\":0,\"Name\":\"unless-stopped\"}},\"Image\":\"nginx:alpine\","
		"\"Labels\":{\"kiisrv.by\":\"deploy\"}}");
	kii_container_request_free(r);
}

static void every_member_reaches_the_engine(void **state)
{
	(void)state;
	engine_gets("\"ports\": {\"127.0.0.1:8080\": \"80/udp\", \"[::1]:8080\": \"80/udp\", "
		"\"9000\": \"80\"}", "HostConfig.PortBindings", "{\"80/tcp\":[{\"HostIp\":\"\","
		"\"HostPort\":\"9000\"}],\"80/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":"
		"\"8080\"},{\"HostIp\":\"::1\",\"HostPort\":\"8080\"}]}");
	engine_gets("\"ports\": [{\"container_port\": 53, \"protocol\": \"udp\"}, {\"host_ip\": "
		"\"0:0::1\", \"host_port\": 1, \"container_port\": 2}]",
		"HostConfig.PortBindings", "{\"2/tcp\":[{\"HostIp\":\"::1\",\"HostPort\":\"1\"}],"
		"\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}");
	engine_gets("\"environment\": {\"A_1\": \"$(x);\\n=\", \"B\": \"\"}", "Env",
		"[\"A_1=$(x);\\n=\",\"B=\"]");
	engine_gets("\"restart_policy\": \"on-failure:7\"", "HostConfig.RestartPolicy",
		"{\"MaximumRetryCount\":7,\"Name\":\"on-failure\"}");
}

static void volumes_are_mounts(void **state)
{
	(void)state;
	engine_gets("\"volumes\": {\"data\": \"/data/\", \"/srv/\": \"/srv:ro\"}",
		"HostConfig.Mounts", "[{\"ReadOnly\":false,\"Source\":\"data\",\"Target\":"
		"\"/data\",\"Type\":\"volume\"},{\"ReadOnly\":true,\"Source\":\"/srv\","
		"\"Target\":\"/srv\",\"Type\":\"bind\"}]");
	engine_gets("\"volumes\": [{\"target\": \"/a\"}, {\"source\": \"v\", \"target\": \"/b\", "
		"\"read_only\": true, \"driver\": \"local\", \"driver_options\": {\"type\": "
		"\"tmpfs\"}}]", "HostConfig.Mounts", "[{\"ReadOnly\":false,\"Target\":\"/a\","
		"\"Type\":\"volume\"},{\"ReadOnly\":true,\"Source\":\"v\",\"Target\":\"/b\","
		"\"Type\":\"volume\"}]");
}

static void the_first_network_is_its_mode(void **state)
{
	(void)state;
	engine_gets("\"networks\": [\"front\", \"back\"]", "HostConfig.NetworkMode", "\"front\"");
	engine_gets("\"networks\": [\"back\"], \"network_mode\": \"front\"",
		"HostConfig.NetworkMode", "\"front\"");
	engine_gets("\"network_mode\": \"container:web\"", "HostConfig.NetworkMode",
		"\"container:web\"");
	engine_gets("\"pid_mode\": \"private\", \"ipc_mode\": \"host\"", "HostConfig.PidMode", "");
	engine_gets("\"pid_mode\": \"private\", \"ipc_mode\": \"host\"", "HostConfig.IpcMode",
		"\"host\"");
	engine_gets("\"ipc_mode\": \"private\"", "HostConfig.IpcMode", "\"private\"");
	engine_gets("\"cgroupns_mode\": \"private\"", "HostConfig.CgroupnsMode",
		"\"private\"");
	engine_gets("\"pid_mode\": \"private\"", "HostConfig.IpcMode", "");
}

static void the_program_s_members_reach_the_engine(void **state)
{
	(void)state;
	engine_gets("\"command\": [\"-c\", \"a; b\", \"\"]", "Cmd", "[\"-c\",\"a; b\",\"\"]");
	engine_gets("\"entrypoint\": [\"/bin/sh\"]", "Entrypoint", "[\"/bin/sh\"]");
	engine_gets("\"working_dir\": \"/\"", "WorkingDir", "\"/\"");
	engine_gets("\"user\": \"1000:www-data\"", "User", "\"1000:www-data\"");
	engine_gets("\"hostname\": \"web-1\"", "Hostname", "\"web-1\"");
	engine_gets("\"labels\": {\"com.example/x\": \"y\"}", "Labels",
		"{\"com.example/x\":\"y\",\"kiisrv.by\":\"me\"}");
	engine_gets("\"stop_timeout\": 0", "StopTimeout", "0");
	engine_gets("\"init\": true, \"read_only\": true", "HostConfig.Init", "true");
	engine_gets("\"healthcheck\": {\"test\": [\"CMD\", \"true\"], \"interval\": 1.5, "
		"\"timeout\": 2, \"start_period\": 0.25, \"retries\": 4}", "Healthcheck",
		"{\"Interval\":1500000000,\"Retries\":4,\"StartPeriod\":250000000,\"Test\":"
		"[\"CMD\",\"true\"],\"Timeout\":2000000000}");
}

static void limits_and_rights_reach_the_engine(void **state)
{
	static const char limits[] = "\"limits\": {\"memory\": 67108864, \"cpus\": 0.1, "
		"\"pids\": 9}";

	(void)state;
	engine_gets(limits, "HostConfig.Memory", "67108864");
	engine_gets(limits, "HostConfig.MemorySwap", "67108864");
	engine_gets(limits, "HostConfig.NanoCpus", "100000000");
	engine_gets(limits, "HostConfig.PidsLimit", "9");
	engine_gets("\"capabilities\": [\"NET_ADMIN\"]", "HostConfig.CapAdd", "[\"NET_ADMIN\"]");
	engine_gets("\"capabilities_drop\": [\"ALL\"]", "HostConfig.CapDrop", "[\"ALL\"]");
	engine_gets("\"security_options\": [\"no-new-privileges\"]", "HostConfig.SecurityOpt",
		"[\"no-new-privileges\"]");
	engine_gets("\"devices\": [\"/dev/x\"]", "HostConfig.Devices", "[{\"CgroupPermissions\":"
		"\"rwm\",\"PathInContainer\":\"/dev/x\",\"PathOnHost\":\"/dev/x\"}]");
	engine_gets("\"privileged\": true", "HostConfig.Privileged", "true");
}

static void words_choose(void **state)
{
	struct kii_container_request *r = good("{\"image\": \"r.example:5000/a/b@sha256:"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", "
		"\"pull\": \"never\", \"start\": true}");

	(void)state;
	assert_int_equal(r->pull, KII_PULL_NEVER);
	assert_true(r->start);
	kii_container_request_free(r);
}

struct bad { const char *more, *field, *part; };

static void each_is_refused(const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refused(bad[i].more, bad[i].field, bad[i].part);
}

static void wrong_types_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"name\": 1", "name", "must be a string, not a number" },
		{ "\"name\": null", "name", "must be a string, not null" },
		{ "\"name\": [\"x\"]", "name", "must be a string, not an array" },
		{ "\"name\": {}", "name", "must be a string, not an object" },
		{ "\"name\": true", "name", "must be a string, not a boolean" },
		{ "\"ports\": \"80\"", "ports", "must be an object from host to container" },
		{ "\"ports\": {\"80\": 80}", "ports.80", "must be a string, not a number" },
		{ "\"ports\": [80]", "ports[0]", "must be an object" },
		{ "\"ports\": [{\"host_port\": \"80\"}]", "ports[0].host_port", "an integer" },
		{ "\"environment\": [\"A=b\"]", "environment", "must be an object of strings" },
		{ "\"environment\": {\"A\": 1}", "environment.A", "must be a string" },
		{ "\"volumes\": 1", "volumes", "must be an object from source to target" },
		{ "\"volumes\": [\"a:/b\"]", "volumes[0]", "must be an object" },
		{ "\"volumes\": [{\"target\": \"/a\", \"read_only\": 1}]", "volumes[0].read_only",
		  "must be true or false, not a number" },
		{ "\"networks\": \"a\"", "networks", "must be an array of strings, not a string" },
		{ "\"command\": \"ls\"", "command", "must be an array of strings, not a string" },
		{ "\"command\": [1]", "command[0]", "must be a string" },
		{ "\"limits\": []", "limits", "must be an object, not an array" },
		{ "\"limits\": {\"memory\": \"1g\"}", "limits.memory", "must be an integer" },
		{ "\"limits\": {\"memory\": 1e9}", "limits.memory", "must be an integer" },
		{ "\"limits\": {\"cpus\": \"1\"}", "limits.cpus", "must be a number" },
		{ "\"start\": \"yes\"", "start", "must be true or false, not a string" },
		{ "\"pull\": true", "pull", "must be a string" },
	};
	struct kii_error err = { 0 };

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
	assert_null(read_text("{\"image\": 1}", &err));
	assert_string_equal(err.field, "image");
}

/* None of these is any member's. */
static void no_member_takes_what_is_nobody_s(void **state)
{
	static const char *const members[] = { "image", "name", "ports", "environment",
		"restart_policy", "volumes", "networks", "network_mode", "command", "entrypoint",
		"working_dir", "user", "hostname", "labels", "limits", "healthcheck",
		"stop_timeout", "read_only", "init", "start", "pull", "registry_auth",
		"privileged", "capabilities", "capabilities_drop", "devices",
		"security_options", "pid_mode", "ipc_mode", "uts_mode", "userns_mode",
		"cgroupns_mode" };
	static const char *const values[] = { "null", "-1", "9223372036854775807", "0.0001", "[[]]",
		"[null]", "{\"x\": []}", "{\"-x\": \"\"}", "\"\"", "\"-x y\"", "\"$(x);\\n\"",
		"\"../x\"", "\"a\\u0000\"" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(members); i++) {
		for (size_t j = 0; j < KII_COUNT(values); j++) {
			kii_autofree char *text = kii_xfmt("{\"image\": \"a\", \"%s\": %s}",
				members[i], values[j]);
			struct kii_error err = { 0 };

			if (i == 0)
				memmove(text + 1, text + 15, strlen(text + 14));
			if (read_text(text, &err))
				fail_msg("%s: taken", text);
			if (strncmp(err.field, members[i], strlen(members[i])) != 0)
				fail_msg("%s: at %s", text, err.field);
		}
	}
}

static void what_is_missing_or_unknown_is_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"Image\": \"b\"", "Image", "is unknown; there are image, name, ports" },
		{ "\"HostConfig\": {}", "HostConfig", "is unknown" },
		{ "\"limits\": {\"swap\": 1}", "limits.swap", "is unknown; there are memory" },
		{ "\"healthcheck\": {\"cmd\": 1}", "healthcheck.cmd", "is unknown" },
		{ "\"healthcheck\": {}", "healthcheck.test", "is missing" },
		{ "\"ports\": [{}]", "ports[0].container_port", "is missing" },
		{ "\"ports\": [{\"x\": 1}]", "ports[0].x", "is unknown" },
		{ "\"volumes\": [{}]", "volumes[0].target", "is missing" },
		{ "\"volumes\": [{\"x\": 1}]", "volumes[0].x", "is unknown" },
		{ "\"volumes\": [{\"target\": \"/a\", \"driver\": \"local\"}]",
		  "volumes[0].driver", "needs a volume's name" },
		{ "\"volumes\": [{\"source\": \"/a\", \"target\": \"/a\", \"driver_options\": {}}]",
		  "volumes[0].driver", "needs a volume's name" },
	};
	struct kii_error err = { 0 };

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
	assert_null(read_text("{}", &err));
	assert_string_equal(err.field, "image");
	kii_error_clear(&err);
	assert_null(read_text("[]", &err));
	assert_string_equal(err.field, "body");
}

static void injections_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"name\": \"$(reboot)\"", "name", "must be letters" },
		{ "\"name\": \"a;b\"", "name", "must be letters" },
		{ "\"name\": \"a\\nb\"", "name", "must be letters" },
		{ "\"name\": \"-rf\"", "name", "must be letters" },
		{ "\"name\": \"..\"", "name", "must be letters" },
		{ "\"name\": \"/a\"", "name", "must be letters" },
		{ "\"name\": \"a/../b\"", "name", "must be letters" },
		{ "\"name\": \"a\\u0000b\"", "name", "must not hold a NUL" },
		{ "\"name\": \"\"", "name", "must not be empty" },
		{ "\"hostname\": \"a b\"", "hostname", "must be letters" },
		{ "\"user\": \"-1\"", "user", "must be a user's name" },
		{ "\"user\": \"a:-b\"", "user", "must be a user's name" },
		{ "\"user\": \"a:\"", "user", "must be a user's name" },
		{ "\"user\": \"a:b:c\"", "user", "must be a user's name" },
		{ "\"user\": \"$(id)\"", "user", "must be a user's name" },
		{ "\"working_dir\": \"srv\"", "working_dir", "must be an absolute path" },
		{ "\"working_dir\": \"/a/../b\"", "working_dir", "must not hold" },
		{ "\"working_dir\": \"/a//b\"", "working_dir", "two slashes" },
		{ "\"working_dir\": \"/a\\u0007\"", "working_dir", "control characters" },
		{ "\"environment\": {\"A B\": \"\"}", "environment.A B", "must be named with" },
		{ "\"environment\": {\"1A\": \"\"}", "environment.1A", "must be named with" },
		{ "\"environment\": {\"\": \"\"}", "environment.", "must be named with" },
		{ "\"environment\": {\"A=B\": \"\"}", "environment.A=B", "must be named with" },
		{ "\"environment\": {\"A\": \"\\u0000\"}", "environment.A", "must not hold a NUL" },
		{ "\"labels\": {\"-a\": \"\"}", "labels.-a", "must be named with" },
		{ "\"labels\": {\"a b\": \"\"}", "labels.a b", "must be named with" },
		{ "\"labels\": {\"kiisrv.job\": \"\"}", "labels.kiisrv.job", "kiisrv's own" },
		{ "\"networks\": [\"a:b\"]", "networks[0]", "must be a network's name" },
		{ "\"networks\": []", "networks", "must have 1 to 64 items" },
		{ "\"network_mode\": \"ns:/proc/1/ns/net\"", "network_mode", "must be \"bridge\"" },
		{ "\"network_mode\": \"container:-x\"", "network_mode", "must be \"bridge\"" },
		{ "\"pid_mode\": \"ns:/proc/1/ns/pid\"", "pid_mode", "must be \"private\"" },
		{ "\"command\": [\"a\\u0000\"]", "command[0]", "must not hold a NUL" },
		{ "\"capabilities\": [\"net admin\"]", "capabilities[0]", "a capability" },
		{ "\"devices\": [\"/dev/../etc\"]", "devices[0]", "must not hold" },
		{ "\"devices\": [\"/dev/a:/dev/b\"]", "devices[0]", "must not hold" },
	};

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
}

static void images_are_names(void **state)
{
	static const char *const bad[] = { "-a", "a b", "a:", "a//b", "../a", "/a", "a@", "$(a)",
		"a\\nb", "a;b", ":a", "a:-b" };

	(void)state;
	for (size_t i = 0; i < KII_COUNT(bad); i++) {
		kii_autofree char *text = kii_xfmt("{\"image\": \"%s\"}", bad[i]);
		struct kii_error err = { 0 };

		if (read_text(text, &err))
			fail_msg("%s: taken", text);
		assert_string_equal(err.field, "image");
	}
}

static void bad_ports_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"ports\": {\"0\": \"80\"}", "ports.0", "from 1 to 65535" },
		{ "\"ports\": {\"65536\": \"80\"}", "ports.65536", "from 1 to 65535" },
		{ "\"ports\": {\"99999999999999999999\": \"80\"}", "ports.99999999999999999999",
		  "from 1 to 65535" },
		{ "\"ports\": {\"-1\": \"80\"}", "ports.-1", "from 1 to 65535" },
		{ "\"ports\": {\"080\": \"80\"}", "ports.080", "from 1 to 65535" },
		{ "\"ports\": {\"\": \"80\"}", "ports.", "from 1 to 65535" },
		{ "\"ports\": {\"1.2.3:80\": \"80\"}", "ports.1.2.3:80", "must be a port" },
		{ "\"ports\": {\"::1:80\": \"80\"}", "ports.::1:80", "must be a port" },
		{ "\"ports\": {\"[::1:80\": \"80\"}", "ports.[::1:80", "must be a port" },
		{ "\"ports\": {\"localhost:80\": \"80\"}", "ports.localhost:80", "must be a port" },
		{ "\"ports\": {\"1.2.3.4:\": \"80\"}", "ports.1.2.3.4:", "from 1 to 65535" },
		{ "\"ports\": {\":80\": \"80\"}", "ports.:80", "must be a port" },
		{ "\"ports\": {\"80\": \"80/icmp\"}", "ports.80", "must be a port from" },
		{ "\"ports\": {\"80\": \"80/\"}", "ports.80", "must be a port from" },
		{ "\"ports\": {\"80\": \"/tcp\"}", "ports.80", "must be a port from" },
		{ "\"ports\": {\"80\": \"0\"}", "ports.80", "must be a port from" },
		{ "\"ports\": {\"80\": \"80-90\"}", "ports.80", "must be a port from" },
		{ "\"ports\": [{\"container_port\": 0}]", "ports[0].container_port", "between 1" },
		{ "\"ports\": [{\"container_port\": 1, \"protocol\": \"icmp\"}]",
		  "ports[0].protocol", "must be one of \"tcp\", \"udp\", \"sctp\"" },
		{ "\"ports\": [{\"container_port\": 1, \"host_ip\": \"x\"}]", "ports[0].host_ip",
		  "must be an address" },
		{ "\"ports\": [{\"container_port\": 1, \"host_port\": 5}, {\"container_port\": 2, "
		  "\"host_port\": 5}]", "ports[1]", "is there twice" },
		{ "\"ports\": {\"[::1]:5\": \"1\", \"[0::1]:5\": \"1\"}", "ports.[0::1]:5",
		  "is there twice" },
		{ "\"ports\": {\"80\": \"80\"}, \"network_mode\": \"none\"", "ports",
		  "cannot be published" },
		{ "\"networks\": [\"a\"], \"network_mode\": \"host\"", "networks",
		  "cannot be joined" },
	};

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
}

static void bad_volumes_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"volumes\": {\"a b\": \"/a\"}", "volumes.a b", "absolute path of the host" },
		{ "\"volumes\": {\"../a\": \"/a\"}", "volumes.../a", "absolute path of the host" },
		{ "\"volumes\": {\"/a/../b\": \"/a\"}", "volumes./a/../b", "must not hold" },
		{ "\"volumes\": {\"a\": \"b\"}", "volumes.a", "must be an absolute path" },
		{ "\"volumes\": {\"a\": \"/..\"}", "volumes.a", "must not hold" },
		{ "\"volumes\": {\"a\": \"/\"}", "volumes.a", "cannot be the whole container" },
		{ "\"volumes\": {\"a\": \"/b:z\"}", "volumes.a", "must be a path, with \":ro\"" },
		{ "\"volumes\": {\"a\": \"/b:ro:rw\"}", "volumes.a", "must be a path, with" },
		{ "\"volumes\": {\"a\": \"/x\", \"b\": \"/x/\"}", "volumes.b",
		  "has the target of another" },
		{ "\"volumes\": [{\"target\": \"/a\", \"source\": \"-v\"}]", "volumes[0].source",
		  "absolute path of the host" },
		{ "\"volumes\": [{\"target\": \"/a\", \"source\": \"v\", \"driver\": \"-x\"}]",
		  "volumes[0].driver", "must be letters" },
		{ "\"volumes\": [{\"target\": \"/a\", \"source\": \"v\", \"driver_options\": "
		  "{\"type\": 1}}]", "volumes[0].driver_options.type", "must be a string" },
	};

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
}

static void numbers_out_of_range_are_refused(void **state)
{
	static const struct bad bad[] = {
		{ "\"limits\": {\"memory\": 1}", "limits.memory", "must be between 6291456 and" },
		{ "\"limits\": {\"memory\": -1}", "limits.memory", "must be between" },
		{ "\"limits\": {\"memory\": 9223372036854775807}", "limits.memory", "between" },
		{ "\"limits\": {\"cpus\": 0}", "limits.cpus", "must be between 0.01 and 1024" },
		{ "\"limits\": {\"cpus\": 1e300}", "limits.cpus", "must be between" },
		{ "\"limits\": {\"pids\": 0}", "limits.pids", "must be between 1 and 4194304" },
		{ "\"stop_timeout\": 3601", "stop_timeout", "must be between 0 and 3600" },
		{ "\"restart_policy\": \"on-failure:\"", "restart_policy", "must have a number" },
		{ "\"restart_policy\": \"on-failure:-1\"", "restart_policy", "must have a number" },
		{ "\"restart_policy\": \"on-failure:99999\"", "restart_policy", "a number" },
		{ "\"restart_policy\": \"sometimes\"", "restart_policy", "must be one of \"no\"" },
		{ "\"pull\": \"maybe\"", "pull", "must be one of \"missing\", \"always\"" },
		{ "\"healthcheck\": {\"test\": [\"CMD\"]}", "healthcheck.test", "must be [" },
		{ "\"healthcheck\": {\"test\": [\"NONE\", \"x\"]}", "healthcheck.test", "must be" },
		{ "\"healthcheck\": {\"test\": [\"CMD-SHELL\", \"a\", \"b\"]}",
		  "healthcheck.test", "must be" },
		{ "\"healthcheck\": {\"test\": [\"curl\"]}", "healthcheck.test", "must be" },
		{ "\"healthcheck\": {\"test\": [\"NONE\"], \"interval\": 0}",
		  "healthcheck.interval", "must be between 0.001 and 86400" },
		{ "\"healthcheck\": {\"test\": [\"NONE\"], \"retries\": 0}",
		  "healthcheck.retries", "must be between 1 and 1000" },
	};

	(void)state;
	each_is_refused(bad, KII_COUNT(bad));
}

/* "x" so many times. */
static char *long_text(size_t n)
{
	char *text = kii_xmalloc(n + 1);

	memset(text, 'x', n);
	text[n] = '\0';
	return text;
}

static void what_is_too_long_is_refused(void **state)
{
	kii_autofree char *text = long_text((32u << 10) + 1);
	kii_autofree char *name = kii_xfmt("\"name\": \"%.129s\"", text);
	kii_autofree char *host = kii_xfmt("\"hostname\": \"%.64s\"", text);
	kii_autofree char *value = kii_xfmt("\"environment\": {\"A\": \"%s\"}", text);
	kii_autofree char *variable = kii_xfmt("\"environment\": {\"%.257s\": \"\"}", text);
	kii_autofree char *path = kii_xfmt("\"working_dir\": \"/%.1024s\"", text);
	kii_autofree char *source = kii_xfmt("\"volumes\": {\"/%.1024s\": \"/a\"}", text);
	kii_autofree char *port = kii_xfmt("\"ports\": {\"%.100s:80\": \"80\"}", text);
	kii_autofree char *field = kii_xfmt("volumes./%.118s", text);
	kii_autofree char *ports = kii_xfmt("ports.%.100s:80", text);
	kii_autofree char *env = kii_xfmt("environment.%.115s", text);

	(void)state;
	refused(name, "name", "is longer than 128 bytes");
	refused(host, "hostname", "is longer than 63 bytes");
	refused(value, "environment.A", "is longer than 32768 bytes");
	refused(variable, env, "");
	refused(path, "working_dir", "is longer than 1024 bytes");
	refused(source, field, "");
	refused(port, ports, "must be a port");
}

static void what_is_too_many_is_refused(void **state)
{
	kii_autobuf args = KII_BUF_INIT(1 << 20);
	kii_autobuf ports = KII_BUF_INIT(1 << 20);
	kii_autobuf labels = KII_BUF_INIT(1 << 20);
	kii_autobuf volumes = KII_BUF_INIT(1 << 20);

	(void)state;
	kii_buf_str(&args, "\"command\": [\"a\"");
	for (int i = 0; i < 512; i++)
		kii_buf_str(&args, ",\"a\"");
	kii_buf_str(&args, "]");
	kii_buf_str(&ports, "\"ports\": {\"1\": \"1\"");
	kii_buf_str(&labels, "\"labels\": {\"a\": \"\"");
	kii_buf_str(&volumes, "\"volumes\": {\"a\": \"/a\"");
	for (int i = 2; i <= 129; i++) {
		kii_buf_fmt(&ports, ",\"%d\": \"1\"", i);
		kii_buf_fmt(&labels, ",\"a%d\": \"\"", i);
		kii_buf_fmt(&volumes, ",\"a%d\": \"/a%d\"", i, i);
	}
	kii_buf_str(&ports, "}");
	kii_buf_str(&labels, "}");
	kii_buf_str(&volumes, "}");
	refused(args.data, "command", "must have 1 to 512 items");
	refused(ports.data, "ports", "must have at most 128 members");
	refused(labels.data, "labels", "must have at most 128 members");
	refused(volumes.data, "volumes", "must have at most 64 members");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_requirement_s_example_is_taken),
		cmocka_unit_test(every_member_reaches_the_engine),
		cmocka_unit_test(volumes_are_mounts),
		cmocka_unit_test(the_first_network_is_its_mode),
		cmocka_unit_test(the_program_s_members_reach_the_engine),
		cmocka_unit_test(limits_and_rights_reach_the_engine),
		cmocka_unit_test(words_choose),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(no_member_takes_what_is_nobody_s),
		cmocka_unit_test(what_is_missing_or_unknown_is_refused),
		cmocka_unit_test(injections_are_refused),
		cmocka_unit_test(images_are_names),
		cmocka_unit_test(bad_ports_are_refused),
		cmocka_unit_test(bad_volumes_are_refused),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(what_is_too_many_is_refused),
	};

	return cmocka_run_group_tests_name("container_request", tests, NULL, NULL);
}
