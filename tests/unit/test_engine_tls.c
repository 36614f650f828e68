/* SPDX-License-Identifier: MIT */
/* TCP with TLS: openssl's own server with files for answers. Skipped where there is no openssl. */
#include <config.h>

#include "engine.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testlib.h"

static const char make_keys[] =
	"set -e; mkdir good other mixed\n"
	"key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out $1; }\n"
	"for d in good other; do cd $d\n"
	"key ca-key.pem\n"
	"openssl req -x509 -new -key ca-key.pem -subj /CN=ca-$d -days 2 -out ca.pem\n"
	"for n in server client; do key $n-key.pem\n"
	"openssl req -new -key $n-key.pem -subj /CN=$n -out $n.csr \\\n"
	"	-addext subjectAltName=IP:127.0.0.1\n"
	"openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 \\\n"
	"	-copy_extensions copyall -out $n.pem\n"
	"done\n"
	"cp client.pem cert.pem; cp client-key.pem key.pem; cd ..\n"
	"done\n"
	"cp good/ca.pem other/cert.pem other/key.pem mixed\n"
	"printf 'HTTP/1.1 200 OK\\r\\nApi-Version: 1.41\\r\\n' >_ping\n"
	"printf 'Content-Length: 2\\r\\n\\r\\nOK' >>_ping\n";

static pid_t spawn_sh(const char *dir, const char *script, int out)
{
	kii_autofree char *text = kii_xfmt("cd '%s' && { %s\n}", dir, script);
	char *const argv[] = { (char *)"sh", (char *)"-c", text, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/zero", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	else
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ))
		fail_msg("cannot run sh");
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static int run_sh(const char *dir, const char *script)
{
	pid_t pid = spawn_sh(dir, script, -1);
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

struct server {
	char *dir;
	pid_t pid;
	int port;
};

static int open_server(void **state)
{
	struct server *s = kii_xcalloc(1, sizeof(*s));
	FILE *said;
	char line[200];
	int ends[2] = { -1, -1 };

	*state = s;
	s->dir = test_dir_new();
	if (run_sh(s->dir, make_keys) || pipe2(ends, O_CLOEXEC))
		fail_msg("no keys");
	s->pid = spawn_sh(s->dir, "exec openssl s_server -accept 127.0.0.1:0 -HTTP -Verify 1 "
		"-verify_return_error -CAfile good/ca.pem -cert good/server.pem "
		"-key good/server-key.pem", ends[1]);
	close(ends[1]);
	said = fdopen(ends[0], "r");
	while (!s->port && fgets(line, sizeof(line), said))
		(void)sscanf(line, "ACCEPT 127.0.0.1:%d", &s->port);
	assert_true(s->port > 0);
	assert_int_equal(fclose(said), 0);
	return 0;
}

static int close_server(void **state)
{
	struct server *s = *state;

	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	test_dir_remove(s->dir);
	free(s->dir);
	free(s);
	return 0;
}

/* The code that a ping ends with, given these keys. */
static enum kii_code ping(const struct server *s, bool tls, const char *keys)
{
	kii_autofree char *address = kii_xfmt("tcp://127.0.0.1:%d", s->port);
	kii_autofree char *path = keys ? kii_xfmt("%s/%s", s->dir, keys) : NULL;
	const struct kii_engine_opts opts = {
		.address = address, .tls = tls, .cert_path = path, .timeout_ms = 5000,
	};
	struct kii_error err = { 0 };
	struct kii_engine *e;

	must(kii_engine_new(&opts, &e, &err));
	(void)!kii_engine_ping(e, &err);
	kii_engine_free(e);
	return err.code;
}

/* Turned away, and not because the server is gone. */
static void expect(const struct server *s, bool tls, const char *keys, enum kii_code want)
{
	assert_int_equal(ping(s, tls, keys), want);
	assert_int_equal(ping(s, true, "good"), KII_OK);
}

static void with_the_right_keys_it_talks(void **state)
{
	expect(*state, true, "good", KII_OK);
}

static void another_ca_is_not_trusted(void **state)
{
	expect(*state, true, "other", KII_EDOWN);
	expect(*state, true, NULL, KII_EDOWN);
}

static void another_client_is_turned_away(void **state)
{
	expect(*state, true, "mixed", KII_EDOWN);
}

static void keys_that_are_missing_are_said(void **state)
{
	expect(*state, true, "no-such", KII_EDOWN);
}

static void without_tls_nothing_is_said(void **state)
{
	expect(*state, false, NULL, KII_EDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_the_right_keys_it_talks),
		cmocka_unit_test(another_ca_is_not_trusted),
		cmocka_unit_test(another_client_is_turned_away),
		cmocka_unit_test(keys_that_are_missing_are_said),
		cmocka_unit_test(without_tls_nothing_is_said),
	};

	signal(SIGPIPE, SIG_IGN);
	if (run_sh("/", "openssl version")) {
		puts("1..0 # SKIP there is no openssl");
		return 0;
	}
	return cmocka_run_group_tests_name("engine_tls", tests, open_server, close_server);
}
