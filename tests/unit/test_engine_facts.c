/* SPDX-License-Identifier: MIT */
/* What an engine tells of itself, and which limits it would drop; a scripted engine. */
#include <config.h>

#include "engine_facts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine_limits.h"
#include "fakeengine.h"
#include "io.h"
#include "json.h"
#include "testlib.h"

#define DOCKER_VERSION "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\"," \
	"\"MinAPIVersion\":\"1.12\",\"Components\":[{\"Name\":\"Engine\"}]}"
#define DOCKER_INFO "{\"ID\":\"x\",\"Driver\":\"overlay2\",\"CgroupDriver\":\"systemd\"," \
	"\"CgroupVersion\":\"2\",\"OperatingSystem\":\"Debian\",\"KernelVersion\":\"6.1\"," \
	"\"Architecture\":\"x86_64\",\"NCPU\":4,\"MemTotal\":1024,\"LiveRestoreEnabled\":true," \
	"\"MemoryLimit\":true,\"SwapLimit\":false,\"CpuCfsQuota\":true,\"CPUShares\":true," \
	"\"CPUSet\":true,\"PidsLimit\":true,\"SecurityOptions\":[\"name=seccomp\"]," \
	"\"Warnings\":[\"WARNING: No swap limit support\",7,\"\"]}"
#define PODMAN_VERSION "{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\"," \
	"\"Components\":[{\"Name\":\"Podman Engine\"}]}"
#define PODMAN_INFO "{\"Driver\":\"vfs\",\"Architecture\":\"arm64\",\"CgroupVersion\":\"1\"," \
	"\"MemoryLimit\":true,\"SwapLimit\":true,\"CpuCfsQuota\":true,\"CPUShares\":true," \
	"\"CPUSet\":true,\"PidsLimit\":true,\"Rootless\":true,\"Warnings\":null}"
#define LIBPOD(version, list) "{\"host\":{\"cgroupVersion\":\"" version "\"," \
	"\"cgroupControllers\":" list "}}"

static unsigned without(unsigned bits)
{
	return KII_LIMIT_ALL & ~bits;
}

static void docker_tells_all_of_itself(void **state)
{
	struct fake_pair *p = *state;
	struct kii_engine_facts f;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", DOCKER_VERSION);
	fake_reply(p->fake, 200, "", DOCKER_INFO);
	must(kii_engine_facts(p->engine, &f, &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "GET /_ping\nGET /version\nGET /v1.41/info\n");
	assert_false(f.podman || f.rootless);
	assert_true(f.live_restore);
	assert_string_equal(f.version, "20.10.24");
	assert_string_equal(f.api, "1.41");
	assert_string_equal(f.api_min, "1.12");
	assert_string_equal(f.api_max, "1.41");
	assert_int_equal(f.cgroup, 2);
	assert_string_equal(f.cgroup_driver, "systemd");
	assert_int_equal(f.limits, without(KII_LIMIT_SWAP));
	assert_string_equal(f.storage, "overlay2");
	assert_string_equal(f.os, "Debian");
	assert_string_equal(f.kernel, "6.1");
	assert_string_equal(f.arch, "amd64");
	assert_int_equal(f.cpus, 4);
	assert_int_equal(f.memory, 1024);
	assert_int_equal(json_array_size(f.warnings), 1);
	kii_engine_facts_release(&f);
}

/* Docker's words tell what the machine has; Podman's own, what a user without root may. */
static void podman_is_asked_for_its_own_word(void **state)
{
	struct fake_pair *p = *state;
	struct kii_engine_facts f;
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", PODMAN_VERSION);
	fake_reply(p->fake, 200, "", PODMAN_INFO);
	fake_reply(p->fake, 200, "", LIBPOD("v2", "[\"memory\",\"pids\",7]"));
	must(kii_engine_facts(p->engine, &f, &err));
	assert_true(f.podman && f.rootless);
	assert_string_equal(f.arch, "arm64");
	assert_string_equal(f.api_min, "");
	assert_int_equal(f.cgroup, 2);
	assert_int_equal(f.limits, KII_LIMIT_MEMORY | KII_LIMIT_SWAP | KII_LIMIT_PIDS);
	kii_engine_facts_release(&f);
}

static void half_an_answer_is_an_error(void **state)
{
	static const char *const scripts[][3] = {
		{ "{\"Version\":7}" },
		{ "[]" },
		{ PODMAN_VERSION, "no JSON" },
		{ PODMAN_VERSION, PODMAN_INFO, "no JSON" },
	};
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	struct kii_engine_facts f = { .cpus = 77 };

	for (size_t i = 0; i < KII_COUNT(scripts); i++) {
		fake_reset(p->fake);
		fake_ping(p->fake, "1.41", true);
		for (size_t n = 0; n < 3 && scripts[i][n]; n++)
			fake_reply(p->fake, 200, "", scripts[i][n]);
		must_fail(kii_engine_facts(p->engine, &f, &err), KII_EBROKEN);
	}
	fake_reset(p->fake);
	fake_ping(p->fake, "1.30", false);
	must_fail(kii_engine_facts(p->engine, &f, &err), KII_EREFUSED);
	assert_int_equal(f.cpus, 77);
}

static void what_is_not_told_is_empty(void **state)
{
	struct fake_pair *p = *state;
	struct kii_engine_facts f;
	struct kii_error err = { 0 };

	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", "{\"Version\":\"1\"}");
	fake_reply(p->fake, 200, "", "{\"CgroupVersion\":\"3\",\"Architecture\":5}");
	must(kii_engine_facts(p->engine, &f, &err));
	assert_int_equal(f.cgroup, 0);
	assert_int_equal(f.limits, 0);
	assert_string_equal(f.arch, "");
	assert_string_equal(f.storage, "");
	assert_int_equal(json_array_size(f.warnings), 0);
	kii_engine_facts_release(&f);
}

/* --- limits --- */

static void a_limit_that_would_be_dropped_is_refused_by_name(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	kii_limits_forget();
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 200, "", DOCKER_INFO);
	must(kii_limits_check(p->engine, KII_LIMIT_MEMORY | KII_LIMIT_PIDS, &err));
	/* Asked once; what was learnt holds for a minute. */
	if (kii_limits_check(p->engine, KII_LIMIT_MEMORY | KII_LIMIT_SWAP, &err) == 0)
		fail_msg("swap is not enforced");
	assert_int_equal(err.code, KII_EINVAL);
	assert_string_equal(err.field, "limits.swap");
	kii_limits_forget();
}

static void a_podman_without_cgroups_enforces_nothing(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	kii_limits_forget();
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", LIBPOD("v1", "[]"));
	for (unsigned i = 0; kii_limit_word(i); i++) {
		kii_autofree char *field = kii_xfmt("limits.%s", kii_limit_word(i));

		assert_int_equal(kii_limits_check(p->engine, 1u << i, &err), -1);
		assert_string_equal(err.field, field);
		kii_error_clear(&err);
		err.field[0] = '\0';
	}
	assert_null(kii_limit_word(6));
	assert_null(kii_limit_word(99));
	kii_limits_forget();
}

static void who_wants_no_limit_asks_nobody(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };
	kii_autofree char *seen = NULL;

	kii_limits_forget();
	must(kii_limits_check(p->engine, 0, &err));
	seen = fake_seen(p->fake);
	assert_string_equal(seen, "");
}

static void an_engine_that_fails_is_asked_again(void **state)
{
	struct fake_pair *p = *state;
	struct kii_error err = { 0 };

	kii_limits_forget();
	fake_ping(p->fake, "1.41", false);
	fake_reply(p->fake, 500, "", "{}");
	must_fail(kii_limits_check(p->engine, KII_LIMIT_PIDS, &err), KII_EBROKEN);
	fake_reply(p->fake, 200, "", DOCKER_INFO);
	must(kii_limits_check(p->engine, KII_LIMIT_PIDS, &err));
	kii_limits_forget();
	fake_reset(p->fake);
	must_fail(kii_limits_check(p->engine, KII_LIMIT_PIDS, &err), KII_EDOWN);
	fake_reset(p->fake);
	fake_ping(p->fake, "1.41", true);
	fake_reply(p->fake, 200, "", "no JSON");
	must_fail(kii_limits_check(p->engine, KII_LIMIT_PIDS, &err), KII_EBROKEN);
}

/* --- architectures --- */

static void machines_are_named_as_images_name_them(void **state)
{
	(void)state;
	assert_string_equal(kii_arch_name("x86_64"), "amd64");
	assert_string_equal(kii_arch_name("aarch64"), "arm64");
	assert_string_equal(kii_arch_name("i686"), "386");
	assert_string_equal(kii_arch_name("riscv64"), "riscv64");
	assert_string_equal(kii_arch_name("amd64"), "amd64");
}

static void only_emulation_that_works_in_containers_counts(void **state)
{
	static const struct { const char *name, *text; } entries[] = {
		{ "qemu-aarch64", "enabled\ninterpreter /usr/bin/q\nflags: OCF\noffset 0\n" },
		{ "qemu-arm", "enabled\ninterpreter /usr/bin/q\nflags: OC\nmagic F\n" },
		{ "qemu-s390x", "disabled\ninterpreter /usr/bin/q\nflags: F\n" },
		{ "qemu-ppc64le", "enabled\ninterpreter /q\n" },
		{ "qemu-i386", "enabled\ninterpreter /q\nflags: F\n" },
		{ "qemu-i486", "enabled\ninterpreter /q\nflags: F\n" },
		{ "python3", "enabled\ninterpreter /q\nflags: F\n" },
		{ "status", "enabled\n" },
	};
	kii_autofree char *dir = test_dir_new();
	kii_autofree char *none = kii_xfmt("%s/none", dir);
	kii_autofree char *folder = kii_xfmt("%s/qemu-riscv64", dir);
	kii_autobuf text = KII_BUF_INIT(1000);
	struct kii_error err = { 0 };
	json_t *got;

	(void)state;
	for (size_t i = 0; i < KII_COUNT(entries); i++) {
		kii_autofree char *path = kii_xfmt("%s/%s", dir, entries[i].name);

		must(kii_io_publish(path, entries[i].text, strlen(entries[i].text), 0600, &err));
	}
	assert_int_equal(mkdir(folder, 0700), 0);
	got = kii_arch_emulated(dir);
	must(kii_json_dump(got, 0, &text, &err));
	assert_string_equal(text.data, "[\"386\",\"arm64\"]");
	json_decref(got);
	got = kii_arch_emulated(none);
	assert_int_equal(json_array_size(got), 0);
	json_decref(got);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(docker_tells_all_of_itself),
		FAKE_TEST(podman_is_asked_for_its_own_word),
		FAKE_TEST(half_an_answer_is_an_error),
		FAKE_TEST(what_is_not_told_is_empty),
		FAKE_TEST(a_limit_that_would_be_dropped_is_refused_by_name),
		FAKE_TEST(a_podman_without_cgroups_enforces_nothing),
		FAKE_TEST(who_wants_no_limit_asks_nobody),
		FAKE_TEST(an_engine_that_fails_is_asked_again),
		cmocka_unit_test(machines_are_named_as_images_name_them),
		cmocka_unit_test(only_emulation_that_works_in_containers_counts),
	};

	return cmocka_run_group_tests_name("engine_facts", tests, NULL, NULL);
}
