#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docker:// against Debian's docker-registry, and against registries that lie, break off and want
# what is not theirs. All of them listen on this machine's own addresses.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"
# shellcheck source=tests/support/containers.sh
. "$SUPPORT_DIR/containers.sh"
# shellcheck source=tests/support/registry.sh
. "$SUPPORT_DIR/registry.sh"

need_packages podman buildah skopeo fuse3 docker-registry apache2-utils openssl
in_private_ns "$@"

I=$WORK/images
DIR=$(cd "$(dirname "$0")" && pwd)
export HOME=$WORK/home XDG_RUNTIME_DIR=$WORK/run
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" "$I"

sk() { skopeo --insecure-policy "$@"; }
images() { /usr/bin/python3 "$DIR/_images.py" "$@"; }
ply() { "$PLYFS" image "$@"; }
same() { images same "$1" "${2:-$1}" ${3:+"$3"}; }


# pull ARGUMENT…: into a cache of the check's own.
pull() { ply pull --cache "$WORK/cache" "$@"; }

# fails_with TEXT COMMAND…: it fails with this sentence, and only with a sentence.
fails_with() {
	local text=$1 out rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	eq "$rc" 1 "exit status ($out)"
	contains "$out" "$text" "the error"
}

# whole CACHE: every blob is what its name says; what is not whole has another name.
whole() {
	local file
	for file in "$1"/blobs/sha256/*; do
		[[ $file != *.part ]] || continue
		eq "$(sha256sum <"$file" | cut -d' ' -f1)" "$(basename "$file")" "a blob's digest"
	done
}

# --- images and registries -------------------------------------------------------------------

make_images() {
	local name n
	name=$(bud from scratch)
	for n in 1 2 3 4 5 6; do
		head -c 300000 /dev/urandom >"$I/file"
		bud copy "$name" "$I/file" "/file$n"
		name=$(bud from "$(bud commit --rm "$name" layers)")
	done
	bud rm "$name"
	name=$(bud from --arch arm64 scratch)
	bud config --arch arm64 --variant v8 "$name"
	bud copy "$name" "$I/file" /arm
	bud commit --rm "$name" arm
	bud manifest create many
	bud manifest add many localhost/layers
	bud manifest add --arch arm64 --variant v8 many localhost/arm
	sk copy containers-storage:localhost/layers "oci:$I/layout:layers"
}

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$WORK/key.pem" -out "$WORK/cert.pem"
}

start_all() {
	certificate
	start_registry plain 'http: {addr: "127.0.0.1:%s"}'
	htpasswd -nbB user pass >"$WORK/htpasswd"
	start_registry secret "http: {addr: \"127.0.0.1:%s\", tls: {certificate: $WORK/cert.pem, key: $WORK/key.pem}}
auth: {htpasswd: {realm: r, path: $WORK/htpasswd}}"
	/usr/bin/python3 "$DIR/_registry.py" "$I/layout" "$WORK" >"$WORK/odd.log" 2>&1 &
	started $!
	wait_until 20 test -e "$WORK/ports" || fail "the odd registries do not listen: $(cat "$WORK/odd.log")"
}

plain() { echo "docker://127.0.0.1:$(cat "$WORK/plain.port")/$1"; }
secret() { echo "docker://127.0.0.1:$(cat "$WORK/secret.port")/$1"; }
port_of() { sed -n "s/^$1=//p" "$WORK/ports"; }
odd() { echo "docker://127.0.0.1:$(port_of plain)/$1:t"; }
odd_tls() { echo "docker://127.0.0.1:$(port_of tls)/$1:t"; }
trust() {
	mkdir -p "$HOME/.config/containers/certs.d/127.0.0.1:$1"
	cp "$WORK/cert.pem" "$HOME/.config/containers/certs.d/127.0.0.1:$1/ca.crt"
}
# login HOST:PORT: in this check's file of credentials
login() { printf '{"auths": {"%s": {"auth": "%s"}}}' "$1" "$(printf user:pass | base64)" >"$WORK/auth.json"; }

push_images() {
	sk copy --dest-tls-verify=false containers-storage:localhost/layers "$(plain layers)"
	sk copy --dest-tls-verify=false "oci:$I/layout:layers" "$(plain deep/er/name:tag)"
	bud manifest push --tls-verify=false --all many "$(plain many)"
}

# --- docker-registry -------------------------------------------------------------------------

documents() {
	local digest
	same "$(plain layers)"
	same "$(plain layers:latest)"
	same "$(plain deep/er/name:tag)"
	digest=$(sk inspect --tls-verify=false --format '{{.Digest}}' "$(plain layers)")
	same "$(plain "layers@$digest")"
	same "$(plain many)" "$(plain many)" linux/amd64
	same "$(plain many)" "$(plain many)" linux/arm64/v8
	fails_with "has no image for linux/s390x" ply inspect --platform linux/s390x "$(plain many)"
	fails_with "no such image there" ply inspect "$(plain layers:nobody)"
	fails_with "no such image there" ply inspect "$(plain nobody)"
	fails_with "no such image there" ply inspect "$(plain "layers@sha256:$(printf %064d 0)")"
	eq "$(ply ls --json "$(plain many)" | grep -c '"architecture"')" 2 "images"
}

layers() {
	local digest
	rm -rf "$WORK/cache"
	eq "$(pull --json "$(plain layers)" | grep -c '"compression": "gzip"')" 6 "layers"
	whole "$WORK/cache"
	eq "$(find "$WORK/cache/blobs" -name '*.part' | wc -l)" 0 "parts"
	# Six layers, the manifest by its tag is not kept, the configuration is.
	eq "$(find "$WORK/cache/blobs" -type f | wc -l)" 7 "blobs"
	digest=$(ply inspect --json "$(plain layers)" | sed -n 's/.*"manifest": "\(.*\)".*/\1/p')
	pull "$(plain "layers@$digest")"
	eq "$(find "$WORK/cache/blobs" -type f | wc -l)" 8 "blobs"
}

# Several at once, into one cache: each blob comes once, whole.
at_once() {
	local pid pids=()
	rm -rf "$WORK/cache"
	for _ in 1 2 3 4; do
		pull "$(plain layers)" >/dev/null &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	whole "$WORK/cache"
	eq "$(find "$WORK/cache/blobs" -name '*.part' | wc -l)" 0 "parts"
}

# The same while all that nobody uses is removed all the time.
beside_prune() {
	local pid pids=() pruner
	rm -rf "$WORK/cache" "$WORK/enough"
	while [[ ! -e $WORK/enough ]]; do "$PLYFS" cache prune --all --cache "$WORK/cache" >>"$WORK/pruned"; done &
	pruner=$!
	for _ in 1 2 3 4; do
		for _ in 1 2 3; do pull "$(plain layers)" >/dev/null; done &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	touch "$WORK/enough"
	wait "$pruner"
	grep -q 'removed [1-9]' "$WORK/pruned" || fail "nothing was ever removed"
	pull "$(plain layers)" >/dev/null
	whole "$WORK/cache"
}

with_tls_and_password() {
	local port host
	port=$(cat "$WORK/secret.port") host=127.0.0.1:$port
	sk copy --dest-tls-verify=false --dest-creds user:pass "oci:$I/layout:layers" "$(secret layers)"
	fails_with "certificate" ply inspect "$(secret layers)"
	trust "$port"
	fails_with "podman login $host" ply inspect "$(secret layers)"
	login "$host"
	REGISTRY_AUTH_FILE=$WORK/auth.json ply inspect "$(secret layers)"
	ply inspect --authfile "$WORK/auth.json" "$(secret layers)"
	# What podman itself writes, where it writes it.
	podman login --tls-verify=false -u user -p pass "$host"
	pull "$(secret layers)"
	podman logout "$host"
	fails_with "podman login" ply inspect "$(secret layers)"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$host" "$(printf user:wrong | base64)" >"$WORK/auth.json"
	fails_with "refuses" ply inspect --authfile "$WORK/auth.json" "$(secret layers)"
}

# checks STATUS TEXT ARGUMENT…: plyfs check ends like that, and says that.
checks() {
	local status=$1 text=$2 rc=0 out
	shift 2
	out=$("$PLYFS" check --cache "$WORK/checked" "$@" 2>&1) || rc=$?
	eq "$rc" "$status" "exit status of check $* ($out)"
	contains "$out" "$text" "what check says of $*"
}

checked() {
	local digest
	rm -rf "$WORK/checked"
	checks 0 ': 6 layers, ' "$(plain layers)"
	checks 0 ': in order' "$(plain layers)"
	whole "$WORK/checked"
	digest=$(sk inspect --tls-verify=false --format '{{.Digest}}' "$(plain layers)")
	checks 0 ': in order' "$(plain "layers@$digest")"
	checks 0 ': 2 images, 7 layers, ' "$(plain many)"
	checks 0 ': 1 layer, ' --platform linux/arm64 "$(plain many)"
	checks 8 'has no image for linux/s390x' --platform linux/s390x "$(plain many)"
	checks 8 'no such image there' "$(plain nobody)"
	checks 8 '127.0.0.1' docker://127.0.0.1:1/nobody
	rm -rf "$WORK/checked"
	checks 4 'have the digest sha256:' "$(odd wrong)"
	checks 4 'blob unknown' "$(odd gone)"
	checks 4 'levels' "$(odd deep)"
	checks 8 'slow ?[31mdown' "$(odd limit)"
	checks 0 ': in order' "$(odd cut)"
	# What is wrong with one layer's descriptor, and what is seen only when the layer is here.
	checks 4 'has a descriptor whose digest is none: sha256:' "$(odd baddigest)"
	[[ ! -e $WORK/checked/blobs/none ]] || fail "a directory for no digest"
	checks 1 'layer 1 is called application/vnd.oci.image.layer.v1.tar+zstd, and is not' "$(odd misnamed)"
	checks 4 ': error: layer 1 is called application/vnd' --strict "$(odd misnamed)"
}

# By digest everything is there already.
without_a_registry() {
	local digest
	digest=$(ply inspect --json "$(plain layers)" | sed -n 's/.*"manifest": "\(.*\)".*/\1/p')
	pull "$(plain "layers@$digest")"
	kill "$(cat "$WORK/plain.pid")"
	wait_until 10 gone "$(cat "$WORK/plain.port")"
	eq "$(pull --json "$(plain "layers@$digest")" | grep -c '"compression": "gzip"')" 6 "layers"
	fails_with "127.0.0.1" pull "$(plain layers)"
}
gone() { ! listens "$1"; }

# --- mounts ----------------------------------------------------------------------------------

# No directory of a cache is there yet, not even the one that caches are in.
mounted_into_nothing() {
	mkdir -p "$WORK/m" "$WORK/fresh"
	HOME=$WORK/fresh "$PLYFS" mount "$(plain layers)" "$WORK/m"
	eq "$(ls "$WORK/m" | wc -l)" 6 "files"
	eq "$(sha256sum <"$WORK/m/file6")" "$(sha256sum <"$I/file")" "the last file"
	unmounted "$WORK/m"
	whole "$WORK/fresh/.cache/plyfs"
	HOME=$WORK/fresh ply pull "$(plain many)"
	whole "$WORK/fresh/.cache/plyfs"
}

no_home() {
	fails_with "nowhere to keep what is fetched" env -u HOME "$PLYFS" image pull "$(plain layers)"
	fails_with "nowhere to keep what is fetched" env -u HOME "$PLYFS" mount "$(plain layers)" "$WORK/m"
	[[ ! -e /blobs ]] || fail "it is kept in /blobs"
}

# --- the odd ones ----------------------------------------------------------------------------

# requests SERVER PATTERN: how many lines of the log match.
requests() { grep -c "^$1 $2" "$WORK/log" || true; }

tokens() {
	: >"$WORK/log"
	login "127.0.0.1:$(port_of plain)"
	ply inspect --authfile "$WORK/auth.json" "$(odd token)"
	# Credentials go for the token only, the token to the registry only.
	eq "$(requests plain '/v2/.*Basic')" 0 "requests with credentials"
	eq "$(requests plain '/token/token?.*Basic_dXNlcjpwYXNz$')" 1 "requests for a token"
	fails_with "refuses" ply inspect "$(odd token)"
	fails_with "for a token is none" ply inspect --authfile "$WORK/auth.json" "$(odd badtoken)"
	eq "$(grep -c elsewhere "$WORK/log" || true)" 0 "requests with a forged header"
	ply inspect --authfile "$WORK/auth.json" "$(odd basic)"
	login "another.example.org"
	fails_with "podman login" ply inspect --authfile "$WORK/auth.json" "$(odd basic)"
}

redirects() {
	: >"$WORK/log"
	rm -rf "$WORK/cache"
	login "127.0.0.1:$(port_of plain)"
	pull --authfile "$WORK/auth.json" "$(odd tokenredirect)"
	whole "$WORK/cache"
	eq "$(requests other '/blob/')" 6 "redirected requests"
	eq "$(grep '^other' "$WORK/log" | grep -vc ' -$' || true)" 0 "authorizations for another host"
	fails_with "redirects more than" ply inspect "$(odd loop)"
	fails_with "which is not followed" ply inspect "$(odd file)"
}

# With TLS, what leads out of it is not followed, and nothing is sent there.
no_way_out_of_tls() {
	: >"$WORK/log"
	rm -rf "$WORK/cache"
	trust "$(port_of tls)"
	login "127.0.0.1:$(port_of tls)"
	ply inspect --authfile "$WORK/auth.json" "$(odd_tls token)"
	fails_with "nothing is sent there" ply inspect --authfile "$WORK/auth.json" "$(odd_tls realm)"
	fails_with "without TLS" pull --authfile "$WORK/auth.json" "$(odd_tls redirect)"
	eq "$(requests other '')" 0 "requests to the other host"
}

broken_off() {
	: >"$WORK/log"
	rm -rf "$WORK/cache"
	pull "$(odd cut)"
	whole "$WORK/cache"
	(($(requests plain '/v2/cut/blobs/.* bytes=[1-9]') > 6)) || fail "nothing was continued"
}

# A pull that was killed goes on where it was.
continued() {
	local digest part
	: >"$WORK/log"
	rm -rf "$WORK/cache"
	digest=$(ply layers --json "$(odd range)" | sed -n 's/.*"digest": "\(.*\)".*/\1/p' | head -n 1)
	part=$WORK/cache/blobs/sha256/${digest#*:}.part
	mkdir -p "$(dirname "$part")"
	head -c 1000 "$I/layout/blobs/sha256/${digest#*:}" >"$part"
	pull "$(odd range)"
	whole "$WORK/cache"
	eq "$(requests plain "/v2/range/blobs/$digest bytes=1000-")" 1 "requests for the rest"
	# What was left is not what it should be: noticed, thrown away, fetched anew by the next one.
	rm "$WORK/cache/blobs/sha256/${digest#*:}"
	head -c 1000 /dev/zero >"$part"
	fails_with "have the digest" pull "$(odd range)"
	pull "$(odd range)"
	whole "$WORK/cache"
	# A registry that gives all where a part is asked for.
	rm "$WORK/cache/blobs/sha256/${digest#*:}"
	head -c 1000 /dev/zero >"$part"
	pull "$(odd open)"
	whole "$WORK/cache"
	eq "$(requests plain "/v2/open/blobs/$digest bytes=1000-")" 1 "requests for the rest"
	# More than there is.
	rm "$WORK/cache/blobs/sha256/${digest#*:}"
	head -c 400000 /dev/zero >"$part"
	pull "$(odd range)"
	whole "$WORK/cache"
}

lies() {
	local what
	for what in wrong long; do
		rm -rf "$WORK/cache"
		refuses pull "$(odd $what)"
		whole "$WORK/cache"
	done
	fails_with "blob unknown" pull "$(odd gone)"
	# Whatever is asked for by its digest has it.
	fails_with "have the digest" ply inspect "docker://127.0.0.1:$(port_of plain)/lie@$(first_digest)"
	fails_with "more than" ply inspect "$(odd huge)"
	fails_with "levels" ply inspect "$(odd deep)"
	fails_with "slow ?[31mdown" ply inspect "$(odd limit)"
	fails_with "127.0.0.1" ply inspect docker://127.0.0.1:1/nobody
}
first_digest() { sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' "$I/layout/index.json"; }

setup_containers_root
run_test "images of buildah's" make_images
# Not as a check, at the end of which they would be killed.
start_all >"$WORK/start.log" 2>&1 || { cat "$WORK/start.log"; exit 1; }
run_test "images in the registry" push_images
run_test "documents" documents
run_test "layers" layers
run_test "layers: four at once" at_once
run_test "layers: four at once, removed meanwhile" beside_prune
run_test "a mount, and no directory for caches yet" mounted_into_nothing
run_test "nowhere to keep what is fetched" no_home
run_test "TLS and a password" with_tls_and_password
run_test "tokens" tokens
run_test "redirects get no authorization" redirects
run_test "nothing leads out of TLS" no_way_out_of_tls
run_test "connections that break off" broken_off
run_test "a pull that was killed" continued
run_test "lies" lies
run_test "check" checked
run_test "by digest no registry is needed" without_a_registry
finish
