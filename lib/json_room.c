/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "json_room.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* For the sanitizer what is in a block, but in no piece, is no memory. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define ALIGN sizeof(max_align_t)

struct block {
	struct block *next;   /* of those that nobody is in */
	size_t used;
	bool full;            /* something found no place */
	alignas(max_align_t) unsigned char bytes[KII_JSON_ROOM];
};

struct kii_json_room {
	pthread_mutex_t lock;
	struct block *blocks; /* the one that was left last, which is warm, comes first */
};

static _Thread_local struct block *here;

static void *take(size_t size)
{
	struct block *b = here;
	unsigned char *piece;

	if (!b)
		return malloc(size);
	if (size > KII_JSON_ROOM - b->used) {
		b->full = true;
		return malloc(size);
	}
	piece = b->bytes + b->used;
	b->used += (size + ALIGN - 1) / ALIGN * ALIGN;
	ASAN_UNPOISON_MEMORY_REGION(piece, size);
	return piece;
}

static void give_back(void *piece)
{
	const struct block *b = here;

	if (!b || (uintptr_t)piece - (uintptr_t)b->bytes >= KII_JSON_ROOM)
		free(piece);
}

static void set_functions(void)
{
	json_set_alloc_funcs(take, give_back);
}

struct kii_json_room *kii_json_room_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct kii_json_room *room = kii_xcalloc(1, sizeof(*room));

	pthread_once(&once, set_functions);
	pthread_mutex_init(&room->lock, NULL);
	return room;
}

void kii_json_room_free(struct kii_json_room *room)
{
	if (!room)
		return;
	while (room->blocks) {
		struct block *next = room->blocks->next;

		free(room->blocks);
		room->blocks = next;
	}
	pthread_mutex_destroy(&room->lock);
	free(room);
}

void kii_json_room_enter(struct kii_json_room *room)
{
	struct block *b;

	assert(!here);
	pthread_mutex_lock(&room->lock);
	b = room->blocks;
	if (b)
		room->blocks = b->next;
	pthread_mutex_unlock(&room->lock);
	if (!b)
		b = kii_xmalloc(sizeof(*b));
	b->used = 0;
	b->full = false;
	ASAN_POISON_MEMORY_REGION(b->bytes, sizeof(b->bytes));
	here = b;
}

void kii_json_room_leave(struct kii_json_room *room, json_t *taken)
{
	struct block *b = here;

	assert(b);
	/* pieces that are not in the block have to be found, which is what takes the time */
	if (b->full)
		json_decref(taken);
	here = NULL;
	ASAN_POISON_MEMORY_REGION(b->bytes, sizeof(b->bytes));
	pthread_mutex_lock(&room->lock);
	b->next = room->blocks;
	room->blocks = b;
	pthread_mutex_unlock(&room->lock);
}
