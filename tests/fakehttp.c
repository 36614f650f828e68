/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fakehttp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "testlib.h"

#define REQUEST_MAX (16u << 20)

struct fake_http {
	fake_handler *handler;
	void *arg;
	int listener;
	atomic_bool stop;
	pthread_t thread;
	pthread_mutex_t handling;
	char url[64];
	int requests, connections;
};

/* Bytes of the client, or 0: it has gone, or the test is over. */
static ssize_t read_some(struct fake_http *http, int fd, char *chunk, size_t size)
{
	while (!atomic_load(&http->stop)) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, 50) == 1)
			return read(fd, chunk, size);
	}
	return 0;
}

void fake_header(const struct fake_request *request, const char *name, char out[256])
{
	const char *line = request->head.data;
	size_t n = strlen(name);

	out[0] = '\0';
	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			snprintf(out, 256, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
	}
}

static bool read_request(struct fake_http *http, int fd, struct fake_request *r)
{
	char chunk[65536], length[256];
	size_t want, more;
	char *end;

	while (!(end = strstr(r->head.data, "\r\n\r\n"))) {
		ssize_t n = read_some(http, fd, chunk, sizeof(chunk));

		if (n <= 0)
			return false;
		kii_buf_add(&r->head, chunk, (size_t)n);
	}
	more = (size_t)(end - r->head.data) + 4;
	kii_buf_add(&r->body, r->head.data + more, r->head.len - more);
	r->head.data[more] = '\0';
	r->head.len = more;
	(void)sscanf(r->head.data, "%15s %255s", r->method, r->target);
	fake_header(r, "Content-Length", length);
	want = strtoul(length, NULL, 10);
	while (r->body.len < want) {
		ssize_t n = read_some(http, fd, chunk, sizeof(chunk));

		if (n <= 0)
			return false;
		kii_buf_add(&r->body, chunk, (size_t)n);
	}
	return true;
}

static void serve(struct fake_http *http, int fd)
{
	bool more = true;

	http->connections++;
	while (more) {
		struct fake_request r = { .connection = http->connections };

		kii_buf_init(&r.head, REQUEST_MAX);
		kii_buf_init(&r.body, REQUEST_MAX);
		more = read_request(http, fd, &r);
		r.number = more ? ++http->requests : 0;
		pthread_mutex_lock(&http->handling);
		more = more && http->handler(http->arg, &r, fd);
		pthread_mutex_unlock(&http->handling);
		kii_buf_release(&r.head);
		kii_buf_release(&r.body);
	}
	close(fd);
}

static void *run(void *arg)
{
	struct fake_http *http = arg;

	while (!atomic_load(&http->stop)) {
		struct pollfd p = { http->listener, POLLIN, 0 };
		int fd;

		if (poll(&p, 1, 50) != 1)
			continue;
		fd = accept(http->listener, NULL, NULL);
		if (fd >= 0)
			serve(http, fd);
	}
	return NULL;
}

struct fake_http *fake_http_start(fake_handler *handler, void *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct fake_http *http = kii_xcalloc(1, sizeof(*http));
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pthread_mutex_init(&http->handling, NULL);
	http->handler = handler;
	http->arg = arg;
	http->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(http->listener, (struct sockaddr *)&addr, len) != 0 ||
	    listen(http->listener, 8) != 0 ||
	    getsockname(http->listener, (struct sockaddr *)&addr, &len) != 0)
		fail_msg("cannot listen: %s", strerror(errno));
	snprintf(http->url, sizeof(http->url), "http://127.0.0.1:%d", ntohs(addr.sin_port));
	assert_int_equal(pthread_create(&http->thread, NULL, run, http), 0);
	return http;
}

void fake_http_sync(struct fake_http *http)
{
	pthread_mutex_lock(&http->handling);
	pthread_mutex_unlock(&http->handling);
}

const char *fake_http_url(const struct fake_http *http)
{
	return http->url;
}

void fake_http_stop(struct fake_http *http)
{
	atomic_store(&http->stop, true);
	pthread_join(http->thread, NULL);
	close(http->listener);
	pthread_mutex_destroy(&http->handling);
	free(http);
}

bool fake_raw(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

void fake_reply(int fd, int status, const char *headers, const void *body, size_t len)
{
	kii_autofree char *head = kii_xfmt("HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n",
		status, headers, len);

	if (fake_raw(fd, head, strlen(head)))
		fake_raw(fd, body, len);
}

void fake_json(int fd, int status, const char *headers, const char *body)
{
	kii_autofree char *all = kii_xfmt("Content-Type: application/json\r\n%s", headers);

	fake_reply(fd, status, all, body, strlen(body));
}
