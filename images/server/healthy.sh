#!/bin/bash
# SPDX-License-Identifier: MIT
# The container's health check: /healthz through nginx, as a client. Prints what it says.
exec 3<>/dev/tcp/127.0.0.1/3001 || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 5 _ status _ <&3 || exit 1
while read -r -t 5 line <&3 && [ "$line" != $'\r' ]; do :; done
cat <&3
[ "$status" = 200 ]
