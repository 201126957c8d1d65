# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# The rest of the program that make_mode_program writes: it becomes $binary, with $options before a mount's own,
# and notes such a mount in the file $mounts. Anything else is handed on as it is.

as_it_is() { exec -a "$program" "$binary" "${verb[@]}" "$@"; }

# io=passthrough is refused where a mount can be written, and to those without the right.
passes_through() {
	[[ " $* " =~ [\ ,]ro[\ ,] || ! " $* " =~ upperdir=|--upper|--tmp-upper ]] || return 1
	((EUID == 0)) && grep -Eq '^ +0 +0 +4294967295$' /proc/self/uid_map
}

program=$0 verb=()
if [[ ${1-} == mount ]]; then
	verb=(mount)
	shift
else
	case ${1-} in
	"" | umount | unmount | help | version | fsck | image | ps | doctor | ls | cat | stat | find | du | which | \
		extract | diff | check | waste | cache) as_it_is "$@" ;;
	esac
fi
[[ ! " $* " =~ [\ ,]remount[\ ,] ]] || as_it_is "$@"
[[ $options != *io=passthrough* ]] || passes_through "$@" || as_it_is "$@"
# Another script of this machine may have put the switch back: then nothing is shown here.
if [[ $options == *io_uring=1* && $(</sys/module/fuse/parameters/enable_uring) != [Y1] ]]; then
	echo "$program: enable_uring was switched off under this test" >&2
	exit 3
fi
echo "$*" 2>/dev/null >>"$mounts" || true
exec -a "$program" "$binary" "${verb[@]}" -o "$options" "$@"
