/* SPDX-License-Identifier: MIT */
/*
 * engine_ops: what an operator does with containers, on either engine. Answers are JSON of our own
 * shape, with names in snake_case. The errors of engine.h; the words of EINVAL, ENOTFOUND and
 * ECONFLICT are ours, for clients, and `field` says what of a container's making is at fault.
 */
#ifndef KII_ENGINE_OPS_H
#define KII_ENGINE_OPS_H

#include "container_log.h"
#include "engine.h"

/* --- looking --- */

struct kii_ops_filter {
	bool all;                    /* those that do not run, too */
	const char *state;           /* "running", ...; NULL: any */
	const char *name;            /* a part of it; NULL: any */
	const char *label;           /* "name" or "name=value"; NULL: any */
};
/* Fails: EINVAL, field "state", "name" or "label". */
int kii_ops_filter_check(const struct kii_ops_filter *filter, struct kii_error *err)
	KII_MUST_CHECK;
/* Append a JSON array, a container an object. However many there are. */
int kii_ops_list(struct kii_engine *e, const struct kii_ops_filter *filter, struct kii_buf *out,
	struct kii_error *err) KII_MUST_CHECK;

/* Caller owns *out, which has "id", "name", "state", ... */
int kii_ops_inspect(struct kii_engine *e, const char *id, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;

/* What verbs need to know first. */
struct kii_ops_facts {
	char id[128];
	char name[160];
	enum kii_container_state state;
	bool paused;
	bool tty;                    /* its log is not in frames */
	bool podman;
	char api[16];                /* the version that the engine was asked in */
	bool own_job;             /* of one of kiisrv's own jobs: not to be touched */
	json_t *labels;              /* object; kii_ops_facts_release */
	json_t *ports;               /* that it wants or has of the host, as in kii_ops_inspect */
	json_t *binds;               /* array of texts: paths of the host */
	json_t *volumes;             /* array of texts: names of volumes */
};
int kii_ops_facts(struct kii_engine *e, const char *id, struct kii_ops_facts *out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_ops_facts_release(struct kii_ops_facts *facts);

/* One look; the CPU's share comes of two, up to two seconds apart. Not running: ECONFLICT. */
int kii_ops_stats(struct kii_engine *e, const char *id, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;
/* {"processes": [{"pid", "user", "time", "command"}]}. Not running: ECONFLICT. */
int kii_ops_top(struct kii_engine *e, const char *id, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * The engine's stats as ours; `before` is what the engine said before, for the CPU's share, or
 * NULL. NULL for a container that does not run.
 */
json_t *kii_ops_stats_json(const json_t *now, const json_t *before);

/*
 * Its log from `from` to its end as of now. `take` ends it by failing. Fails further: ECONFLICT (a
 * log that cannot be read).
 */
int kii_ops_log(struct kii_engine *e, const struct kii_ops_facts *facts,
	const struct kii_log_place *from, kii_log_take *take, void *arg, struct kii_error *err)
	KII_MUST_CHECK;
/* Where its last `n` entries begin. */
int kii_ops_log_tail(struct kii_engine *e, const struct kii_ops_facts *facts, int64_t n,
	struct kii_log_place *out, struct kii_error *err) KII_MUST_CHECK;

/* --- doing --- */

/*
 * Make a container of the engine's own JSON. *warnings (array, caller's) is what the engine says
 * of it. Fails further: ECONFLICT (field "name"), ENOTFOUND (field "image", "networks"), EINVAL.
 */
int kii_ops_create(struct kii_engine *e, const char *name, const json_t *body, char id[128],
	json_t **warnings, struct kii_error *err) KII_MUST_CHECK;
/* Running already is success. Fails further: ECONFLICT (field "ports"), EINVAL ("command", ...). */
int kii_ops_start(struct kii_engine *e, const char *id, struct kii_error *err) KII_MUST_CHECK;
/* `seconds` until KILL, -1: the container's own. Not running is success for stop. */
int kii_ops_stop(struct kii_engine *e, const char *id, int64_t seconds,
	struct kii_error *err) KII_MUST_CHECK;
int kii_ops_restart(struct kii_engine *e, const char *id, int64_t seconds,
	struct kii_error *err) KII_MUST_CHECK;
/* Not running: ECONFLICT. */
int kii_ops_kill(struct kii_engine *e, const char *id, const char *signal,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * Returns when it is gone, whoever removes it. `volumes`: those without a name, too. Running,
 * without `force`: ECONFLICT.
 */
int kii_ops_remove(struct kii_engine *e, const char *id, bool force, bool volumes,
	struct kii_error *err) KII_MUST_CHECK;
/* Remove all that carry this label, running or not. */
int kii_ops_remove_labelled(struct kii_engine *e, const char *name, const char *value,
	struct kii_error *err) KII_MUST_CHECK;
int kii_ops_connect(struct kii_engine *e, const char *network, const char *id,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * A volume's driver and options (object or NULL), caller's. Fails further: ENOTFOUND. Make one:
 * `driver` and `options` may be NULL.
 */
int kii_ops_volume(struct kii_engine *e, const char *name, char **driver, json_t **options,
	struct kii_error *err) KII_MUST_CHECK;
int kii_ops_volume_make(struct kii_engine *e, const char *name, const char *driver,
	const json_t *options, struct kii_error *err) KII_MUST_CHECK;

/* --- for the lib/engine_ops*.c files --- */

struct kii_call;
/* The failed call's error, in words for clients. Always -1. */
int kii_ops_explain(const struct kii_call *c, struct kii_error *err);
#define kii_ops_explain(...) kii_failed(kii_ops_explain(__VA_ARGS__))
/*
 * A container's state in Docker's words: "stopped" is what Podman says of one that has exited until
 * it has cleaned up behind it. NULL stays NULL.
 */
const char *kii_ops_state(const char *word);
/* A name that no container can have: ENOTFOUND. */
int kii_ops_check(const char *id, struct kii_error *err) KII_MUST_CHECK;
/* The call, explained. */
int kii_ops_run(struct kii_engine *e, struct kii_call *c, struct kii_error *err) KII_MUST_CHECK;
int kii_ops_json(struct kii_engine *e, struct kii_call *c, json_t **out,
	struct kii_error *err) KII_MUST_CHECK;
/* {"80/tcp": [{"HostIp", "HostPort"}]} as a list of ours. */
json_t *kii_ops_bindings_json(const json_t *bindings);

#endif
