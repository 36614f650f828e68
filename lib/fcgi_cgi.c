/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "fcgi_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

/* Plain CGI: one request from environment and stdin, for fcgiwrap and for tests. */
int kii_cgi_run(const struct kii_app *app, const struct kii_conf *conf)
{
	struct kii_error err = { 0 };
	struct kii_conn *c;
	bool sent;

	if (!getenv("REQUEST_METHOD")) {
		fprintf(stderr, "%s: to be started by spawn-fcgi (-n) or as a CGI program\n",
			app->name);
		return 2;
	}
	if (app->init && app->init(conf, &err)) {
		kii_log_error("start_refused", "msg=%s", kii_q(err.msg));
		return 1;
	}
	kii_conns_open(-1);
	c = kii_conn_new(-1);
	if (kii_serve(app, conf->http.body, c) == KII_PARKED) {
		if (!kii_conn_settle(c) || kii_conn_await(c))
			kii_serve_reply(c, &c->res);
	}
	sent = !c->broken;
	kii_conn_drop(c);
	if (app->quit)
		app->quit();
	kii_conns_close();
	return sent ? 0 : 1;
}
