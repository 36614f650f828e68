/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "report.h"

#define LOOK_MS 10

void kii_report_init(struct kii_report *r, size_t limit)
{
	*r = (struct kii_report){ .made = false };
	kii_buf_init(&r->body, limit);
}

void kii_report_release(struct kii_report *r)
{
	kii_buf_release(&r->body);
	r->made = false;
}

bool kii_report_fresh(const struct kii_report *r, int64_t now_ms)
{
	return r->made && now_ms - r->looked_ms < LOOK_MS;
}

bool kii_report_stands(struct kii_report *r, int64_t changes, int64_t now_ms)
{
	if (r->made && r->changes == changes) {
		r->looked_ms = now_ms;
		return true;
	}
	kii_report_forget(r);
	return false;
}

void kii_report_made(struct kii_report *r, int64_t changes, int64_t now_ms)
{
	kii_http_tag(r->body.data, r->body.len, r->tag);
	r->changes = changes;
	r->looked_ms = now_ms;
	r->made = true;
}

void kii_report_forget(struct kii_report *r)
{
	r->made = false;
	kii_buf_reset(&r->body);
}

void kii_report_send(const struct kii_report *r, const char *type, const struct kii_req *req,
	struct kii_res *res)
{
	kii_buf_add(&res->body, r->body.data, r->body.len);
	res->type = type;
	kii_res_tag(res, req, r->tag);
}
