/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_client.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

enum { BEGIN = 1, END = 3, PARAMS = 4, IN = 5, OUT = 6 };
#define RECORD_MAX 32768

int client_open(const char *path)
{
	struct kii_error err = { 0 };
	int fd = -1;

	return kii_io_connect_unix(path, &fd, &err) ? -1 : fd;
}

static void record(struct kii_buf *out, int type, const char *data, size_t len)
{
	char head[8] = { 1, (char)type, 0, 1, (char)(len >> 8), (char)(len & 0xff), 0, 0 };

	kii_buf_add(out, head, sizeof(head));
	kii_buf_add(out, data, len);
}

static void length(struct kii_buf *out, size_t n)
{
	char four[4] = { (char)(0x80 | n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n };

	if (n < 0x80)
		kii_buf_char(out, (char)n);
	else
		kii_buf_add(out, four, sizeof(four));
}

static void pair(struct kii_buf *out, const char *name, const char *value)
{
	length(out, strlen(name));
	length(out, strlen(value));
	kii_buf_str(out, name);
	kii_buf_str(out, value);
}

void client_head(struct kii_buf *out, const struct ask *a)
{
	char begin[8] = { 0, 1, (char)(a->flags & KEEP), 0, 0, 0, 0, 0 };
	kii_autobuf params = KII_BUF_INIT(RECORD_MAX);
	char number[32];

	snprintf(number, sizeof(number), "%zu", a->len);
	record(out, BEGIN, begin, sizeof(begin));
	pair(&params, "REQUEST_METHOD", a->method);
	pair(&params, "REQUEST_URI", a->uri);
	pair(&params, "REMOTE_ADDR", "192.0.2.7");
	if (a->length ? *a->length : a->body != NULL)
		pair(&params, "CONTENT_LENGTH", a->length ? a->length : number);
	for (size_t i = 0; a->params && a->params[i]; i += 2)
		pair(&params, a->params[i], a->params[i + 1]);
	record(out, PARAMS, params.data, params.len);
	record(out, PARAMS, "", 0);
}

void client_body(struct kii_buf *out, const struct ask *a)
{
	size_t done = 0;

	while (a->body && done < a->len) {
		size_t n = a->len - done < RECORD_MAX ? a->len - done : RECORD_MAX;

		record(out, IN, a->body + done, n);
		done += n;
	}
	record(out, IN, "", 0);
}

int client_send(int fd, const struct ask *a)
{
	kii_autobuf out = KII_BUF_INIT(8 << 20);
	size_t done = 0;
	ssize_t n = 1;

	client_head(&out, a);
	client_body(&out, a);
	while (done < out.len && n > 0) {
		n = send(fd, out.data + done, out.len - done, MSG_NOSIGNAL);
		done += n > 0 ? (size_t)n : 0;
	}
	return n > 0 ? 0 : -1;
}

static int take(int fd, int limit_ms, void *to, size_t len)
{
	struct pollfd p = { fd, POLLIN, 0 };
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		if (poll(&p, 1, limit_ms) <= 0)
			return -1;
		n = read(fd, (char *)to + done, len - done);
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int take_record(int fd, int limit_ms, struct kii_buf *out)
{
	unsigned char head[8];
	char data[65536 + 256];
	size_t len;

	if (take(fd, limit_ms, head, sizeof(head)))
		return -1;
	len = (size_t)head[4] << 8 | head[5];
	if (take(fd, limit_ms, data, len + head[6]))
		return -1;
	if (head[1] == OUT)
		kii_buf_add(out, data, len);
	return head[1];
}

static int understand(struct reply *r, size_t len)
{
	char *end = strstr(r->text, "\r\n\r\n");

	if (!end || sscanf(r->text, "Status: %d ", &r->status) != 1)
		return -1;
	r->body = end + 4;
	r->body_len = len - (size_t)(r->body - r->text);
	return 0;
}

int client_read(int fd, int limit_ms, struct reply *out)
{
	kii_autobuf text = KII_BUF_INIT(32 << 20);
	size_t len;
	int type;

	*out = (struct reply){ 0 };
	do
		type = take_record(fd, limit_ms, &text);
	while (type > 0 && type != END);
	if (type != END)
		return -1;
	len = text.len;
	out->text = kii_buf_steal(&text);
	return understand(out, len);
}

void reply_release(struct reply *r)
{
	free(r->text);
	*r = (struct reply){ 0 };
}

int client_once(const char *path, const struct ask *a, struct reply *out)
{
	kii_autoclose int fd = client_open(path);

	*out = (struct reply){ 0 };
	if (fd < 0 || client_send(fd, a) || client_read(fd, 10000, out))
		return -1;
	return out->status;
}
