#!/bin/sh
# postgres.sh [setting=value ...]: a throwaway PostgreSQL server.
#
# Prints one line, the connection string, when the server answers. Runs until
# standard input ends, which happens however the process that holds the other
# end dies, kill -9 included. Then it stops the server and removes its folder.
#
# The server listens on a unix socket in a folder only its owner may enter: no
# port to collide on, no password, nothing that other users of the machine could
# reach. PostgreSQL refuses to run as root, so root lends it the user "postgres".
#
# Exit codes: 3 when PostgreSQL is not installed, 1 for any other trouble.
set -u

# A Ctrl-C in the terminal reaches the whole process group; we leave by the end
# of standard input only, so that cleaning up is never cut short.
trap '' INT HUP TERM

bin=
for initdb in $(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -t/ -k5 -rn) $(command -v initdb); do
	if [ -x "$initdb" ] && [ -x "$(dirname "$initdb")/postgres" ]; then
		bin=$(dirname "$initdb")
		break
	fi
done
if [ -z "$bin" ]; then
	echo "no initdb in /usr/lib/postgresql/*/bin or PATH" >&2
	exit 3
fi

as=
parent=${TMPDIR:-/tmp}
if [ "$(id -u)" = 0 ]; then
	id postgres >/dev/null 2>&1 || { echo "root, and no user postgres to run as" >&2; exit 3; }
	as="setpriv --reuid=postgres --regid=postgres --init-groups"
	parent=/tmp # root's TMPDIR may lie where postgres cannot go
elif [ ${#parent} -gt 60 ]; then
	parent=/tmp # a socket's path has at most 107 bytes
fi
dir=$(mktemp -d "$parent/curfew-pg-XXXXXX") || exit 1
[ -z "$as" ] || chown postgres "$dir"
cd "$dir" || exit 1

fail() {
	echo "$1" >&2
	tail -n 30 log >&2
	cd /
	rm -rf "$dir"
	exit 1
}

# initdb need not be durable: a folder lost half made is thrown away.
$as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >log 2>&1 ||
	fail "initdb:"

# Clients may be many (each test its own pool); fsync and synchronous_commit stay
# on unless the caller says otherwise, because durability is what we test.
set -- listen_addresses= "unix_socket_directories=$dir" max_connections=400 shared_buffers=64MB \
	log_min_messages=fatal "$@"
n=$#
while [ "$n" -gt 0 ]; do
	set -- "$@" -c "$1"
	shift
	n=$((n - 1))
done
# exec, so that $! is the server itself and not a shell around it.
(exec $as "$bin/postgres" -D "$dir/data" "$@" </dev/null >>log 2>&1) &
pid=$!

tries=0
until "$bin/pg_isready" -q -h "$dir" -U postgres; do
	kill -0 "$pid" 2>/dev/null || fail "postgres ended:"
	tries=$((tries + 1))
	[ "$tries" -lt 600 ] || { kill -QUIT "$pid"; wait "$pid"; fail "postgres not ready after 30 s:"; }
	sleep 0.05
done
echo "postgres://postgres@/postgres?host=$dir"

while read -r _; do :; done

kill -QUIT "$pid" # at once: nobody will read this data again
wait "$pid"
cd /
rm -rf "$dir"
