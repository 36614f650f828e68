/* SPDX-License-Identifier: MIT */
/* The table of connections: every race that parking can lose, one order after the other. */
#include <config.h>

#include "fcgi_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "testlib.h"

/* epoll_ctl says no when told to. */
static bool epoll_refuses;
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	if (!epoll_refuses)
		return __real_epoll_ctl(epoll, op, fd, e);
	errno = ENOSPC;
	return -1;
}

struct desk {
	int epoll;
	int peer;               /* the other end of the connection */
	struct kii_conn *c;
	struct kii_req req;
	int gone;
	uint64_t gone_ticket;
};

static int setup(void **state)
{
	struct desk *d = kii_xcalloc(1, sizeof(*d));
	int ends[2];

	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	kii_conns_open(d->epoll);
	d->peer = ends[0];
	d->c = kii_conn_new(ends[1]);
	d->req.conn = d->c;
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct desk *d = *state;

	epoll_refuses = false;
	kii_conns_close();
	close(d->peer);
	close(d->epoll);
	free(d);
	return 0;
}

static void on_gone(uint64_t ticket, void *arg)
{
	struct desk *d = arg;

	d->gone++;
	d->gone_ticket = ticket;
}

/* Have it wait as idle and be taken again, so that the epoll set knows it. */
static void serve_once(struct desk *d)
{
	struct epoll_event e;
	enum kii_conn_state was;

	kii_conn_idle(d->c);
	assert_int_equal(write(d->peer, "x", 1), 1);
	assert_int_equal(epoll_wait(d->epoll, &e, 1, 1000), 1);
	assert_ptr_equal(kii_conn_take(e.data.u64, &was), d->c);
	assert_int_equal(was, KII_CONN_IDLE);
}

static uint64_t event(struct desk *d)
{
	struct epoll_event e;

	assert_int_equal(epoll_wait(d->epoll, &e, 1, 1000), 1);
	return e.data.u64;
}

static bool quiet(struct desk *d)
{
	struct epoll_event e;

	return epoll_wait(d->epoll, &e, 1, 0) == 0;
}

static bool answer(uint64_t ticket, const char *text)
{
	struct kii_res res;
	bool found;

	kii_res_init(&res);
	kii_res_text(&res, 200, text);
	found = kii_park_answer(ticket, &res);
	assert_int_equal(res.body.len == 0, found);
	kii_res_release(&res);
	return found;
}

static void an_idle_connection_wakes_once(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;

	serve_once(d);
	assert_true(quiet(d));
	assert_int_equal(kii_conns_busy(), 1);
	assert_int_equal(kii_conns_count(), 1);
	assert_null(kii_conn_take(0, &was));
	assert_null(kii_conn_take(UINT64_C(1) << 32 | 77, &was));
}

static void what_cannot_be_watched_is_dropped(void **state)
{
	struct desk *d = *state;
	char byte;

	epoll_refuses = true;
	kii_conn_idle(d->c);
	assert_int_equal(kii_conns_count(), 0);
	assert_int_equal(read(d->peer, &byte, 1), 0);
}

static void an_answer_wakes_a_thread(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;
	uint64_t ticket, key;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_int_not_equal(ticket, 0);
	assert_true(kii_conn_settle(d->c));
	assert_true(quiet(d));
	assert_int_equal(kii_conns_busy(), 0);
	assert_true(answer(ticket, "one"));
	assert_int_equal(kii_conns_busy(), 1);
	assert_false(answer(ticket, "two"));
	key = event(d);
	assert_ptr_equal(kii_conn_take(key, &was), d->c);
	assert_int_equal(was, KII_CONN_ANSWERED);
	assert_string_equal(d->c->res.body.data, "one");
	assert_false(answer(ticket, "three"));
	assert_int_equal(d->gone, 0);
}

static void an_early_answer_stays_with_its_thread(void **state)
{
	struct desk *d = *state;
	uint64_t ticket;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_true(answer(ticket, "early"));
	assert_false(kii_conn_settle(d->c));
	assert_true(quiet(d));
	assert_string_equal(d->c->res.body.data, "early");
	assert_int_equal(d->gone, 0);
}

static void after_a_hang_up_no_answer_is_taken(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;
	uint64_t ticket;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_true(kii_conn_settle(d->c));
	shutdown(d->peer, SHUT_RDWR);
	assert_ptr_equal(kii_conn_take(event(d), &was), d->c);
	assert_int_equal(was, KII_CONN_PARKED);
	assert_false(answer(ticket, "late"));
	d->c->method = "GET";
	d->c->path = kii_xstrdup("/");
	kii_conn_gone(d->c);
	assert_int_equal(d->gone, 1);
	assert_true(d->gone_ticket == ticket);
	assert_int_equal(kii_conns_count(), 0);
	assert_false(answer(ticket, "later"));
}

static void an_answer_makes_the_hang_up_stale(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;
	uint64_t ticket, hang_up;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_true(kii_conn_settle(d->c));
	shutdown(d->peer, SHUT_RDWR);
	hang_up = event(d);
	assert_true(answer(ticket, "first"));
	assert_null(kii_conn_take(hang_up, &was));
	assert_ptr_equal(kii_conn_take(event(d), &was), d->c);
	assert_int_equal(was, KII_CONN_ANSWERED);
	assert_int_equal(d->gone, 0);
}

static void an_old_ticket_is_no_ticket_of_the_next_request(void **state)
{
	struct desk *d = *state;
	uint64_t first, second;

	serve_once(d);
	first = kii_park(&d->req, NULL, NULL);
	assert_true(answer(first, "1"));
	assert_false(kii_conn_settle(d->c));
	serve_once(d);
	second = kii_park(&d->req, NULL, NULL);
	assert_true(first != second);
	assert_false(answer(first, "again"));
	assert_true(answer(second, "2"));
}

static void generations_never_make_a_ticket_of_zero(void **state)
{
	struct desk *d = *state;

	d->c->gen = UINT32_MAX;
	assert_true(kii_park(&d->req, NULL, NULL) == UINT64_C(1) << 32);
}

static void refusing_answers_what_is_parked_and_what_will_be(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;
	uint64_t ticket;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_true(kii_conn_settle(d->c));
	kii_conns_refuse();
	assert_int_equal(d->gone, 1);
	assert_true(d->gone_ticket == ticket);
	assert_false(answer(ticket, "late"));
	assert_ptr_equal(kii_conn_take(event(d), &was), d->c);
	assert_int_equal(d->c->res.status, 503);
	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	assert_false(kii_conn_settle(d->c));
	assert_int_equal(d->c->res.status, 503);
	assert_string_equal(d->c->res.head.data, "Retry-After: 2\r\n");
	assert_int_equal(d->gone, 2);
	assert_true(d->gone_ticket == ticket);
}

/* It is parked, but its thread has not let go: refusing must leave it to that thread. */
static void refusing_leaves_what_is_not_settled(void **state)
{
	struct desk *d = *state;
	uint64_t ticket;

	serve_once(d);
	ticket = kii_park(&d->req, on_gone, d);
	kii_conns_refuse();
	assert_int_equal(d->gone, 0);
	assert_true(answer(ticket, "in time"));
	assert_false(kii_conn_settle(d->c));
	assert_int_equal(d->c->res.status, 200);
	assert_int_equal(d->gone, 0);
}

static void only_idle_connections_are_closed_as_idle(void **state)
{
	struct desk *d = *state;
	enum kii_conn_state was;
	uint64_t key;
	char byte;

	serve_once(d);
	kii_conns_close_idle();
	assert_int_equal(kii_conns_count(), 1);
	kii_conn_idle(d->c);
	assert_int_equal(write(d->peer, "x", 1), 1);
	key = event(d);
	kii_conns_close_idle();
	assert_int_equal(kii_conns_count(), 0);
	assert_null(kii_conn_take(key, &was));
	assert_int_equal(recv(d->peer, &byte, 1, 0), -1);
}

static void slots_are_used_again(void **state)
{
	struct desk *d = *state;
	struct kii_conn *many[100];

	for (int i = 0; i < 100; i++)
		many[i] = kii_conn_new(-1);
	assert_int_equal(kii_conns_count(), 101);
	kii_conn_drop(many[42]);
	assert_ptr_equal(kii_conn_new(-1), many[42]);
	assert_int_equal(many[99]->index, 100);
	assert_int_equal(d->c->index, 0);
}

#define desk_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		desk_test(an_idle_connection_wakes_once),
		desk_test(what_cannot_be_watched_is_dropped),
		desk_test(an_answer_wakes_a_thread),
		desk_test(an_early_answer_stays_with_its_thread),
		desk_test(after_a_hang_up_no_answer_is_taken),
		desk_test(an_answer_makes_the_hang_up_stale),
		desk_test(an_old_ticket_is_no_ticket_of_the_next_request),
		desk_test(generations_never_make_a_ticket_of_zero),
		desk_test(refusing_answers_what_is_parked_and_what_will_be),
		desk_test(refusing_leaves_what_is_not_settled),
		desk_test(only_idle_connections_are_closed_as_idle),
		desk_test(slots_are_used_again),
	};

	return cmocka_run_group_tests_name("fcgi_conn", tests, NULL, NULL);
}
