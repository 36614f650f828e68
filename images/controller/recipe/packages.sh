#!/bin/sh
# SPDX-License-Identifier: MIT
# The recipe's first step: Debian's packages, the layer that all releases share.
set -eu
packages="ca-certificates git zip lsb-release bsdextrautils
	cmake ninja-build gcc-arm-none-eabi binutils-arm-none-eabi libnewlib-arm-none-eabi dfu-util
	python3 python3-git python3-github python3-requests python3-pyparsing python3-pip"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# shellcheck disable=SC2086
apt-get -q -y --no-install-recommends install $packages
rm -rf "${APT_LISTS:-/var/lib/apt/lists}"/*
