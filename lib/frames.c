/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "frames.h"

#include <string.h>

void kii_frames_init(struct kii_frames *f)
{
	*f = (struct kii_frames){ 0 };
}

/* Gather the header; returns how many bytes it took. */
static size_t take_head(struct kii_frames *f, const char *data, size_t len)
{
	size_t want = sizeof(f->head) - f->have;
	size_t n = len < want ? len : want;

	memcpy(f->head + f->have, data, n);
	f->have += (unsigned)n;
	return n;
}

static int open_frame(struct kii_frames *f, struct kii_error *err)
{
	const unsigned char *h = f->head;

	if (h[0] >= KII_FRAME__MAX || h[1] || h[2] || h[3])
		return kii_error_set(err, KII_EBROKEN, 0,
			"stream without frames: %02x%02x%02x%02x", h[0], h[1], h[2], h[3]);
	f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	if (!f->left)
		f->have = 0;
	return 0;
}

int kii_frames_feed(struct kii_frames *f, const char *data, size_t len, kii_frames_take *take,
	void *arg, struct kii_error *err)
{
	while (len) {
		size_t n;

		if (f->have < sizeof(f->head)) {
			n = take_head(f, data, len);
			if (f->have == sizeof(f->head) && open_frame(f, err))
				return -1;
		} else {
			n = len < f->left ? len : f->left;
			if (take(arg, (enum kii_frame_stream)f->head[0], data, n, err))
				return -1;
			f->left -= (uint32_t)n;
			f->have = f->left ? f->have : 0;
		}
		data += n;
		len -= n;
	}
	return 0;
}

bool kii_frames_whole(const struct kii_frames *f)
{
	return f->have == 0;
}
