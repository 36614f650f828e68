/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "mend.h"

#include <string.h>

#include "engine_layers.h"
#include "io.h"
#include "json.h"
#include "log.h"

#define SETTLED_MS 5000

void mend_images(struct worker *w, struct kii_engine *engine)
{
	struct kii_error err = { 0 };
	kii_autojson *gone = NULL;
	char id[65];

	if (kii_engine_half_made(engine, id, &err) != 0)
		return;
	if (strcmp(id, w->half_made) != 0) {
		memcpy(w->half_made, id, sizeof(id));
		w->half_made_at = kii_io_now();
		return;
	}
	if (!*id || kii_io_now() < w->half_made_at + SETTLED_MS)
		return;
	if (kii_engine_layer_remove(engine, id, &gone, &err) != 0)
		kii_log_warn("half_made", "image=%.12s error=%s", id, kii_q(err.msg));
	else
		kii_log_warn("image_removed", "image=%.12s why=half_made", id);
	w->half_made[0] = '\0';
}
