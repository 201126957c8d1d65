#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input: one line on stderr that names the thing, exit status 1, nothing left mounted; and once
# mounted, an error for the caller and a daemon that stays.
. "$(dirname "$0")/../support/lib.sh"
in_private_ns "$@"
fuse_ready

fresh() {
	rm -rf "$WORK/t"
	mkdir -p "$WORK/t"/{low,low2,upper,work,mnt}
	echo text >"$WORK/t/low/file"
	cd "$WORK/t" || exit
}

# refused PATTERN ARG…: plyfs must refuse, in one line that has the pattern.
refused() {
	local pattern=$1 rc=0
	shift
	"$PLYFS" "$@" >out 2>err || rc=$?
	((rc != 0)) || fail "accepted: $*"
	((rc < 128)) || fail "died of a signal ($rc): $*"
	eq "$(wc -l <err)" 1 "lines on stderr ($(cat err))"
	grep -Eq -- "$pattern" err || fail "message lacks '$pattern': $(cat err)"
	no_mounts "$WORK/t" || fail "something stayed mounted"
	wait_until 5 no_daemons || fail "a daemon stayed"
}

as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

missing_layer() {
	fresh
	refused "low9.*No such file" -o lowerdir=low:low9 mnt
}

unreadable_layer() {
	fresh
	chmod 700 low
	chmod 755 .
	local plyfs=$PLYFS
	cat >as_user <<-END
		#!/bin/sh
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$plyfs" "\$@"
	END
	chmod 755 as_user
	mkdir deep && mkdir deep/low && chmod 700 deep
	chown 65534 mnt
	PLYFS=$WORK/t/as_user refused "deep/low.*Permission denied" -o lowerdir=deep/low mnt
}

layer_is_file() {
	fresh
	refused "low/file.*Not a directory" -o lowerdir=low/file mnt
}

upper_missing() {
	fresh
	refused "upper nowhere.*No such file" -o lowerdir=low,upperdir=nowhere,workdir=work mnt
}

upper_not_writable() {
	fresh
	cat >as_user <<-END
		#!/bin/sh
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$PLYFS" "\$@"
	END
	chmod 755 as_user .
	chown 65534 mnt
	PLYFS=$WORK/t/as_user refused "upper upper cannot be written" \
		-o lowerdir=low,upperdir=upper,workdir=work mnt
}

upper_read_only() {
	fresh
	mkdir ro
	mount -t tmpfs -o ro none ro
	local rc=0
	"$PLYFS" -o lowerdir=low,upperdir=ro,workdir=work mnt 2>err || rc=$?
	umount ro
	eq "$rc" 1 "exit status"
	eq "$(wc -l <err)" 1 "lines on stderr"
	contains "$(cat err)" "read-only file system"
}

loops() {
	fresh
	mkdir upper/l
	refused "upper/l.*lies in the upper" -o lowerdir=upper/l,upperdir=upper,workdir=work mnt
	refused "one directory" -o lowerdir=low:low2:low mnt
	ln -s low link
	refused "one directory" -o lowerdir=low:link mnt
	refused "upper low is the lower layer low" -o lowerdir=low,upperdir=low,workdir=work mnt
	refused "upper low is the lower layer link" -o lowerdir=link,upperdir=low,workdir=work mnt
}

bad_mountpoints() {
	fresh
	touch plain
	refused "nowhere.*No such file" -o lowerdir=low nowhere
	refused "plain.*[Nn]ot a directory" -o lowerdir=low plain
	refused "mountpoint" -o lowerdir=low
}

bad_options() {
	fresh
	refused "uidmapping" -o lowerdir=low,uidmapping=0:0 mnt
	refused "uidmapping" -o lowerdir=low,uidmapping=0:0:0 mnt
	refused "gidmapping" -o lowerdir=low,gidmapping=a:b:c mnt
	refused "gidmapping" -o lowerdir=low,gidmapping=0:0:10:5:100:10 mnt
	refused "squash_to_uid" -o lowerdir=low,squash_to_uid=x mnt
	refused "timeout" -o lowerdir=low,timeout=abc mnt
	refused "no lower layer|lowerdir" -o lowerdir= mnt
	refused "no lower layer|lowerdir" -o upperdir=upper,workdir=work mnt
	refused "no lower layer|lowerdir" mnt
	refused "frobnicate" --strict -o lowerdir=low,frobnicate mnt
}

no_dev_fuse() {
	fresh
	local rc=0
	unshare -m sh -c 'mount -t tmpfs none /dev && exec "$0" -o lowerdir=low mnt' "$PLYFS" 2>err || rc=$?
	eq "$rc" 1 "exit status"
	eq "$(wc -l <err)" 1 "lines on stderr ($(cat err))"
	contains "$(cat err)" "/dev/fuse"
}

no_fusermount() {
	fresh
	local rc=0
	chmod 755 .
	chown 65534 mnt
	unshare -m sh -c 'mount --bind /dev/null "$(command -v fusermount3)" &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" -o lowerdir=low mnt' \
		"$PLYFS" 2>err || rc=$?
	eq "$rc" 1 "exit status"
	eq "$(wc -l <err)" 1 "lines on stderr ($(cat err))"
	contains "$(cat err)" "fusermount3"
}

make_upper() {
	fresh
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	for i in $(seq 50); do echo "$i" >"mnt/new$i"; done
	umount_plyfs "$WORK/t/mnt"
}

newer_catalog() {
	make_upper
	# The version of the format is the first thing in the super table; see doc/format.md.
	python3 - upper/.plyfs/catalog.mdb <<-'END'
		import sys
		path = sys.argv[1]
		data = open(path, 'rb').read()
		key = b'format'
		at = data.rfind(key)
		assert at > 0
		out = bytearray(data)
		for i in range(len(data) - len(key)):
		    if data[i:i + len(key)] == key:
		        out[i + len(key):i + len(key) + 4] = (99).to_bytes(4, 'little')
		open(path, 'wb').write(out)
	END
	rm -f upper/.plyfs/catalog.sum
	refused "upper.*(newer|version)" -o lowerdir=low,upperdir=upper,workdir=work mnt
}

damaged_catalog() {
	make_upper
	cp -a upper saved
	for size in 0 1 4095 4096 8192 20480; do
		rm -rf upper && cp -a saved upper
		truncate -s "$size" upper/.plyfs/catalog.mdb
		refused "catalog" -o lowerdir=low,upperdir=upper,workdir=work mnt
	done
	rm -rf upper && cp -a saved upper
	dd if=/dev/urandom of=upper/.plyfs/catalog.mdb bs=4096 count=2 conv=notrunc status=none
	refused "catalog" -o lowerdir=low,upperdir=upper,workdir=work mnt
}

other_lowers() {
	make_upper
	refused "upper upper was made over other layers.*low" -o lowerdir=low2,upperdir=upper,workdir=work mnt
	refused "low2" -o lowerdir=low2:low,upperdir=upper,workdir=work mnt
	mount_plyfs lowerdir=low2,upperdir=upper,workdir=work,lower_changed=accept "$WORK/t/mnt"
	eq "$(cat mnt/new7)" 7
	umount_plyfs "$WORK/t/mnt"
}

# The layers are copied, restored, added to: nothing of the upper goes, whatever numbers the directories have.
changed_lowers() {
	fresh
	mkdir -p low/etc/{sub/deep,away,old} low/usr
	for f in etc/{passwd,group,gone,sub/deep/f,away/x,away/y,old/x} usr/f; do echo "$f" >"low/$f"; done
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	echo new >mnt/etc/new
	rm mnt/etc/gone
	echo deep >mnt/etc/sub/deep/new
	mv mnt/etc/away mnt/there
	rm -r mnt/etc/old && mkdir mnt/etc/old && echo opaque >mnt/etc/old/new
	umount_plyfs "$WORK/t/mnt"
	mv low restored && cp -a restored low
	changed_once lower_changed=accept passwd x
	umount_plyfs "$WORK/t/mnt"
	mkdir -p upper/etc/sub upper/etc/away
	echo beside >upper/etc/beside
	changed_once lower_changed=refuse group y
	eq "$(cat mnt/etc/beside)" beside
	umount_plyfs "$WORK/t/mnt"
	rm -r upper/etc
	changed_once lower_changed=refuse sub/deep/f y
	umount_plyfs "$WORK/t/mnt"
}

# changed_once OPTION FILE MOVED: copies FILE of etc and MOVED of the directory that was renamed up.
changed_once() {
	local pass
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,$1" "$WORK/t/mnt"
	chmod 600 "mnt/etc/$2"
	echo 2 >/proc/sys/vm/drop_caches
	chmod 600 "mnt/there/$3"
	for pass in 1 2 3; do
		eq "$(cat mnt/etc/new mnt/etc/sub/deep/new mnt/etc/old/new)" $'new\ndeep\nopaque'
		eq "$(ls mnt/there)" $'x\ny'
		eq "$(ls mnt/etc/old)" new
		[[ ! -e mnt/etc/gone && ! -e mnt/etc/away ]] || fail "a name came back"
		eq "$(stat -c %a "mnt/etc/$2" "mnt/there/$3")" $'600\n600'
		eq "$(find mnt -printf '%i\n' | sort | uniq -d)" '' 'numbers twice'
		case $pass in
		1) echo 2 >/proc/sys/vm/drop_caches ;;
		2)
			umount_plyfs "$WORK/t/mnt"
			mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
			;;
		esac
	done
}

# An upper as a layer over its layers as they were restored: names with their bytes, and the inode numbers of others.
restored_lowers() {
	local i pass
	fresh
	for i in $(seq 20); do echo "text $i" >"low/f$i"; done
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	for i in $(seq 10); do echo more >>"mnt/f$i"; done
	umount_plyfs "$WORK/t/mnt"
	for i in $(seq 20); do mv "low/f$i" "low2/f$((21 - i))"; done
	for i in $(seq 20); do echo "text $i" >"low2/f$i"; done
	mkdir upper2
	for pass in "" ,upperdir=upper2,workdir=work ,upperdir=upper2,workdir=work; do
		mount_plyfs "lowerdir=upper:low2$pass" "$WORK/t/mnt"
		for i in $(seq 10); do eq "$(cat "mnt/f$i")" "text $i"$'\n'more; done
		for i in $(seq 11 20); do eq "$(head -n 1 "mnt/f$i")" "text $i"; done
		eq "$(find mnt -printf '%i\n' | sort | uniq -d)" '' 'numbers twice'
		if [[ $pass ]]; then
			for i in $(seq 11 20); do echo other >>"mnt/f$i"; done
		fi
		umount_plyfs "$WORK/t/mnt"
	done
}

# A layer's own directory of that name is none of ours, unless it has a file as only uppers do.
foreign_private() {
	fresh
	mkdir low/.plyfs
	echo settings >low/.plyfs/settings
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	eq "$(cat mnt/.plyfs/settings)" settings
	echo more >mnt/.plyfs/more
	umount_plyfs "$WORK/t/mnt"
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	eq "$(cat mnt/.plyfs/more)" more
	umount_plyfs "$WORK/t/mnt"
	touch low/.plyfs/journal
	refused "low.*plyfs" -o lowerdir=low mnt
}

# A stranger's upper that has a link in the place of a directory of data files.
data_elsewhere() {
	local dir
	fresh
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	head -c 20000 /dev/zero | tr '\0' s >mnt/big
	umount_plyfs "$WORK/t/mnt"
	dir=$(basename "$(dirname "$(find upper/.plyfs/data -type f)")")
	mv "upper/.plyfs/data/$dir" host
	ln -s "$WORK/t/host" "upper/.plyfs/data/$dir"
	mount_plyfs lowerdir=upper:low "$WORK/t/mnt"
	refuses cat mnt/big >out 2>&1
	! grep -q ssss out || fail "the host's file was shown"
	eq "$(cat mnt/file)" text
	umount_plyfs "$WORK/t/mnt"
}

lower_vanishes() {
	fresh
	for i in $(seq 20); do echo "$i" >"low/f$i"; done
	head -c 200000 /dev/zero >low/big
	mount_plyfs lowerdir=low,upperdir=upper,workdir=work "$WORK/t/mnt"
	ls -l mnt >/dev/null
	rm low/f3
	truncate -s 10 low/big
	echo 3 >/proc/sys/vm/drop_caches
	refuses cat mnt/f3 2>/dev/null
	cat mnt/big >/dev/null 2>&1 || true
	eq "$(cat mnt/f4)" 4
	rm -f mnt/f3 || true
	echo fine >mnt/after
	eq "$(cat mnt/after)" fine
	umount_plyfs "$WORK/t/mnt"
}

# A directory of a layer that may not be searched for a while. As an ordinary user: root would not notice.
lower_part_unknown() {
	make_user
	local t=$USER_HOME/t layer
	as_user mkdir -p "$t"/{l1/p/d,l2/p/d,u,w,m}
	as_user tee "$t/l1/p/d/f1" "$t/l2/p/d/f2" "$t/l2/p/file" <<<text >/dev/null
	mount_as_user "$t"
	as_user mkdir "$t/m/empty"
	as_user chmod 700 "$t/m/p/d"
	as_user chmod 600 "$t/m/p/file"
	ended_by "$t/m" as_user fusermount3 -u "$t/m"
	for layer in l1 l2; do
		mount_as_user "$t"
		as_user chmod 0 "$t/$layer/p"
		denied ls "$t/m/p/d"
		denied ls "$t/m/p"
		denied cat "$t/m/p/file"
		denied rmdir "$t/m/p/d"
		denied touch "$t/m/p/d/f2"
		denied mkdir "$t/m/p/d/f1"
		denied mv -T "$t/m/empty" "$t/m/p/d"
		denied rm -f "$t/m/p/file"
		as_user chmod 755 "$t/$layer/p"
		part_is_known "$t/m"
		ended_by "$t/m" as_user fusermount3 -u "$t/m"
		mount_as_user "$t"
		part_is_known "$t/m"
		# Now that it is known it stays so.
		as_user chmod 0 "$t/$layer/p/d"
		eq "$(as_user stat -c %a "$t/m/p/d")" 700
		refuses as_user rmdir "$t/m/p/d"
		as_user chmod 755 "$t/$layer/p/d"
		part_is_known "$t/m"
		ended_by "$t/m" as_user fusermount3 -u "$t/m"
	done
}

mount_as_user() {
	as_user "$PLYFS" -o "lowerdir=$1/l1:$1/l2,upperdir=$1/u,workdir=$1/w" "$1/m"
	is_plyfs_mount "$1/m" || fail "$1/m is not mounted"
}

denied() {
	if as_user "$@" >/dev/null 2>"$WORK/err"; then
		fail "succeeded, but must not: $*"
	fi
	contains "$(cat "$WORK/err")" "Permission denied" "message of $*"
}

part_is_known() {
	eq "$(as_user ls "$1/p/d")" $'f1\nf2'
	eq "$(as_user cat "$1/p/d/f1" "$1/p/d/f2" "$1/p/file")" $'text\ntext\ntext'
	eq "$(as_user stat -c %a "$1/p/d" "$1/p/file")" $'700\n600'
	refuses as_user rmdir "$1/p/d" 2>"$WORK/err"
	contains "$(cat "$WORK/err")" "not empty"
}

for t in missing_layer unreadable_layer layer_is_file upper_missing upper_not_writable upper_read_only \
	loops bad_mountpoints bad_options no_dev_fuse no_fusermount newer_catalog damaged_catalog \
	other_lowers changed_lowers restored_lowers foreign_private data_elsewhere lower_vanishes \
	lower_part_unknown; do
	run_test "${t//_/ }" "$t"
done
finish
