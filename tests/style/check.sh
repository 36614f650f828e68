#!/bin/sh
# SPDX-License-Identifier: MIT
# The mechanical rules of the house style, as TAP. Reads the source folder only.
cd "${KII_SRCDIR:-.}" || exit 1
. tests/tap.sh

files() {
	find lib cgi worker ctl images/server tests -path tests/images -prune -o -name '*.[ch]' -print |
		sort
}
sources() {
	find lib cgi worker ctl images/server -name '*.[ch]' | sort
}
# only HEADER ALLOWED_REGEX: who else includes a foreign header?
only() {
	grep -lE "#include <$1>" $(files) | grep -vE "^($2)|^tests/"
}

echo 1..14
say "lines of at most 100 columns" "$(files | xargs awk '
	{ line = $0; gsub(/\t/, "        ", line) }
	length(line) > 100 { print FILENAME ":" FNR ": " length(line) " columns" }')"
say "files within their size" "$(sources | while read -r f; do
	lines=$(wc -l <"$f"); max=600
	case $f in cgi/*) max=300 ;; esac
	[ "$lines" -le "$max" ] || echo "$f: $lines lines, at most $max"
done)"
say "functions of at most 100 lines" "$(files | grep '\.c$' | xargs awk '
	FNR == 1 { open = 0 }
	/^\{/ { start = FNR; open = 1 }
	/^\}/ { if (open && FNR - start > 100) print FILENAME ":" start ": " FNR - start " lines"; open = 0 }')"
say "nesting of at most three" "$(sources | grep '\.c$' | xargs awk '
	/^\t\t\t\t\t(if|for|while|switch|do)\>/ { print FILENAME ":" FNR ": too deep" }')"
say "banned calls stay out" "$(grep -nE \
	'\b(strcpy|strcat|strncpy|sprintf|vsprintf|strtok|atoi|gmtime|localtime|system|popen)\(' $(sources))"
say "no unfinished marks" "$(grep -nE 'TO''DO|FIX''ME|\bXX''X\b|HA''CK' $(files))"
say "every file names its licence" "$(for f in $(files); do
	head -n 1 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f"
done)"
say "config.h comes first in every source" "$(for f in $(files | grep '\.c$'); do
	[ "$(grep -m 1 '^#include' "$f")" = '#include <config.h>' ] || echo "$f"
done)"
say "only the engine client and httpc include curl" "$(only 'curl/.*' 'lib/engine|lib/httpc')"
say "only lib/layouts_git.c includes git2.h" "$(only 'git2(/.*)?.h' 'lib/layouts_git')"
say "only lib/fcgi.c includes fcgiapp.h" "$(only 'fcgiapp.h' 'lib/fcgi')"
say "only lib/store includes sqlite3.h" "$(only 'sqlite3.h' 'lib/store')"
say "lib knows nothing of cgi, worker and ctl" "$(grep -nE '#include "(\.\./)?(cgi|worker|ctl)/' lib/*.[ch])"
# The last column of its table; a release has no API tests with it.
say "docs/security.md names tests that there are" "$([ ! -d tests/api ] ||
	sed -n '/^| abuse/,$ s/^|.*|\(.*\)|$/\1/p' docs/security.md | grep -o '`[^`]*`' | tr -d '`' |
	sort -u | awk '{ print } END { if (NR < 10) print "tests_of_a_table" }' | while read -r t; do
	grep -rqE "^(static )?(def|void) $t\\(" tests/api tests/unit || echo "there is no test $t"
done)"
exit $failed
