# SPDX-License-Identifier: MIT
# Completion of kiisrvctl for bash. Commands and options come from its own --help, so that this
# knows what the program knows.

# The first column of a list that the program prints, without its heading.
_kiisrvctl_column() {
	"${program[@]}" "$@" 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }'
}

# _kiisrvctl_value WHAT: what a usage line calls a value, or an operand.
_kiisrvctl_value() {
	case $1 in
	*FILE* | *PATH*) compgen -f -- "$current" ;;
	*DIR*) compgen -d -- "$current" ;;
	TOKEN) compgen -W "$(_kiisrvctl_column token list)" -- "$current" ;;
	SCOPE) compgen -W "all containers:read containers:write images:read images:write \
		images:build jobs:read jobs:write runtime:read audit:read" -- "$current" ;;
	ID) compgen -W "$(_kiisrvctl_column jobs list)" -- "$current" ;;
	CONTAINER) compgen -W "$(_kiisrvctl_column containers list --all)" -- "$current" ;;
	SIGNAL) compgen -A signal -- "$current" ;;
	WHEN) compgen -W "missing always never" -- "$current" ;;
	STREAM) compgen -W "stdout stderr both" -- "$current" ;;
	NAME | ENV) compgen -W "$(_kiisrvctl_column versions list)" -- "$current" ;;
	STATE)
		# Jobs have others than containers.
		case $usage in
		*containers*) value="created running paused restarting removing exited dead" ;;
		*) value="queued running succeeded failed timed_out cancelled lost" ;;
		esac
		compgen -W "$value" -- "$current"
		;;
	esac
}

_kiisrvctl() {
	local program=("$1") current=$2 before=$3 help usage value word i

	help=$("$1" --help 2>/dev/null) || return
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-c | --config) program+=(-c "${COMP_WORDS[++i]}") ;;
		[a-z]*)
			# A word that this group has as a command leads on.
			grep -q "^  $word\( \|$\)" <<<"$help" || continue
			usage+=" $word"
			# shellcheck disable=SC2086
			help=$("$1" $usage --help 2>/dev/null) ;;
		esac
	done
	usage=${help%%$'\n'*}
	value=$(grep -oE -- "(^|[[ |])$before [A-Z|]+" <<<"$usage")
	if [[ $before == @(-c|--config) ]]; then
		value=FILE
	elif [[ $before != -* || -z $value ]]; then
		# Not behind an option that has a value: the first operand.
		value=$(sed -E 's/\[[^]]*\]//g; s/--[a-z-]+ [A-Z|]+//g' <<<"$usage" |
			grep -oE ' [A-Z][A-Z|]+' | head -n 1)
	fi
	if [[ $current == -* ]]; then
		word=$(grep -oE -- '--?[a-z][a-z-]*' <<<"$usage")
		mapfile -t COMPREPLY < <(compgen -W "$word -c --config --json --help --version" -- \
			"$current")
	elif [[ $value == *COMMAND ]]; then
		word=$(awk '/^  [a-z]/ { print $1 }' <<<"$help")
		mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
	else
		[[ $value != *@(FILE|PATH|DIR)* ]] || compopt -o filenames
		mapfile -t COMPREPLY < <(_kiisrvctl_value "${value##* }")
	fi
}
complete -F _kiisrvctl kiisrvctl
