#!/bin/sh
# SPDX-License-Identifier: MIT
# What kiisrv needs of Debian, without documentation and translations.
set -eu
packages="nginx spawn-fcgi libfcgi0ldbl libsqlite3-0 libjansson4 libcurl4 libfyaml0 libgit2-1.5
	libssl3 libnettle8 liblzma5 libzstd1
	ca-certificates"
for path in doc man info locale lintian; do
	echo "path-exclude=/usr/share/$path/*"
done >/etc/dpkg/dpkg.cfg.d/kiisrv-small
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# shellcheck disable=SC2086
apt-get -q -y --no-install-recommends install $packages
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/*.log
