/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_limits.h"

#include <pthread.h>
#include <string.h>

#include "engine_call.h"
#include "engine_facts_in.h"
#include "io.h"
#include "json.h"

#define FRESH_MS 60000

static const char *const words[] = { "memory", "swap", "cpus", "cpu_shares", "cpuset", "pids" };

/* What Docker calls them in its info. */
static const struct { const char *member; unsigned bit; } members[] = {
	{ "MemoryLimit", KII_LIMIT_MEMORY },
	{ "SwapLimit", KII_LIMIT_SWAP },
	{ "CpuCfsQuota", KII_LIMIT_CPUS },
	{ "CPUShares", KII_LIMIT_CPU_SHARES },
	{ "CPUSet", KII_LIMIT_CPUSET },
	{ "PidsLimit", KII_LIMIT_PIDS },
};

/* What Podman's own info lists: with Docker's words it tells what the host has, not what it may. */
static const struct { const char *name; unsigned bits; } controllers[] = {
	{ "memory", KII_LIMIT_MEMORY | KII_LIMIT_SWAP },
	{ "cpu", KII_LIMIT_CPUS | KII_LIMIT_CPU_SHARES },
	{ "cpuset", KII_LIMIT_CPUSET },
	{ "pids", KII_LIMIT_PIDS },
};

static struct {
	pthread_mutex_t lock;
	int64_t until;           /* of kii_io_now; 0: nothing known */
	unsigned enforced;
} known = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *kii_limit_word(unsigned i)
{
	return i < KII_COUNT(words) ? words[i] : NULL;
}

unsigned kii_limits_of_info(const json_t *info)
{
	unsigned bits = 0;

	for (size_t i = 0; i < KII_COUNT(members); i++)
		if (json_is_true(json_object_get(info, members[i].member)))
			bits |= members[i].bit;
	return bits;
}

unsigned kii_limits_of_controllers(const json_t *list)
{
	unsigned bits = 0;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		for (size_t c = 0; c < KII_COUNT(controllers); c++)
			if (json_is_string(item)
				&& strcmp(json_string_value(item), controllers[c].name) == 0)
				bits |= controllers[c].bits;
	}
	return bits;
}

int kii_engine_libpod_info(struct kii_engine *e, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	c.plain = true;
	kii_call_path(&c, "/v4.0.0/libpod/info");
	return kii_call_json(e, &c, out, err);
}

int kii_engine_info(struct kii_engine *e, json_t **out, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("GET");

	kii_call_path(&c, "/info");
	return kii_call_json(e, &c, out, err);
}

int kii_engine_limits(struct kii_engine *e, unsigned *enforced, struct kii_error *err)
{
	kii_autojson *info = NULL;

	if (kii_engine_negotiate(e, err) != 0)
		return -1;
	if (!kii_engine_is_podman(e)) {
		if (kii_engine_info(e, &info, err) != 0)
			return -1;
		*enforced = kii_limits_of_info(info);
		return 0;
	}
	if (kii_engine_libpod_info(e, &info, err) != 0)
		return -1;
	*enforced = kii_limits_of_controllers(json_object_get(json_object_get(info, "host"),
		"cgroupControllers"));
	return 0;
}

static int learn(struct kii_engine *e, unsigned *enforced, struct kii_error *err)
{
	int rc = 0;

	/* Under the lock: whoever comes meanwhile waits for the one answer. */
	pthread_mutex_lock(&known.lock);
	if (kii_io_now() >= known.until) {
		rc = kii_engine_limits(e, &known.enforced, err);
		if (rc == 0)
			known.until = kii_io_now() + FRESH_MS;
	}
	*enforced = known.enforced;
	pthread_mutex_unlock(&known.lock);
	return rc;
}

int kii_limits_check(struct kii_engine *e, unsigned wanted, struct kii_error *err)
{
	unsigned enforced, dropped;
	char field[64];

	if (!wanted)
		return 0;
	if (learn(e, &enforced, err) != 0)
		return -1;
	dropped = wanted & ~enforced;
	for (unsigned i = 0; i < KII_COUNT(words); i++) {
		if (!(dropped & 1u << i))
			continue;
		snprintf(field, sizeof(field), "limits.%s", words[i]);
		return kii_error_field(err, field, "this engine would not enforce it: it has no "
			"cgroup for that");
	}
	return 0;
}

void kii_limits_forget(void)
{
	pthread_mutex_lock(&known.lock);
	known.until = 0;
	pthread_mutex_unlock(&known.lock);
}
