#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plyfs check: images in order, every kind of odd layer, documents that say odd things, and damage of each blob.
set -euo pipefail
# shellcheck source=tests/support/lib.sh
. "$(dirname "$0")/../support/lib.sh"

need_packages umoci python3 zstd bsdutils
in_private_ns "$@"
make_user

HERE=$(cd "$(dirname "$0")" && pwd)
I=$WORK/images
export XDG_CACHE_HOME=$WORK/cache
mkdir -p "$I"

# finds STATUS PATTERN ARG…: plyfs check ARG… ends like that, and has such a line among its findings ("": none at all).
finds() {
	local status=$1 pattern=$2 rc=0
	shift 2
	"$PLYFS" check "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	((rc == status)) || fail "exit status $rc, not $status: $* ($(tail -n 3 "$WORK/out" "$WORK/err"))"
	if [[ -z $pattern ]]; then
		eq "$(wc -l <"$WORK/out")" 1 "lines about $*"
		grep -q ': in order$' "$WORK/out"
	else
		grep -Eq -- "$pattern" "$WORK/out" || fail "no finding is '$pattern': $(cat "$WORK/out")"
	fi
	eq "$(cat "$WORK/err")" '' 'standard error'
}

# Two layers, as umoci packs them.
make_image() {
	cd "$I"
	umoci init --layout good
	umoci new --image good:t
	mkdir one two
	head -c 300000 /dev/urandom >one/random
	seq 100000 >one/seq
	ln one/seq one/link
	mkdir one/dir
	echo more >two/more
	touch two/.wh.random
	tar -C one -cf one.tar .
	tar -C two -cf two.tar .
	umoci raw add-layer --image good:t --history.created_by one one.tar
	umoci raw add-layer --image good:t --history.created_by two two.tar
	# umoci leaves documents of its steps behind.
	umoci gc --layout good
	cd "$WORK"
}

# A copy of the good image to be spoilt.
spoilt() {
	rm -rf "$I/bad"
	cp -a "$I/good" "$I/bad"
}

# The file of layer N, the config, or the manifest.
blob() {
	/usr/bin/python3 -c '
import json, sys
top, which = sys.argv[1:]
def path(d): return f"{top}/blobs/sha256/" + d["digest"].split(":")[1]
m = json.load(open(f"{top}/index.json"))["manifests"][0]
doc = json.load(open(path(m)))
print(path(m if which == "manifest" else doc["config"] if which == "config" else doc["layers"][int(which) - 1]))' \
		"$I/bad" "$1"
}

in_order() {
	zstd -q "$I/one.tar"
	gzip -k "$I/two.tar"
	tar -C "$I/good" -cf "$I/good.tar" .
	finds 0 '' "oci:$I/good:t"
	finds 0 '' "$I/good"
	finds 0 '' --strict "oci-archive:$I/good.tar"
	finds 0 '' "$I/one.tar"
	finds 0 '' "$I/one.tar.zst"
	finds 0 '' "$I/two.tar.gz"
	"$PLYFS" check "$I/good" | grep -x "$I/good: 2 layers, 8 members, [0-9]* kB: in order"
}

# What a strict mount refuses is found, and nothing else; what is put up with is not damage.
odd_layer() {
	local name=$1 fault=$2
	/usr/bin/python3 "$HERE/_odd_layers.py" make "$name" "$I/$name"
	if [[ $fault == - ]]; then
		finds 0 '' "oci:$I/$name:t"
		finds 0 '' --strict "oci:$I/$name:t"
		return
	fi
	finds 1 "^(layers|stack): warning: layer [12]: .*: .*$fault.*; " "oci:$I/$name:t"
	eq "$(grep -vc "$fault" "$WORK/out")" 1 'lines about something else'
	tail -n 1 "$WORK/out" | grep -q ': 0 errors, [0-9]* warnings\?$'
	finds 4 "^(layers|stack): error: layer [12]: .*: .*$fault" --strict "oci:$I/$name:t"
}

# One line a finding, but not thousands of one kind.
many_of_a_kind() {
	/usr/bin/python3 -c '
import io, tarfile
with tarfile.open("'"$I"'/many.tar", "w") as tar:
    for i in range(50):
        tar.addfile(tarfile.TarInfo("twice"), io.BytesIO())'
	finds 1 'warning: layer 1: twice: a second member of the same name; the last one is taken' "$I/many.tar"
	finds 1 'a second member of the same name: 29 more' "$I/many.tar"
	eq "$(wc -l <"$WORK/out")" 22 'lines'
}

# edited config|manifest STATUS PATTERN STATEMENT…
edited() {
	local which=$1 status=$2 pattern=$3
	shift 3
	spoilt
	/usr/bin/python3 "$HERE/_image_edit.py" "$I/bad" "$which" "$@"
	finds "$status" "$pattern" "oci:$I/bad:t"
	pattern=${pattern/warning/error}
	((status != 1)) || finds 4 "${pattern%%;*}" --strict "oci:$I/bad:t"
}

documents() {
	local c='^configuration: warning: ' d='^documents: warning: '
	edited config 0 ''
	edited config 1 "${c}the configuration does not say its os; taken" 'del d["os"]'
	edited config 1 "${c}.* does not say its architecture" 'd["architecture"] = ""'
	edited config 1 "${c}Os should be written os;" 'd["Os"] = "linux"'
	edited config 1 "${c}config.env should be written config.Env;" 'd["config"] = {"env": ["A=b"]}'
	edited config 1 "${c}config.Cmd is not a list" 'd["config"] = {"Cmd": "sh"}'
	edited config 1 "${c}config.Env: \"A\" is no NAME=VALUE" 'd["config"] = {"Env": ["A"]}'
	edited config 1 "${c}rootfs.type is other, not \"layers\"" 'd["rootfs"]["type"] = "other"'
	edited config 1 "${c}created is no time: yesterday" 'd["created"] = "yesterday"'
	edited config 1 "${c}history\[0\].empty_layer is not a" 'd["history"][0]["empty_layer"] = 0'
	edited config 1 "${d}the history tells of 1 layers, the image has 2" 'del d["history"][0]'
	edited config 0 '' 'del d["history"]'
	edited config 0 '' 'd["created"] = "2024-02-29T12:00:00.123+02:00"' 'd["docker_version"] = "1"'
	edited manifest 1 "${d}layer 1 is called .*, and is not" \
		'd["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"'
	edited manifest 1 "${d}layer 2 has a media type that is not a layer" 'd["layers"][1]["mediaType"] = "text/plain"'
	edited manifest 1 '^layers: warning: layer 1: it is a foreign layer.*; it is here' \
		'd["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"'
	edited config 4 '^documents: error: .*has 2 layers.*DiffIDs of 1' 'del d["rootfs"]["diff_ids"][0]'
	edited config 4 '^layers: error: layer 2: its DiffID is sha256:.*, and the configuration says' \
		'd["rootfs"]["diff_ids"].reverse()'
	eq "$(grep -c 'its DiffID' "$WORK/out")" 2 'wrong DiffIDs'
}

# What manifests and indexes must be: image-spec 1.1.
manifests() {
	local m='^documents: warning: manifest: ' i='^documents: warning: index.json: '
	edited manifest 0 '' 'd["annotations"] = {"a.b": ""}' 'd["artifactType"] = "application/vnd.x+json"'
	edited manifest 1 "${m}annotations: the value of \"a\" is not a text" 'd["annotations"] = {"a": 1}'
	edited manifest 1 "${m}annotations is not a map" 'd["annotations"] = []'
	edited manifest 1 "${m}Annotations should be written annotations" 'd["Annotations"] = {}'
	edited manifest 1 "${m}artifactType is no media type: \"x\"" 'd["artifactType"] = "x"'
	edited manifest 1 "${m}layers\[1\].mediaType is absent; taken for" 'del d["layers"][1]["mediaType"]'
	edited manifest 1 "${m}config.mediaType is absent" 'del d["config"]["mediaType"]'
	edited manifest 1 "${m}layers\[0\].urls is not a list" 'd["layers"][0]["urls"] = "here"'
	edited manifest 1 "${m}layers\[0\].urls has a member that is no text" 'd["layers"][0]["urls"] = [1]'
	edited manifest 1 "${m}layers\[0\].data is not base64 of [0-9]* bytes" 'd["layers"][0]["data"] = "AAAA"'
	edited manifest 1 "${m}layers\[0\].annotations: the value" 'd["layers"][0]["annotations"] = {"a": None}'
	edited manifest 1 "${m}subject.mediaType is absent" 'd["subject"] = {"digest": d["config"]["digest"], "size": 1}'
	edited manifest 4 '^documents: error: manifest: schemaVersion is not 2$' 'd["schemaVersion"] = 1'
	edited manifest 4 '^documents: error: manifest: schemaVersion is not 2$' 'd["schemaVersion"] = "2"'
	edited manifest 4 '^documents: error: manifest: schemaVersion is absent$' 'del d["schemaVersion"]'
	edited index 1 "${i}schemaVersion is absent; taken for 2" 'del d["schemaVersion"]'
	edited index 5 '^documents: error: .*index.json is neither an index nor' 'd["mediaType"] = "a b/c"'
	grep -Eq "${i}mediaType is no media type" "$WORK/out"
	edited index 1 "${i}mediaType is not a text" 'd["mediaType"] = 5'
	edited index 1 "${i}manifests\[0\].platform.os is absent" 'd["manifests"][0]["platform"] = {"architecture": "amd64"}'
	edited index 1 "${i}manifests\[0\].platform.os.features is not a list" \
		'd["manifests"][0]["platform"] = {"architecture": "amd64", "os": "linux", "os.features": ""}'
	edited index 1 "${i}manifests\[1\]: org.opencontainers.image.ref.name is not formed as a name: \"-x\"" \
		'd["manifests"].append(dict(d["manifests"][0], annotations={"org.opencontainers.image.ref.name": "-x"}))'
}

# A wrong word is told, and what it does not spoil is looked at all the same.
goes_on() {
	local which all=': 2 layers, 8 members, .*: 1 error, 0 warnings$'
	spoilt
	echo >>"$(blob manifest)"
	finds 4 '^documents: error: .* has [0-9]* bytes, not the' "oci:$I/bad:t"
	tail -n 1 "$WORK/out" | grep -q "$all"
	spoilt
	sed -i s/linux/Linux/ "$(blob config)"
	finds 4 '^documents: error: .*: the bytes of sha256:.* have the digest sha256:' "oci:$I/bad:t"
	tail -n 1 "$WORK/out" | grep -q "$all"
	spoilt
	rm "$(blob config)"
	finds 4 "^documents: error: the image's configuration, sha256:.*, is not there" "oci:$I/bad:t"
	tail -n 1 "$WORK/out" | grep -q "$all"
	spoilt
	echo '{' >"$(blob config)"
	finds 4 '^documents: error: .* is not valid JSON' "oci:$I/bad:t"
	edited manifest 4 '^documents: error: .*has a descriptor whose digest is none: sha256:..$' \
		'd["layers"][0]["digest"] = "sha256:.."'
	tail -n 1 "$WORK/out" | grep -q ': 2 layers, 3 members, .*: 1 error, 0 warnings$'
	edited manifest 4 '^documents: error: .*the descriptor of sha256:.* has no size' 'd["layers"][0]["size"] = -1'
	edited manifest 4 '^documents: error: layer 1 has [0-9]* bytes, not the 7' 'd["layers"][0]["size"] = 7'
	tail -n 1 "$WORK/out" | grep -q "$all"
	edited index 5 '^documents: error: .*index.json has a descriptor whose digest is none' 'd["manifests"].insert(0, {})'
	tail -n 1 "$WORK/out" | grep -q ': 2 layers, 8 members, .*: 1 error, 1 warning$'
	edited index 4 '^documents: error: .*index.json has no descriptor where one belongs' 'd["manifests"] = [3]'
	spoilt
	which=$(blob 1)
	rm "$which"
	mkdir "$which"
	finds 4 '^documents: error: .*: Is a directory' "oci:$I/bad:t"
	tail -n 1 "$WORK/out" | grep -q ': 2 layers, 3 members, .*: 1 error, 0 warnings$'
	rmdir "$which"
	mkfifo "$which"
	finds 4 '^documents: error: .* is no regular file' "oci:$I/bad:t"
	edited config 4 '^documents: error: .*the DiffID of layer 2 is no digest' 'd["rootfs"]["diff_ids"][1] = "x"'
	tail -n 1 "$WORK/out" | grep -q "$all"
}

# What is no image is not in order.
artifacts() {
	spoilt
	/usr/bin/python3 "$HERE/_image_edit.py" "$I/bad" manifest 'd["config"]["mediaType"] = "application/vnd.x+json"'
	refused 8 'is an artifact of type application/vnd.x\+json, not an image' "oci:$I/bad:t"
	refused 8 'is an artifact of type' "oci:$I/bad"
}

# Every platform's image, with its name.
platforms() {
	local manifest
	spoilt
	/usr/bin/python3 "$HERE/_image_edit.py" "$I/bad" platforms
	finds 0 '' "oci:$I/bad:t"
	grep -q ': 2 images (1 more is not here), 4 layers, 16 members, ' "$WORK/out"
	finds 0 '' --platform linux/arm64 "oci:$I/bad:t"
	grep -q ': 2 layers, 8 members, ' "$WORK/out"
	manifest=$(grep -l '"manifests"' "$I"/bad/blobs/sha256/*)
	# Of arm64's manifest two bytes are swapped.
	manifest=$I/bad/blobs/sha256/$(/usr/bin/python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["manifests"][1]["digest"].split(":")[1])' "$manifest")
	sed -i 's/schemaVersion": 2/schemaVersion" :2/' "$manifest"
	finds 4 '^documents: error: linux/arm64: .* have the digest' "oci:$I/bad:t"
	finds 0 '' --platform linux/amd64 "oci:$I/bad:t"
	# Both have it.
	flip "$(find "$I/bad/blobs/sha256" -size +100k)" 4
	finds 4 '^layers: error: linux/amd64: layer 1: its digest' "oci:$I/bad:t"
	grep -q '^layers: error: linux/arm64: layer 1: its digest' "$WORK/out"
	"$PLYFS" check --json "oci:$I/bad:t" >"$WORK/out" && fail "damaged, and it was well"
	/usr/bin/python3 -c '
import json, sys
d = json.load(sys.stdin)
assert (d["images"], d["absent"], d["layers"], d["errors"]) == (2, 1, 4, 3), d
assert sorted(f["platform"] for f in d["findings"]) == ["linux/amd64", "linux/arm64", "linux/arm64"], d' <"$WORK/out"
	refused 8 'has no image for linux/s390x; it has: linux/amd64, linux/arm64, linux/s390x \(not there\)' \
		--platform linux/s390x "oci:$I/bad:t"
}

# flip FILE OFFSET: one bit is another one.
flip() {
	/usr/bin/python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); byte = f.read(1)[0]
    f.seek(int(sys.argv[2])); f.write(bytes([byte ^ 1]))' "$1" "$2"
}

damage() {
	local which
	for which in config manifest; do
		spoilt
		flip "$(blob $which)" 5
		finds 4 '^documents: error: ' "oci:$I/bad:t"
	done
	# Random bytes do not compress: the packed ones are the content, and gzip's own sum is not asked first.
	spoilt
	flip "$(blob 1)" 150000
	finds 4 '^layers: error: layer 1: ' "oci:$I/bad:t"
	spoilt
	flip "$(blob 1)" 4
	finds 4 '^layers: error: layer 1: its digest is sha256:.*, and the manifest says sha256:' "oci:$I/bad:t"
	# The other layers are looked at all the same.
	flip "$(blob 2)" 4
	finds 4 '^layers: error: layer 2: its digest' "oci:$I/bad:t"
	eq "$(grep -c 'its digest is' "$WORK/out")" 2 'damaged layers'
	spoilt
	truncate -s -1 "$(blob 2)"
	finds 4 'error: .*layer 2' "oci:$I/bad:t"
	spoilt
	rm "$(blob 1)"
	finds 4 "^layers: error: layer 1: it is not in this image's files" "oci:$I/bad:t"
	spoilt
	rm "$(blob manifest)"
	finds 4 '^documents: error: none of its images is here$' "oci:$I/bad:t"
	tail -n 1 "$WORK/out" | grep -qx "oci:$I/bad:t (1 is not here): 1 error, 0 warnings"
	head -c 5000 "$I/one.tar" >"$I/cut.tar"
	finds 4 '^layers: error: layer 1: ' "$I/cut.tar"
}

# What an earlier time found does not count, and nothing is kept.
fresh() {
	spoilt
	"$PLYFS" ls -R "oci:$I/bad:t" >"$WORK/names"
	find "$XDG_CACHE_HOME" -printf '%P %s %T@ %C@\n' | sort >"$WORK/before"
	flip "$(blob 1)" 4
	finds 4 'its digest is' "oci:$I/bad:t"
	finds 0 '' "oci:$I/good:t"
	find "$XDG_CACHE_HOME" -printf '%P %s %T@ %C@\n' | sort >"$WORK/after"
	same_lines "$WORK/before" "$WORK/after"
	XDG_CACHE_HOME=$WORK/none "$PLYFS" check "$I/good"
	[[ ! -e $WORK/none ]]
}

for_programs() {
	/usr/bin/python3 "$HERE/_odd_layers.py" make duplicates "$I/json"
	"$PLYFS" check --json "oci:$I/json:t" >"$WORK/out" && fail "findings, and it was well"
	/usr/bin/python3 -c '
import json, sys
d = json.load(sys.stdin)
assert (d["layers"], d["warnings"], d["errors"]) == (1, len(d["findings"]), 0), d
f = d["findings"][0]
assert (f["pass"], f["severity"], f["layer"], f["path"]) == ("layers", "warning", 1, "x"), f
assert f["what"] == "a second member of the same name" and f["done"] == "the last one is taken", f' <"$WORK/out"
	"$PLYFS" check --json "$I/cut.tar" >"$WORK/out" && fail "a cut archive, and it was well"
	/usr/bin/python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["errors"] == 1 and d["findings"][0]["severity"] == "error", d' <"$WORK/out"
}

# refused STATUS PATTERN ARG…
refused() {
	local status=$1 pattern=$2 rc=0
	shift 2
	"$PLYFS" check "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	eq "$rc" "$status" "exit status of $*"
	grep -Eq -- "$pattern" "$WORK/err" || fail "message lacks '$pattern': $(cat "$WORK/err")"
}

# terminal COLUMNS ARG…: plyfs check ARG… on one; what it was sent.
terminal() {
	local columns=$1
	shift
	TERM=xterm script -qec "stty cols $columns; '$PLYFS' check $* >/dev/null" /dev/null
}

# A bar on a terminal as wide as that, and on nothing else.
progress() {
	truncate -s 800M "$I/long"
	# A header, and a hole for what is in it and the end.
	tar -C "$I" -cf - long | head -c 512 >"$I/long.tar" || true
	truncate -s $((800 * 1024 * 1024 + 1536)) "$I/long.tar"
	"$PLYFS" check "$I/long.tar" >"$WORK/out" 2>"$WORK/err"
	[[ ! -s $WORK/err ]] || fail "stderr: $(cat "$WORK/err")"
	terminal 100 "$I/long.tar" >"$WORK/tty"
	grep -Eq 'layer 1 \[=*>? *\] +[0-9]+% [0-9.]+ MB of 839 MB' "$WORK/tty" || fail "no bar: $(cat -v "$WORK/tty")"
	terminal 30 "$I/long.tar" >"$WORK/tty"
	tr '\r' '\n' <"$WORK/tty" | sed 's/\x1b\[K//g' | grep '%' >"$WORK/lines" || fail "nothing: $(cat -v "$WORK/tty")"
	! grep -E '.{30}' "$WORK/lines" || fail "too wide"
	TERM=xterm script -qec "'$PLYFS' check $I/long.tar | cat" /dev/null >"$WORK/tty"
	eq "$(wc -l <"$WORK/tty")" 1 "lines beside a pipe"
	! grep -q % "$WORK/tty" || fail "over a pager: $(cat -v "$WORK/tty")"
	terminal 100 --json "$I/long.tar" >"$WORK/tty"
	[[ ! -s $WORK/tty ]] || fail "beside JSON: $(cat -v "$WORK/tty")"
	terminal 100 --quiet "$I/long.tar" >"$WORK/tty"
	[[ ! -s $WORK/tty ]] || fail "quietly: $(cat -v "$WORK/tty")"
	rm "$I/long" "$I/long.tar"
}

# Nobody says where a cache would be, and none is needed.
homeless() {
	env -i "$PLYFS" check "$I/good" >"$WORK/out"
	grep -q "in order\$" "$WORK/out" || fail "it says $(cat "$WORK/out")"
}

refusals() {
	refused 8 '[Nn]o such file' "$I/nothing"
	refused 8 'has no images to choose from' "$I/one.tar:t"
	refused 8 'neither a regular file nor a directory' /dev/zero
	refused 16 'no image is given'
	refused 16 'one image at a time' "$I/good" "$I/good"
	refused 16 'unknown option --what' --what "$I/good"
	refused 16 'needs an argument' "$I/good" --platform
}

make_image >"$WORK/make.log" 2>&1 || { cat "$WORK/make.log" >&2; exit 2; }
run_test "an image in order has no findings" in_order
while read -r name fault; do
	run_test "odd layers: $name" odd_layer "$name" "$fault"
done < <(/usr/bin/python3 "$HERE/_odd_layers.py" list)
run_test "findings of one kind are counted" many_of_a_kind
run_test "documents that say odd things" documents
run_test "manifests and indexes that say odd things" manifests
run_test "what is wrong does not hide the rest" goes_on
run_test "artifacts" artifacts
run_test "every platform of an index" platforms
run_test "damage of every blob is found" damage
run_test "no cache is trusted or written" fresh
run_test "progress is for terminals" progress
run_test "without a home" homeless
run_test "findings as JSON" for_programs
run_test "what cannot be checked" refusals
finish
