#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real programs whose root, or whose files, are on a mount: apt, git, gcc and make, SQLite and
# PostgreSQL. The lower layers are a Debian with all of these and one with their data, so that
# what they work on has to come up from there.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/rootfs.sh
. "$SUPPORT_DIR/rootfs.sh"

need_packages fuse3 mmdebstrap
in_private_ns "$@"

BASE=$(cached_root programs git gcc libc6-dev make sqlite3 postgresql)
M=$WORK/m
DATA=$WORK/data
RW=lowerdir=$DATA:$BASE,upperdir=$WORK/up,workdir=$WORK/work

inside() { in_root "$M" "$@"; }

# --- the data layer, made by the same programs without the mount in between -------------

# seed SCRIPT: runs it in the base tree. What it writes to /srv is the data layer; to the base
# itself nothing may be written, so /tmp is covered as well.
seed() {
	in_root "$WORK/seed" bash -ec "$1"
}

cover_base() {
	mkdir "$WORK/seed"
	mount --bind "$BASE" "$WORK/seed"
	mount --bind "$DATA/srv" "$WORK/seed/srv"
	mount -t tmpfs tmpfs "$WORK/seed/tmp"
}

seed_git() {
	seed '
		export GIT_CONFIG_GLOBAL=/tmp/gitconfig
		git config --global user.name tester
		git config --global user.email tester@example.org
		git config --global init.defaultBranch main
		mkdir /srv/origin
		cd /srv/origin
		git init -q
		for i in $(seq 40); do
			mkdir -p dir$((i % 7))
			for j in $(seq 15); do echo "$i $j" >dir$((i % 7))/file$i.$j; done
			git add .
			git commit -qm "commit $i"
		done
		git gc -q
		echo late >late
		git add late
		git commit -qm "not packed"'
}

seed_sqlite() {
	seed '
		sqlite3 /srv/lower.db "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
			INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;"
		cp /srv/lower.db /srv/lower-wal.db'
}

seed_source() {
	local i dir=$DATA/srv/source
	mkdir -p "$dir"
	for i in {1..30}; do
		printf '#include "all.h"\nint f%s(int x) { return x + %s; }\n' "$i" "$i" >"$dir/f$i.c"
		printf 'int f%s(int x);\n' "$i" >>"$dir/all.h"
	done
	{
		printf '#include <stdio.h>\n#include "all.h"\nint main(void) { int s = 0;\n'
		for i in {1..30}; do printf 's = f%s(s);\n' "$i"; done
		printf 'printf("%%d\\n", s); return 0; }\n'
	} >"$dir/main.c"
	printf 'objects = $(patsubst %%.c,%%.o,$(wildcard *.c))\nCFLAGS = -O1\nprogram: $(objects)\n\t$(CC) -o $@ $^\n$(objects): all.h\n' >"$dir/Makefile"
}

make_data_layer() {
	mkdir -p "$DATA/srv" "$WORK"/{up,work,m}
	cover_base
	seed_git
	seed_sqlite
	seed_source
	umount -R "$WORK/seed"
	fingerprint "$DATA" >"$WORK/data.before"
	fingerprint "$BASE" >"$WORK/base.before"
}

mount_it() {
	mount_plyfs "$RW" "$M"
	served_by_plyfs "$M"
}

# --- apt -------------------------------------------------------------------------------

apt_installs() {
	cp /etc/resolv.conf "$M/etc/resolv.conf"
	inside apt-get -qq update
	inside apt-get -qq install -y --no-install-recommends hello bc jq
	eq "$(inside hello)" "Hello, world!"
	eq "$(inside sh -c 'echo "6*7" | bc')" 42
	eq "$(inside sh -c "echo '{\"a\": [1, 2]}' | jq -c .a")" "[1,2]"
}

apt_removes() {
	inside apt-get -qq purge -y bc
	[[ ! -e $M/usr/bin/bc ]] || fail "bc is still there"
	eq "$(inside dpkg --audit)" ""
	eq "$(inside dpkg --verify hello jq libc6 bash coreutils)" ""
}

# Every file of a package is replaced by rename.
apt_reinstalls() {
	inside apt-get -qq install -y --reinstall coreutils
	eq "$(inside dpkg --verify coreutils)" ""
}

# --- git -------------------------------------------------------------------------------

git_inside() {
	inside env GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=tester \
		GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=tester@example.org \
		GIT_CONFIG_KEY_2=safe.directory GIT_CONFIG_VALUE_2='*' git "$@"
}

# Cloning a local repository makes hard links to the lower layer's objects.
git_clone() {
	git_inside clone -q /srv/origin /srv/clone
	eq "$(git_inside -C /srv/clone status --porcelain)" ""
	eq "$(git_inside -C /srv/clone rev-list --count HEAD)" 41
	eq "$(git_inside -C /srv/clone fsck --full --strict 2>&1 | grep -v '^Checking\|^notice')" ""
	git_inside -C /srv/clone diff --exit-code HEAD
}

# The lower layer's own working tree is clean too: what git remembers of inodes holds.
git_in_lower() {
	eq "$(git_inside -C /srv/origin status --porcelain)" ""
	git_inside -C /srv/origin fsck --full --strict
}

git_works() {
	git_inside -C /srv/clone checkout -q -b topic HEAD~20
	echo topic >"$M/srv/clone/topic"
	git_inside -C /srv/clone add topic
	git_inside -C /srv/clone commit -qm topic
	git_inside -C /srv/clone rebase -q main
	git_inside -C /srv/clone mv dir1 renamed
	git_inside -C /srv/clone commit -qm renamed
	git_inside -C /srv/clone push -q origin topic
	git_inside -C /srv/clone gc -q --prune=now
	git_inside -C /srv/clone fsck --full --strict
	eq "$(git_inside -C /srv/clone status --porcelain)" ""
	eq "$(git_inside -C /srv/origin rev-list --count topic)" 43
}

# --- gcc and make ----------------------------------------------------------------------

compiles() {
	inside make -s -j2 -C /srv/source
	eq "$(inside /srv/source/program)" 465
	contains "$(inside make -C /srv/source)" "is up to date"
	sleep 0.01
	inside touch /srv/source/f7.c
	eq "$(inside make -C /srv/source | grep -c -- ' -c ')" 1 "files compiled again"
	inside sh -c 'cd /srv/source && echo "int f7(int x) { return x + 1000; }" >f7.c && make -s && ./program' >"$WORK/sum"
	eq "$(cat "$WORK/sum")" 1458
	inside sh -c 'cd /srv/source && rm -f *.o program && ls *.c | wc -l' >"$WORK/count"
	eq "$(cat "$WORK/count")" 31
}

# --- SQLite ----------------------------------------------------------------------------

# sqlite_works FILE JOURNAL-MODE: transactions, one process each and two at a time, on a
# database of the lower layer.
sqlite_works() {
	inside bash -ec '
		db=$1
		test "$(sqlite3 "$db" "PRAGMA journal_mode=$2;")" = "$2"
		writer() {
			for i in $(seq 30); do
				echo "PRAGMA busy_timeout=20000; BEGIN IMMEDIATE;
					UPDATE t SET v=hex(randomblob(100)) WHERE id%500=$i;
					INSERT INTO t(v) VALUES(hex(randomblob(500)));
					DELETE FROM t WHERE id=$i*100+$1; COMMIT;" | sqlite3 "$db" >/dev/null
			done
		}
		writer 1 & first=$!
		writer 2 & second=$!
		wait $first
		wait $second
		test "$(sqlite3 "$db" "PRAGMA integrity_check;")" = ok
		test "$(sqlite3 "$db" "SELECT count(*) FROM t;")" = 20000
		sqlite3 "$db" "VACUUM; PRAGMA integrity_check;"' sh "$1" "$2"
}

# A transaction that is not committed when its process is killed is rolled back.
sqlite_rolls_back() {
	inside bash -ec '
		db=/srv/lower.db
		before=$(sqlite3 $db "SELECT count(*) FROM t;")
		mkfifo /tmp/commands
		sqlite3 $db </tmp/commands &
		exec 3>/tmp/commands
		echo "PRAGMA cache_size=5; BEGIN; UPDATE t SET v=hex(randomblob(200)); DELETE FROM t WHERE id>10000;" >&3
		for i in $(seq 100); do [ -s $db-journal ] && break; sleep 0.1; done
		sleep 0.5
		test -s $db-journal
		kill -KILL $!
		test "$(sqlite3 $db "SELECT count(*) FROM t;")" = "$before"
		sqlite3 $db "PRAGMA integrity_check;" | grep -x ok'
}

# --- PostgreSQL ------------------------------------------------------------------------

# as_postgres SCRIPT: as the user postgres, with a cluster of its own.
as_postgres() {
	inside setpriv --reuid=postgres --regid=postgres --init-groups bash -ec '
		PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
		export PGDATA=/srv/pg/data PGHOST=/srv/pg HOME=/srv/pg
		cd /srv/pg
		'"$1"
}

postgres_start='pg_ctl -s -w -l log -o "-c listen_addresses= -c unix_socket_directories=/srv/pg -c shared_buffers=32MB" start'

postgres_runs() {
	mkdir -p "$M/srv/pg"
	inside chown postgres: /srv/pg
	as_postgres "
		initdb -A trust --data-checksums >/dev/null
		$postgres_start
		createdb bench
		pgbench -q -i -s 2 bench 2>/dev/null
		pgbench -n -c 4 -j 2 -T 3 bench
		psql -qAt bench -c 'CREATE EXTENSION amcheck' \
			-c \"SELECT count(bt_index_check(oid, true)) FROM pg_class WHERE relkind='i' AND relam=403\"
		psql -qAt bench -c 'SELECT (SELECT sum(abalance) FROM pgbench_accounts)
			= (SELECT sum(delta) FROM pgbench_history)' | grep -x t
		pg_ctl -s -m fast stop
		pg_checksums --check | grep 'Bad checksums: *0'"
}

# The server is killed in the middle of its work: its log must bring everything back.
postgres_recovers() {
	as_postgres "
		$postgres_start
		pgbench -n -c 4 -j 2 -T 60 bench >/dev/null 2>&1 &
		sleep 3
		pg_ctl -s -m immediate stop
		wait
		$postgres_start
		psql -qAt bench -c 'SELECT (SELECT sum(abalance) FROM pgbench_accounts)
			= (SELECT sum(delta) FROM pgbench_history)' | grep -x t
		psql -qAt bench -c 'SELECT count(*) > 0 FROM pgbench_history' | grep -x t
		pg_ctl -s -m fast stop"
}

# --- afterwards ------------------------------------------------------------------------

# All of it is there after the daemon ended and a new one began.
mounted_again() {
	umount_plyfs "$M"
	mount_it
	eq "$(inside hello)" "Hello, world!"
	eq "$(inside dpkg --audit)" ""
	eq "$(git_inside -C /srv/clone status --porcelain)" ""
	git_inside -C /srv/clone fsck --full --strict
	for file in lower lower-wal; do
		eq "$(inside sqlite3 "/srv/$file.db" 'PRAGMA integrity_check; SELECT count(*) FROM t;')" $'ok\n20000'
	done
	as_postgres "
		pg_checksums --check | grep 'Bad checksums: *0'
		$postgres_start
		psql -qAt bench -c 'SELECT count(*) > 0 FROM pgbench_history' | grep -x t
		pg_ctl -s -m fast stop"
}

# unchanged NAME DIR
unchanged() {
	fingerprint "$2" >"$WORK/$1.after"
	same_lines "$WORK/$1.before" "$WORK/$1.after"
}

layers_untouched() {
	umount_plyfs "$M"
	unchanged base "$BASE"
	unchanged data "$DATA"
	nothing_mounted "$WORK"
}

run_test "a data layer is made" make_data_layer
run_test "mount" mount_it
run_test "apt-get install" apt_installs
run_test "apt-get purge" apt_removes
run_test "apt-get install --reinstall" apt_reinstalls
run_test "git clone of a repository in a lower layer" git_clone
run_test "git status and fsck in the lower layer" git_in_lower
run_test "git checkout, commit, rebase, mv, push, gc" git_works
run_test "make and gcc" compiles
run_test "sqlite3 with a rollback journal" sqlite_works /srv/lower.db delete
run_test "sqlite3 with a write-ahead log" sqlite_works /srv/lower-wal.db wal
run_test "sqlite3 rolls a killed transaction back" sqlite_rolls_back
run_test "PostgreSQL: initdb, pgbench, checks" postgres_runs
run_test "PostgreSQL recovers from an immediate stop" postgres_recovers
run_test "everything is there after a new mount" mounted_again
run_test "the layers are untouched, nothing is left mounted" layers_untouched
finish
