/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_handle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "io.h"

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int bad_address(const char *address, const char *why, struct kii_error *err)
{
	return kii_error_field(err, "address", "%s in '%s'", why, address);
}

static int set_unix(struct kii_engine *e, const char *address, struct kii_error *err)
{
	const char *path = address + strlen("unix://");

	if (path[0] != '/')
		return bad_address(address, "no absolute path", err);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return bad_address(address, "path too long for a socket", err);
	e->socket = kii_xstrdup(path);
	e->base = kii_xstrdup("http://engine");
	return 0;
}

/* host:port with a name, an IPv4 address or [an IPv6 address]. */
static bool is_host_port(const char *s)
{
	size_t host = s[0] == '[' ? strcspn(s, "]") + 1 : strcspn(s, ":");
	const char *set = s[0] == '[' ? "0123456789abcdefABCDEF:.[]"
		: "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
	const char *port;

	if (!host || host > strlen(s) || strspn(s, set) < host || s[host] != ':')
		return false;
	port = s + host + 1;
	return port[0] && strlen(port) <= 5 && strspn(port, "0123456789") == strlen(port)
		&& strtol(port, NULL, 10) >= 1 && strtol(port, NULL, 10) <= 65535;
}

static int set_tcp(struct kii_engine *e, const struct kii_engine_opts *opts, struct kii_error *err)
{
	const char *host = opts->address + strlen("tcp://");

	if (!is_host_port(host))
		return bad_address(opts->address, "no host:port", err);
	e->tls = opts->tls;
	e->base = kii_xfmt("%s://%s", e->tls ? "https" : "http", host);
	if (!e->tls || !opts->cert_path)
		return 0;
	e->ca = kii_xfmt("%s/ca.pem", opts->cert_path);
	e->cert = kii_xfmt("%s/cert.pem", opts->cert_path);
	e->key = kii_xfmt("%s/key.pem", opts->cert_path);
	return 0;
}

static int set_address(struct kii_engine *e, const struct kii_engine_opts *opts,
	struct kii_error *err)
{
	if (strncmp(opts->address, "unix://", 7) == 0)
		return set_unix(e, opts->address, err);
	if (strncmp(opts->address, "tcp://", 6) == 0)
		return set_tcp(e, opts, err);
	return bad_address(opts->address, "neither unix:// nor tcp://", err);
}

int kii_engine_new_shared(const struct kii_engine_opts *opts, CURLM *multi,
	struct kii_engine **out, struct kii_error *err)
{
	struct kii_engine *e = kii_xcalloc(1, sizeof(*e));

	e->live = -1;
	pthread_once(&curl_once, start_curl);
	e->timeout_ms = opts->timeout_ms > 0 ? opts->timeout_ms : 300000;
	if (set_address(e, opts, err)) {
		kii_engine_free(e);
		return -1;
	}
	e->shared = multi != NULL;
	e->multi = multi ? multi : curl_ready == CURLE_OK ? curl_multi_init() : NULL;
	e->easy = e->multi ? curl_easy_init() : NULL;
	if (!e->easy) {
		kii_engine_free(e);
		return kii_error_set(err, KII_EIO, (int)curl_ready, "curl cannot start");
	}
	*out = e;
	return 0;
}

int kii_engine_new(const struct kii_engine_opts *opts, struct kii_engine **out,
	struct kii_error *err)
{
	return kii_engine_new_shared(opts, NULL, out, err);
}

void kii_engine_free(struct kii_engine *e)
{
	if (!e)
		return;
	curl_easy_cleanup(e->easy);
	if (!e->shared)
		curl_multi_cleanup(e->multi);
	free(e->base);
	free(e->socket);
	free(e->ca);
	free(e->cert);
	free(e->key);
	free(e);
}

void kii_engine_stop_flag(struct kii_engine *e, const atomic_bool *stop)
{
	e->stop = stop;
}

static void setup_tls(struct kii_engine *e)
{
	curl_easy_setopt(e->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!e->ca)
		return;
	curl_easy_setopt(e->easy, CURLOPT_CAINFO, e->ca);
	curl_easy_setopt(e->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e->easy, CURLOPT_SSLCERT, e->cert);
	curl_easy_setopt(e->easy, CURLOPT_SSLKEY, e->key);
}

void kii_engine_setup(struct kii_engine *e)
{
	int64_t connect_ms = e->timeout_ms < 10000 ? e->timeout_ms : 10000;

	curl_easy_reset(e->easy);
	e->trouble[0] = '\0';
	curl_easy_setopt(e->easy, CURLOPT_ERRORBUFFER, e->trouble);
	curl_easy_setopt(e->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(e->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(e->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (e->socket)
		curl_easy_setopt(e->easy, CURLOPT_UNIX_SOCKET_PATH, e->socket);
	if (e->tls)
		setup_tls(e);
}
