#!/bin/sh
# SPDX-License-Identifier: MIT
# What builds kiisrv; nothing of it is in the image.
set -eu
packages="autoconf automake make gcc libc6-dev pkg-config libfcgi-dev libsqlite3-dev libjansson-dev
	libcurl4-openssl-dev libarchive-dev libfyaml-dev libgit2-dev libssl-dev nettle-dev
	python3-yaml zlib1g-dev libzstd-dev liblzma-dev libbz2-dev"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# shellcheck disable=SC2086
apt-get -q -y --no-install-recommends install $packages
rm -rf /var/lib/apt/lists/*
