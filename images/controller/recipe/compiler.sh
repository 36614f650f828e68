#!/bin/sh
# SPDX-License-Identifier: MIT
# The recipe's fourth step: the KLL compiler at the version that the release is made for, and a copy
# of the hid-io layouts, which it would fetch at every build otherwise.
set -eu
: "${CONTROLLER_TAG:?}" "${LAYOUTS_URL:?}" "${HID_IO_LAYOUTS:?}"
RELEASES=${RELEASES:-/opt/kiisrv/releases.tsv}
# Packaging 22 and later refuse the version of a KLL 0.3d header.
modules="layouts==0.4.10 packaging==21.3"

fail() {
	echo "compiler.sh: $*" >&2
	exit 1
}

version=${KLL_VERSION:-$(awk -v tag="$CONTROLLER_TAG" '$1 == tag { print $2 }' "$RELEASES")}
[ -n "$version" ] || fail "which KLL compiler is $CONTROLLER_TAG for? Say KLL_VERSION"
# Beside Debian's modules, which it needs too: a build must not depend on which python3 it finds.
export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
	PIP_DISABLE_PIP_VERSION_CHECK=1
# shellcheck disable=SC2086
python3 -m pip install -q --no-deps "kll==$version" $modules

git clone -q --depth 1 -- "$LAYOUTS_URL" "$HID_IO_LAYOUTS"
rm -rf "$HID_IO_LAYOUTS/.git"
# Where the module looks for them.
[ -n "$(find "$HID_IO_LAYOUTS" -mindepth 2 -maxdepth 2 -name '*.json' -print -quit)" ] ||
	fail "there are no layouts in $LAYOUTS_URL"
chmod -R a+rX "$HID_IO_LAYOUTS"
echo "kll $version"
