#!/bin/sh
# SPDX-License-Identifier: MIT
# Build kiisrv from /src and install it below /out, with the files of this folder.
#
# libarchive is linked statically, and only the formats that are used come along (the linker
# drops the sections of the others, and what those would need): Debian's shared one brings libxml2
# and with it 36 MB of ICU.
set -eu
cd /src
autoreconf -i
mkdir /build
cd /build
flags="-O2 -D_FORTIFY_SOURCE=2 -fPIE -ffunction-sections -fdata-sections"
libs=$(pkg-config --libs sqlite3 jansson libcurl libcrypto libfyaml)
/src/configure -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var --runstatedir=/run \
	--disable-tests CFLAGS="$flags" LDFLAGS="-pie -Wl,-z,relro,-z,now,--as-needed,--gc-sections" \
	DEPS_LIBS="$libs -l:libarchive.a -lnettle -lz -lzstd -llzma -lbz2"
make -s -j"$(nproc)"
make -s images/server/init
make -s install-strip DESTDIR=/out
rm -rf /out/usr/share/man /out/usr/share/bash-completion

server=/out/usr/libexec/kiisrv/server
mkdir -p "$server"
install -s -m 755 images/server/init "$server/init"
for name in start check healthy; do
	install -m 755 /src/images/server/$name.sh "$server/$name"
done
install -m 644 /src/images/server/nginx.conf "$server/nginx.conf"
# A program that is not installed is not started.
while read -r line; do
	program=/out${line##* }
	case $line in
	*/usr/libexec/kiisrv/*) [ "${line#\#}" = "$line" ] && [ ! -e "$program" ] && continue ;;
	esac
	printf '%s\n' "$line"
done </src/images/server/services >"$server/services"
mkdir -p /out/etc/kiisrv/layouts
chmod -R u=rwX,go=rX /out
