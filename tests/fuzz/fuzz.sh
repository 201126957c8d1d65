#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer of this directory over small tars, plain and compressed, or documents and a registry's answers, and what
# libFuzzer makes of them.
#
#     fuzz.sh [NAME...]	only these (fuzz_tar ...)
#     PLYFS_FUZZ_RUNS: inputs of each (default 20000); PLYFS_FUZZ_SEED
#     PLYFS_FUZZ_CORPUS: a directory that keeps what was found, for long runs
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
runs=${PLYFS_FUZZ_RUNS:-20000}
seed=${PLYFS_FUZZ_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
work=$(mktemp -d "${TMPDIR:-/tmp}/plyfs-fuzz-XXXXXX")
trap 'rm -rf "$work"' EXIT
libraries=(zlib libzstd jansson libcrypto libxxhash)
options=()
! pkg-config --exists libisal || { libraries+=(libisal); options=(-DHAVE_ISAL); }
read -ra links <<<"$(pkg-config --libs "${libraries[@]}")"
read -ra flags <<<"$(pkg-config --cflags "${libraries[@]}")"
flags+=("${options[@]}" -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O1 -g -pthread "-I$top/src"
	-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all)
bad=0

echo "# seed $seed, $runs runs"

# ---- seeds ---------------------------------------------------------------------------------

make_tars() {
	local tree=$work/tree long
	mkdir -p "$tree/dir"
	echo hello >"$tree/dir/file"
	ln "$tree/dir/file" "$tree/dir/hard"
	ln -s ../target "$tree/dir/soft"
	mkfifo "$tree/pipe"
	truncate -s 1M "$tree/sparse"
	echo x | dd of="$tree/sparse" bs=1 seek=70000 conv=notrunc status=none
	long=$(printf 'n%.0s' {1..150})
	echo y >"$tree/$long"
	tar -C "$tree" -S --format=gnu -cf "$work/seeds/gnu.tar" .
	tar -C "$tree" -S --format=posix --sparse-version=1.0 -cf "$work/seeds/pax.tar" .
	tar -C "$tree" -S --format=posix --sparse-version=0.1 -cf "$work/seeds/pax01.tar" .
	tar -C "$tree" -S --format=posix --sparse-version=0.0 -cf "$work/seeds/pax00.tar" .
	tar -C "$tree" --format=ustar -cf "$work/seeds/ustar.tar" dir
	tar -C "$tree" --format=v7 -cf "$work/seeds/v7.tar" dir
}

# Documents that lead to each other; see fuzz_documents.c.
make_documents() {
	local dir=$work/seeds-fuzz_documents oci=application/vnd.oci.image config layers
	mkdir "$dir"
	config='{"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["$d6", "$d7"]},
		"history": [{"created_by": "a"}, {"empty_layer": true}, {"created": "2020-01-01T00:00:00Z", "comment": "c"}],
		"config": {"Env": ["A=b"], "Cmd": ["c", "d"], "Entrypoint": null, "User": "1:2", "WorkingDir": "/w",
		"Labels": {"l": "v"}, "Volumes": {"/v": {}}, "ExposedPorts": {"80/tcp": {}}, "StopSignal": "TERM"}}'
	layers='[{"mediaType": "'$oci'.layer.v1.tar", "digest": "$d6", "size": $s6},
		{"mediaType": "'$oci'.layer.v1.tar+gzip", "digest": "$d7", "size": $s7, "urls": ["http://x"]}]'
	printf '%s\n==\n' '0{"schemaVersion": 2, "manifests": [{"mediaType": "'$oci'.index.v1+json", "digest": "$d1", "size": $s1,
		"annotations": {"org.opencontainers.image.ref.name": "n", "io.containerd.image.name": "docker.io/library/n:t"}}]}' \
		'{"mediaType": "'$oci'.index.v1+json", "manifests": [{"mediaType": "'$oci'.manifest.v1+json", "digest": "$d2", "size": $s2,
		"platform": {"os": "linux", "architecture": "amd64", "variant": "v1"}},
		{"mediaType": "'$oci'.manifest.v1+json", "digest": "$d3", "size": $s3, "platform": {"os": "unknown", "architecture": "unknown"}}]}' \
		'{"schemaVersion": 2, "config": {"mediaType": "'$oci'.config.v1+json", "digest": "$d4", "size": $s4}, "layers": '"$layers}" \
		'{"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "$d5", "size": $s5}, "layers": []}' \
		"$config" '{}' 'one' 'two' >"$dir/index"
	printf '%s\n==\n' '0[{"Config": "f4", "RepoTags": ["n:t"], "Layers": ["f6", "f7"], "Parent": ""}]' a b c "$config" d one two >"$dir/docker"
	sed 's/^0/3/' "$dir/index" >"$dir/strict"
	printf '0[storage] # c\ngraphroot = "/a\\"b"\n[storage.options]\nadditionalimagestores = [\n "/x", # d\n "/y"]\n' >"$dir/toml"
}

# What a registry answers, one after the other; see fuzz_registry.c.
make_answers() {
	local dir=$work/seeds-fuzz_registry docker=application/vnd.docker one two config manifest
	digest() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
	mkdir "$dir"
	one=layer-one two=layer-two
	config='{"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:'$(digest $one)'", "sha256:'$(digest $two)'"]}}'
	manifest='{"schemaVersion": 2, "mediaType": "'$docker'.distribution.manifest.v2+json", "config": {"mediaType":
		"'$docker'.container.image.v1+json", "digest": "sha256:'$(digest "$config")'", "size": '${#config}'}, "layers": [{"mediaType":
		"'$docker'.image.rootfs.diff.tar", "digest": "sha256:'$(digest $one)'", "size": 9}, {"mediaType":
		"'$docker'.image.rootfs.diff.tar.gzip", "digest": "sha256:'$(digest $two)'", "size": 9}]}'
	answers() { printf '%s\n%s\n==\n' "$@"; }
	answers 200 "$manifest" 200 "$config" 200 $one 200 $two >"$dir/plain"
	answers '401  Bearer realm="https://token.example/t",service="s",scope="x"' '{"errors": [{"message": "who?"}]}' \
		200 '{"token": "abc", "expires_in": 60}' 200 "$manifest" '307 https://elsewhere.example/c' '' 200 "$config" \
		'307 https://elsewhere.example/l' '' 200 layer- 206 one 200 $two >"$dir/token"
	answers '401  Basic realm="r"' '' 200 "$manifest" 200 "$config" 500 broken 200 $one 416 '' 200 $two >"$dir/basic"
	answers 0 '' '302 http://plain.example/' '' 404 '{"errors": [{"message": "none"}]}' >"$dir/odd"
}

make_seeds() {
	local tar
	mkdir "$work/seeds"
	make_documents
	make_answers
	make_tars
	for tar in "$work"/seeds/*.tar; do
		gzip -k "$tar"
		zstd -q "$tar" -o "$tar.zst"
		{ head -c 3000 "$tar" | gzip; tail -c +3001 "$tar" | gzip -1; } >"$tar.two.gz"
		{ head -c 3000 "$tar" | zstd -q; tail -c +3001 "$tar" | zstd -q; } >"$tar.two.zst"
	done
}

# ---- programs ------------------------------------------------------------------------------

# What all of them are linked with, compiled once.
build_library() {
	mkdir "$work/objects"
	(cd "$work/objects" && clang "${flags[@]}" -fsanitize=fuzzer-no-link -c "$top"/src/{base,attr,image}/*.c)
}

build() {
	local -a wraps=()
	[[ $1 != fuzz_registry ]] || wraps=("-Wl,--wrap="{http_new,http_free,http_get,nanosleep})
	clang "${flags[@]}" -fsanitize=fuzzer "$here/$1.c" "$work"/objects/*.o "${wraps[@]}" "${links[@]}" -o "$work/$1"
}

run() {
	local seeds=$work/seeds-$1 corpus=${PLYFS_FUZZ_CORPUS:+$PLYFS_FUZZ_CORPUS/$1}
	: "${corpus:=$work/corpus-$1}"
	[[ -d $seeds ]] || seeds=$work/seeds
	mkdir -p "$corpus"
	"$work/$1" -runs="$runs" -seed="$seed" -max_len=65536 -timeout=60 -rss_limit_mb=2048 \
		-artifact_prefix="$PWD/$1-" -print_final_stats=1 "$corpus" "$seeds" \
		>"$work/$1.log" 2>&1
}

names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(cd "$here" && printf '%s\n' fuzz_*.c | sed 's/\.c$//')
make_seeds
build_library
for name in "${names[@]}"; do
	if build "$name" && run "$name"; then
		echo "ok $name: $(grep -o 'number_of_executed_units: .*' "$work/$name.log")"
	else
		echo "not ok $name"
		tail -n 60 "$work/$name.log" 2>/dev/null | sed 's/^/# /'
		bad=1
	fi
done
exit $bad
