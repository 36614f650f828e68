/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_facts.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "engine_facts_in.h"
#include "io.h"
#include "json.h"

#define ENTRY_MAX 4096

/* Machine, as the kernel and qemu have it, and as images do. */
static const struct { const char *machine, *arch; } arches[] = {
	{ "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" }, { "armv6l", "arm" },
	{ "i386", "386" }, { "i486", "386" }, { "i586", "386" }, { "i686", "386" },
	{ "mips64el", "mips64le" }, { "mipsel", "mipsle" }, { "loongarch64", "loong64" },
};

const char *kii_arch_name(const char *machine)
{
	for (size_t i = 0; i < KII_COUNT(arches); i++)
		if (strcmp(arches[i].machine, machine) == 0)
			return arches[i].arch;
	return machine;
}

/* "1", "v2"; 0 for what is neither. */
static int cgroup_version(const char *text)
{
	if (text && *text == 'v')
		text++;
	if (!text || (strcmp(text, "1") != 0 && strcmp(text, "2") != 0))
		return 0;
	return *text - '0';
}

static void take_info(struct kii_engine_facts *f, const json_t *info)
{
	const char *arch = kii_json_str(info, "Architecture");
	const json_t *text;
	size_t i;

	f->cgroup = cgroup_version(kii_json_str(info, "CgroupVersion"));
	kii_engine_copy(f->cgroup_driver, sizeof(f->cgroup_driver),
		kii_json_str(info, "CgroupDriver"));
	kii_engine_copy(f->storage, sizeof(f->storage), kii_json_str(info, "Driver"));
	kii_engine_copy(f->os, sizeof(f->os), kii_json_str(info, "OperatingSystem"));
	kii_engine_copy(f->kernel, sizeof(f->kernel), kii_json_str(info, "KernelVersion"));
	kii_engine_copy(f->arch, sizeof(f->arch), arch ? kii_arch_name(arch) : NULL);
	f->cpus = kii_json_int(info, "NCPU", 0);
	f->memory = kii_json_int(info, "MemTotal", 0);
	f->limits = kii_limits_of_info(info);
	json_array_foreach(json_object_get(info, "Warnings"), i, text) {
		char line[256];

		kii_engine_copy(line, sizeof(line), json_string_value(text));
		if (*line)
			json_array_append_new(f->warnings, json_string(line));
	}
}

/* What Podman knows better than its Docker side tells: which limits it may set. */
static int take_libpod(struct kii_engine *e, struct kii_engine_facts *f, struct kii_error *err)
{
	kii_autojson *info = NULL;
	const json_t *host;

	if (kii_engine_libpod_info(e, &info, err) != 0)
		return -1;
	host = json_object_get(info, "host");
	f->limits &= kii_limits_of_controllers(json_object_get(host, "cgroupControllers"));
	f->cgroup = cgroup_version(kii_json_str(host, "cgroupVersion"));
	return 0;
}

static int take_version(struct kii_engine *e, struct kii_engine_facts *f, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");
	kii_autojson *version = NULL;

	c.plain = true;
	kii_call_path(&c, "/version");
	if (kii_call_json(e, &c, &version, err) != 0)
		return -1;
	if (!kii_json_str(version, "Version"))
		return kii_engine_odd("Version", err);
	kii_engine_copy(f->version, sizeof(f->version), kii_json_str(version, "Version"));
	kii_engine_copy(f->api_min, sizeof(f->api_min), kii_json_str(version, "MinAPIVersion"));
	kii_engine_copy(f->api_max, sizeof(f->api_max), kii_json_str(version, "ApiVersion"));
	return 0;
}

static int take_all(struct kii_engine *e, struct kii_engine_facts *f, struct kii_error *err)
{
	kii_autojson *info = NULL;

	if (kii_engine_negotiate(e, err) != 0)
		return -1;
	f->podman = kii_engine_is_podman(e);
	kii_engine_copy(f->api, sizeof(f->api), kii_engine_api(e));
	if (take_version(e, f, err) != 0 || kii_engine_info(e, &info, err) != 0)
		return -1;
	f->rootless = kii_engine_info_rootless(info);
	f->live_restore = json_is_true(json_object_get(info, "LiveRestoreEnabled"));
	take_info(f, info);
	return f->podman ? take_libpod(e, f, err) : 0;
}

int kii_engine_facts(struct kii_engine *e, struct kii_engine_facts *out, struct kii_error *err)
{
	struct kii_engine_facts facts = { .warnings = json_array() };

	if (take_all(e, &facts, err) != 0) {
		kii_engine_facts_release(&facts);
		return -1;
	}
	*out = facts;
	return 0;
}

void kii_engine_facts_release(struct kii_engine_facts *facts)
{
	json_decref(facts->warnings);
	facts->warnings = NULL;
}

/* --- binfmt_misc --- */

/* Is the entry enabled, and does its interpreter work in containers, which do not have it? */
static bool works_in_containers(const char *dir, const char *name)
{
	kii_autofree char *path = kii_xfmt("%s/%s", dir, name);
	kii_autobuf text = KII_BUF_INIT(ENTRY_MAX);
	struct kii_error ignored = { 0 };
	const char *flags;

	if (kii_io_read(path, &text, &ignored) != 0 || strncmp(text.data, "enabled\n", 8) != 0)
		return false;
	flags = strstr(text.data, "\nflags:");
	return flags && memchr(flags + 1, 'F', strcspn(flags + 1, "\n"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *kii_arch_emulated(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	const char *found[64];
	json_t *out = json_array();
	char *names[64];
	size_t n = 0;

	while (d && (entry = readdir(d)) && n < KII_COUNT(names)) {
		if (strncmp(entry->d_name, "qemu-", 5) != 0
			|| !works_in_containers(dir, entry->d_name))
			continue;
		names[n] = kii_xstrdup(entry->d_name + 5);
		found[n] = kii_arch_name(names[n]);
		n++;
	}
	if (d)
		closedir(d);
	qsort(found, n, sizeof(found[0]), by_name);
	for (size_t i = 0; i < n; i++)
		if (!i || strcmp(found[i], found[i - 1]) != 0)
			json_array_append_new(out, json_string(found[i]));
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	return out;
}
