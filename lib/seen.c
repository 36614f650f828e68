/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "seen.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct place {
	char digest[KII_HASH_HEX];   /* "": free */
	uint64_t used;
};

struct kii_seen {
	pthread_mutex_t lock;
	size_t n_places, size;
	uint64_t clock;
	struct place *places;
	char *values;
};

struct kii_seen *kii_seen_new(size_t places, size_t size)
{
	struct kii_seen *s = kii_xcalloc(1, sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	s->n_places = places;
	s->size = size;
	s->places = kii_xcalloc(places, sizeof(*s->places));
	s->values = kii_xcalloc(places, size);
	return s;
}

void kii_seen_free(struct kii_seen *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->places);
	free(s->values);
	free(s);
}

void kii_seen_digest(const char *text, size_t len, char out[KII_HASH_HEX])
{
	struct kii_hash *hash = kii_hash_new();

	kii_hash_add(hash, text, len);
	kii_hash_hex(hash, out);
	kii_hash_free(hash);
}

/* Under the lock: the place of a digest, else the one to give up for it. */
static size_t find(const struct kii_seen *s, const char *digest)
{
	size_t oldest = 0;

	for (size_t i = 0; i < s->n_places; i++) {
		/* the first digit tells most of them apart, without a call */
		if (s->places[i].digest[0] == *digest && !strcmp(s->places[i].digest, digest))
			return i;
		if (s->places[i].used < s->places[oldest].used)
			oldest = i;
	}
	return oldest;
}

bool kii_seen_get(struct kii_seen *s, const char *digest, void *value)
{
	bool known;
	size_t i;

	pthread_mutex_lock(&s->lock);
	i = find(s, digest);
	known = !strcmp(s->places[i].digest, digest);
	if (known) {
		s->places[i].used = ++s->clock;
		memcpy(value, s->values + i * s->size, s->size);
	}
	pthread_mutex_unlock(&s->lock);
	return known;
}

void kii_seen_put(struct kii_seen *s, const char *digest, const void *value)
{
	size_t i;

	pthread_mutex_lock(&s->lock);
	i = find(s, digest);
	memcpy(s->places[i].digest, digest, KII_HASH_HEX);
	s->places[i].used = ++s->clock;
	memcpy(s->values + i * s->size, value, s->size);
	pthread_mutex_unlock(&s->lock);
}
