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
. "$(dirname "$0")/../tap.sh"

# Their includes name the installed folder; here they are taken where they were built.
mkdir "$dir/nginx" "$dir/tmp"
for f in "$built"/*.conf; do
	sed -e "s,include [^;]*/nginx/,include $dir/nginx/," \
		-e "s,^fastcgi_cache_path [^ ]*,fastcgi_cache_path $dir/cache," "$f" \
		>"$dir/nginx/${f##*/}"
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

# nginx_takes: what `nginx -t` has against it.
nginx_takes() {
	local out
	out=$(nginx -t -q -e stderr -c "$dir/main.conf" 2>&1) || echo "${out:-it fails}"
}

echo 1..6
say "every placeholder is filled in" "$(grep -n '@[a-z_]*_dir@\|\${' "$built"/*.conf)"
say "every path is absolute" "$(grep -nE \
	'^[[:space:]]*(root|include|fastcgi_cache_path) [^/]|unix:[^/]|from=[^/]' "$built"/*.conf)"
say "nginx takes it" "$(nginx_takes)"
# Every status that has an error page has the page, and its body names the same status.
say "every error page answers with its own status" "$(sed -n \
	's/^error_page .*\/kiisrv-error\/\([0-9]*\);/\1/p' "$built/errors.conf" | while read -r status; do
	sed -n "/^location = \/kiisrv-error\/$status {/,/^}/p" "$built/errors.conf" |
		grep -q "return $status '{\"error\": \".*\", \"code\": \"[a-z_]*\"}" || echo "$status"
done)"
# An administrator may be content without the cache.
cp "$dir/nginx/cache.conf" "$dir/cache.conf" && : >"$dir/nginx/cache.conf"
say "it does without the cache" "$(nginx_takes)"
mv "$dir/cache.conf" "$dir/nginx/cache.conf"
# What is offered behind comment signs is right too: lines of directives, and the blocks for TLS;
# without ports that are root's and addresses that a machine may lack.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout "$dir/key" -out "$dir/pem" \
	2>/dev/null
for f in http kiisrv operator-access; do
	sed -e 's/^\([[:space:]]*\)# \([a-z0-9_.]* [^ ].*;\)$/\1\2/' -e 's/^#\(server {\|	.*\|}\)$/\1/' \
		-e "s,^\([[:space:]]*ssl_certificate\) .*,\1 $dir/pem;," \
		-e "s,^\([[:space:]]*ssl_certificate_key\) .*,\1 $dir/key;," \
		-e 's/listen \[::\]/listen 127.0.0.2/' -e '/listen /s/\(443\|80\)\([ ;]\)/8\1\2/' \
		-e "s,/var/log/nginx,$dir," "$dir/nginx/$f.conf" >"$dir/new" && mv "$dir/new" "$dir/nginx/$f.conf"
done
say "what is commented out is taken too" "$(nginx_takes
	grep -q '^	set_real_ip_from 192' "$dir/nginx/kiisrv.conf" || echo "set_real_ip_from is not in"
	grep -q '^allow 192' "$dir/nginx/operator-access.conf" || echo "a network is not in"
	grep -q '^	listen 8443 ssl' "$dir/nginx/kiisrv.conf" || echo "TLS is not in"
	grep -q '^	on "max-age' "$dir/nginx/http.conf" || echo "HSTS is not in"
	grep -q '^	access_log' "$dir/nginx/kiisrv.conf" || echo "access_log is not in")"
exit $failed
