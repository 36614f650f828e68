#!/bin/sh
# SPDX-License-Identifier: MIT
# The users of the two zones, with the same numbers in every image: the state's volume outlives it.
set -eu
id=801
for user in kiisrv kiisrv-engine; do
	groupadd --gid $id $user
	useradd --uid $id --gid $user --home-dir /nonexistent --no-create-home \
		--shell /usr/sbin/nologin $user
	id=$((id + 1))
done
# Where the "bind" transport has its folders.
mkdir -p /srv/kiisrv /var/lib/kiisrv
chown kiisrv-engine:kiisrv-engine /srv/kiisrv
