/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_handle.h"

#include <errno.h>
#include <string.h>

#include "json.h"

/* Podman answers 500 to much that Docker gives its own status; its cause is a fixed phrase. */
static const struct {
	const char *phrase;
	enum kii_code code;
} causes[] = {
	{ "already in use",                     KII_ECONFLICT },
	{ "name is in use",                     KII_ECONFLICT },
	{ "container state improper",           KII_ECONFLICT },
	{ "being used",                         KII_ECONFLICT },
	{ "by ID with more than one tag",       KII_ECONFLICT },
	{ "no such container",                  KII_ENOTFOUND },
	{ "has already been removed",           KII_ENOTFOUND },
	{ "no such volume",                     KII_ENOTFOUND },
	{ "image not known",                    KII_ENOTFOUND },
	{ "invalid signal",                     KII_EREFUSED },
	{ "no command or entrypoint provided",  KII_EREFUSED },
	{ "OCI runtime attempted to invoke a command that was not found", KII_EREFUSED },
	{ "OCI permission denied",              KII_EREFUSED },
};

static enum kii_code by_cause(const char *cause)
{
	for (size_t i = 0; cause && i < KII_COUNT(causes); i++) {
		if (strstr(cause, causes[i].phrase))
			return causes[i].code;
	}
	return KII_EBROKEN;
}

static enum kii_code by_status(int status, const char *cause)
{
	if (status == 404)
		return KII_ENOTFOUND;
	if (status == 409)
		return KII_ECONFLICT;
	if (status >= 400 && status < 500)
		return KII_EREFUSED;
	return status >= 500 ? by_cause(cause) : KII_EBROKEN;
}

int kii_call_late_status(const struct kii_call *c)
{
	struct kii_error ignored = { 0 };
	kii_autojson *body = NULL;
	int64_t status = 0;

	if (kii_json_parse(c->refusal.data, c->refusal.len, "reply", &body, &ignored) == 0)
		status = kii_json_int(body, "response", 0);
	return status >= 400 && status < 600 ? (int)status : 500;
}

int (kii_call_refused)(const struct kii_call *c, struct kii_error *err)
{
	struct kii_error ignored = { 0 };
	kii_autojson *body = NULL;
	const char *text = c->refusal.data;
	char message[200];

	if (kii_json_parse(c->refusal.data, c->refusal.len, "reply", &body, &ignored) == 0)
		text = kii_json_str(body, "message");
	kii_engine_copy(message, sizeof(message), text ? text : "no message");
	return kii_error_set(err, by_status(c->status, kii_json_str(body, "cause")), c->status,
		"the engine says %d: %s", c->status, message);
}

static enum kii_code by_result(struct kii_engine *e, CURLcode rc)
{
	long os = 0;

	switch (rc) {
	case CURLE_RECV_ERROR:
		/* Without errno it is the framing that curl could not read, not the connection. */
		curl_easy_getinfo(e->easy, CURLINFO_OS_ERRNO, &os);
		return os || e->tls ? KII_EDOWN : KII_EBROKEN;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR:
	case CURLE_HTTP2:
		return KII_EBROKEN;
	case CURLE_OUT_OF_MEMORY:
		return KII_EIO;
	default:
		return KII_EDOWN;
	}
}

int (kii_call_broken)(struct kii_engine *e, CURLcode rc, struct kii_error *err)
{
	long os = 0;

	/* "Couldn't connect" hides what an administrator has to mend most often */
	if (rc == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(e->easy, CURLINFO_OS_ERRNO, &os) == CURLE_OK && os == EACCES)
		return kii_error_set(err, KII_EDOWN, (int)rc,
			"no right to the engine's socket: %s", strerror(EACCES));
	return kii_error_set(err, by_result(e, rc), (int)rc, "no reply of the engine: %s",
		e->trouble[0] ? e->trouble : curl_easy_strerror(rc));
}
