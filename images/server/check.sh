#!/bin/sh
# SPDX-License-Identifier: MIT
# Would a reload do? init asks this before it tells the programs.
kiisrvctl config check && exec setpriv --reuid www-data --regid www-data --clear-groups \
	nginx -t -q -e stderr -c /usr/libexec/kiisrv/server/nginx.conf
