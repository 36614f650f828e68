/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "instance.h"

#include <string.h>

#include "io.h"

int kii_instance_read(const char *state_dir, char out[KII_INSTANCE + 1], struct kii_error *err)
{
	kii_autofree char *path = kii_xfmt("%s/engine/instance", state_dir);
	kii_autobuf text = KII_BUF_INIT(64);
	struct kii_error why = { 0 };

	if (kii_io_read(path, &text, &why) != 0 && why.code != KII_ETOOBIG)
		return kii_error_set(err, why.code, why.detail, "%s", why.msg);
	/* an editor may have ended its line */
	if (why.code == KII_OK && text.len == KII_INSTANCE + 1 && text.data[KII_INSTANCE] == '\n')
		text.data[--text.len] = '\0';
	if (why.code != KII_OK || text.len != KII_INSTANCE ||
	    strspn(text.data, "0123456789abcdef") != KII_INSTANCE)
		return kii_error_set(err, KII_EIO, 0, "%s: not 16 hex digits", path);
	memcpy(out, text.data, KII_INSTANCE + 1);
	return 0;
}
