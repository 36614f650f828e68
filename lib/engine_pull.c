/* SPDX-License-Identifier: MIT */
/* engine_pull: images from and to a registry. The registry is hostile, as what it says. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "engine_call.h"
#include "image_ref.h"
#include "json.h"
#include "jsonlines.h"
#include "secret.h"

#define LAYERS_MAX 512    /* further ones are not counted */
#define HEADER "X-Registry-Auth: "

struct layer {
	char id[80];
	int64_t bytes, total;
	bool done;
};

struct transfer {
	struct kii_jsonlines lines;
	struct kii_transfer *t;
	struct layer *layers;
	size_t n;
	bool failed;
	struct kii_error failure;   /* the first error of the stream */
};

/*
 * Both engines say why in words only, Docker with a status that is 500 for nearly all. Each phrase
 * has a blank, so that no image's name is one.
 */
static const struct {
	const char *phrase;
	enum kii_registry why;
} reasons[] = {
	{ "authentication required",    KII_REGISTRY_DENIED },
	{ "no basic auth credentials",  KII_REGISTRY_DENIED },
	{ "access denied",              KII_REGISTRY_DENIED },
	{ "denied: ",                   KII_REGISTRY_DENIED },
	{ "unauthorized: ",             KII_REGISTRY_DENIED },
	{ "incorrect username or password", KII_REGISTRY_DENIED },
	{ "invalid username/password",  KII_REGISTRY_DENIED },
	{ "403 Forbidden",              KII_REGISTRY_DENIED },
	{ "401 Unauthorized",           KII_REGISTRY_DENIED },
	{ "manifest unknown",           KII_REGISTRY_NOT_FOUND },
	{ "name unknown",               KII_REGISTRY_NOT_FOUND },
	{ "404 Not Found",              KII_REGISTRY_NOT_FOUND },
	{ "does not exist locally",     KII_REGISTRY_NOT_FOUND },
	{ "image not known",            KII_REGISTRY_NOT_FOUND },
	{ "No such image",              KII_REGISTRY_NOT_FOUND },
	{ "dial tcp",                   KII_REGISTRY_DOWN },
	{ "connection refused",         KII_REGISTRY_DOWN },
	{ "connection reset",           KII_REGISTRY_DOWN },
	{ "no such host",               KII_REGISTRY_DOWN },
	{ "i/o timeout",                KII_REGISTRY_DOWN },
	{ "deadline exceeded",          KII_REGISTRY_DOWN },
	{ "request canceled",           KII_REGISTRY_DOWN },
	{ "unexpected EOF",             KII_REGISTRY_DOWN },
	{ "\": EOF",                    KII_REGISTRY_DOWN },
	{ "HTTP response to HTTPS client", KII_REGISTRY_DOWN },
	{ "tls: ",                      KII_REGISTRY_DOWN },
	{ "x509: ",                     KII_REGISTRY_DOWN },
	{ "status code 5",              KII_REGISTRY_DOWN },
	{ "HTTP status: 5",             KII_REGISTRY_DOWN },
	{ "invalid status code from registry 5", KII_REGISTRY_DOWN },
};

static enum kii_registry reason(const char *text)
{
	for (size_t i = 0; i < KII_COUNT(reasons); i++)
		if (strstr(text, reasons[i].phrase))
			return reasons[i].why;
	return KII_REGISTRY_REFUSED;
}

/* Always -1. The end is where the reason stands. */
static int fail(struct kii_transfer *t, const char *text, struct kii_error *err)
{
	char shown[200];
	size_t len = strlen(text);

	t->why = reason(text);
	kii_engine_copy(shown, sizeof(shown), len < sizeof(shown) ? text
		: text + len - sizeof(shown) + 1);
	return kii_error_set(err, KII_EREFUSED, 0, "%s", shown);
}

/* --- the stream --- */

/* NULL where there are too many. */
static struct layer *layer_of(struct transfer *x, const char *id)
{
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->layers[i].id, id) == 0)
			return &x->layers[i];
	if (x->n == LAYERS_MAX || strlen(id) >= sizeof(x->layers[0].id))
		return NULL;
	snprintf(x->layers[x->n].id, sizeof(x->layers[0].id), "%s", id);
	return &x->layers[x->n++];
}

static bool is_done(const char *status)
{
	static const char *const words[] = { "Pull complete", "Already exists", "Pushed",
		"Layer already exists", "Download complete" };

	for (size_t i = 0; i < KII_COUNT(words); i++)
		if (strcmp(status, words[i]) == 0)
			return true;
	return strncmp(status, "Mounted from", 12) == 0;
}

/* "Pulling from library/x" has an id too: the tag. */
static bool is_layer(const char *status)
{
	return strncmp(status, "Pulling from", 12) != 0;
}

static void count(struct transfer *x, const json_t *document, const char *id, const char *status)
{
	const json_t *detail = json_object_get(document, "progressDetail");
	json_int_t total = kii_json_int(detail, "total", 0);
	json_int_t bytes = kii_json_int(detail, "current", 0);
	struct layer *layer = is_layer(status) ? layer_of(x, id) : NULL;
	bool moves = strcmp(status, "Downloading") == 0 || strcmp(status, "Pushing") == 0;

	if (!layer)
		return;
	/* Docker extracts what it has downloaded, and tells the same numbers again. */
	layer->done = is_done(status) ||
		(layer->done && !moves && strcmp(status, "Extracting") != 0);
	if (moves && total > 0 && bytes >= 0) {
		layer->total = total;
		layer->bytes = bytes < total ? bytes : total;
	} else if (layer->done) {
		layer->bytes = layer->total;
	}
}

static struct kii_transfer_now sum(const struct transfer *x)
{
	struct kii_transfer_now now = { .layers = x->n };

	for (size_t i = 0; i < x->n; i++) {
		now.done += x->layers[i].done;
		now.bytes += x->layers[i].bytes;
		now.total += x->layers[i].total;
	}
	return now;
}

/* A line for the log, but for the many steps of a bar. */
static int say(struct transfer *x, const json_t *document, const char *id, const char *status,
	struct kii_error *err)
{
	bool bar = json_object_size(json_object_get(document, "progressDetail"));
	kii_autofree char *line = bar ? NULL : kii_xfmt("%s%s%s", id ? id : "", id ? ": " : "",
		status);
	struct kii_transfer_now now = sum(x);
	char text[300] = "";

	if (line)
		kii_engine_copy(text, sizeof(text), line);
	if (x->t->say(x->t->arg, line ? text : NULL, &now))
		return 0;
	return kii_error_set(err, KII_ETIMEOUT, 0, "told to end");
}

static int take_document(void *arg, const json_t *document, struct kii_error *err)
{
	struct transfer *x = arg;
	const char *error = kii_json_str(document, "error");
	const char *status = kii_json_str(document, "status");
	const char *id = kii_json_str(document, "id");

	if (!json_is_object(document))
		return kii_engine_odd("object in a line", err);
	if (error && !x->failed) {
		x->failed = true;
		fail(x->t, error, &x->failure);
	}
	if (!status)
		return 0;
	if (id)
		count(x, document, id, status);
	return say(x, document, id, status, err);
}

static int take_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	struct transfer *x = arg;

	return kii_jsonlines_feed(&x->lines, data, len, take_document, x, err);
}

/* --- the calls --- */

/* Whatever status the engine finds for what the registry says. */
static int refused(struct kii_call *c, struct kii_transfer *t, struct kii_error *err)
{
	struct kii_error ignored = { 0 };
	kii_autojson *body = NULL;
	const char *text = NULL;

	if (kii_json_parse(c->refusal.data, c->refusal.len, "reply", &body, &ignored) == 0)
		text = kii_json_str(body, "message");
	if (!text)
		return -1;
	kii_error_clear(err);
	return fail(t, text, err);
}

static int run(struct kii_engine *e, struct kii_call *c, struct transfer *x, struct kii_error *err)
{
	if (kii_call_run(e, c, err) != 0)
		return c->status >= 400 && c->done ? refused(c, x->t, err) : -1;
	if (kii_jsonlines_end(&x->lines, take_document, x, err) != 0)
		return -1;
	if (x->failed)
		return kii_error_set(err, x->failure.code, 0, "%s", x->failure.msg);
	return 0;
}

static int transfer(struct kii_engine *e, struct kii_call *c, struct kii_transfer *t,
	struct kii_error *err)
{
	struct transfer x = { .t = t };
	kii_autosecret header = KII_BUF_INIT(2ul * KII_SECRET_MAX);
	const char *auth = t->auth ? t->auth : "{}";
	int rc;

	kii_buf_str(&header, HEADER);
	kii_base64_url(auth, strlen(auth), &header);
	if (kii_buf_check(&header, "credentials", err) != 0)
		return -1;
	c->auth = header.data;
	c->limit_ms = KII_LIMIT_NONE;
	c->sink = take_piece;
	c->sink_arg = &x;
	c->tick = t->tick;
	c->tick_arg = t->arg;
	x.layers = kii_xcalloc(LAYERS_MAX, sizeof(*x.layers));
	kii_jsonlines_init(&x.lines);
	rc = run(e, c, &x, err);
	c->sink_arg = NULL;
	c->auth = NULL;
	kii_jsonlines_release(&x.lines);
	free(x.layers);
	return rc;
}

int kii_engine_pull(struct kii_engine *e, struct kii_transfer *t, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autofree char *name = NULL;
	struct kii_image_ref ref;

	if (kii_image_ref_parse(t->image, "image", &ref, err) != 0)
		return -1;
	name = kii_image_ref_name(&ref);
	kii_call_path(&c, "/images/create");
	kii_call_query(&c, "fromImage", name);
	kii_call_query(&c, "tag", ref.digest[0] ? ref.digest : ref.tag);
	return transfer(e, &c, t, err);
}

int kii_engine_push(struct kii_engine *e, struct kii_transfer *t, struct kii_error *err)
{
	kii_autocall c = KII_CALL_INIT("POST");
	kii_autofree char *name = NULL;
	struct kii_image_ref ref;

	if (kii_image_ref_parse(t->image, "image", &ref, err) != 0)
		return -1;
	if (ref.digest[0])
		return kii_error_field(err, "image", "a push needs a tag, not a digest");
	name = kii_image_ref_name(&ref);
	kii_call_path(&c, "/images/%s/push", name);
	kii_call_query(&c, "tag", ref.tag);
	return transfer(e, &c, t, err);
}
