#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# scripts/bench, its short form: every row gets a number from plyfs and the kernel, the reports can be read, a file
# system that fails is told of, and nothing is left behind. Times are not looked at.
. "$(dirname "$0")/../support/lib.sh"
need_packages python3 gcc
in_private_ns "$@"

BENCH=$(cd "$SUPPORT_DIR/../../scripts" && pwd)/bench

short_form() {
	printf '%s\n' before '<!-- bench:goals -->' old '<!-- /bench:goals -->' after >"$WORK/doc.md"
	"$BENCH" --short --json "$WORK/out.json" --svg "$WORK/plots" --markdown "$WORK/doc.md" >"$WORK/out.txt"
}

# look EXPRESSION: Python's, over the run that short_form has written; prints what is wrong.
look() {
	/usr/bin/python3 -c '
import json, sys
run = json.load(open(sys.argv[1], encoding="utf-8"))
print("\n".join(eval(sys.argv[2])))' "$WORK/out.json" "$1" >"$WORK/wrong"
	eq "$(cat "$WORK/wrong")" "" "rows that are wrong"
}

every_value() {
	look '[r["step"] + " of " + s for r in run["rows"] for s in ("kernel", "plyfs") if not r["samples"].get(s)]'
	look '[r["step"] for r in run["rows"] if any(x["value"] <= 0 for s in r["samples"].values() for x in s)]'
}

every_row() {
	every_value
	eq "$(/usr/bin/python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["rows"]))' "$WORK/out.json")" \
		26 "number of rows"
}

goals() {
	look '[r["step"] for r in run["rows"] if r["goal"] is None]'
	look '[r["step"] for r in run["rows"] if r["goal"]["base"] == "K" and r["verdict"] not in ("met", "missed")]'
	look '[r["step"] for r in run["rows"] if r["goal"]["base"] == "K" and r["verdict"] !=
		("met" if r["samples"]["plyfs"][0]["value"] <= r["goal"]["factor"] * r["samples"]["kernel"][0]["value"] else "missed")]'
}

# A walk cannot do without READDIRPLUS, nor a file that was made without MKNOD or CREATE.
requests() {
	look '[r["step"] for r in run["rows"] if r["step"] == "walk" and not r["requests"]["plyfs"].get("readdirplus")]'
	look '[r["step"] for r in run["rows"] if r["step"] == "create"
		and not {"mknod", "create"} & set(r["requests"]["plyfs"])]'
}

reports() {
	contains "$(cat "$WORK/out.txt")" "cold walk with stat"
	contains "$(cat "$WORK/doc.md")" "| cold walk with stat |"
	eq "$(sed -n '1p;$p' "$WORK/doc.md")" $'before\nafter' "what is around the results"
	if grep -q '^old$' "$WORK/doc.md"; then fail "the old results stayed"; fi
	/usr/bin/python3 -c 'import sys, xml.dom.minidom as d
assert len(d.parse(sys.argv[1]).getElementsByTagName("circle")) > 26' "$WORK/plots/goals.svg"
}

# What a run has kept makes the same tables later, and columns of two runs come together.
kept_runs() {
	"$BENCH" --short --rows sync,memory --systems plyfs:writeback=0 --count none --json "$WORK/other.json" >"$WORK/other.txt"
	"$BENCH" --from "$WORK/out.json" >"$WORK/again.txt"
	same_lines "$WORK/out.txt" "$WORK/again.txt"
	"$BENCH" --from "$WORK/out.json,$WORK/other.json" >"$WORK/both.txt"
	grep -Eq 'kernel \(K\) +plyfs +plyfs writeback=0 +to K' "$WORK/both.txt" || fail "columns: $(cat "$WORK/both.txt")"
	grep -Eq '^RSS after a walk of the tree, MiB +[0-9.]+ ' "$WORK/both.txt" || fail "memory: $(cat "$WORK/both.txt")"
}

# Without an upper: it gets the rows that read.
read_only() {
	"$BENCH" --short --rows seq-read,create --systems kernel,plyfs:io=passthrough --count none --json "$WORK/ro.json" >"$WORK/ro.txt"
	grep -Eq '^sequential read .* [0-9.]+ +[0-9.]+ ' "$WORK/ro.txt" || fail "reading: $(cat "$WORK/ro.txt")"
	grep -Eq '^create .* [0-9.]+ +- ' "$WORK/ro.txt" || fail "writing: $(cat "$WORK/ro.txt")"
}

# Those whole jobs that need nothing but Python, gcc and tar.
jobs() {
	"$BENCH" --short --rows python,untar-all,gcc --systems kernel,plyfs --count none --json "$WORK/out.json" >"$WORK/out.txt"
	every_value
}

failure_is_told() {
	local rc=0 out
	out=$("$BENCH" --short --rows sync --count none --systems "kernel,plyfs:strict+no_such_option" 2>&1) || rc=$?
	eq "$rc" 1 "exit status"
	contains "$out" "failed: sync on plyfs:strict+no_such_option: " "report"
	contains "$out" "no_such_option"
}

unknown_words() {
	local rc=0 out
	out=$("$BENCH" --short --rows no_such_row 2>&1) || rc=$?
	eq "$rc" 2 "exit status"
	contains "$out" "there are no rows no_such_row"
}

left_behind() {
	eq "$(find "$WORK" -maxdepth 1 -name bench)" "" "its directory"
	nothing_mounted "$WORK"
}

run_test "the short form" short_form
run_test "every row has values" every_row
run_test "every row has a goal, and those against the kernel a verdict" goals
run_test "requests are counted" requests
run_test "reports" reports
run_test "kept runs" kept_runs
run_test "a mount without an upper" read_only
run_test "whole jobs" jobs
run_test "a file system that fails is told of" failure_is_told
run_test "unknown words" unknown_words
run_test "nothing is left behind" left_behind
finish
