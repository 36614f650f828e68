# SPDX-License-Identifier: MIT
# For tests in sh that speak TAP: `ok NAME COMMAND...` counts, and says what the last command that
# was tried had printed ($status, $tmp/out and $tmp/err are the test's own). `say NAME FINDINGS` is
# for checks: well where there are no findings.
# shellcheck shell=sh disable=SC2034,SC2154
n=0
failed=0

ok() {
	name=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "status $status, printed:" | cat - "$tmp/out" "$tmp/err" 2>/dev/null |
			sed 's/^/# /' | head -n 40
		failed=1
	fi
}

say() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "$2" | sed 's/^/# /'
		failed=1
	fi
}
