/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "engine_call.h"

#include <string.h>

#include "json.h"

#define OBJECT_MAX (1u << 20)

struct list {
	kii_call_each *each;
	void *arg;
	struct kii_buf object;   /* the one that is coming */
	unsigned depth;          /* of braces and brackets; 1: between two of them */
	bool begun;
	bool text, escaped;      /* inside a text; behind a backslash in it */
};

static int take_object(struct list *l, struct kii_error *err)
{
	kii_autojson *object = NULL;
	struct kii_error why = { 0 };

	if (kii_buf_check(&l->object, "list has an entry that", &why) != 0 ||
	    kii_json_parse(l->object.data, l->object.len, "list", &object, &why) != 0)
		return kii_error_set(err, KII_EBROKEN, 0, "the engine's %s", why.msg);
	kii_buf_reset(&l->object);
	return l->each(l->arg, object, err);
}

/* Braces and brackets count outside of texts alone. */
static void follow(struct list *l, char c)
{
	if (l->text) {
		if (l->escaped)
			l->escaped = false;
		else if (c == '\\')
			l->escaped = true;
		else if (c == '"')
			l->text = false;
	} else if (c == '"') {
		l->text = true;
	} else if (c == '{' || c == '[') {
		l->depth++;
	} else if (c == '}' || c == ']') {
		l->depth--;
	}
}

static int take_char(struct list *l, char c, struct kii_error *err)
{
	unsigned before = l->depth;

	if (!l->begun) {
		l->begun = true;
		l->depth = 1;
		return c == '[' ? 0 : kii_engine_odd("list", err);
	}
	if (!l->depth || (l->depth == 1 && strchr(", \t\r\n", c)))
		return 0;
	follow(l, c);
	if (before == 1 && l->depth == 0)
		return 0;
	kii_buf_char(&l->object, c);
	return l->depth == 1 && !l->text ? take_object(l, err) : 0;
}

static int take_piece(void *arg, const char *data, size_t len, struct kii_error *err)
{
	for (size_t i = 0; i < len; i++) {
		if (take_char(arg, data[i], err) != 0)
			return -1;
	}
	return 0;
}

int kii_call_list(struct kii_engine *e, struct kii_call *c, kii_call_each *each, void *arg,
	struct kii_error *err)
{
	struct list l = { .each = each, .arg = arg, .object = KII_BUF_INIT(OBJECT_MAX) };
	int rc;

	c->sink = take_piece;
	c->sink_arg = &l;
	rc = kii_call_run(e, c, err);
	c->sink_arg = NULL;
	if (rc == 0 && (!l.begun || l.depth))
		rc = kii_engine_odd("end of a list", err);
	kii_buf_release(&l.object);
	return rc;
}
