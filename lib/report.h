/* SPDX-License-Identifier: MIT */
/*
 * report: an answer that was made from a database, for as long as nobody writes to that. Whether
 * somebody did is asked a hundred times a second at most. Under the caller's lock.
 */
#ifndef KII_REPORT_H
#define KII_REPORT_H

#include <stdint.h>

#include "http.h"

struct kii_report {
	struct kii_buf body;
	char tag[KII_TAG_MAX];
	int64_t changes;    /* the database's own count, as it was then */
	int64_t looked_ms;  /* when that was last right */
	bool made;
};

void kii_report_init(struct kii_report *r, size_t limit);
void kii_report_release(struct kii_report *r);

/* True: it may be sent without a look at the database. `now_ms` is kii_io_now's. */
bool kii_report_fresh(const struct kii_report *r, int64_t now_ms);
/* True: it may be sent, since the database has not changed. Else `body` is empty: make it. */
bool kii_report_stands(struct kii_report *r, int64_t changes, int64_t now_ms);
/* `body` is whole. */
void kii_report_made(struct kii_report *r, int64_t changes, int64_t now_ms);
/* What is there is no longer to be trusted. */
void kii_report_forget(struct kii_report *r);

/* Fill the reply, 304 where the client has it. */
void kii_report_send(const struct kii_report *r, const char *type, const struct kii_req *req,
	struct kii_res *res);

#endif
