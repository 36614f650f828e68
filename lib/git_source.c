/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "git_source.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "beneath.h"
#include "buf.h"

#define URL_MAX  1024
#define REF_MAX  255
#define HOST_MAX 253
#define LOWER    "abcdefghijklmnopqrstuvwxyz"
#define UPPER    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS   "0123456789"
#define WORD     LOWER UPPER DIGITS

static const struct {
	const char *prefix;
	enum kii_git_scheme scheme;
	unsigned port;
} schemes[] = {
	{ "https://", KII_GIT_HTTPS, 443 },
	{ "http://", KII_GIT_HTTP, 80 },
	{ "git://", KII_GIT_GIT, 9418 },
	{ "ssh://", KII_GIT_SSH, 22 },
	{ "file://", KII_GIT_FILE, 0 },
};

/* --- references --- */

static bool good_part(const char *part, size_t len)
{
	return len && *part != '.' && (len < 5 || memcmp(part + len - 5, ".lock", 5) != 0);
}

bool kii_git_ref_good(const char *ref)
{
	size_t len = strlen(ref);

	if (!len || len > REF_MAX || strchr("-/", *ref) || ref[len - 1] == '.' ||
	    strcmp(ref, "@") == 0)
		return false;
	for (const char *p = ref; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7F || strchr("~^:?*[\\", *p))
			return false;
	}
	if (strstr(ref, "..") || strstr(ref, "@{"))
		return false;
	for (const char *part = ref; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!good_part(part, strcspn(part, "/")))
			return false;
	}
	return true;
}

/* --- URLs --- */

struct parse {
	struct kii_git_source *out;
	const struct kii_git_rules *rules;
	const char *field;
	struct kii_error *err;
};

static int bad(struct parse *p, const char *why)
{
	return kii_error_field(p->err, p->field, "%s", why);
}

static int check_scheme(struct parse *p)
{
	switch (p->out->scheme) {
	case KII_GIT_HTTP:
	case KII_GIT_GIT:
		return p->rules->allow_http ? 0 :
			bad(p, "http and git are not allowed here (build.allow_http)");
	case KII_GIT_FILE:
		return p->rules->allow_file ? 0 :
			bad(p, "files are not allowed here (build.allow_file)");
	default:
		return 0;
	}
}

/* A name, or an address; IPv6 in brackets, which stay off. */
static int take_host(struct parse *p, const char *text, size_t len)
{
	kii_autofree char *host = kii_xstrndup(text, len);
	bool six = *host == '[';

	if (six) {
		unsigned char address[16];

		p->out->host = kii_xstrndup(host + 1, len > 2 ? len - 2 : 0);
		if (host[len - 1] != ']' || inet_pton(AF_INET6, p->out->host, address) != 1)
			return bad(p, "the address in the URL is none");
		return 0;
	}
	if (!len || len > HOST_MAX || strspn(host, WORD ".-_") != len || strchr("-.", *host) ||
	    strstr(host, ".."))
		return bad(p, "the URL has no host's name");
	p->out->host = kii_steal(&host);
	return 0;
}

static int take_port(struct parse *p, const char *text, size_t len)
{
	unsigned long port = 0;

	if (!len)
		return 0;
	if (len > 5 || strspn(text, DIGITS) < len)
		return bad(p, "the port in the URL is none");
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned long)(text[i] - '0');
	if (port < 1 || port > 65535)
		return bad(p, "the port in the URL is none");
	p->out->port = (unsigned)port;
	return 0;
}

static int take_user(struct parse *p, const char *text, size_t len)
{
	if (p->out->scheme != KII_GIT_SSH)
		return bad(p,
			"names and passwords belong into a secret (git_auth), not into the URL");
	if (!len || len > 64 || strspn(text, WORD "._-") < len || *text == '-')
		return bad(p, "the URL's user is none (a password is not allowed)");
	free(p->out->user);
	p->out->user = kii_xstrndup(text, len);
	return 0;
}

/* user@host:port, up to the path */
static int take_authority(struct parse *p, const char *text, size_t len)
{
	const char *at = memrchr(text, '@', len);
	const char *end = text + len;
	const char *colon;

	if (at && take_user(p, text, (size_t)(at - text)) != 0)
		return -1;
	text = at ? at + 1 : text;
	colon = memrchr(text, ':', (size_t)(end - text));
	/* One within the brackets of an address is no port's. */
	if (colon && memchr(colon, ']', (size_t)(end - colon)))
		colon = NULL;
	if (take_host(p, text, (size_t)((colon ? colon : end) - text)) != 0)
		return -1;
	return colon ? take_port(p, colon + 1, (size_t)(end - colon - 1)) : 0;
}

static int take_path(struct parse *p, const char *path)
{
	if (strspn(path, WORD "._~/%+@=,:-") != strlen(path))
		return bad(p, "the URL's path has a character that is not allowed");
	if (!path[0] || !path[1] || strcmp(path, "/~/") == 0)
		return bad(p, "the URL names no repository");
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		/* ssh hands it to a command, git to another. */
		if (*part == '-' || (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2])))
			return bad(p, "the URL's path has a part that is not allowed");
	}
	p->out->path = kii_xstrdup(path);
	return 0;
}

static unsigned usual_port(enum kii_git_scheme scheme)
{
	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		if (schemes[i].scheme == scheme)
			return schemes[i].port;
	}
	return 0;
}

static void write_url(struct kii_git_source *s)
{
	bool six = s->host && strchr(s->host, ':');
	const char *prefix = schemes[0].prefix;
	char port[8] = "";

	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		if (schemes[i].scheme == s->scheme)
			prefix = schemes[i].prefix;
	}
	if (s->port != usual_port(s->scheme))
		snprintf(port, sizeof(port), ":%u", s->port);
	s->url = kii_xfmt("%s%s%s%s%s%s%s%s", prefix, s->user ? s->user : "", s->user ? "@" : "",
		six ? "[" : "", s->host ? s->host : "", six ? "]" : "", port, s->path);
}

/* user@host:path: no scheme, a colon before the first slash. */
static int parse_scp(struct parse *p, const char *url)
{
	const char *at = strchr(url, '@');
	const char *host = at ? at + 1 : url;
	size_t len = *host == '[' && strchr(host, ']') ? strcspn(host, "]") + 1 :
		strcspn(host, ":/");
	const char *colon = host + len;
	kii_autofree char *path = NULL;

	if (!at || *colon != ':' || colon[1] == ':')
		return bad(p, "no URL of a repository: https://... or ssh://...");
	p->out->scheme = KII_GIT_SSH;
	p->out->port = 22;
	if (take_authority(p, url, (size_t)(colon - url)) != 0)
		return -1;
	/* Relative to the user's home there. */
	path = kii_xfmt("%s%s", colon[1] == '/' ? "" : colon[1] == '~' ? "/" : "/~/", colon + 1);
	return take_path(p, path);
}

static int parse_url(struct parse *p, const char *url)
{
	for (size_t i = 0; i < KII_COUNT(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);
		const char *rest = url + n;
		size_t len;

		if (strncmp(url, schemes[i].prefix, n) != 0)
			continue;
		len = strcspn(rest, "/");
		p->out->scheme = schemes[i].scheme;
		p->out->port = schemes[i].port;
		if (check_scheme(p) != 0)
			return -1;
		if (p->out->scheme == KII_GIT_FILE && len)
			return bad(p, "a file's URL names no host");
		if (p->out->scheme != KII_GIT_FILE && take_authority(p, rest, len) != 0)
			return -1;
		return take_path(p, rest + len);
	}
	if (strstr(url, "://"))
		return bad(p, "the URL's scheme is not allowed: https or ssh");
	return parse_scp(p, url);
}

static int parse(struct parse *p, const char *url)
{
	size_t len = strlen(url);

	if (!len || len > URL_MAX)
		return bad(p, "no URL of 1 to 1024 bytes");
	for (const char *c = url; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return bad(p, "the URL has a character that is not allowed");
	}
	if (parse_url(p, url) != 0)
		return -1;
	if (p->out->scheme == KII_GIT_SSH && !p->out->user)
		p->out->user = kii_xstrdup("git");
	write_url(p->out);
	return 0;
}

int kii_git_source_parse(const char *url, const char *ref, const struct kii_git_rules *rules,
	struct kii_git_source *out, struct kii_error *err)
{
	struct parse p = { out, rules, "git_repo", err };

	*out = (struct kii_git_source){ .port = 0 };
	if (ref && *ref && !kii_git_ref_good(ref))
		return kii_error_field(err, "git_branch", "no name of a branch, tag or commit");
	if (parse(&p, url) != 0) {
		kii_git_source_release(out);
		return -1;
	}
	out->ref = kii_xstrdup(ref ? ref : "");
	return 0;
}

void kii_git_source_release(struct kii_git_source *s)
{
	free(s->url);
	free(s->user);
	free(s->host);
	free(s->path);
	free(s->ref);
	free(s->resolve);
	free(s->address);
	free(s->bound);
	*s = (struct kii_git_source){ .port = 0 };
}

/* --- submodules --- */

/* "./x" and "../x" are seen from the parent's URL, as git sees them. */
static int relative(struct parse *p, const struct kii_git_source *parent, const char *url)
{
	struct kii_git_source *out = p->out;
	struct kii_error ignored = { 0 };
	kii_autofree char *clean = NULL;
	kii_autofree char *path = NULL;

	out->scheme = parent->scheme;
	out->port = parent->port;
	out->user = kii_xstrdup(parent->user);
	out->host = kii_xstrdup(parent->host);
	if (kii_beneath_clean(parent->path + 1, url, p->field, &clean, &ignored) != 0)
		return bad(p, "a relative URL leads out of the host");
	path = kii_xfmt("/%s", clean);
	if (take_path(p, path) != 0)
		return -1;
	write_url(out);
	return 0;
}

int kii_git_source_submodule(const struct kii_git_source *parent, const char *url,
	const char *commit, const struct kii_git_rules *rules, struct kii_git_source *out,
	struct kii_error *err)
{
	const struct kii_git_rules own = { .allow_http = rules->allow_http,
		.allow_private = rules->allow_private,
		.allow_file = rules->allow_file && parent->scheme == KII_GIT_FILE };
	struct parse p = { out, &own, "submodules", err };
	int rc;

	*out = (struct kii_git_source){ .port = 0 };
	if ((strlen(commit) != 40 && strlen(commit) != 64) ||
	    strspn(commit, DIGITS "abcdef") != strlen(commit))
		return bad(&p, "a submodule without a commit");
	rc = strncmp(url, "./", 2) == 0 || strncmp(url, "../", 3) == 0 ?
		relative(&p, parent, url) : parse(&p, url);
	if (rc != 0) {
		kii_git_source_release(out);
		return -1;
	}
	out->ref = kii_xstrdup(commit);
	return 0;
}

bool kii_git_source_same_host(const struct kii_git_source *a, const struct kii_git_source *b)
{
	return a->scheme == b->scheme && a->port == b->port && a->host && b->host &&
		strcmp(a->host, b->host) == 0;
}
