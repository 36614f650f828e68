/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fakeengine.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "testlib.h"

#define STEPS_MAX 64

struct step {
	char *data;
	size_t len;
	unsigned how;
};

struct fake {
	char *dir;
	char *address;
	int listener;
	pthread_t thread;
	pthread_mutex_t lock;
	atomic_bool stop;
	atomic_uint epoch;       /* a reset ends the connection of the one before */
	atomic_bool busy;        /* there is a connection */

	/* Under the lock. */
	struct step steps[STEPS_MAX];
	size_t n_steps, next;
	size_t cut, sent;
	struct kii_buf seen;
	unsigned connections;
};

/* A connection, for the thread alone. */
struct peer {
	struct fake *f;
	int fd;
	unsigned epoch;
	struct kii_buf in;
};

static bool over(const struct peer *p)
{
	return atomic_load(&p->f->stop) || atomic_load(&p->f->epoch) != p->epoch;
}

/* Wait for the descriptor, 5 ms at a time; false when it is over. */
static bool ready(struct peer *p, short events)
{
	struct pollfd fd = { .fd = p->fd, .events = events };

	while (!over(p)) {
		if (poll(&fd, 1, 5) > 0)
			return true;
	}
	return false;
}

size_t fake_chunks(const char *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const char *line = memmem(data + at, len - at, "\r\n", 2);
		size_t n = strtoul(data + at, NULL, 16);

		if (!line)
			return len + 1;
		at = (size_t)(line - data) + 2 + n + 2;
		if (!n)
			return at;
	}
	return len + 1;
}

static size_t body_len(const struct peer *p, size_t head)
{
	const char *length = strcasestr(p->in.data, "Content-Length:");
	const char *chunked = strcasestr(p->in.data, "Transfer-Encoding: chunked");

	if (!head)
		return 0;
	if (chunked && chunked < p->in.data + head)
		return fake_chunks(p->in.data + head, p->in.len - head);
	return length && length < p->in.data + head ? strtoul(length + 15, NULL, 10) : 0;
}

/* The head and the body by its Content-Length or in chunks, 0 when the peer goes. */
static size_t read_request(struct peer *p)
{
	for (;;) {
		char *end = memmem(p->in.data, p->in.len, "\r\n\r\n", 4);
		size_t head = end ? (size_t)(end - p->in.data) + 4 : 0;
		size_t body = body_len(p, head);
		char data[4096];
		ssize_t n;

		if (end && p->in.len >= head + body)
			return head + body;
		if (!ready(p, POLLIN))
			return 0;
		n = read(p->fd, data, sizeof(data));
		if (n <= 0)
			return 0;
		kii_buf_add(&p->in, data, (size_t)n);
	}
}

/* Of the headers only the credentials are kept. Under the lock. */
static void note_auth(struct peer *p, size_t head)
{
	const char *auth = memmem(p->in.data, head, "\r\nX-Registry-Auth: ", 19);

	if (auth) {
		kii_buf_add(&p->f->seen, auth + 2, strcspn(auth + 2, "\r"));
		kii_buf_char(&p->f->seen, '\n');
	}
}

static void note_request(struct peer *p, size_t len)
{
	struct fake *f = p->f;
	char *version = strstr(p->in.data, " HTTP/1.1");
	char *end = memmem(p->in.data, p->in.len, "\r\n\r\n", 4);
	size_t head = end ? (size_t)(end - p->in.data) + 4 : len;

	pthread_mutex_lock(&f->lock);
	kii_buf_add(&f->seen, p->in.data, version ? (size_t)(version - p->in.data) : head);
	kii_buf_char(&f->seen, '\n');
	note_auth(p, head);
	if (len > head) {
		kii_buf_add(&f->seen, p->in.data + head, len - head);
		kii_buf_char(&f->seen, '\n');
	}
	pthread_mutex_unlock(&f->lock);
	kii_buf_drop(&p->in, len);
}

/* The next reply; a copy, since a reset may come at any time. False: there is none. */
static bool next_step(struct fake *f, struct step *out)
{
	bool found;

	pthread_mutex_lock(&f->lock);
	found = f->next < f->n_steps;
	if (found) {
		*out = f->steps[f->next++];
		out->data = memcpy(kii_xmalloc(out->len + 1), out->data, out->len);
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

/* Send, at most what the cut leaves; false when the connection is to end. */
static bool send_some(struct peer *p, const char *data, size_t len)
{
	struct fake *f = p->f;
	size_t left;
	size_t n;

	pthread_mutex_lock(&f->lock);
	left = f->cut - f->sent;
	n = len < left ? len : left;
	f->sent += n;
	pthread_mutex_unlock(&f->lock);
	for (size_t done = 0; done < n;) {
		ssize_t w;

		if (!ready(p, POLLOUT))
			return false;
		w = send(p->fd, data + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (w <= 0)
			return false;
		done += (size_t)w;
	}
	return n == len;
}

static bool send_slowly(struct peer *p, const struct step *s)
{
	const struct timespec nap = { .tv_nsec = 20000000 };

	for (size_t i = 0; i < s->len; i++) {
		nanosleep(&nap, NULL);
		if (over(p) || !send_some(p, s->data + i, 1))
			return false;
	}
	return true;
}

/* Many lines at a time: one by one a cap of megabytes takes longer than a call may. */
static void send_for_ever(struct peer *p, const struct step *s)
{
	kii_autobuf lines = KII_BUF_INIT(65536);
	size_t from = s->len - 1;

	while (from > 0 && s->data[from - 1] != '\n')
		from--;
	while (lines.len + s->len - from <= 65536)
		kii_buf_add(&lines, s->data + from, s->len - from);
	while (send_some(p, lines.data, lines.len))
		continue;
}

static void wait_for_end(struct peer *p)
{
	char data[64];

	while (ready(p, POLLIN) && read(p->fd, data, sizeof(data)) > 0)
		continue;
}

static bool serve_step(struct peer *p, const struct step *s)
{
	bool more = s->how & FAKE_SLOW ? send_slowly(p, s) : send_some(p, s->data, s->len);

	if (more && s->how & FAKE_ENDLESS)
		send_for_ever(p, s);
	if (more && s->how & FAKE_HOLD)
		wait_for_end(p);
	return more && !(s->how & (FAKE_HANGUP | FAKE_ENDLESS | FAKE_HOLD));
}

static void serve(struct peer *p)
{
	struct step step;
	bool more = true;
	size_t len;

	while (more && (len = read_request(p)) > 0) {
		note_request(p, len);
		more = next_step(p->f, &step);
		if (more) {
			more = serve_step(p, &step);
			free(step.data);
		}
	}
}

static void *run(void *arg)
{
	struct fake *f = arg;

	while (!atomic_load(&f->stop)) {
		struct pollfd fd = { .fd = f->listener, .events = POLLIN };
		struct peer p = { .f = f };

		if (poll(&fd, 1, 5) <= 0)
			continue;
		atomic_store(&f->busy, true);
		p.epoch = atomic_load(&f->epoch);
		p.fd = accept(f->listener, NULL, NULL);
		kii_buf_init(&p.in, 16 << 20);
		pthread_mutex_lock(&f->lock);
		f->connections++;
		pthread_mutex_unlock(&f->lock);
		serve(&p);
		close(p.fd);
		kii_buf_release(&p.in);
		atomic_store(&f->busy, false);
	}
	return NULL;
}

struct fake *fake_new(void)
{
	struct fake *f = kii_xcalloc(1, sizeof(*f));
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	f->dir = test_dir_new();
	f->address = kii_xfmt("unix://%s/sock", f->dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/sock", f->dir);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&at, sizeof(at)) || listen(f->listener, 16))
		fail_msg("cannot listen at %s", at.sun_path);
	pthread_mutex_init(&f->lock, NULL);
	kii_buf_init(&f->seen, 16 << 20);
	f->cut = SIZE_MAX;
	if (pthread_create(&f->thread, NULL, run, f))
		fail_msg("no thread");
	return f;
}

void fake_free(struct fake *f)
{
	atomic_store(&f->stop, true);
	pthread_join(f->thread, NULL);
	fake_reset(f);
	close(f->listener);
	test_dir_remove(f->dir);
	kii_buf_release(&f->seen);
	pthread_mutex_destroy(&f->lock);
	free(f->dir);
	free(f->address);
	free(f);
}

const char *fake_address(const struct fake *f)
{
	return f->address;
}

void fake_raw(struct fake *f, unsigned how, const void *data, size_t len)
{
	struct step step = { .len = len, .how = how };

	step.data = memcpy(kii_xmalloc(len + 1), data, len);
	pthread_mutex_lock(&f->lock);
	if (f->n_steps < STEPS_MAX)
		f->steps[f->n_steps++] = step;
	else
		free(step.data);
	pthread_mutex_unlock(&f->lock);
}

void fake_text(struct fake *f, unsigned how, const char *text)
{
	fake_raw(f, how, text, strlen(text));
}

void fake_reply(struct fake *f, int status, const char *headers, const char *body)
{
	kii_autobuf text = KII_BUF_INIT(16 << 20);

	kii_buf_fmt(&text, "HTTP/1.1 %d Words\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
		strlen(body), body);
	fake_raw(f, 0, text.data, text.len);
}

void fake_stream(struct fake *f, const char *headers, const void *data, size_t len, size_t chunk)
{
	kii_autobuf text = KII_BUF_INIT(16 << 20);

	kii_buf_fmt(&text, "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n", headers);
	for (size_t i = 0; i < len; i += chunk) {
		size_t n = len - i < chunk ? len - i : chunk;

		kii_buf_fmt(&text, "%zx\r\n", n);
		kii_buf_add(&text, (const char *)data + i, n);
		kii_buf_str(&text, "\r\n");
	}
	kii_buf_str(&text, "0\r\n\r\n");
	fake_raw(f, 0, text.data, text.len);
}

void fake_ping(struct fake *f, const char *api, bool podman)
{
	kii_autofree char *headers = kii_xfmt("Api-Version: %s\r\n%s", api,
		podman ? "Libpod-Api-Version: 4.3.1\r\n" : "");

	fake_reply(f, 200, headers, "OK");
}

void fake_cut(struct fake *f, size_t after)
{
	pthread_mutex_lock(&f->lock);
	f->cut = after;
	pthread_mutex_unlock(&f->lock);
}

size_t fake_sent(struct fake *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->sent;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_reset(struct fake *f)
{
	const struct timespec nap = { .tv_nsec = 200000 };

	atomic_fetch_add(&f->epoch, 1);
	while (atomic_load(&f->busy))
		nanosleep(&nap, NULL);
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n_steps; i++)
		free(f->steps[i].data);
	f->n_steps = f->next = 0;
	f->sent = 0;
	f->cut = SIZE_MAX;
	f->connections = 0;
	kii_buf_reset(&f->seen);
	pthread_mutex_unlock(&f->lock);
}

char *fake_seen(struct fake *f)
{
	char *text;

	pthread_mutex_lock(&f->lock);
	text = kii_xstrdup(f->seen.data);
	pthread_mutex_unlock(&f->lock);
	return text;
}

unsigned fake_connections(struct fake *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->connections;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_pair_patience(struct fake_pair *p, int timeout_ms)
{
	const struct kii_engine_opts opts = {
		.address = fake_address(p->fake), .timeout_ms = timeout_ms,
	};
	struct kii_error err = { 0 };

	kii_engine_free(p->engine);
	p->engine = NULL;
	must(kii_engine_new(&opts, &p->engine, &err));
}

int fake_pair_open(void **state)
{
	struct fake_pair *p = kii_xcalloc(1, sizeof(*p));

	p->fake = fake_new();
	fake_pair_patience(p, 10000);
	*state = p;
	return 0;
}

int fake_pair_close(void **state)
{
	struct fake_pair *p = *state;

	kii_engine_free(p->engine);
	fake_free(p->fake);
	free(p);
	return 0;
}
