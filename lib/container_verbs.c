/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "container_verbs.h"

#include <pthread.h>
#include <string.h>

#include "container_make.h"

#define ID_LEN   64
#define KNOWN    1024
#define OWN_NAME "kiisrv-"   /* what the worker names begins with this */

/*
 * IDs of containers that are none of ours, which they never become: a look at the engine for each
 * verb would take as long as the verb.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char known[KNOWN][ID_LEN + 1];

static bool is_hex(const char *text)
{
	return *text && strspn(text, "0123456789abcdef") == strlen(text);
}

static char *place_of(const char *id)
{
	unsigned hash = 0;

	for (int i = 0; i < 8; i++)
		hash = hash * 31 + (unsigned char)id[i];
	return known[hash % KNOWN];
}

static bool is_known(const char *id)
{
	bool same;

	pthread_mutex_lock(&lock);
	same = strcmp(place_of(id), id) == 0;
	pthread_mutex_unlock(&lock);
	return same;
}

static void note(const char *id)
{
	pthread_mutex_lock(&lock);
	memcpy(place_of(id), id, ID_LEN + 1);
	pthread_mutex_unlock(&lock);
}

void kii_verb_known(const char *id)
{
	if (is_hex(id) && strlen(id) == ID_LEN)
		note(id);
}

/* May it be touched? A name that is not like ours is nobody's of ours. */
static int may(struct kii_engine *e, const char *id, struct kii_refusal *refusal,
	struct kii_error *err)
{
	struct kii_ops_facts facts;
	bool whole = is_hex(id) && strlen(id) == ID_LEN;
	bool own;

	if ((whole && is_known(id)) || (!is_hex(id) && strncmp(id, OWN_NAME, strlen(OWN_NAME))))
		return 0;
	if (kii_ops_facts(e, id, &facts, err))
		return -1;
	own = facts.own_job;
	if (!own && strlen(facts.id) == ID_LEN)
		note(facts.id);
	kii_ops_facts_release(&facts);
	if (!own)
		return 0;
	refusal->rule = "own_jobs";
	refusal->field[0] = '\0';
	snprintf(refusal->msg, sizeof(refusal->msg), "own_jobs: this container is one of kiisrv's "
		"own; its job can be cancelled");
	return -1;
}

/* For who has a port that it wants. */
static int explain_port(struct kii_engine *e, const char *id, struct kii_error *err)
{
	struct kii_ops_facts facts;
	struct kii_error ignored = { 0 };

	if (err->code != KII_ECONFLICT || strcmp(err->field, "ports") != 0 ||
	    kii_ops_facts(e, id, &facts, &ignored))
		return -1;
	kii_container_port_holder(e, facts.ports, facts.id, err);
	kii_ops_facts_release(&facts);
	return -1;
}

static bool judge_binds(const struct kii_conf *conf, const struct kii_ops_facts *facts,
	struct kii_refusal *refusal)
{
	const json_t *bind;
	size_t i;

	json_array_foreach(facts->binds, i, bind) {
		kii_autofree char *resolved = NULL;

		if (!kii_container_policy_bind(conf, json_string_value(bind), "volumes", &resolved,
				refusal))
			return false;
	}
	return true;
}

/* One that is gone, the engine will miss by itself. */
static int judge_volumes(struct kii_engine *e, const struct kii_conf *conf,
	const struct kii_ops_facts *facts, struct kii_refusal *refusal, struct kii_error *err)
{
	const json_t *name;
	size_t i;

	json_array_foreach(facts->volumes, i, name) {
		kii_autofree char *driver = NULL;
		kii_autojson *options = NULL;

		if (kii_ops_volume(e, json_string_value(name), &driver, &options, err)) {
			if (err->code != KII_ENOTFOUND)
				return -1;
			kii_error_clear(err);
		} else if (!kii_container_policy_options(conf, driver, options, "volumes",
				refusal)) {
			return -1;
		}
	}
	return 0;
}

/* Without roots nothing of the host is in a container that an operator has made. */
static int may_start(struct kii_engine *e, const struct kii_verb *verb,
	struct kii_refusal *refusal, struct kii_error *err)
{
	struct kii_ops_facts facts;
	int rc = 0;

	if (may(e, verb->id, refusal, err))
		return -1;
	if (!verb->conf->containers.bind_roots.n)
		return 0;
	if (kii_ops_facts(e, verb->id, &facts, err))
		return -1;
	if (json_object_get(facts.labels, KII_CONTAINER_BY) &&
	    (!judge_binds(verb->conf, &facts, refusal) ||
	     judge_volumes(e, verb->conf, &facts, refusal, err)))
		rc = -1;
	kii_ops_facts_release(&facts);
	return rc;
}

int kii_verb_start(struct kii_engine *e, const struct kii_verb *verb, struct kii_refusal *refusal,
	struct kii_error *err)
{
	if (may_start(e, verb, refusal, err))
		return -1;
	return kii_ops_start(e, verb->id, err) ? explain_port(e, verb->id, err) : 0;
}

int kii_verb_stop(struct kii_engine *e, const struct kii_verb *verb, struct kii_refusal *refusal,
	struct kii_error *err)
{
	return may(e, verb->id, refusal, err) ? -1 : kii_ops_stop(e, verb->id, verb->seconds, err);
}

int kii_verb_restart(struct kii_engine *e, const struct kii_verb *verb,
	struct kii_refusal *refusal, struct kii_error *err)
{
	if (may_start(e, verb, refusal, err))
		return -1;
	return kii_ops_restart(e, verb->id, verb->seconds, err) ? explain_port(e, verb->id, err)
		: 0;
}

int kii_verb_kill(struct kii_engine *e, const struct kii_verb *verb, struct kii_refusal *refusal,
	struct kii_error *err)
{
	if (may(e, verb->id, refusal, err))
		return -1;
	if (kii_ops_kill(e, verb->id, verb->signal, err) == 0)
		return 0;
	if (err->code == KII_ECONFLICT && strcmp(verb->signal, "KILL") == 0) {
		kii_error_clear(err);
		return 0;
	}
	return -1;
}

int kii_verb_remove(struct kii_engine *e, const struct kii_verb *verb, struct kii_refusal *refusal,
	struct kii_error *err)
{
	return may(e, verb->id, refusal, err) ? -1
		: kii_ops_remove(e, verb->id, verb->force, verb->volumes, err);
}
