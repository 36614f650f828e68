/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "broken.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "notes.h"

#define SPANS_MAX  512
#define CROWDED    384
#define BASES_MAX  64            /* of a build, that are noted */
#define FILE_MAX   (8u << 20)
/*
 * How long after its end a build may still leave something: an engine ends what it has begun to
 * keep, which may be gigabytes, and says only then when that was made.
 */
#define LATE_MS    INT64_C(120000)
#define TIME_MAX   (INT64_C(1) << 50)    /* ms: no clock goes so far */

/* The time of a build, by its engine's clock: ms since 1970. */
struct span {
	bool runs;
	int64_t began;
	int64_t last;            /* its end; while it runs, when that was noted last */
	int64_t set;             /* both are later by that where our time of day is right */
	int64_t ahead;           /* the engine's clock less kii_io_wall */
	int64_t known;           /* since when its end is, ms of kii_io_now */
	int64_t over;            /* until when it may leave something, ms of that */
	struct kii_texts bases;
	/* While it runs. */
	size_t slot;
	struct broken_clock clock;
	/* Of broken_look. */
	bool due, done;
};

struct broken {
	char *path;
	pthread_mutex_t lock;    /* of all below */
	struct span spans[SPANS_MAX];
	size_t n;
	bool unsaved;
	int64_t beat_at;         /* not before; ms of kii_io_now */
	int64_t since;           /* when the oldest build had begun of those since broken_look */
};

/* --- the list --- */

static void drop(struct broken *b, size_t i)
{
	kii_texts_release(&b->spans[i].bases);
	memmove(&b->spans[i], &b->spans[i + 1], (b->n - i - 1) * sizeof(b->spans[0]));
	b->n--;
}

/* There is always room: where there is not, the oldest that has ended goes. */
static struct span *put(struct broken *b, const struct span *s)
{
	size_t i = 0;

	static_assert(SPANS_MAX > WORKER_SLOTS_MAX, "one has ended");
	if (b->n == SPANS_MAX) {
		while (b->spans[i].runs)
			i++;
		drop(b, i);
		kii_log_warn("broken", "error=%s", kii_q("too many builds were broken off"));
	}
	b->spans[b->n] = *s;
	return &b->spans[b->n++];
}

static int64_t first_of(const struct span *s)
{
	return s->set < 0 ? s->began + s->set : s->began;
}

static int64_t last_of(const struct span *s)
{
	return s->set > 0 ? s->last + s->set : s->last;
}

static bool is_within(const struct span *s, int64_t at)
{
	return (s->began <= at && at <= s->last) ||
		(s->began <= at - s->set && at - s->set <= s->last);
}

/*
 * It runs still. Where clocks were set, or stood still with the machine, what it has made is of
 * either time.
 */
static void stretch(struct broken *b, struct span *s)
{
	s->last = kii_io_now() + s->clock.ahead;
	s->set = kii_io_wall() + s->ahead - s->last;
	if (first_of(s) < b->since)
		b->since = first_of(s);
}

/* --- the file: "run" or "end", BEGAN LAST AHEAD SET BASE... in each line --- */

static bool take_number(char **rest, int64_t *out)
{
	const char *word = strtok_r(NULL, " ", rest);
	char *end;

	if (!word)
		return false;
	*out = strtoll(word, &end, 10);
	return !*end && *out > -TIME_MAX && *out < TIME_MAX;
}

/* An earlier worker's: how long it may still leave something, ms. */
static int64_t rest_of(const struct span *s)
{
	int64_t rest = s->last + s->set - (kii_io_wall() + s->ahead);

	return rest < 0 ? 0 : rest < BROKEN_BEAT_MS + LATE_MS ? rest : BROKEN_BEAT_MS + LATE_MS;
}

static bool take_line(void *arg, char *line)
{
	struct broken *b = arg;
	char *rest = NULL;
	const char *state = strtok_r(line, " ", &rest);
	bool ran = state && strcmp(state, "run") == 0;
	struct span s = { .known = kii_io_now() };
	struct span *kept;

	if (!state || (!ran && strcmp(state, "end") != 0) || !take_number(&rest, &s.began) ||
	    !take_number(&rest, &s.last) || !take_number(&rest, &s.ahead) ||
	    !take_number(&rest, &s.set) || s.began <= 0 || s.last < s.began)
		return false;
	if (ran)
		s.last += BROKEN_BEAT_MS + LATE_MS;
	s.over = s.known + rest_of(&s);
	kept = put(b, &s);
	for (const char *base; kept->bases.n < BASES_MAX && (base = strtok_r(NULL, " ", &rest)); )
		kii_texts_add(&kept->bases, base);
	return true;
}

/* Under the lock, so that what is older never comes after. */
static void save(struct broken *b)
{
	kii_autobuf text = KII_BUF_INIT(FILE_MAX);

	for (size_t i = 0; i < b->n; i++) {
		const struct span *s = &b->spans[i];

		kii_buf_fmt(&text, "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
			s->runs ? "run" : "end", s->began, s->last, s->ahead, s->set);
		for (size_t k = 0; k < s->bases.n; k++)
			kii_buf_fmt(&text, " %s", s->bases.items[k]);
		kii_buf_char(&text, '\n');
	}
	b->unsaved = !notes_save(b->path, "broken", &text);
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

struct broken_clock broken_clock_of(int64_t told, int64_t asked)
{
	int64_t now = kii_io_now();

	return (struct broken_clock){ .ahead = told - now, .ahead_wall = told - kii_io_wall(),
		.slack = now - asked };
}

void broken_begin(struct broken *b, size_t slot, const struct broken_clock *clock,
	const struct kii_texts *bases)
{
	int64_t began = kii_io_now() + clock->ahead;
	const struct span span = { .runs = true, .began = began, .last = began,
		.ahead = clock->ahead_wall, .slot = slot, .clock = *clock };
	struct span *s;

	pthread_mutex_lock(&b->lock);
	s = put(b, &span);
	stretch(b, s);
	for (size_t i = 0; i < bases->n && i < BASES_MAX; i++)
		kii_texts_add(&s->bases, bases->items[i]);
	save(b);
	pthread_mutex_unlock(&b->lock);
}

void broken_beat(struct broken *b)
{
	bool any;

	pthread_mutex_lock(&b->lock);
	any = b->unsaved;
	for (size_t i = 0; i < b->n; i++) {
		if (!b->spans[i].runs || kii_io_now() < b->beat_at)
			continue;
		stretch(b, &b->spans[i]);
		any = true;
	}
	if (any) {
		save(b);
		b->beat_at = kii_io_now() + BROKEN_BEAT_MS / 2;
	}
	pthread_mutex_unlock(&b->lock);
}

void broken_end(struct broken *b, size_t slot, bool badly)
{
	struct span *s;
	size_t i = 0;

	pthread_mutex_lock(&b->lock);
	while (!b->spans[i].runs || b->spans[i].slot != slot)
		i++;
	s = &b->spans[i];
	s->runs = false;
	s->known = kii_io_now();
	s->over = s->known + LATE_MS;
	stretch(b, s);
	s->last += s->clock.slack + LATE_MS;
	if (!badly)
		drop(b, i);
	save(b);
	pthread_mutex_unlock(&b->lock);
}

/* --- for who looks --- */

/*
 * By either clock: what one worker has seen to its end does not wait for one that was set. Before
 * the list is full, and what is old is left out, all of it is looked at.
 */
static bool is_due(const struct broken *b, const struct span *s, int64_t age)
{
	return !s->runs && (b->n > CROWDED || kii_io_now() - s->known >= age ||
		kii_io_wall() + s->ahead - age >= s->last + s->set);
}

/* Under the lock: when the oldest build that runs has begun. */
static int64_t running_since(const struct broken *b)
{
	int64_t since = INT64_MAX;

	for (size_t i = 0; i < b->n; i++)
		if (b->spans[i].runs && first_of(&b->spans[i]) < since)
			since = first_of(&b->spans[i]);
	return since;
}

bool broken_look(struct broken *b, int64_t age)
{
	bool any = false;

	pthread_mutex_lock(&b->lock);
	b->since = running_since(b);
	for (size_t i = 0; i < b->n; i++) {
		struct span *s = &b->spans[i];

		s->due = is_due(b, s, age);
		s->done = s->due && kii_io_now() >= s->over && last_of(s) < b->since;
		any = any || s->due;
	}
	pthread_mutex_unlock(&b->lock);
	return any;
}

bool broken_covers(struct broken *b, int64_t at, const char *base)
{
	bool covers = false;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->n; i++) {
		const struct span *s = &b->spans[i];

		covers = covers || (s->due && is_within(s, at) &&
			(!base || kii_texts_has(&s->bases, base)));
	}
	covers = covers && at < b->since;
	pthread_mutex_unlock(&b->lock);
	return covers;
}

void broken_forget(struct broken *b)
{
	size_t had;

	pthread_mutex_lock(&b->lock);
	had = b->n;
	for (size_t i = b->n; i-- > 0; )
		if (b->spans[i].done && last_of(&b->spans[i]) < b->since)
			drop(b, i);
	if (b->n < had)
		save(b);
	pthread_mutex_unlock(&b->lock);
}
