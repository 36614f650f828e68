/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "toyengine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fakeengine.h"
#include "io.h"
#include "testlib.h"
#include "toy_private.h"

#define REQUEST_MAX (64u << 20)
#define AWAIT_MS    10000

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 2000000 };

	nanosleep(&t, NULL);
}

/* --- what was asked --- */

bool toy_match(const char *pattern, const char *method, const char *path)
{
	size_t len = strlen(method);

	if (strncmp(pattern, method, len) != 0 || pattern[len] != ' ')
		return false;
	for (pattern += len + 1; *pattern; pattern++) {
		if (*pattern == '*') {
			path += strcspn(path, "/?");
			continue;
		}
		if (*pattern != *path)
			return false;
		path++;
	}
	return !*path || *path == '?';
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static char *unescape(const char *s, size_t len)
{
	char *out = kii_xmalloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%' && i + 2 < len) {
			out[n++] = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		} else {
			out[n++] = s[i];
		}
	}
	out[n] = '\0';
	return out;
}

char *toy_query(const struct toy_peer *p, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = p->query; *at; at += strcspn(at, "&"), at += *at == '&') {
		if (!strncmp(at, name, len) && at[len] == '=')
			return unescape(at + len + 1, strcspn(at + len + 1, "&"));
	}
	return NULL;
}

int toy_asked(struct toy *t, const char *match)
{
	int n = 0;

	pthread_mutex_lock(&t->lock);
	for (char *line = t->seen.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		kii_autofree char *text = kii_xstrndup(line, (size_t)(end - line));
		char *space = strchr(text, ' ');

		*space = '\0';
		n += toy_match(match, text, space + 1);
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool toy_await(struct toy *t, const char *match, int n)
{
	int64_t until = kii_io_now() + AWAIT_MS;

	while (toy_asked(t, match) < n) {
		if (kii_io_now() >= until)
			return false;
		nap();
	}
	return true;
}

char *toy_seen(struct toy *t)
{
	char *text;

	pthread_mutex_lock(&t->lock);
	text = kii_xstrdup(t->seen.data);
	pthread_mutex_unlock(&t->lock);
	return text;
}

/* --- a connection --- */

static bool over(const struct toy_peer *p)
{
	return atomic_load(&p->t->stop) || atomic_load(&p->t->epoch) != p->epoch;
}

static bool ready(struct toy_peer *p, short events)
{
	struct pollfd fd = { .fd = p->fd, .events = events };

	while (!over(p)) {
		if (poll(&fd, 1, 5) > 0)
			return true;
	}
	return false;
}

bool toy_nap(struct toy_peer *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLRDHUP };

	return poll(&fd, 1, 2) == 0 && !over(p);
}

static bool send_all(struct toy_peer *p, const char *data, size_t len)
{
	size_t todo = len < p->left ? len : p->left;

	p->left -= todo;
	for (size_t done = 0; done < todo;) {
		ssize_t n;

		if (!ready(p, POLLOUT))
			return false;
		n = send(p->fd, data + done, todo - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return todo == len;
}

bool toy_reply(struct toy_peer *p, int status, const char *body)
{
	kii_autofree char *text = status == 204 || status == 304
		? kii_xfmt("HTTP/1.1 %d Words\r\n\r\n", status)
		: kii_xfmt("HTTP/1.1 %d Words\r\nApi-Version: 1.41\r\n%sContent-Length: %zu\r\n"
			"\r\n%s", status, p->t->podman ? "Libpod-Api-Version: 4.3.1\r\n" : "",
			strlen(body), body);

	return send_all(p, text, strlen(text));
}

bool toy_reply_json(struct toy_peer *p, int status, json_t *body)
{
	char *text = json_dumps(body, JSON_ENCODE_ANY);
	bool good = toy_reply(p, status, text ? text : "null");

	free(text);
	json_decref(body);
	return good;
}

bool toy_refuse(struct toy_peer *p, int status, const char *fmt, ...)
{
	kii_autobuf text = KII_BUF_INIT(4096);
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	return toy_reply_json(p, status, json_pack("{s:s}", "message", text.data));
}

bool toy_begin(struct toy_peer *p, const char *headers)
{
	kii_autofree char *text = kii_xfmt("HTTP/1.1 200 OK\r\n%s"
		"Transfer-Encoding: chunked\r\n\r\n", headers);

	return send_all(p, text, strlen(text));
}

bool toy_chunk(struct toy_peer *p, const void *data, size_t len)
{
	kii_autofree char *head = kii_xfmt("%zx\r\n", len);

	return send_all(p, head, strlen(head)) && send_all(p, data, len) && send_all(p, "\r\n", 2);
}

bool toy_finish(struct toy_peer *p)
{
	return send_all(p, "0\r\n\r\n", 5);
}

/* --- trouble --- */

static bool wait_for_release(struct toy_peer *p)
{
	unsigned before, now;

	pthread_mutex_lock(&p->t->lock);
	before = now = p->t->releases;
	pthread_mutex_unlock(&p->t->lock);
	while (now == before) {
		if (!toy_nap(p))
			return false;
		pthread_mutex_lock(&p->t->lock);
		now = p->t->releases;
		pthread_mutex_unlock(&p->t->lock);
	}
	return true;
}

/* The fault that strikes this request, if one does. */
static bool find_fault(struct toy_peer *p, struct toy_fault *out)
{
	struct toy *t = p->t;
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; !found && i < t->n_faults; i++) {
		struct toy_fault *f = &t->faults[i];

		if (f->times < 0 || !toy_match(f->match, p->method, p->path))
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		*out = *f;
		found = true;
		if (f->times > 0 && --f->times == 0)
			f->times = -1;
	}
	if (found && out->trouble == TOY_VANISH)
		toy_vanish(t, p->name);
	pthread_mutex_unlock(&t->lock);
	return found;
}

static bool answer(struct toy_peer *p)
{
	struct toy_fault f;

	p->left = SIZE_MAX;
	if (!find_fault(p, &f))
		return toy_answer(p);
	switch (f.trouble) {
	case TOY_REFUSE:
		return toy_refuse(p, f.status, "%s", f.message ? f.message : "toy trouble");
	case TOY_DROP:
		return false;
	case TOY_ODD:
		return toy_reply(p, 200, "{}");
	case TOY_HOLD:
		return wait_for_release(p) && toy_answer(p);
	case TOY_CUT:
		p->left = f.after;
		toy_answer(p);
		return false;
	case TOY_VANISH:
		break;
	}
	return toy_answer(p);
}

/* --- requests --- */

static size_t body_len(const struct toy_peer *p, size_t head)
{
	const char *length = strcasestr(p->in.data, "Content-Length:");
	const char *chunked = strcasestr(p->in.data, "Transfer-Encoding: chunked");

	if (chunked && chunked < p->in.data + head)
		return fake_chunks(p->in.data + head, p->in.len - head);
	return length && length < p->in.data + head ? strtoul(length + 15, NULL, 10) : 0;
}

/* The head and the body by its Content-Length or in chunks, 0 when the peer goes. */
static size_t read_request(struct toy_peer *p)
{
	for (;;) {
		char *end = memmem(p->in.data, p->in.len, "\r\n\r\n", 4);
		size_t head = end ? (size_t)(end - p->in.data) + 4 : 0;
		size_t body = head ? body_len(p, head) : 0;
		char data[4096];
		ssize_t n;

		if (end && p->in.len >= head + body) {
			p->body = p->in.data + head;
			p->body_len = body;
			return head + body;
		}
		if (!ready(p, POLLIN))
			return 0;
		n = read(p->fd, data, sizeof(data));
		if (n <= 0)
			return 0;
		kii_buf_add(&p->in, data, (size_t)n);
	}
}

static char *second_part(const char *path)
{
	const char *slash = strchr(path + 1, '/');

	return slash ? kii_xstrndup(slash + 1, strcspn(slash + 1, "/")) : kii_xstrdup("");
}

/* "GET /v1.41/containers/x/json?y HTTP/1.1" into its parts. */
static void parse_request(struct toy_peer *p)
{
	const char *space = strchr(p->in.data, ' ');
	const char *url = space + 1;
	size_t len = strcspn(url, " ");
	size_t path;

	snprintf(p->method, sizeof(p->method), "%.*s", (int)(space - p->in.data), p->in.data);
	if (url[1] == 'v' && url[2] == '1') {
		size_t version = strcspn(url + 1, "/") + 1;

		url += version;
		len -= version;
	}
	path = strcspn(url, "? ");
	p->path = kii_xstrndup(url, path);
	p->query = path < len ? kii_xstrndup(url + path + 1, len - path - 1) : kii_xstrdup("");
	p->name = second_part(p->path);
	pthread_mutex_lock(&p->t->lock);
	kii_buf_fmt(&p->t->seen, "%s %.*s\n", p->method, (int)len, url);
	pthread_mutex_unlock(&p->t->lock);
}

static void *serve(void *arg)
{
	struct toy_peer *p = arg;
	struct toy *t = p->t;
	bool more = true;
	size_t len;

	while (more && (len = read_request(p)) > 0) {
		parse_request(p);
		more = answer(p);
		kii_buf_drop(&p->in, len);
		free(p->path);
		free(p->query);
		free(p->name);
	}
	close(p->fd);
	kii_buf_release(&p->in);
	free(p);
	atomic_fetch_sub(&t->peers, 1);
	return NULL;
}

/* --- the socket --- */

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 16)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void take_peer(struct toy *t, int listener)
{
	struct pollfd ready_fd = { .fd = listener, .events = POLLIN };
	struct toy_peer *p;
	pthread_attr_t attr;
	pthread_t thread;

	if (poll(&ready_fd, 1, 5) <= 0)
		return;
	p = kii_xcalloc(1, sizeof(*p));
	p->t = t;
	p->epoch = atomic_load(&t->epoch);
	p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	kii_buf_init(&p->in, REQUEST_MAX);
	atomic_fetch_add(&t->peers, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, serve, p) != 0)
		abort();
	pthread_attr_destroy(&attr);
}

/* The listening socket is this thread's alone. */
static void *run(void *arg)
{
	struct toy *t = arg;
	int listener = -1;

	while (!atomic_load(&t->stop)) {
		bool up = atomic_load(&t->want_up);

		if (up && listener < 0) {
			listener = listen_at(t->path);
		} else if (!up && listener >= 0) {
			close(listener);
			unlink(t->path);
			listener = -1;
		}
		atomic_store(&t->is_up, listener >= 0);
		if (listener >= 0)
			take_peer(t, listener);
		else
			nap();
	}
	if (listener >= 0)
		close(listener);
	return NULL;
}

static void wait_peers(struct toy *t)
{
	while (atomic_load(&t->peers))
		nap();
}

void toy_up(struct toy *t)
{
	atomic_store(&t->want_up, true);
	while (!atomic_load(&t->is_up))
		nap();
}

void toy_down(struct toy *t)
{
	atomic_store(&t->want_up, false);
	while (atomic_load(&t->is_up))
		nap();
	atomic_fetch_add(&t->epoch, 1);
	wait_peers(t);
}

/* --- life --- */

struct toy *toy_new(void)
{
	const struct toy_plan plan = TOY_PLAN;
	struct toy *t = kii_xcalloc(1, sizeof(*t));

	t->dir = test_dir_new();
	t->path = kii_xfmt("%s/sock", t->dir);
	t->address = kii_xfmt("unix://%s", t->path);
	pthread_mutex_init(&t->lock, NULL);
	kii_buf_init(&t->seen, 64u << 20);
	toy_plan(t, &plan);
	if (pthread_create(&t->thread, NULL, run, t) != 0)
		fail_msg("no thread");
	toy_up(t);
	return t;
}

void toy_free(struct toy *t)
{
	atomic_store(&t->stop, true);
	pthread_join(t->thread, NULL);
	wait_peers(t);
	toy_faults_clear(t);
	toy_world_free(t);
	kii_buf_release(&t->seen);
	pthread_mutex_destroy(&t->lock);
	test_dir_remove(t->dir);
	free(t->dir);
	free(t->path);
	free(t->address);
	free(t);
}

const char *toy_address(const struct toy *t)
{
	return t->address;
}

void toy_podman(struct toy *t)
{
	t->podman = true;
}

void toy_fault(struct toy *t, const struct toy_fault *fault)
{
	pthread_mutex_lock(&t->lock);
	if (t->n_faults < TOY_FAULTS_MAX) {
		t->faults[t->n_faults] = *fault;
		t->faults[t->n_faults++].match = kii_xstrdup(fault->match);
	}
	pthread_mutex_unlock(&t->lock);
}

void toy_faults_clear(struct toy *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->n_faults)
		free((char *)t->faults[--t->n_faults].match);
	pthread_mutex_unlock(&t->lock);
}

void toy_release(struct toy *t)
{
	pthread_mutex_lock(&t->lock);
	t->releases++;
	pthread_mutex_unlock(&t->lock);
}
