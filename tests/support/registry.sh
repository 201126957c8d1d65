# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's docker-registry on this machine's own addresses. Sourced after lib.sh; needs the package docker-registry.

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start_registry NAME YAML…: docker-registry; its port is in PORT.
start_registry() {
	local name=$1
	PORT=$(free_port)
	shift
	mkdir -p "$WORK/$name"
	cat >"$WORK/$name.yml" <<-END
		version: 0.1
		log: {level: error}
		storage: {filesystem: {rootdirectory: $WORK/$name}}
	END
	printf "$1\n" "$PORT" >>"$WORK/$name.yml"
	docker-registry serve "$WORK/$name.yml" >"$WORK/$name.log" 2>&1 &
	started $!
	echo $! >"$WORK/$name.pid"
	wait_until 20 listens "$PORT" || fail "docker-registry does not listen: $(cat "$WORK/$name.log")"
	echo "$PORT" >"$WORK/$name.port"
}
