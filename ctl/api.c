/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "ctl_api.h"

#include <stdlib.h>
#include <string.h>

#include "ctl_build.h"
#include "json.h"

#define ANSWER_MS (70L * 60 * 1000)   /* an engine may take its time: a stop, its hour */
#define ANSWER_MAX (16u << 20)
#define TOKEN_MAX 200

static int find_token(struct ctl_api *api, struct kii_error *err)
{
	const char *token = getenv("KIISRV_TOKEN");

	if (!token || !*token)
		return kii_error_field(err, "KIISRV_TOKEN", "must hold a token; "
			"kiisrvctl token add makes one");
	if (strlen(token) > TOKEN_MAX || strspn(token, "abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~+/=") != strlen(token))
		return kii_error_field(err, "KIISRV_TOKEN", "is no token");
	api->token = token;
	return 0;
}

int ctl_api_open(const char *server, struct ctl_api *api, struct kii_error *err)
{
	if (!server)
		server = getenv("KIISRV_URL");
	if (find_token(api, err) != 0 ||
	    kii_httpc_new(server && *server ? server : CTL_API_SERVER, &api->http, err) != 0)
		return -1;
	if (!kii_httpc_is_private(api->http))
		return kii_error_field(err, "server", "must be https: a token would go over the "
			"network for all to read");
	return 0;
}

void ctl_api_close(struct ctl_api *api)
{
	kii_httpc_free(api->http);
	*api = (struct ctl_api){ .http = NULL };
}

static int read_answer(const struct kii_httpc_answer *answer, json_t **out, struct kii_error *err)
{
	struct kii_error why = { 0 };

	if (answer->status >= 300) {
		ctl_build_refused(answer, err);
		if (answer->status == 409)
			err->code = KII_ECONFLICT;
		return -1;
	}
	if (!answer->body.len) {
		*out = json_null();
		return 0;
	}
	if (kii_json_parse(answer->body.data, answer->body.len, "answer", out, &why) != 0)
		return kii_error_set(err, KII_EBROKEN, 0, "the server's answer makes no sense");
	return 0;
}

int ctl_api_ask(struct ctl_api *api, const char *method, const char *path, const json_t *body,
	json_t **answer, struct kii_error *err)
{
	struct kii_httpc_answer got = { .status = 0 };
	kii_autobuf text = KII_BUF_INIT(1u << 20);
	struct kii_httpc_request request = { .path = path, .method = method, .token = api->token,
		.limit_ms = ANSWER_MS, .cap = ANSWER_MAX, .patient = true };
	int rc = 0;

	if (body) {
		rc = kii_json_dump(body, 0, &text, err);
		request.body = text.data;
		request.body_len = text.len;
	}
	if (rc == 0)
		rc = kii_httpc_ask(api->http, &request, &got, err);
	if (rc == 0)
		rc = read_answer(&got, answer, err);
	kii_httpc_answer_release(&got);
	return rc;
}
