/* SPDX-License-Identifier: MIT */
/*
 * build_request: what an operator asks for when an image shall be built. Every member is checked
 * before anybody hears of it; one that is not known is an error.
 *   {"id", "git_repo", "git_branch", "git_auth", "submodules", "source", "context_root",
 *    "buildpack_type", "image_tag", "environment": {}, "registry_auth", "no_cache", "pull",
 *    "network_mode", "limits": {"memory", "cpus", "timeout"},
 *    "nixpacks_config": {"start_command", "build_command", "variables": {}, "providers": []},
 *    "static_config": {"build_command", "output_dir", "nginx_config", "is_static", "is_spa"},
 *    "dockerfile_config": {"dockerfile_path", "build_args": {}, "target"},
 *    "compose_config": {"compose_file", "service"}}
 */
#ifndef KII_BUILD_REQUEST_H
#define KII_BUILD_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "image_ref.h"

enum kii_buildpack {
	KII_PACK_NIXPACKS,
	KII_PACK_STATIC,
	KII_PACK_DOCKERFILE,
	KII_PACK_COMPOSE,
	KII_PACK__MAX
};

/* Texts are borrowed from `doc`; what was not given is NULL, false or 0. */
struct kii_build_request {
	json_t *doc;                 /* the request, in this struct's keeping */
	enum kii_buildpack pack;
	const char *id;
	const char *repo, *branch;   /* repo NULL: `source` is the id of an upload */
	const char *git_auth;        /* a secret's name */
	const char *source;
	bool submodules;
	const char *root;            /* the context's folder below the source's top */
	const char *tag;             /* as given; compose without a service has none */
	char *image;                 /* the same in its whole form */
	const char *registry_auth;   /* a secret's name, for base images */
	const json_t *environment;   /* names to texts */
	bool no_cache, pull;
	const char *network;         /* "default" or "none" */
	int64_t memory;              /* bytes */
	double cpus;
	int64_t timeout_ms;

	const char *start_command, *build_command;
	const json_t *variables, *providers;
	const char *output_dir, *nginx_config;
	bool is_static, is_spa;
	const char *dockerfile, *target;
	const json_t *build_args;
	const char *compose_file, *service;
};

void kii_build_request_release(struct kii_build_request *r);
#define kii_autobuild \
	__attribute__((cleanup(kii_build_request_release))) struct kii_build_request

/*
 * Check every member of the request (borrowed). `out` must hold nothing; release it whatever comes
 * of it. `plan`: only what a plan needs must be there: neither a tag nor, with `source` or a
 * repository still one of the two, anything else. Fails: EINVAL with the member's path as field.
 */
int kii_build_request_take(const json_t *request, bool plan, struct kii_build_request *out,
	struct kii_error *err) KII_MUST_CHECK;

/* The request as one text, the same for the same. Caller frees. */
char *kii_build_request_text(const struct kii_build_request *r);

/* "nixpacks", "static", "dockerfile", "docker-compose". */
const char *kii_buildpack_name(enum kii_buildpack pack);

/* Is it [A-Za-z_][A-Za-z0-9_]*, at most 255 long? */
bool kii_variable_name(const char *name);

#endif
