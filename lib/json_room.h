/* SPDX-License-Identifier: MIT */
/*
 * json_room: room for the JSON of one text, which is given back all at once. A small text becomes
 * some thousand pieces of memory, and to take and give back each of them is a third of what reading
 * it costs. Between enter and leave the pieces that jansson takes on this thread are cut off a
 * block that is kept for the next text; what finds no place there is malloc's, as all is elsewhere.
 * May be used by several threads, each of which has a block of its own meanwhile.
 */
#ifndef KII_JSON_ROOM_H
#define KII_JSON_ROOM_H

#include <jansson.h>

#include "mem.h"

#define KII_JSON_ROOM (512u << 10)   /* bytes of a block; a text of 30 kB fits */

struct kii_json_room;

/* The first call sets jansson's functions for memory: before there is a second thread. */
struct kii_json_room *kii_json_room_new(void) KII_NEVER_NULL;
void kii_json_room_free(struct kii_json_room *room);

/* Not twice on one thread. Who is inside frees with jansson's functions what comes from jansson. */
void kii_json_room_enter(struct kii_json_room *room);
/*
 * Every value that was made inside ends with this, whoever holds it. `taken` is the value that all
 * others are in, or NULL; the others are not held from elsewhere.
 */
void kii_json_room_leave(struct kii_json_room *room, json_t *taken);

#endif
