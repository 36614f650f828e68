/* SPDX-License-Identifier: MIT */
/* fcgi_feed: routes of fcgi_app that stream. */
#ifndef KII_FCGI_FEED_H
#define KII_FCGI_FEED_H

#include "http.h"

/*
 * GET /feed/{how}/{n}: n pieces of 1000 bytes, numbered, from a thread of its own.
 *   "good": it heeds what waits for the client; "rude": not; "early": all before the handler
 *   returns; "quiet": n pieces, then no end; "drop": n pieces, then it hangs up
 * GET /feeds: {"now": feeders that run, "begun": those of them that answer already, "gone": clients
 *   that left, "full": feeders that wait for room}
 */
kii_handler get_feed, get_feeds;

#endif
