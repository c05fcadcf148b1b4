#!/bin/sh
# Runs memcached with its items in the memory file.
#
#   memcached-wrapper.sh ephemeral    becomes memcached
#   memcached-wrapper.sh persistent   stays its parent: SIGTERM, SIGINT and
#                                     SIGUSR1 make memcached save its state and
#                                     stop; the exit status is memcached's
#
# MEMCACHED_ARGS       more arguments for memcached, put last. Words are split as
#                      xargs splits them: at blanks and newlines, with quotes and
#                      backslash respected, without expansion or execution
# MEMORY_FILE          path of the file, default /data/memcached-memory-file
# MEMORY_FILE_MIN_MIB  smallest size accepted, default 39 (see data-volume-init.sh)
set -u

name=${0##*/}
mode=${1-}
file=${MEMORY_FILE:-/data/memcached-memory-file}
min=${MEMORY_FILE_MIN_MIB:-39}
state=$file.meta
stopping=
pid=
repeater=
interrupted=

say() { printf '%s: %s\n' "$name" "$*" >&2; }
refuse() {
	say "$*"
	exit 1
}

# stop may run at any point. memcached has no handler for SIGUSR1 until some
# milliseconds after its start, and is started with the signal ignored, so it is
# sent until memcached has ended; more than one changes nothing.
stop() {
	stopping=1
	interrupted=1
	if [ -n "$pid" ] && [ -z "$repeater" ]; then
		say "stopping memcached, which saves its state to $state"
		(while kill -USR1 "$pid" 2>/dev/null; do sleep 0.2; done) &
		repeater=$!
	fi
}
trap stop INT TERM

check_memory_file() {
	if [ ! -e "$file" ]; then
		refuse "$file is missing: run data-volume-init.sh on the volume first"
	fi
	if [ ! -f "$file" ]; then
		refuse "$file is not a regular file ($(stat -c %F "$file")): move it out of the way and run data-volume-init.sh"
	fi
	if [ ! -r "$file" ] || [ ! -w "$file" ]; then
		refuse "$file is not readable and writable for user $(id -u) ($(stat -c 'owner %u:%g, mode %a' "$file")): give it to that user, or remove it and run data-volume-init.sh"
	fi
	if [ ! -w "$(dirname "$file")" ]; then
		refuse "$(dirname "$file") is not writable for user $(id -u), so $state could not be saved: set fsGroup in the pod's securityContext"
	fi
	limit=$(($(stat -c %s "$file") / 1048576))
	if [ "$limit" -lt "$min" ]; then
		refuse "$file has $limit MiB, memcached needs at least $min: use a larger volume, or set MEMORY_FILE_MIN_MIB if your slab options need less"
	fi
}

# state_fault prints why memcached could not read the state file. It aborts for
# ever on one that is empty or has an unknown line, crashes on NUL bytes, and
# would take a last value that was cut short for the real one.
state_fault() {
	if [ ! -s "$state" ]; then
		echo "is empty"
	elif [ ! -r "$state" ]; then
		echo "is not readable for user $(id -u)"
	elif [ "$(stat -c %s "$state")" -gt 65536 ]; then
		echo "is larger than any state file"
	elif [ "$(head -n 1 "$state" | tr '\0' '?')" != Tmain ]; then
		echo "does not begin with Tmain"
	elif tail -n +2 "$state" | LC_ALL=C grep -a -q -v '^K[[:graph:]]\{1,\} [[:print:]]*$'; then
		echo "has a line that is not a key and a value"
	elif [ -n "$(tail -c 1 "$state")" ]; then
		echo "ends in the middle of a line"
	fi
}

check_state_file() {
	[ -e "$state" ] || [ -L "$state" ] || return 0
	if [ -L "$state" ] || [ ! -f "$state" ]; then
		refuse "$state is not a regular file ($(stat -c %F "$state")): move it out of the way"
	fi
	fault=$(state_fault)
	if [ -n "$fault" ]; then
		say "removing $state, which $fault: memcached starts with an empty cache"
		rm -f "$state" || refuse "cannot remove $state: remove it by hand"
		return 0
	fi
	# memcached refuses a state file that was written in the second of its
	# start. At most a second of delay buys a whole cache.
	saved=$(sed -n 's/^Kstop_time \([0-9]*\)$/\1/p' "$state")
	if [ "$saved" = "$(date +%s)" ]; then
		sleep 1
	fi
}

# words prints each word of MEMCACHED_ARGS on a line of its own.
words() {
	printf '%s\n' "${MEMCACHED_ARGS-}" | xargs -r printf '%s\n'
}

case $mode in
ephemeral | persistent) [ $# -eq 1 ] || refuse "one argument is expected, $# were given" ;;
*) refuse "unknown mode '$mode': the argument must be ephemeral or persistent" ;;
esac
case $min in
'' | 0* | *[!0-9]* | ?????????*) refuse "MEMORY_FILE_MIN_MIB=$min is not a number of MiB: set it to a positive whole number" ;;
esac
command -v memcached >/dev/null || refuse "memcached is not in PATH=$PATH: use an image that has it"

check_memory_file
list=$(words 2>&1 && echo .) || refuse "MEMCACHED_ARGS=${MEMCACHED_ARGS-} cannot be split into words: close every quote on its line"
check_state_file

set -- memcached --memory-limit="$limit" --memory-file="$file"
list=${list%.} # the dot has kept empty last words from being cut off
if [ -n "$list" ]; then
	while IFS= read -r word; do
		set -- "$@" "$word"
	done <<-END
		${list%?}
	END
fi

if [ -n "$stopping" ]; then
	say "stopped before memcached was started"
	exit 0
fi
say "starting memcached with $limit MiB in $file"
if [ "$mode" = ephemeral ]; then
	exec "$@"
fi

trap '' USR1
"$@" &
pid=$!
trap stop USR1
[ -z "$stopping" ] || stop

# wait returns early when a signal is handled. After its last status it knows the
# process no more and returns 127.
status=127
while :; do
	interrupted=
	wait "$pid"
	rc=$?
	[ "$rc" -ne 127 ] || break
	status=$rc
	[ -n "$interrupted" ] || break
done
[ -z "$repeater" ] || kill "$repeater" 2>/dev/null
[ "$status" -eq 0 ] || say "memcached ended with status $status"
exit "$status"
