/* SPDX-License-Identifier: MIT */
/*
 * init [-s SOCKET] TABLE: process 1 of the server's container. It starts what the table names
 * (images/server/services), each as its user, puts each line that they say on its own output
 * behind the name, starts again what dies, and reaps. TERM or INT: an end in order. QUIT: the same,
 * but what runs may take its time. HUP: the table's check, and if that has no objection a HUP to
 * who wants it.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"

#define SERVICES_MAX  32
#define WORDS_MAX     32
#define TABLE_MAX     65536
#define OUTPUT_MAX     4096    /* of output; what is longer becomes several */
#define BACKOFF_MS    100     /* doubled at each death in a row ... */
#define BACKOFF_STEPS 6       /* ... so often */

/* Times that the tests' own build makes shorter. */
#ifndef LONG_LIFE_MS
#define LONG_LIFE_MS  10000   /* who lived so long died by accident */
#endif
#ifndef STOP_MS
#define STOP_MS       8000    /* for one stage, until KILL */
#endif

enum { EXIT_TABLE = 78 };

/* A line of the table: NAME STAGE USER FLAGS COMMAND... */
struct service {
	char *words;              /* the line, cut into what follows */
	const char *name;
	int stage;                /* stages are stopped in this order */
	uid_t uid;
	gid_t gid;
	bool socket;              /* with the group of the engine's socket */
	bool hup, quit;           /* is told to reload; ends by QUIT and not by TERM */
	bool check;               /* runs before a reload only */
	char *argv[WORDS_MAX + 1];
	int in, out;              /* its output's pipe, kept from one life to the next */
	char line[OUTPUT_MAX];
	size_t len;
	pid_t pid;                /* 0: does not run */
	int64_t born_ms;
	int64_t start_at_ms;      /* 0: not waiting for a start */
	unsigned deaths;          /* in a row */
};

struct init {
	struct service services[SERVICES_MAX];
	size_t n;
	const char *socket;
	sigset_t inherited;
	int signals;
	int stopping;             /* the signal that said so */
	int stage;                /* that is being stopped */
	int64_t kill_at_ms;       /* 0: never */
};

/* --- what is said --- */

static void put(const char *data, size_t len)
{
	struct kii_error err = { 0 };

	/* Nobody is left to be told when nobody listens. */
	if (kii_io_write_all(STDOUT_FILENO, data, len, &err) != 0)
		return;
}

static void put_line(const char *name, const char *text, size_t len)
{
	kii_autobuf line = KII_BUF_INIT(2ul * OUTPUT_MAX);

	kii_buf_fmt(&line, "%s: ", name);
	kii_buf_add(&line, text, len);
	kii_buf_char(&line, '\n');
	put(line.data, line.len);
}

KII_PRINTF(1, 2) static void note(const char *fmt, ...)
{
	kii_autobuf text = KII_BUF_INIT(OUTPUT_MAX);
	va_list ap;

	va_start(ap, fmt);
	kii_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	put_line("init", text.data, text.len);
}

static void take_output(struct service *s, const char *data, size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t part = end ? (size_t)(end - data) : len;

		if (part > sizeof(s->line) - s->len)
			part = sizeof(s->line) - s->len;
		memcpy(s->line + s->len, data, part);
		s->len += part;
		data += part;
		len -= part;
		if (len && *data == '\n') {
			data++;
			len--;
		} else if (s->len < sizeof(s->line)) {
			continue;
		}
		put_line(s->name, s->line, s->len);
		s->len = 0;
	}
}

/* At most a few reads: whoever talks without end must not keep the others waiting. */
static void hear(struct service *s)
{
	char chunk[16384];

	for (int i = 0; i < 4; i++) {
		ssize_t n = read(s->in, chunk, sizeof(chunk));

		if (n <= 0)
			return;
		take_output(s, chunk, (size_t)n);
	}
}

/* The last words of one that has ended, with or without a line's end. */
static void hear_out(struct service *s)
{
	hear(s);
	if (s->len)
		put_line(s->name, s->line, s->len);
	s->len = 0;
}

/* --- the table --- */

static bool take_flags(struct service *s, const char *flags)
{
	kii_autofree char *copy = kii_xstrdup(flags);
	char *rest = copy;
	const char *word;

	while ((word = strsep(&rest, ",")) != NULL) {
		if (strcmp(word, "hup") == 0)
			s->hup = true;
		else if (strcmp(word, "quit") == 0)
			s->quit = true;
		else if (strcmp(word, "check") == 0)
			s->check = true;
		else if (strcmp(word, "socket") == 0)
			s->socket = true;
		else if (strcmp(word, "-") != 0)
			return false;
	}
	return true;
}

static int take_words(struct service *s, size_t n, char **words, struct kii_error *err)
{
	const struct passwd *user;
	char *end;

	if (n < 5)
		return kii_error_set(err, KII_EINVAL, 0, "fewer than five words");
	s->name = words[0];
	s->stage = (int)strtol(words[1], &end, 10);
	if (*end || s->stage < 1 || s->stage > 9)
		return kii_error_set(err, KII_EINVAL, 0, "no stage: %s", words[1]);
	user = getpwnam(words[2]);
	if (!user)
		return kii_error_set(err, KII_EINVAL, 0, "no such user: %s", words[2]);
	s->uid = user->pw_uid;
	s->gid = user->pw_gid;
	if (!take_flags(s, words[3]))
		return kii_error_set(err, KII_EINVAL, 0, "unknown flag: %s", words[3]);
	memcpy(s->argv, words + 4, (n - 4) * sizeof(*words));
	return 0;
}

/* The pipe belongs to the user, so that it may be opened by a name such as /dev/stderr. */
static int open_pipe(struct service *s, struct kii_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return kii_error_set(err, KII_EIO, errno, "pipe: %s", strerror(errno));
	s->in = ends[0];
	s->out = ends[1];
	if (fcntl(s->in, F_SETFL, O_NONBLOCK) != 0 || fchown(s->out, s->uid, s->gid) != 0)
		return kii_error_set(err, KII_EIO, errno, "pipe: %s", strerror(errno));
	return 0;
}

static int take_line(struct init *init, const char *line, struct kii_error *err)
{
	struct service *s = &init->services[init->n];
	char *words[WORDS_MAX];
	size_t n = 0;
	char *rest;
	char *word;

	if (init->n == SERVICES_MAX)
		return kii_error_set(err, KII_ETOOBIG, 0, "too many services");
	s->words = kii_xstrdup(line);
	rest = s->words;
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (!*word)
			continue;
		if (n == WORDS_MAX)
			return kii_error_set(err, KII_ETOOBIG, 0, "too many words");
		words[n++] = word;
	}
	init->n++;
	if (take_words(s, n, words, err) != 0)
		return -1;
	return open_pipe(s, err);
}

static int read_table(struct init *init, const char *path, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(TABLE_MAX);
	const char *line;
	char *rest;
	int number = 0;

	if (kii_io_read(path, &text, err) != 0)
		return -1;
	rest = text.data;
	while ((line = strsep(&rest, "\n")) != NULL) {
		number++;
		if (!line[strspn(line, " \t")] || *line == '#')
			continue;
		if (take_line(init, line, err) != 0)
			return kii_error_wrap(err, "%s:%d", path, number);
	}
	return init->n ? 0 : kii_error_set(err, KII_EINVAL, 0, "%s: no services", path);
}

/* --- processes --- */

/* Looked at anew at each start: an engine that was restarted may have made another socket. */
static gid_t socket_group(const struct init *init, bool *known)
{
	struct stat st;

	*known = init->socket && stat(init->socket, &st) == 0;
	if (init->socket && !*known)
		note("event=no_socket path=%s error=\"%s\"", init->socket, strerror(errno));
	return *known ? st.st_gid : 0;
}

static void become(const struct service *s, gid_t group, bool with_group)
{
	if (setgroups(with_group ? 1 : 0, &group) != 0 || setresgid(s->gid, s->gid, s->gid) != 0 ||
	    setresuid(s->uid, s->uid, s->uid) != 0) {
		dprintf(STDERR_FILENO, "cannot become user %u: %s\n", (unsigned)s->uid,
			strerror(errno));
		_exit(126);
	}
}

static const int heard[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

static void run(const struct init *init, const struct service *s, gid_t group, bool with_group)
{
	int null = open("/dev/null", O_RDONLY);

	sigprocmask(SIG_SETMASK, &init->inherited, NULL);
	/* A shell starts what is in its background deaf to INT and QUIT. */
	for (size_t i = 0; i < KII_COUNT(heard); i++)
		signal(heard[i], SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(s->out, STDOUT_FILENO) < 0 ||
	    dup2(s->out, STDERR_FILENO) < 0)
		_exit(126);
	close(null);
	become(s, group, with_group);
	execvp(s->argv[0], s->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", s->argv[0], strerror(errno));
	_exit(127);
}

static void start_later(struct service *s)
{
	unsigned n = s->deaths < BACKOFF_STEPS ? s->deaths : BACKOFF_STEPS;

	s->start_at_ms = kii_io_now() + (BACKOFF_MS << n);
	s->deaths++;
}

static void start(struct init *init, struct service *s)
{
	bool with_group = false;
	gid_t group = s->socket ? socket_group(init, &with_group) : 0;
	pid_t pid = fork();

	if (pid == 0)
		run(init, s, group, with_group);
	s->start_at_ms = 0;
	if (pid < 0) {
		note("event=fork_failed name=%s errno=%d", s->name, errno);
		start_later(s);
		return;
	}
	s->pid = pid;
	s->born_ms = kii_io_now();
	if (with_group)
		note("event=started name=%s pid=%d group=%u", s->name, (int)pid, (unsigned)group);
	else
		note("event=started name=%s pid=%d", s->name, (int)pid);
}

static void tell(const struct init *init, int sig)
{
	for (size_t i = 0; i < init->n; i++) {
		const struct service *s = &init->services[i];

		if (s->pid && s->hup && kill(s->pid, sig) == 0)
			note("event=told name=%s signal=%d", s->name, sig);
	}
}

/* A broken configuration never reaches those who serve with the old one. */
static void checked(const struct init *init, const struct service *s, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		tell(init, SIGHUP);
	else
		note("event=reload_refused name=%s: all goes on as before", s->name);
}

static void ended(struct init *init, struct service *s, int status)
{
	pid_t pid = s->pid;

	hear_out(s);
	s->pid = 0;
	if (init->stopping)
		return;
	if (s->check) {
		checked(init, s, status);
		return;
	}
	/* What it leaves behind holds a socket or port that the next one needs. */
	kill(-pid, SIGTERM);
	if (kii_io_now() - s->born_ms >= LONG_LIFE_MS)
		s->deaths = 0;
	start_later(s);
	note("event=died name=%s pid=%d signal=%d status=%d again_in_ms=%lld", s->name, (int)pid,
		WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		(long long)(s->start_at_ms - kii_io_now()));
}

/* Orphans of others come to process 1 too. */
static void reap(struct init *init)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < init->n; i++) {
			if (init->services[i].pid == pid)
				ended(init, &init->services[i], status);
		}
	}
}

/* --- signals and clocks --- */

static void reload(struct init *init)
{
	bool found = false;

	for (size_t i = 0; i < init->n; i++) {
		struct service *s = &init->services[i];

		if (!s->check)
			continue;
		found = true;
		if (!s->pid)
			start(init, s);
	}
	if (!found)
		tell(init, SIGHUP);
}

/* The signals of the lowest stage that still has somebody; false: nobody is left. */
static bool stop_next(struct init *init)
{
	int stage = 0;

	for (size_t i = 0; i < init->n; i++) {
		const struct service *s = &init->services[i];

		if (s->pid && (!stage || s->stage < stage))
			stage = s->stage;
	}
	if (stage == init->stage)
		return stage != 0;
	init->stage = stage;
	init->kill_at_ms = init->stopping == SIGQUIT ? 0 : kii_io_now() + STOP_MS;
	for (size_t i = 0; i < init->n; i++) {
		const struct service *s = &init->services[i];

		if (s->pid && s->stage == stage)
			kill(s->pid, s->quit ? SIGQUIT : init->stopping);
	}
	return stage != 0;
}

/* A TERM during a QUIT is for who is still asked to end at leisure. */
static void stop(struct init *init, int sig)
{
	if (init->stopping == sig || init->stopping == SIGTERM)
		return;
	note("event=stopping signal=%d", sig);
	init->stopping = sig;
	init->stage = 0;
}

static void hear_signal(struct init *init)
{
	struct signalfd_siginfo info;

	if (read(init->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		if (!init->stopping)
			reload(init);
		break;
	case SIGQUIT:
		stop(init, SIGQUIT);
		break;
	case SIGINT:
	case SIGTERM:
		stop(init, SIGTERM);
		break;
	default:
		break;
	}
}

static void look_at_clocks(struct init *init)
{
	int64_t now = kii_io_now();

	if (init->stopping && init->kill_at_ms && now >= init->kill_at_ms) {
		init->kill_at_ms = 0;
		for (size_t i = 0; i < init->n; i++) {
			const struct service *s = &init->services[i];

			if (s->pid && s->stage == init->stage) {
				note("event=killed name=%s", s->name);
				kill(-s->pid, SIGKILL);
			}
		}
	}
	for (size_t i = 0; i < init->n && !init->stopping; i++) {
		struct service *s = &init->services[i];

		if (s->start_at_ms && now >= s->start_at_ms)
			start(init, s);
	}
}

/* Milliseconds until a clock wants to be looked at; -1: never. */
static int next_clock(const struct init *init)
{
	int64_t at = init->stopping ? init->kill_at_ms : 0;
	int64_t left;

	for (size_t i = 0; i < init->n && !init->stopping; i++) {
		int64_t start_at = init->services[i].start_at_ms;

		if (start_at && (!at || start_at < at))
			at = start_at;
	}
	if (!at)
		return -1;
	left = at - kii_io_now();
	return left < 0 ? 0 : (int)left;
}

static void loop(struct init *init)
{
	struct pollfd fds[SERVICES_MAX + 1];

	while (!init->stopping || stop_next(init)) {
		for (size_t i = 0; i < init->n; i++)
			fds[i] = (struct pollfd){ init->services[i].in, POLLIN, 0 };
		fds[init->n] = (struct pollfd){ init->signals, POLLIN, 0 };
		if (poll(fds, init->n + 1, next_clock(init)) < 0)
			continue;
		for (size_t i = 0; i < init->n; i++) {
			if (fds[i].revents)
				hear(&init->services[i]);
		}
		if (fds[init->n].revents)
			hear_signal(init);
		reap(init);
		look_at_clocks(init);
	}
}

static int open_signals(struct init *init, struct kii_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < KII_COUNT(heard); i++)
		sigaddset(&set, heard[i]);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &init->inherited);
	signal(SIGPIPE, SIG_IGN);
	init->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init->signals < 0)
		return kii_error_set(err, KII_EIO, errno, "signalfd: %s", strerror(errno));
	return 0;
}

static int serve(struct init *init, const char *table, struct kii_error *err)
{
	if (read_table(init, table, err) != 0 || open_signals(init, err) != 0)
		return -1;
	for (size_t i = 0; i < init->n; i++) {
		if (!init->services[i].check)
			start(init, &init->services[i]);
	}
	loop(init);
	/* What they left running would hold the container. */
	if (getpid() == 1)
		kill(-1, SIGKILL);
	for (size_t i = 0; i < init->n; i++)
		hear_out(&init->services[i]);
	note("event=ended");
	return 0;
}

int main(int argc, char **argv)
{
	static struct init init;
	struct kii_error err = { 0 };
	int c;

	while ((c = getopt(argc, argv, "s:")) == 's')
		init.socket = optarg;
	if (c != -1 || optind != argc - 1) {
		fputs("usage: init [-s SOCKET] TABLE\n", stderr);
		return 64;
	}
	if (serve(&init, argv[optind], &err) != 0) {
		note("event=refused error=\"%s\"", err.msg);
		return EXIT_TABLE;
	}
	for (size_t i = 0; i < init.n; i++)
		free(init.services[i].words);
	return 0;
}
