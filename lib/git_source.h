/* SPDX-License-Identifier: MIT */
/*
 * git_source: where a project's source lies in git, checked before anything is asked of anybody.
 * A host's name is looked up once, here; all of its addresses must be public, and those are the
 * ones that git is bound to then, so that a name cannot turn into another address in between.
 */
#ifndef KII_GIT_SOURCE_H
#define KII_GIT_SOURCE_H

#include <stdbool.h>

#include "error.h"

enum kii_git_scheme { KII_GIT_HTTPS, KII_GIT_HTTP, KII_GIT_GIT, KII_GIT_SSH, KII_GIT_FILE };

/* What the configuration allows; by default https and ssh to public addresses. */
struct kii_git_rules {
	bool allow_file;
	bool allow_http;         /* http and git, which nobody signs */
	bool allow_private;      /* private, loopback and link-local addresses */
};

struct kii_git_source {
	enum kii_git_scheme scheme;
	char *url;               /* in its one form: no password, no "user@host:path" */
	char *user;              /* ssh only; never NULL then */
	char *host;              /* NULL for file */
	unsigned port;
	char *path;              /* begins with '/' */
	char *ref;               /* branch, tag or commit; "" for the repository's own choice */
	/*
	 * After kii_git_source_resolve: "host:port:address,address" for curl, the first address
	 * (of IPv4, if there is one) for ssh, and for git the URL with that in place of the name
	 * (to a server that goes by names it is another). NULL where any address will do, or the
	 * host is one itself that nobody looks up.
	 */
	char *resolve, *address, *bound;
};

/*
 * Read a URL (https, ssh, "user@host:path"; http, git and file where allowed) and a reference
 * (NULL or "": none). `out` must hold nothing. Fails: EINVAL with field "git_repo" or "git_branch".
 */
int kii_git_source_parse(const char *url, const char *ref, const struct kii_git_rules *rules,
	struct kii_git_source *out, struct kii_error *err) KII_MUST_CHECK;
void kii_git_source_release(struct kii_git_source *s);

/*
 * The URL that a submodule of `parent` has in .gitmodules, which may be relative to it; `commit` is
 * what it stands at. Never a file, unless the parent is one. Fails as kii_git_source_parse with
 * field "submodules".
 */
int kii_git_source_submodule(const struct kii_git_source *parent, const char *url,
	const char *commit, const struct kii_git_rules *rules, struct kii_git_source *out,
	struct kii_error *err) KII_MUST_CHECK;

/*
 * Look the host up. Nothing is done for a file, or where private addresses are allowed. Fails:
 * EINVAL with field "git_repo" (a private address), ENOTFOUND (no such host), EDOWN (the look-up
 * failed; another time it may not).
 */
int kii_git_source_resolve(struct kii_git_source *s, const struct kii_git_rules *rules,
	struct kii_error *err) KII_MUST_CHECK;

/* Is the credential for one good for the other: the same scheme, host and port? */
bool kii_git_source_same_host(const struct kii_git_source *a, const struct kii_git_source *b);

/* git's own rules for a reference's name, and no leading '-'. */
bool kii_git_ref_good(const char *ref);

/* --- git_address.c --- */
struct sockaddr;
/* An address that only means something near here, or nothing. */
bool kii_address_private(const struct sockaddr *addr);

#endif
