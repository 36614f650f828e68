/* SPDX-License-Identifier: MIT */
/*
 * Lines of JSON: the first byte says into which pieces the rest is cut. However that is done the
 * same documents come, and written as lines they come again.
 */
#include <config.h>

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "jsonlines.h"

#define ROOM (64u << 20)

static int take(void *arg, const json_t *document, struct kii_error *err)
{
	struct kii_buf *out = arg;

	fuzz_check(document);
	fuzz_must(kii_json_dump(document, 0, out, err), err);
	kii_buf_char(out, '\n');
	return 0;
}

static int feed(const char *data, size_t len, unsigned seed, struct kii_buf *out)
{
	struct kii_jsonlines lines;
	struct kii_error err = { 0 };
	int rc = 0;

	kii_jsonlines_init(&lines);
	for (size_t n; rc == 0 && len; data += n, len -= n) {
		n = fuzz_piece(&seed, len);
		rc = kii_jsonlines_feed(&lines, data, n, take, out, &err);
	}
	if (rc == 0)
		rc = kii_jsonlines_end(&lines, take, out, &err);
	if (!fuzz_ok(rc, &err))
		fuzz_check(err.code == KII_EBROKEN);
	kii_jsonlines_release(&lines);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kii_autofree char *text = size ? fuzz_exact(data + 1, size - 1) : NULL;
	kii_autobuf whole = KII_BUF_INIT(ROOM);
	kii_autobuf cut = KII_BUF_INIT(ROOM);
	kii_autobuf again = KII_BUF_INIT(ROOM);
	int rc;

	if (!size)
		return 0;
	rc = feed(text, size - 1, 0, &whole);
	fuzz_check(feed(text, size - 1, data[0] | 1u, &cut) == rc);
	fuzz_check(whole.len == cut.len && memcmp(whole.data, cut.data, whole.len) == 0);
	fuzz_check(feed(whole.data, whole.len, data[0] | 1u, &again) == 0);
	fuzz_check(whole.len == again.len && memcmp(whole.data, again.data, whole.len) == 0);
	return 0;
}
