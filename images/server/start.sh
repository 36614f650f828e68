#!/bin/sh
# SPDX-License-Identifier: MIT
# Entry point of kiisrv-server. With arguments: run those, as in `docker run ... kiisrv-server
# kiisrvctl doctor`. Without: look at the configuration, make folders and what nginx needs to know
# of this container, and become init.
set -eu
here=/usr/libexec/kiisrv/server
state=/var/lib/kiisrv
run=/run/kiisrv

[ $# = 0 ] || exec "$@"

refuse() {
	echo "start: $*" >&2
	exit 78
}

# folder MODE OWNER PATH: with the owners and rights that keep the two zones apart.
folder() {
	mkdir -p "$3" && chown "$2" "$3" && chmod "$1" "$3"
}

folders() {
	folder 0755 root:root $state
	folder 0755 root:root $run
	folder 0700 kiisrv:kiisrv $state/public
	folder 2750 kiisrv-engine:kiisrv $state/queue
	folder 0700 kiisrv-engine:kiisrv-engine $state/engine
	for name in artifacts logs operator-logs; do
		folder 2750 kiisrv-engine:www-data $state/$name
	done
	folder 2750 kiisrv:www-data $run/public
	folder 2750 kiisrv-engine:www-data $run/operator
	folder 2750 kiisrv-engine:kiisrv $run/worker
	folder 0700 www-data:www-data $run/nginx
	folder 0700 www-data:www-data $run/nginx-cache
}

# What the "bind" transport shares with the engine, where the host has given it to this container.
bind_folders() {
	for name in tmp_config tmp_builds; do
		[ ! -d $name ] || chown kiisrv-engine:kiisrv-engine $name
	done
}

# The address that the host, and a proxy on it, comes from.
gateway() {
	while read -r _ to via _; do
		[ "$to" = 00000000 ] || continue
		# Four bytes, the last one first.
		printf '%d.%d.%d.%d\n' "0x${via#??????}" "0x$(echo "$via" | cut -c5-6)" \
			"0x$(echo "$via" | cut -c3-4)" "0x$(echo "$via" | cut -c1-2)"
	done </proc/net/route | head -n 1
}

# KIISRV_PROXIES: addresses or networks whose X-Forwarded-For is believed, "gateway" among them.
proxies() {
	for one in ${KIISRV_PROXIES-}; do
		[ "$one" != gateway ] || one=$(gateway)
		case $one in
		"") continue ;;
		*[!0-9a-fA-F.:/]*) refuse "KIISRV_PROXIES: $one is no address" ;;
		esac
		echo "set_real_ip_from $one;"
	done
	echo "real_ip_header X-Forwarded-For;"
	echo "real_ip_recursive on;"
}

listen() {
	echo "listen 3001 backlog=4096 so_keepalive=60s:15s:4;"
	[ ! -e /proc/net/if_inet6 ] || echo "listen [::]:3001 backlog=4096 so_keepalive=60s:15s:4;"
}

# The engine's socket as the worker will look for it; nothing for one that is reached by TCP.
socket() {
	kiisrvctl config show | sed -n 's,^docker\.socket_path = "\(unix://\)\{0\,1\}\(/[^"]*\)".*,\2,p'
}

$here/check config || exit 78
folders
bind_folders
proxies >$run/nginx/proxies.conf
listen >$run/nginx/listen.conf
$here/check nginx || exit 78
chown -R www-data:www-data $run/nginx
engine=$(socket)
exec $here/init ${engine:+-s "$engine"} $here/services
