#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages, as mandoc sees them: TAP.
if ! command -v mandoc >/dev/null; then
	echo '1..0 # SKIP mandoc is not installed'
	exit 0
fi
cd "${KII_SRCDIR:-.}/docs/man" || exit 1
set -- *.[1-9]
echo "1..$#"
n=0
failed=0
for page in "$@"; do
	n=$((n + 1))
	# Headings are tables' names, in brackets; and pages need not be installed to be right.
	found=$(mandoc -T lint "$page" 2>/dev/null |
		grep -v -e 'trailing delimiter: Ss \[' -e 'referenced manual not found')
	if [ -z "$found" ]; then
		echo "ok $n - $page"
	else
		echo "not ok $n - $page"
		echo "$found" | sed 's/^/# /'
		failed=1
	fi
done
exit $failed
