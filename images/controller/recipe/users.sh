#!/bin/sh
# SPDX-License-Identifier: MIT
# The recipe's second step: user 1000, and the folders that the worker mounts volumes on: a fresh
# one takes the folder's owner.
set -eu
getent passwd 1000 >/dev/null || useradd --uid 1000 --user-group --no-create-home \
	--home-dir /nonexistent --shell /usr/sbin/nologin builder
mkdir -p /mnt/config /mnt/builds
chown 1000:1000 /mnt/config /mnt/builds
chmod 1777 /tmp
