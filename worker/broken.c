/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "broken.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "notes.h"

#define SPANS_MAX  512
#define BASES_MAX  64            /* of a build, that are noted */
#define FILE_MAX   (32u << 20)
/* What an engine's clock may be ahead of what we think; and an image's time is in whole seconds. */
#define MARGIN_MS  5000

/* The time of a build. */
struct span {
	int64_t began, ended;    /* by the engine's clock, ms since 1970; ended 0: it runs */
	size_t slot;
	int64_t ahead;           /* while it runs: that clock less kii_io_now */
	struct kii_texts bases;
};

struct broken {
	char *path;
	pthread_mutex_t lock;    /* of all below */
	struct span spans[SPANS_MAX];
	size_t n;
};

/* --- the list --- */

static void drop(struct broken *b, size_t i)
{
	kii_texts_release(&b->spans[i].bases);
	memmove(&b->spans[i], &b->spans[i + 1], (b->n - i - 1) * sizeof(b->spans[0]));
	b->n--;
}

/* There is always room: where there is not, the oldest that has ended goes. */
static struct span *put(struct broken *b, int64_t began, int64_t ended)
{
	size_t i = 0;

	if (b->n == SPANS_MAX) {
		while (!b->spans[i].ended)
			i++;
		drop(b, i);
	}
	b->spans[b->n] = (struct span){ .began = began, .ended = ended };
	return &b->spans[b->n++];
}

/* --- the file: "BEGAN ENDED BASE..." in each line --- */

static bool take_line(void *arg, char *line)
{
	struct broken *b = arg;
	char *save = NULL, *end;
	const char *began = strtok_r(line, " ", &save), *ended = strtok_r(NULL, " ", &save);
	int64_t now = kii_io_wall(), from, to;
	struct span *s;

	if (!began || !ended)
		return false;
	errno = 0;
	from = strtoll(began, &end, 10);
	if (*end || from <= 0)
		return false;
	to = strtoll(ended, &end, 10);
	if (*end || to < 0 || errno)
		return false;
	if (!to)
		to = (now > from ? now : from) + MARGIN_MS;
	s = put(b, from, to);
	for (const char *base; s->bases.n < BASES_MAX && (base = strtok_r(NULL, " ", &save)); )
		kii_texts_add(&s->bases, base);
	return true;
}

/* Under the lock, so that what is older never comes after. */
static void save(const struct broken *b)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);

	for (size_t i = 0; i < b->n; i++) {
		const struct span *s = &b->spans[i];

		kii_buf_fmt(&text, "%" PRId64 " %" PRId64, s->began, s->ended);
		for (size_t k = 0; k < s->bases.n; k++)
			kii_buf_fmt(&text, " %s", s->bases.items[k]);
		kii_buf_char(&text, '\n');
	}
	notes_save(b->path, "broken", &text);
}

/* --- builds --- */

struct broken *broken_new(const char *state_dir)
{
	struct broken *b = kii_xcalloc(1, sizeof(*b));

	b->path = kii_xfmt("%s/engine/broken", state_dir);
	pthread_mutex_init(&b->lock, NULL);
	notes_load(b->path, "broken", FILE_MAX, take_line, b);
	return b;
}

void broken_free(struct broken *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		kii_texts_release(&b->spans[i].bases);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

void broken_begin(struct broken *b, size_t slot, int64_t ahead, const struct kii_texts *bases)
{
	struct span *s;

	pthread_mutex_lock(&b->lock);
	s = put(b, kii_io_now() + ahead, 0);
	s->slot = slot;
	s->ahead = ahead;
	for (size_t i = 0; i < bases->n && i < BASES_MAX; i++)
		kii_texts_add(&s->bases, bases->items[i]);
	save(b);
	pthread_mutex_unlock(&b->lock);
}

void broken_end(struct broken *b, size_t slot, bool badly)
{
	size_t i = 0;

	pthread_mutex_lock(&b->lock);
	while (b->spans[i].ended || b->spans[i].slot != slot)
		i++;
	if (badly)
		b->spans[i].ended = kii_io_now() + b->spans[i].ahead + MARGIN_MS;
	else
		drop(b, i);
	save(b);
	pthread_mutex_unlock(&b->lock);
}

/* --- for who looks --- */

bool broken_any(struct broken *b, int64_t before)
{
	bool any = false;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->n; i++)
		any = any || (b->spans[i].ended && b->spans[i].ended <= before);
	pthread_mutex_unlock(&b->lock);
	return any;
}

/* Under the lock: when the oldest build that runs has begun. */
static int64_t running_since(const struct broken *b)
{
	int64_t since = INT64_MAX;

	for (size_t i = 0; i < b->n; i++)
		if (!b->spans[i].ended && b->spans[i].began < since)
			since = b->spans[i].began;
	return since;
}

bool broken_made(struct broken *b, int64_t before, int64_t at, const char *base)
{
	bool made = false;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->n; i++) {
		const struct span *s = &b->spans[i];

		made = made || (s->ended && s->ended <= before && s->began <= at &&
			at <= s->ended && (!base || kii_texts_has(&s->bases, base)));
	}
	made = made && at < running_since(b);
	pthread_mutex_unlock(&b->lock);
	return made;
}

void broken_forget(struct broken *b, int64_t before)
{
	size_t had;
	int64_t since;

	pthread_mutex_lock(&b->lock);
	had = b->n;
	since = running_since(b);
	for (size_t i = b->n; i-- > 0; )
		if (b->spans[i].ended && b->spans[i].ended <= before && b->spans[i].ended < since)
			drop(b, i);
	if (b->n < had)
		save(b);
	pthread_mutex_unlock(&b->lock);
}
