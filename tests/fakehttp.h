/* SPDX-License-Identifier: MIT */
/*
 * fakehttp: an HTTP server on loopback, one connection at a time in a thread of its own. What it
 * answers is the test's: a handler writes the bytes.
 */
#ifndef KII_FAKEHTTP_H
#define KII_FAKEHTTP_H

#include <stdbool.h>

#include "buf.h"

struct fake_request {
	char method[16];
	char target[256];
	struct kii_buf head;     /* all of it, the request line too */
	struct kii_buf body;
	int number;              /* from 1, of all requests */
	int connection;          /* from 1 */
};

/* False closes the connection. Runs in the server's thread: no assertions in it. */
typedef bool fake_handler(void *arg, const struct fake_request *request, int fd);

struct fake_http;

/* Fails the test where it cannot listen. */
struct fake_http *fake_http_start(fake_handler *handler, void *arg);
/*
 * What the test has written, the next handler sees; what handlers have written, the test sees.
 * Waits for one that runs.
 */
void fake_http_sync(struct fake_http *http);
/* "http://127.0.0.1:<port>" */
const char *fake_http_url(const struct fake_http *http);
void fake_http_stop(struct fake_http *http);

/* An answer with its length; `headers` are lines with their \r\n, or "". */
void fake_reply(int fd, int status, const char *headers, const void *body, size_t len);
void fake_json(int fd, int status, const char *headers, const char *body);
/* Bytes as they are; false when the client has gone. */
bool fake_raw(int fd, const void *data, size_t len);
/* The value of a request's header into `out`, or "". */
void fake_header(const struct fake_request *request, const char *name, char out[256]);

#endif
