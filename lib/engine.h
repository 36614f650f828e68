/* SPDX-License-Identifier: MIT */
/*
 * engine: the Docker Engine API over a Unix socket or TCP+TLS, as Docker and Podman serve it. One
 * handle per thread, not thread-safe; a program that uses TLS ignores SIGPIPE. The engine is
 * trusted but bounded: every answer has a cap; container output is hostile. Every call fails with
 * one of: ENOTFOUND, ECONFLICT, EREFUSED (4xx, the engine's message in `msg`), EDOWN, ETIMEOUT,
 * EBROKEN (or 5xx), EINVAL and ETOOBIG for what cannot be asked, EIO where curl or the machine
 * fails; further codes are named at the call.
 */
#ifndef KII_ENGINE_H
#define KII_ENGINE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "buf.h"

struct kii_engine;

struct kii_engine_opts {
	const char *address;     /* "unix:///run/docker.sock" or "tcp://host:port" */
	bool tls;                /* tcp only: with ca.pem, cert.pem, key.pem of cert_path */
	const char *cert_path;
	int64_t timeout_ms;      /* for calls that do not stream */
};

/* Options are copied. No connection is made yet. Fails: EINVAL for an address that is none. */
int kii_engine_new(const struct kii_engine_opts *opts, struct kii_engine **out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_engine_free(struct kii_engine *e);

/*
 * When *stop becomes true, the running call ends within 100 ms with ETIMEOUT. Borrowed; NULL for
 * none.
 */
void kii_engine_stop_flag(struct kii_engine *e, const atomic_bool *stop);

/* What the engine is; negotiated again after a reconnect. */
struct kii_engine_about {
	bool podman;
	char version[64];        /* "20.10.24" */
	char api[16];            /* the version that calls use: "1.41" */
	bool live_restore;
	bool rootless;
	char id[128];            /* of the daemon's run or host, "" where it has none */
};
int kii_engine_ping(struct kii_engine *e, struct kii_error *err) KII_MUST_CHECK;
int kii_engine_about(struct kii_engine *e, struct kii_engine_about *out,
	struct kii_error *err) KII_MUST_CHECK;
/* What it has for the time of day: ms since 1970. */
int kii_engine_clock(struct kii_engine *e, int64_t *ms, struct kii_error *err) KII_MUST_CHECK;

/* --- images --- */
struct kii_image {
	char id[128];            /* "sha256:..." */
	char *name;              /* "kiisrv-controller-057:latest" */
	int64_t size;
	int64_t created;         /* seconds since 1970 */
	char *user;              /* the image's USER, "" for root */
};
/*
 * All tagged images whose repository (last path part, registry and "localhost/" taken off) begins
 * with `prefix`, one entry a tag, by name. Of several of one name the one without a registry or
 * folder counts, then localhost/'s, then the first by the whole name. Caller frees with
 * kii_images_free.
 */
int kii_engine_images(struct kii_engine *e, const char *prefix, struct kii_image **out, size_t *n,
	struct kii_error *err) KII_MUST_CHECK;
void kii_images_free(struct kii_image *images, size_t n);
int kii_engine_image_inspect(struct kii_engine *e, const char *ref, struct kii_image *out,
	struct kii_error *err) KII_MUST_CHECK;
void kii_image_release(struct kii_image *image);

/* --- containers --- */
struct kii_pair { const char *name, *value; };
struct kii_mount {
	/*
	 * A named volume (made with the container's labels where it is missing), "" for one
	 * without a name that goes with the container, or NULL.
	 */
	const char *volume;
	const char *host;        /* a host path to bind, or NULL; both NULL: a tmpfs */
	const char *path;        /* inside */
	bool read_only;
	int64_t size;            /* tmpfs: bytes; 0: half the memory */
};
/* What to run. All borrowed; zero means the default of a build container (see below). */
struct kii_container_spec {
	const char *name;
	const char *image;       /* the image's ID */
	const char *const *entrypoint;   /* NULL-terminated, or NULL: the image's */
	const char *const *cmd;  /* likewise */
	const char *const *env;  /* NULL-terminated "NAME=value", or NULL */
	const char *user;        /* NULL: the image's */
	const char *workdir;
	const struct kii_mount *mounts;
	size_t n_mounts;
	const struct kii_pair *labels;
	size_t n_labels;
	int64_t memory;          /* bytes, swap included; 0: no limit */
	double cpus;
	int64_t pids;
	bool network;            /* false: none, and NetworkDisabled */
	const char *network_name;        /* where there is one; NULL: the engine's default */
	/*
	 * Always: all capabilities dropped, no-new-privileges, read-only root, an init, json-file
	 * log without rotation below 1 GiB, no restart policy, never AutoRemove.
	 */
};
/* Make it; `id` gets 64 hex digits. A container of that name that is there already: ECONFLICT. */
int kii_engine_create(struct kii_engine *e, const struct kii_container_spec *spec, char id[128],
	struct kii_error *err) KII_MUST_CHECK;
/*
 * Already running is success. A program that does not exist is no failure of the start: the init
 * starts, and the container ends with 127.
 */
int kii_engine_start(struct kii_engine *e, const char *id, struct kii_error *err) KII_MUST_CHECK;
/* Wait until it runs no more; `limit_ms` 0 for ever. Ends with ETIMEOUT. */
int kii_engine_wait(struct kii_engine *e, const char *id, int64_t limit_ms, int *exit_code,
	struct kii_error *err) KII_MUST_CHECK;
/* `signal` such as "TERM", "KILL". Not running: ECONFLICT. */
int kii_engine_kill(struct kii_engine *e, const char *id, const char *signal,
	struct kii_error *err) KII_MUST_CHECK;
/* Remove with force and anonymous volumes; a missing one is success; returns when it is gone. */
int kii_engine_remove(struct kii_engine *e, const char *id, struct kii_error *err) KII_MUST_CHECK;
/* Remove a named volume; a missing one is success. */
int kii_engine_volume_remove(struct kii_engine *e, const char *name,
	struct kii_error *err) KII_MUST_CHECK;

enum kii_container_state {
	KII_CONTAINER_CREATED,
	KII_CONTAINER_RUNNING,   /* paused, restarting too */
	KII_CONTAINER_EXITED,    /* dead too */
};
#define KII_MARK 96
struct kii_container {
	char id[128];
	char name[160];          /* without the leading '/' */
	enum kii_container_state state;
	int exit_code;
	bool oom;                /* Podman does not notice on cgroups of version 1 */
	int64_t created_ms;      /* since 1970 */
	int64_t started_ms;      /* 0: never */
	int64_t finished_ms;
	char mark[KII_MARK];     /* kii_build_spec's, of whose steps it is; "": it has none */
	json_t *labels;          /* object of strings */
};
/* Fails further: ENOTFOUND; EBROKEN with this detail: a Podman that was killed lost its storage. */
#define KII_LOST_STORAGE 1
int kii_engine_inspect(struct kii_engine *e, const char *id, struct kii_container *out,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * All (running or not) that carry label `name`=`value`, or, with NULL, any. Exit codes, times and
 * marks are not filled in.
 */
int kii_engine_list(struct kii_engine *e, const char *label, const char *value,
	struct kii_container **out, size_t *n, struct kii_error *err) KII_MUST_CHECK;
void kii_container_release(struct kii_container *c);
void kii_containers_free(struct kii_container *c, size_t n);
/* Names of all volumes with that label; each and the array are the caller's (kii_names_free). */
int kii_engine_volumes(struct kii_engine *e, const char *label, const char *value, char ***out,
	size_t *n, struct kii_error *err) KII_MUST_CHECK;
void kii_names_free(char **names, size_t n);
/* The process list as text, a process a line, at most 16 KiB. */
int kii_engine_top(struct kii_engine *e, const char *id, struct kii_buf *out,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Payload of the log (both streams in the order of the engine), from its very beginning, piece by
 * piece as it comes; with `follow` until the container ends. `take` returns false to end early
 * (then ETIMEOUT). `tick` is called about every 100 ms while nothing comes and may end it
 * likewise; NULL for none. A log that was followed to its end may lack the end on Docker: read it
 * once more without `follow`. On Podman, whose own follow loses lines in the middle, it is read
 * again and again instead: complete, but up to half a second late.
 */
typedef bool kii_engine_take(void *arg, int stream, const char *data, size_t len);
typedef bool kii_engine_tick(void *arg);
int kii_engine_logs(struct kii_engine *e, const char *id, bool follow, kii_engine_take *take,
	kii_engine_tick *tick, void *arg, struct kii_error *err) KII_MUST_CHECK;

/* --- archives --- */
struct kii_file { const char *name; const void *data; size_t len; unsigned mode; };
/*
 * Put files under `path` (a folder that exists inside) as a tar of `uid`:`gid`, with `dir` (or
 * NULL) made first.
 */
int kii_engine_put(struct kii_engine *e, const char *id, const char *path, const char *dir,
	const struct kii_file *files, size_t n, unsigned uid, unsigned gid,
	struct kii_error *err) KII_MUST_CHECK;
/*
 * Take exactly one regular file named `name` directly in folder `path` of the container and write
 * it to `fd`. Fails further with: ENOTFOUND (no such entry), ETOOBIG (more than `cap` bytes),
 * EINVAL (a link, folder or device; a second entry), EIO (writing).
 */
int kii_engine_get(struct kii_engine *e, const char *id, const char *path, const char *name,
	uint64_t cap, int fd, uint64_t *size, struct kii_error *err) KII_MUST_CHECK;

/* --- images of a registry --- */

/* Why a registry's image did not come, or did not go. */
enum kii_registry {
	KII_REGISTRY_REFUSED,     /* none of the others */
	KII_REGISTRY_DENIED,      /* no or wrong credentials, or they may not */
	KII_REGISTRY_NOT_FOUND,   /* no such image there; push: none here */
	KII_REGISTRY_DOWN,        /* the engine cannot reach it */
};

/* How far a transfer is. Sizes are what the engine has told so far; it does not tell all. */
struct kii_transfer_now {
	size_t layers, done;
	int64_t bytes, total;
};
/*
 * A line of the engine's, without line end, or NULL where only the numbers have moved. False ends
 * the transfer (ETIMEOUT).
 */
typedef bool kii_transfer_say(void *arg, const char *line, const struct kii_transfer_now *now);

struct kii_transfer {
	const char *image;        /* in its whole form (lib/image_ref.h): with a tag or digest */
	const char *auth;         /* JSON of the credentials (lib/registry_auth.h), or NULL */
	kii_transfer_say *say;
	kii_engine_tick *tick;    /* while nothing comes; NULL for none */
	void *arg;
	enum kii_registry why;    /* set where the call fails with EREFUSED */
};
/*
 * Bring an image from its registry, or to it, however long that takes. Fails further with EREFUSED
 * where the engine works and the transfer does not: `why`, and the engine's message in `msg`.
 */
int kii_engine_pull(struct kii_engine *e, struct kii_transfer *t, struct kii_error *err)
	KII_MUST_CHECK;
int kii_engine_push(struct kii_engine *e, struct kii_transfer *t, struct kii_error *err)
	KII_MUST_CHECK;

/* --- building images --- */
struct kii_context;              /* lib/context.h */

/* What a build is at. Podman counts the steps of each stage by themselves. */
struct kii_build_step {
	unsigned step, steps;    /* "Step 3/12"; 0 before the first */
	unsigned stage, stages;  /* 1 of 1 where the engine counts through all of them */
	char text[160];          /* the instruction, cut; its control bytes are '?' */
};
/* A step begins. `arg` is the sink's. */
typedef void kii_engine_step(void *arg, const struct kii_build_step *step);
#define KII_MADE_DIGITS 11
/*
 * There is an image of a step's, made or found again: at least KII_MADE_DIGITS of its ID's digits.
 * What a step prints may look the same.
 */
typedef void kii_engine_made(void *arg, const char *id);

struct kii_build_result {
	char image[128];             /* the image's ID, "" until it is built */
	struct kii_build_step last;  /* the last step that began: the one that failed */
	int exit_code;               /* of the command that failed it; -1: not told */
};

struct kii_build_spec {
	const char *name;        /* what the image is called then, with its tag; NULL: nothing */
	/* The context: `name` is a path below its folder; one is "Dockerfile". */
	const struct kii_file *files;
	size_t n_files;
	/* Or this, in place of files; the build reads it to its end. Its Dockerfile is built. */
	struct kii_context *context;
	const char *target;      /* the stage to build; NULL: the last */
	const struct kii_pair *args;
	size_t n_args;
	const struct kii_pair *labels;   /* of the image */
	size_t n_labels;
	bool no_cache;
	bool pull;               /* ask the registry for a newer base image */
	int64_t memory;          /* of each step, bytes, swap included; 0: no limit */
	double cpus;             /* 0: no limit */
	/*
	 * NULL: the engine's own way (Podman's is the host's network!); "none"; "default": a
	 * network of the build's own; else a network's name (Docker only).
	 */
	const char *network;
	/*
	 * Podman goes on with a step whose build was given up. With the ID of a running container
	 * here the steps run in its PID namespace, and end at the latest when it is removed. Docker
	 * needs none and ignores it.
	 */
	const char *guard;
	/*
	 * Docker: a name that the containers of its steps are given, as one of a host, by which
	 * they can be told from others' when engine or client have died. NULL: none. Podman shows
	 * nothing of its steps and ignores it.
	 */
	const char *mark;
	int64_t limit_ms;        /* for all of it; 0: none */
	kii_engine_step *step;   /* or NULL */
	kii_engine_made *made;   /* or NULL */
	kii_engine_tick *tick;   /* while nothing comes, with the sink's `arg`; or NULL */
	struct kii_build_result *result;   /* or NULL; filled in as the build goes on */
};
/* A piece of what the engine and the steps print, unfiltered; false ends the build (ETIMEOUT). */
typedef bool kii_engine_say(void *arg, const char *text, size_t len);
/*
 * Build it, with the engine's classic builder or Podman's own. Containers of its steps are removed,
 * however it ends; its layers stay as the engine's cache. Fails further with: EREFUSED (a step
 * failed: "step 3/12: RUN x: " and the engine's message), EINVAL, ETOOBIG, and as the context does.
 */
int kii_engine_build(struct kii_engine *e, const struct kii_build_spec *spec, kii_engine_say *sink,
	void *arg, struct kii_error *err) KII_MUST_CHECK;

#endif
