/* SPDX-License-Identifier: MIT */
/*
 * fakeengine: a scripted engine on a Unix socket, in a thread of the test. Each request takes the
 * next reply of the script, whatever it asks for; without one left the fake hangs up.
 */
#ifndef KII_FAKEENGINE_H
#define KII_FAKEENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

enum fake_how {
	FAKE_HANGUP  = 1u << 0,  /* close behind the reply */
	FAKE_SLOW    = 1u << 1,  /* 20 ms before each byte */
	FAKE_ENDLESS = 1u << 2,  /* its last line, again and again, until the peer goes */
	FAKE_HOLD    = 1u << 3,  /* then silence until the peer goes */
};

struct fake;

struct fake *fake_new(void);
void fake_free(struct fake *f);

/* "unix:///..." */
const char *fake_address(const struct fake *f);

/* Add a reply to the script: raw; with Content-Length; chunked, one chunk a byte at most. */
void fake_raw(struct fake *f, unsigned how, const void *data, size_t len);
void fake_text(struct fake *f, unsigned how, const char *text);
void fake_reply(struct fake *f, int status, const char *headers, const char *body);
void fake_stream(struct fake *f, const char *headers, const void *data, size_t len, size_t chunk);
/* What a ping gets from an engine of that version. */
void fake_ping(struct fake *f, const char *api, bool podman);

/* Hang up behind that many bytes of the whole script, then answer no more. */
void fake_cut(struct fake *f, size_t after);
/* Bytes that were sent since the reset. */
size_t fake_sent(struct fake *f);

/* Start over: no script, nothing seen, every connection closed. */
void fake_reset(struct fake *f);

/* The request lines ("GET /_ping") and bodies so far, a line each. Caller frees. */
char *fake_seen(struct fake *f);
/* Connections that were made since the reset. */
unsigned fake_connections(struct fake *f);

/* How long a body in chunks is; more than `len` while it is not whole. */
size_t fake_chunks(const char *data, size_t len);

/* A fake and a client of it, as cmocka's setup and teardown of a test. */
struct fake_pair {
	struct fake *fake;
	struct kii_engine *engine;
};
int fake_pair_open(void **state);
int fake_pair_close(void **state);

/* A new client of the same engine that gives up after `timeout_ms` of silence (10 s before). */
void fake_pair_patience(struct fake_pair *p, int timeout_ms);

#define FAKE_TEST(f) cmocka_unit_test_setup_teardown(f, fake_pair_open, fake_pair_close)

#endif
