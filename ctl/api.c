/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_api.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "text.h"

#define TOKEN_MAX  4096
#define ANSWER_MAX (64u << 20)
#define BODY_MAX   (8u << 20)
#define LINE_MAX   (1u << 20)

/* --- the server and the token --- */

static int read_token(struct ctl_api *api, struct kii_error *err)
{
	const char *named = getenv("KIISRV_TOKEN");
	kii_autobuf text = KII_BUF_INIT(TOKEN_MAX);
	size_t len;

	if (!api->token_file && (!named || !*named))
		return kii_error_field(err, "token", "set KIISRV_TOKEN, or name a file with "
			"--token-file; \"kiisrvctl token add\" makes one");
	if (!api->token_file)
		kii_buf_str(&text, named);
	else if (kii_io_read(api->token_file, &text, err))
		return -1;
	len = strcspn(text.data, "\r\n");
	for (size_t i = 0; i < len; i++) {
		if (text.data[i] < 0x21 || text.data[i] > 0x7e)
			return kii_error_field(err, "token", "is no token");
	}
	if (!len)
		return kii_error_field(err, "token", "is empty");
	api->token = kii_xstrndup(text.data, len);
	return 0;
}

int ctl_api_open(struct ctl_api *api, struct kii_error *err)
{
	const char *named = getenv("KIISRV_URL");

	if (read_token(api, err))
		return -1;
	if (!api->server && named && *named)
		api->server = named;
	return kii_httpc_new(api->server ? api->server : CTL_API_SERVER, &api->http, err);
}

void ctl_api_close(struct ctl_api *api)
{
	kii_httpc_free(api->http);
	free(api->token);
	api->http = NULL;
	api->token = NULL;
}

/* --- what it says --- */

static enum kii_code code_of(int status)
{
	switch (status) {
	case 400:
	case 413:
	case 415:
	case 422:
		return KII_EINVAL;
	case 401:
	case 403:
		return KII_EREFUSED;
	case 404:
		return KII_ENOTFOUND;
	case 409:
		return KII_ECONFLICT;
	case 429:
	case 503:
		return KII_EBUSY;
	case 504:
		return KII_ETIMEOUT;
	default:
		return KII_EBROKEN;
	}
}

int ctl_api_refused(const struct kii_httpc_answer *answer, struct kii_error *err)
{
	struct kii_error ignored = { 0 };
	kii_autojson *body = NULL;
	kii_autofree char *text = NULL;
	kii_autofree char *field = NULL;
	const char *said = NULL;

	if (kii_json_parse(answer->body.data, answer->body.len, "answer", &body, &ignored) == 0)
		said = kii_json_str(body, "error");
	text = said ? ctl_clean(said) : kii_xfmt("status %d", answer->status);
	kii_error_set(err, code_of(answer->status), answer->status, "%s", text);
	if (kii_json_str(body, "field")) {
		field = ctl_clean(kii_json_str(body, "field"));
		snprintf(err->field, sizeof(err->field), "%s", field);
	}
	return -1;
}

int ctl_api_ask(struct ctl_api *api, const char *method, const char *path, const json_t *body,
	json_t **out, struct kii_error *err)
{
	kii_autobuf text = KII_BUF_INIT(BODY_MAX);
	struct kii_httpc_answer answer = { .status = 0 };
	struct kii_httpc_request request = { .path = path, .method = method, .token = api->token,
		.cap = ANSWER_MAX, .patient = true };
	int rc;

	if (body && kii_json_dump(body, 0, &text, err))
		return -1;
	request.body = body ? text.data : NULL;
	request.body_len = text.len;
	rc = kii_httpc_ask(api->http, &request, &answer, err);
	if (rc == 0 && (answer.status < 200 || answer.status >= 300))
		rc = ctl_api_refused(&answer, err);
	if (rc == 0 && out && answer.body.len && !(*out = json_loadb(answer.body.data,
			answer.body.len, JSON_REJECT_DUPLICATES, NULL)))
		rc = kii_error_set(err, KII_EBROKEN, 0, "the server's answer is no JSON");
	kii_httpc_answer_release(&answer);
	return rc;
}

char *ctl_api_escape(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.~";
	kii_autobuf out = KII_BUF_INIT(64u << 10);

	for (; *text; text++) {
		if (strchr(plain, *text))
			kii_buf_char(&out, *text);
		else
			kii_buf_fmt(&out, "%%%02X", (unsigned char)*text);
	}
	return kii_buf_steal(&out);
}

/* --- events --- */

void ctl_events_init(struct ctl_events *e, ctl_event_take *take, void *arg)
{
	*e = (struct ctl_events){ .take = take, .arg = arg };
	kii_buf_init(&e->line, LINE_MAX);
	kii_buf_init(&e->name, LINE_MAX);
	kii_buf_init(&e->id, LINE_MAX);
	kii_buf_init(&e->data, LINE_MAX);
}

void ctl_events_release(struct ctl_events *e)
{
	kii_buf_release(&e->line);
	kii_buf_release(&e->name);
	kii_buf_release(&e->id);
	kii_buf_release(&e->data);
}

static int give(struct ctl_events *e, struct kii_error *err)
{
	struct ctl_event event = { .name = e->name.data, .id = e->id.data };
	struct kii_error why = { 0 };
	kii_autojson *data = NULL;
	int rc = 0;

	if (e->data.len && kii_json_parse(e->data.data, e->data.len, "event", &data, &why))
		rc = kii_error_set(err, KII_EBROKEN, 0, "the server's %s", why.msg);
	event.data = data;
	if (rc == 0 && (e->name.len || e->data.len))
		rc = e->take(e->arg, &event, err);
	kii_buf_reset(&e->name);
	kii_buf_reset(&e->id);
	kii_buf_reset(&e->data);
	return rc;
}

static void keep(struct kii_buf *out, const char *value)
{
	kii_buf_reset(out);
	kii_buf_str(out, value);
}

static int take_line(struct ctl_events *e, struct kii_error *err)
{
	const char *line = e->line.data;

	if (!*line)
		return give(e, err);
	if (strncmp(line, "event: ", 7) == 0)
		keep(&e->name, line + 7);
	else if (strncmp(line, "id: ", 4) == 0)
		keep(&e->id, line + 4);
	else if (strncmp(line, "data: ", 6) == 0)
		keep(&e->data, line + 6);
	return 0;
}

int ctl_events_feed(struct ctl_events *e, const char *data, size_t len, struct kii_error *err)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		kii_buf_add(&e->line, data, n);
		if (kii_buf_check(&e->line, "an event", err))
			return -1;
		if (end) {
			if (take_line(e, err))
				return -1;
			kii_buf_reset(&e->line);
		}
		data += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
	return 0;
}
