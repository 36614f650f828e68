/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_spec.h"

#include <string.h>

#include "engine_call.h"
#include "json.h"

/* No rotation below 1 GiB: it would move the offsets that a log goes on at. "-1" is refused. */
#define LOG_SIZE "1g"

/* Sets a member and gives `value` away; false (and nothing leaks) where it is NULL: bad UTF-8. */
static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static bool put_text(json_t *object, const char *name, const char *text)
{
	return !text || put(object, name, json_string(text));
}

static bool put_list(json_t *object, const char *name, const char *const *texts)
{
	json_t *list = texts ? json_array() : NULL;
	bool good = true;

	if (!texts)
		return true;
	for (; *texts; texts++)
		good = json_array_append_new(list, json_string(*texts)) == 0 && good;
	return put(object, name, list) && good;
}

json_t *kii_engine_labels_json(const struct kii_container_spec *spec)
{
	json_t *labels = json_object();
	bool good = true;

	for (size_t i = 0; i < spec->n_labels; i++)
		good = put_text(labels, spec->labels[i].name, spec->labels[i].value) && good;
	if (good)
		return labels;
	json_decref(labels);
	return NULL;
}

/*
 * A tmpfs goes by HostConfig.Tmpfs: as a Mount, Docker makes it noexec and Podman does not. A
 * build runs programs in it.
 */
static json_t *tmpfs_text(const struct kii_mount *m)
{
	kii_autobuf text = KII_BUF_INIT(256);

	kii_buf_fmt(&text, "%s,exec,nosuid,nodev,mode=1777", m->read_only ? "ro" : "rw");
	if (m->size > 0)
		kii_buf_fmt(&text, ",size=%lld", (long long)m->size);
	return json_string(text.data);
}

static json_t *mount_json(const struct kii_mount *m, json_t *labels)
{
	json_t *j = json_pack("{s:s, s:s, s:b}", "Type", m->volume ? "volume" : "bind",
		"Target", m->path, "ReadOnly", (int)m->read_only);
	bool good = j != NULL;

	if (m->volume) {
		good = good && put(j, "VolumeOptions", json_pack("{s:O}", "Labels", labels));
		good = good && (!m->volume[0] || put_text(j, "Source", m->volume));
	} else {
		good = good && put_text(j, "Source", m->host);
	}
	if (good)
		return j;
	json_decref(j);
	return NULL;
}

static bool put_mounts(json_t *host, const struct kii_container_spec *spec, json_t *labels)
{
	json_t *mounts = json_array();
	json_t *tmpfs = json_object();
	bool good = true;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct kii_mount *m = &spec->mounts[i];

		if (m->volume || m->host)
			good = json_array_append_new(mounts, mount_json(m, labels)) == 0 && good;
		else
			good = put(tmpfs, m->path, tmpfs_text(m)) && good;
	}
	good = put(host, "Mounts", mounts) && good;
	return put(host, "Tmpfs", tmpfs) && good;
}

static bool put_limits(json_t *host, const struct kii_container_spec *spec)
{
	bool good = true;

	if (spec->memory > 0) {
		good = put(host, "Memory", json_integer(spec->memory)) && good;
		good = put(host, "MemorySwap", json_integer(spec->memory)) && good;
	}
	if (spec->cpus > 0)
		good = put(host, "NanoCpus", json_integer((json_int_t)(spec->cpus * 1e9))) && good;
	if (spec->pids > 0)
		good = put(host, "PidsLimit", json_integer(spec->pids)) && good;
	return good;
}

/* What every container has, whatever it is for. */
static json_t *host_json(const struct kii_container_spec *spec, json_t *labels)
{
	json_t *host = json_pack(
		"{s:s, s:b, s:b, s:b, s:b, s:[s], s:[s], s:{s:s}, s:{s:s, s:{s:s, s:s}}}",
		"NetworkMode", spec->network ? "default" : "none",
		"ReadonlyRootfs", 1, "Init", 1, "AutoRemove", 0, "Privileged", 0,
		"CapDrop", "ALL",
		"SecurityOpt", "no-new-privileges",
		"RestartPolicy", "Name", "no",
		"LogConfig", "Type", "json-file", "Config", "max-size", LOG_SIZE, "max-file", "1");

	if (host && put_limits(host, spec) && put_mounts(host, spec, labels))
		return host;
	json_decref(host);
	return NULL;
}

static int check_mount(const struct kii_mount *m, struct kii_error *err)
{
	if (kii_engine_name(KII_NAME_PATH, "mount.path", m->path, err))
		return -1;
	if (m->volume && m->volume[0])
		return kii_engine_name(KII_NAME_PLAIN, "mount.volume", m->volume, err);
	return m->host ? kii_engine_name(KII_NAME_PATH, "mount.host", m->host, err) : 0;
}

static int check(const struct kii_container_spec *spec, struct kii_error *err)
{
	if (kii_engine_name(KII_NAME_PLAIN, "name", spec->name, err)
			|| kii_engine_name(KII_NAME_IMAGE, "image", spec->image, err))
		return -1;
	if (spec->workdir && kii_engine_name(KII_NAME_PATH, "workdir", spec->workdir, err))
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (check_mount(&spec->mounts[i], err))
			return kii_error_wrap(err, "mount %zu", i);
	}
	return 0;
}

int kii_engine_spec_json(const struct kii_container_spec *spec, json_t **out,
	struct kii_error *err)
{
	kii_autojson *labels = kii_engine_labels_json(spec);
	kii_autojson *j = json_object();
	bool good = labels != NULL;

	if (check(spec, err))
		return -1;
	good = good && put_text(j, "Image", spec->image) && put_list(j, "Cmd", spec->cmd)
		&& put_list(j, "Entrypoint", spec->entrypoint)
		&& put_list(j, "Env", spec->env) && put_text(j, "User", spec->user)
		&& put_text(j, "WorkingDir", spec->workdir)
		&& put(j, "Labels", json_incref(labels))
		/* Beside NetworkMode none it saves 80 ms of the start. */
		&& put(j, "NetworkDisabled", json_boolean(!spec->network))
		&& put(j, "HostConfig", host_json(spec, labels));
	if (!good)
		return kii_error_field(err, "container", "a text that is no UTF-8");
	*out = kii_steal(&j);
	return 0;
}
