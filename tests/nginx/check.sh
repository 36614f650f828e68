#!/bin/sh
# SPDX-License-Identifier: MIT
# The installed nginx files, as TAP: filled in, and taken by nginx. No server is started.
built=${KII_BUILDDIR:-.}/nginx
PATH=$PATH:/usr/sbin:/sbin
if ! command -v nginx >/dev/null; then
	echo '1..0 # SKIP nginx is not installed'
	exit 0
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

# say NAME FINDINGS: one TAP line; the findings say what is wrong.
say() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | sed 's/^/# /'
		failed=1
	fi
}

# Their includes name the installed folder; here they are taken where they were built.
mkdir "$dir/nginx" "$dir/tmp"
for f in "$built"/*.conf; do
	sed "s,include [^;]*/nginx/,include $dir/nginx/," "$f" >"$dir/nginx/${f##*/}"
done
cat >"$dir/main.conf" <<EOT
pid $dir/pid;
error_log stderr;
events { }
http {
	access_log off;
	client_body_temp_path $dir/tmp/body;
	fastcgi_temp_path $dir/tmp/fastcgi;
	proxy_temp_path $dir/tmp/proxy;
	scgi_temp_path $dir/tmp/scgi;
	uwsgi_temp_path $dir/tmp/uwsgi;
	include $dir/nginx/kiisrv.conf;
}
EOT

echo 1..4
say "every placeholder is filled in" "$(grep -n '@[a-z_]*_dir@\|\${' "$built"/*.conf)"
say "every path is absolute" "$(grep -nE \
	'^[[:space:]]*(root|include) [^/]|unix:[^/]|from=[^/]' "$built"/*.conf)"
out=$(nginx -t -q -e stderr -c "$dir/main.conf" 2>&1) && out=
say "nginx takes it" "$out"
# Every status that has an error page has the page, and its body names the same status.
say "every error page answers with its own status" "$(sed -n \
	's/^error_page .*\/kiisrv-error\/\([0-9]*\);/\1/p' "$built/errors.conf" | while read -r status; do
	sed -n "/^location = \/kiisrv-error\/$status {/,/^}/p" "$built/errors.conf" |
		grep -q "return $status '{\"error\": \".*\", \"code\": \"[a-z_]*\"}" || echo "$status"
done)"
exit $failed
