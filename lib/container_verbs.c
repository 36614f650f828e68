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
 * verb would take as long as the verb. Those that were made here were made by our configuration.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known {
	char id[ID_LEN + 1];
	bool made;
} known[KNOWN];

/* Could an engine take it for the beginning of an ID? SQL's LIKE has a mind of '_' and case. */
static bool may_be_id(const char *text)
{
	return strspn(text, "0123456789abcdefABCDEF_") == strlen(text);
}

static bool is_id(const char *text)
{
	return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

static struct known *place_of(const char *id)
{
	unsigned hash = 0;

	for (int i = 0; i < 8; i++)
		hash = hash * 31 + (unsigned char)id[i];
	return &known[hash % KNOWN];
}

static bool is_known(const char *id, bool made)
{
	const struct known *place;
	bool same;

	if (!is_id(id))
		return false;
	pthread_mutex_lock(&lock);
	place = place_of(id);
	same = strcmp(place->id, id) == 0 && (!made || place->made);
	pthread_mutex_unlock(&lock);
	return same;
}

static void note(const char *id, bool made)
{
	struct known *place;

	if (!is_id(id))
		return;
	pthread_mutex_lock(&lock);
	place = place_of(id);
	place->made = made || (place->made && strcmp(place->id, id) == 0);
	memcpy(place->id, id, ID_LEN + 1);
	pthread_mutex_unlock(&lock);
}

void kii_verb_known(const char *id)
{
	note(id, true);
}

static bool is_own(const struct kii_ops_facts *facts, struct kii_refusal *refusal)
{
	if (!facts->own_job) {
		note(facts->id, false);
		return false;
	}
	refusal->rule = "own_jobs";
	refusal->field[0] = '\0';
	snprintf(refusal->msg, sizeof(refusal->msg), "own_jobs: this container is one of kiisrv's "
		"own; its job can be cancelled");
	return true;
}

/* May it be touched? A name that is not like ours is nobody's of ours. */
static int may(struct kii_engine *e, const char *id, struct kii_refusal *refusal,
	struct kii_error *err)
{
	struct kii_ops_facts facts;
	bool own;

	if (is_known(id, false) || (!may_be_id(id) && strncmp(id, OWN_NAME, strlen(OWN_NAME)) != 0))
		return 0;
	if (kii_ops_facts(e, id, &facts, err))
		return -1;
	own = is_own(&facts, refusal);
	kii_ops_facts_release(&facts);
	return own ? -1 : 0;
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

/* What was made here, by this very configuration without roots, has nothing of the host in it. */
static int may_start(struct kii_engine *e, const struct kii_verb *verb,
	struct kii_refusal *refusal, struct kii_error *err)
{
	struct kii_ops_facts facts;
	int rc = 0;

	if (!verb->conf->containers.bind_roots.n && is_known(verb->id, true))
		return 0;
	if (kii_ops_facts(e, verb->id, &facts, err))
		return -1;
	if (is_own(&facts, refusal) || (json_object_get(facts.labels, KII_CONTAINER_BY) &&
	    (!judge_binds(verb->conf, &facts, refusal) ||
	     judge_volumes(e, verb->conf, &facts, refusal, err))))
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
