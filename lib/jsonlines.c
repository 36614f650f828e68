/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "jsonlines.h"

#include <string.h>

#include "json.h"

void kii_jsonlines_init(struct kii_jsonlines *l)
{
	kii_buf_init(&l->line, KII_JSONLINES_MAX);
}

void kii_jsonlines_release(struct kii_jsonlines *l)
{
	kii_buf_release(&l->line);
}

int kii_jsonlines_end(struct kii_jsonlines *l, kii_jsonlines_take *take, void *arg,
	struct kii_error *err)
{
	kii_autojson *document = NULL;
	struct kii_error why = { 0 };
	bool blank;

	if (l->line.overflow)
		return kii_error_set(err, KII_EBROKEN, 0, "a line of the reply is too long");
	blank = strspn(l->line.data, " \t\r") == l->line.len;
	if (!blank && kii_json_parse(l->line.data, l->line.len, "line", &document, &why) != 0)
		return kii_error_set(err, KII_EBROKEN, 0, "the reply's %s", why.msg);
	kii_buf_reset(&l->line);
	return blank ? 0 : take(arg, document, err);
}

int kii_jsonlines_feed(struct kii_jsonlines *l, const char *data, size_t len,
	kii_jsonlines_take *take, void *arg, struct kii_error *err)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		kii_buf_add(&l->line, data, n);
		if ((end || l->line.overflow) && kii_jsonlines_end(l, take, arg, err) != 0)
			return -1;
		data += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
	return 0;
}
