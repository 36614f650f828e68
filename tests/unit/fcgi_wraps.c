/* SPDX-License-Identifier: MIT */
/* What fcgi_app cannot get to fail otherwise fails when FCGI_APP_INIT has its name. */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool fails(const char *name)
{
	const char *which = getenv("FCGI_APP_INIT");

	errno = EMFILE;
	return which && !strcmp(which, name);
}

int __real_FCGX_Init(void);
int __wrap_FCGX_Init(void);

int __wrap_FCGX_Init(void)
{
	return fails("FCGX_Init") ? 1 : __real_FCGX_Init();
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg);

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
	return fails("pthread_create") ? EAGAIN : __real_pthread_create(t, attr, f, arg);
}

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e);

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	if (fd == STDIN_FILENO && fails("epoll_ctl"))
		return -1;
	return __real_epoll_ctl(epoll, op, fd, e);
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);

int __wrap_epoll_create1(int flags)
{
	return fails("epoll_create1") ? -1 : __real_epoll_create1(flags);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);

/* "fork 2": the second one only, and only once. */
pid_t __wrap_fork(void)
{
	static int calls;

	if (fails("fork") || (++calls == 2 && fails("fork 2")))
		return -1;
	return __real_fork();
}

int __real_signalfd(int fd, const sigset_t *mask, int flags);
int __wrap_signalfd(int fd, const sigset_t *mask, int flags);

int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails("signalfd") ? -1 : __real_signalfd(fd, mask, flags);
}
