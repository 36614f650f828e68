/* SPDX-License-Identifier: MIT */
/* fcgi_client: what nginx does, in little: FastCGI requests over a Unix socket. No assertions. */
#ifndef KII_FCGI_CLIENT_H
#define KII_FCGI_CLIENT_H

#include "buf.h"

enum { KEEP = 1 };

struct ask {
	const char *method;
	const char *uri;
	const char *body;              /* NULL: none, and no CONTENT_LENGTH */
	size_t len;
	const char *length;            /* CONTENT_LENGTH; NULL: as `len` says, "": left out */
	const char *const *params;     /* NULL, or names and values up to a NULL */
	int flags;                     /* KEEP */
};

struct reply {
	int status;                    /* of the Status line */
	char *text;                    /* head and body */
	const char *body;              /* in `text` */
	size_t body_len;
};

/* A connection, or -1. */
int client_open(const char *path);

/* The bytes of the request: begin and parameters, and the body with its end. */
void client_head(struct kii_buf *out, const struct ask *a);
void client_body(struct kii_buf *out, const struct ask *a);

/* Send the whole request; 0 or -1. */
int client_send(int fd, const struct ask *a);

/*
 * Read one reply up to the request's end; -1 when the connection ends, nothing comes for
 * `limit_ms`, or what comes is no reply. Caller calls reply_release in any case.
 */
int client_read(int fd, int limit_ms, struct reply *out);
void reply_release(struct reply *r);

/* A new connection for one request that must succeed, as its status; -1 when it fails. */
int client_once(const char *path, const struct ask *a, struct reply *out);

#endif
