/* SPDX-License-Identifier: MIT */
/* git_address: which addresses are everybody's, and looking a host up. */
#include <config.h>

#include "git_source.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "buf.h"

#define ADDRESSES_MAX 16

static const struct { uint32_t net; unsigned bits; } private4[] = {
	{ 0x00000000, 8 },    /* this network */
	{ 0x0A000000, 8 },
	{ 0x64400000, 10 },   /* carriers' own */
	{ 0x7F000000, 8 },    /* loopback */
	{ 0xA9FE0000, 16 },   /* link-local: a cloud's metadata */
	{ 0xAC100000, 12 },
	{ 0xC0000000, 24 },   /* protocols */
	{ 0xC0000200, 24 },   /* documentation, as two more */
	{ 0xC0586300, 24 },   /* 6to4 relays */
	{ 0xC0A80000, 16 },
	{ 0xC6120000, 15 },   /* benchmarks */
	{ 0xC6336400, 24 },
	{ 0xCB007100, 24 },
	{ 0xE0000000, 3 },    /* multicast, reserved, broadcast */
};

static const struct { uint8_t net[6]; unsigned bits; } private6[] = {
	{ { 0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01 }, 48 },   /* translation, a network's own */
	{ { 0x01, 0x00 }, 16 },                           /* discard */
	{ { 0x20, 0x01, 0x00, 0x00 }, 23 },               /* protocols, Teredo */
	{ { 0x20, 0x01, 0x0D, 0xB8 }, 32 },               /* documentation */
	{ { 0x3F, 0xFF, 0x00 }, 20 },
	{ { 0x5F, 0x00 }, 16 },                           /* segment routing */
	{ { 0xFC }, 7 },                                  /* unique local */
	{ { 0xFE, 0x80 }, 9 },                            /* link-local, site-local */
	{ { 0xFF }, 8 },                                  /* multicast */
};

static bool is_private4(uint32_t a)
{
	for (size_t i = 0; i < KII_COUNT(private4); i++) {
		if (a >> (32 - private4[i].bits) == private4[i].net >> (32 - private4[i].bits))
			return true;
	}
	return false;
}

static uint32_t four(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* Those that carry an address of the old kind are as good as that. */
static bool is_private6(const uint8_t a[16])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xFF, 0x9B };
	static const uint8_t zero[12];

	if (memcmp(a, nat64, 12) == 0)
		return is_private4(four(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02)
		return is_private4(four(a + 2));
	/* ::, ::1, those that are mapped (sockets treat them as the old kind) or compatible. */
	if (memcmp(a, zero, 10) == 0)
		return a[10] != 0xFF || a[11] != 0xFF || is_private4(four(a + 12));
	for (size_t i = 0; i < KII_COUNT(private6); i++) {
		if (same_bits(a, private6[i].net, private6[i].bits))
			return true;
	}
	return false;
}

bool kii_address_private(const struct sockaddr *addr)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (addr->sa_family == AF_INET) {
		memcpy(&in, addr, sizeof(in));
		return is_private4(ntohl(in.sin_addr.s_addr));
	}
	if (addr->sa_family != AF_INET6)
		return true;
	memcpy(&in6, addr, sizeof(in6));
	return is_private6(in6.sin6_addr.s6_addr);
}

/* --- looking up --- */

static int look_up(const char *host, struct addrinfo **list, struct kii_error *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	int rc = getaddrinfo(host, NULL, &hints, list);

	if (rc == 0)
		return 0;
	kii_error_set(err, rc == EAI_AGAIN || rc == EAI_SYSTEM || rc == EAI_MEMORY ? KII_EDOWN
		: KII_ENOTFOUND, rc, "git_repo: host %.100s: %s", host, gai_strerror(rc));
	snprintf(err->field, sizeof(err->field), "git_repo");
	return -1;
}

static int take_address(struct kii_git_source *s, const struct addrinfo *a, struct kii_buf *all,
	struct kii_error *err)
{
	char text[INET6_ADDRSTRLEN + 1] = "";

	if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) != 0)
		return kii_error_set(err, KII_EIO, 0, "an address that cannot be written");
	if (kii_address_private(a->ai_addr))
		return kii_error_field(err, "git_repo",
			"the address of %.100s (%s) is private: build.allow_private is not set",
			s->host, text);
	/* Engines' networks have none of the new kind, unless somebody has seen to it. */
	if (!s->address || (a->ai_family == AF_INET && strchr(s->address, ':'))) {
		free(s->address);
		s->address = kii_xstrdup(text);
	}
	kii_buf_fmt(all, "%s%s%s%s", all->len ? "," : "", a->ai_family == AF_INET6 ? "[" : "",
		text, a->ai_family == AF_INET6 ? "]" : "");
	return 0;
}

/*
 * An address of the new kind stays as it is: there is no name that could become another, and curl
 * does not read "address:port:address". Those of the old kind may be written as nobody expects.
 */
static void bind_to(struct kii_git_source *s, const char *addresses)
{
	bool six = strchr(s->address, ':');

	if (strchr(s->host, ':')) {
		free(s->address);
		s->address = NULL;
		return;
	}
	s->resolve = kii_xfmt("%s:%u:%s", s->host, s->port, addresses);
	if (s->scheme == KII_GIT_GIT)
		s->bound = kii_xfmt("git://%s%s%s:%u%s", six ? "[" : "", s->address,
			six ? "]" : "", s->port, s->path);
}

int kii_git_source_resolve(struct kii_git_source *s, const struct kii_git_rules *rules,
	struct kii_error *err)
{
	struct addrinfo *list = NULL;
	kii_autobuf all = KII_BUF_INIT(ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3ul));
	size_t n = 0;
	int rc;

	if (!s->host || rules->allow_private)
		return 0;
	rc = look_up(s->host, &list, err);
	for (const struct addrinfo *a = list; rc == 0 && a && n < ADDRESSES_MAX; a = a->ai_next) {
		rc = take_address(s, a, &all, err);
		n++;
	}
	if (list)
		freeaddrinfo(list);
	if (rc == 0)
		bind_to(s, all.data);
	return rc;
}
