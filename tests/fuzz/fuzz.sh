#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzzer of this directory over small tars, plain and compressed, and what libFuzzer makes of them.
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
read -ra links <<<"$(pkg-config --libs "${libraries[@]}")"
read -ra flags <<<"$(pkg-config --cflags "${libraries[@]}")"
flags+=(-std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O1 -g -pthread "-I$top/src"
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

make_seeds() {
	local tar
	mkdir "$work/seeds"
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
	clang "${flags[@]}" -fsanitize=fuzzer "$here/$1.c" "$work"/objects/*.o "${links[@]}" -o "$work/$1"
}

run() {
	local corpus=${PLYFS_FUZZ_CORPUS:+$PLYFS_FUZZ_CORPUS/$1}
	: "${corpus:=$work/corpus-$1}"
	mkdir -p "$corpus"
	"$work/$1" -runs="$runs" -seed="$seed" -max_len=65536 -timeout=60 -rss_limit_mb=2048 \
		-artifact_prefix="$PWD/$1-" -print_final_stats=1 "$corpus" "$work/seeds" \
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
