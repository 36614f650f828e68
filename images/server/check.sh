#!/bin/sh
# SPDX-License-Identifier: MIT
# check [config | nginx]: would a start, or a reload, do? init asks this before it tells the programs.
[ "${1-config}" != config ] || kiisrvctl config check >/dev/null || exit 1
# nginx gives its folders to the user that this names, so it had better be the right one.
[ "${1-nginx}" != nginx ] || exec nginx -t -q -e stderr -g "user www-data;" \
	-c /usr/libexec/kiisrv/server/nginx.conf
