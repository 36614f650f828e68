/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "operator_private.h"

#include <string.h>

#include "io.h"

/* A client chooses these: no row is larger than that. */
#define TARGET_MAX 512
#define CLIENT_MAX 64

/* Cut at a character's border. */
static char *cut(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len > max) {
		len = max;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return kii_xstrndup(text, len);
}

int kii_audit_begin(struct kii_operator *op, const struct kii_audit *row, int64_t *id,
	struct kii_error *err)
{
	kii_autofree char *target = cut(row->target, TARGET_MAX);
	kii_autofree char *client = cut(row->client, CLIENT_MAX);

	if (kii_store_run(op->store, OP_AUDIT_BEGIN, NULL, err, "isssssii", row->time, row->who,
			row->verb, target, client, row->request, (int64_t)row->status,
			(int64_t)row->refused) != 0)
		return -1;
	*id = kii_store_last_id(op->store);
	return 0;
}

int kii_audit_target(struct kii_operator *op, int64_t id, const char *target,
	struct kii_error *err)
{
	kii_autofree char *text = cut(target, TARGET_MAX);

	return kii_store_run(op->store, OP_AUDIT_TARGET, NULL, err, "is", id, text);
}

int kii_audit_end(struct kii_operator *op, int64_t id, int status, int64_t now,
	struct kii_error *err)
{
	return kii_store_run(op->store, OP_AUDIT_END, NULL, err, "iii", id, (int64_t)status, now);
}

static void load(struct kii_store *s, struct kii_audit *out)
{
	const int i = OP_AUDIT_LIST;

	*out = (struct kii_audit){
		.id = kii_store_int(s, i, 0),
		.time = kii_store_int(s, i, 1),
		.ended = kii_store_int(s, i, 2),
		.who = kii_store_text(s, i, 3),
		.verb = kii_store_text(s, i, 4),
		.target = kii_store_text(s, i, 5),
		.client = kii_store_text(s, i, 6),
		.request = kii_store_text(s, i, 7),
		.status = (int)kii_store_int(s, i, 8),
		.refused = kii_store_int(s, i, 9) != 0,
	};
}

int kii_audit_list(struct kii_operator *op, const struct kii_audit_filter *filter,
	kii_take_audit *take, void *arg, struct kii_error *err)
{
	struct kii_audit row;
	int rc;

	if (kii_store_query(op->store, OP_AUDIT_LIST, err, "isssi",
			filter->before > 0 ? filter->before : INT64_MAX, filter->who,
			filter->client, filter->verb, filter->limit) != 0)
		return -1;
	while ((rc = kii_store_next(op->store, OP_AUDIT_LIST, err)) == 1) {
		load(op->store, &row);
		take(arg, &row);
	}
	kii_store_reset(op->store, OP_AUDIT_LIST);
	return rc;
}

json_t *kii_audit_json(const struct kii_audit *row)
{
	json_t *o = json_object();
	char stamp[32];

	kii_io_stamp(row->time, stamp);
	json_object_set_new(o, "id", json_integer(row->id));
	kii_json_set_str(o, "time", stamp);
	kii_json_set_str(o, "who", row->who);
	kii_json_set_str(o, "verb", row->verb);
	kii_json_set_str(o, "target", row->target);
	kii_json_set_str(o, "client", row->client);
	kii_json_set_str(o, "request", row->request);
	json_object_set_new(o, "status", row->status ? json_integer(row->status) : json_null());
	json_object_set_new(o, "duration_ms", row->status ? json_integer(row->ended - row->time)
		: json_null());
	json_object_set_new(o, "refused", json_boolean(row->refused));
	return o;
}

int kii_audit_trim(struct kii_operator *op, int64_t before, int64_t keep, int64_t *n,
	struct kii_error *err)
{
	*n = 0;
	return kii_store_run(op->store, OP_AUDIT_TRIM, n, err, "ii", before, keep);
}
