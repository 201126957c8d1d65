#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files whose owners have no id in the mount: the one with the overflow id (nobody) is not their owner, and they are as
# the kernel has them. What it says is asked of an overlayfs: over an idmapped mount, and in a user namespace.
. "$(dirname "$0")/../support/lib.sh"
need_packages fuse3 python3 acl attr
in_private_ns "$@"
fuse_ready

UNMAPPED=(python3 "$(cd "$(dirname "$0")" && pwd)/_unmapped.py")
MAP=100000
NOBODY=65534

after_failure() { drop_mounts; }

# thing NAME OWNER MODE: a file.
thing() {
	echo "bytes" >"$1"
	setfattr -n user.there -v y "$1"
	chown "$2" "$1"
	chmod "$3" "$1"
}

# place NAME OWNER MODE FILES: a directory, and whose its files are.
place() {
	mkdir "$1"
	thing "$1/old" "$4" 644
	thing "$1/moved" "$4" 644
	setfattr -n user.there -v y "$1"
	chown "$2" "$1"
	chmod "$3" "$1"
}

# The container's ids are stored from MAP on, the machine's root has none there.
fresh() {
	local ours=$MAP:$MAP nobody=$((MAP + NOBODY)):$((MAP + NOBODY))
	rm -rf "$WORK/t"
	mkdir -p "$WORK/t"/{low,mnt,plain,idmapped,tmp}
	cd "$WORK/t" || exit
	D=$PWD
	mount -t tmpfs none tmp
	mkdir tmp/{upper,work} upper
	(
		cd low || exit
		thing secret 0:0 600
		thing public 0:0 644
		thing common 0:0 666
		thing program 0:0 755
		thing group 0:0 660
		thing half $MAP:5 664
		thing ours "$ours" 640
		thing nobodys "$nobody" 600
		thing nobodys-open "$nobody" 666
		place closed 0:0 755 0:0
		place private 0:0 700 0:0
		place open 0:0 777 0:0
		place sticky "$ours" 1777 0:0
		place mixed "$ours" 777 0:0
		place nobodys-place "$nobody" 755 "$nobody"
		place nobodys-wide "$nobody" 777 "$nobody"
		place nobodys-sticky "$nobody" 1777 "$nobody"
		ln -s nowhere link
		ln -s nowhere nobodys-link
		chown -h "$nobody" nobodys-link
	)
	chown "$MAP:$MAP" low upper tmp/upper tmp/work mnt plain
	chmod 777 low upper tmp/upper
}

mount_mapped() {
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work,allow_other,uidmapping=$MAP:0:65536,gidmapping=$MAP:0:65536" "$D/mnt"
}

idmapping() {
	fresh
	"${UNMAPPED[@]}" idmap "$D/low" "$D/idmapped" "$MAP"
	mount -t overlay none -o "lowerdir=$D/idmapped,upperdir=$D/tmp/upper,workdir=$D/tmp/work" plain
	mount_mapped
	for where in mnt plain; do "${UNMAPPED[@]}" probe "$D/$where" "$@" >"$where.seen"; done
	same_lines plain.seen mnt.seen
	umount plain idmapped tmp
	umount_plyfs "$D/mnt"
}

as() {
	local id=$1
	shift
	setpriv --reuid "$id" --regid "$id" --clear-groups "$@"
}

# Root gives what has no owner one, and all that it is stays stored until then.
given_an_owner() {
	fresh
	umount tmp
	mount_mapped
	refuses as $NOBODY cat mnt/secret
	refuses chmod 644 mnt/secret
	chown 5:6 mnt/secret
	chmod 640 mnt/secret
	echo more >>mnt/secret
	eq "$(as 5 cat mnt/secret)" $'bytes\nmore'
	# A directory without an owner is copied up for what is in it.
	mkdir -p low/outer/inner
	chown "$MAP:$MAP" low/outer/inner
	echo x >mnt/outer/inner/new
	eq "$(stat -c %u:%g mnt/outer)" $NOBODY:$NOBODY
	refuses as $NOBODY touch mnt/outer/new
	umount_plyfs "$D/mnt"
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work" "$D/mnt"
	eq "$(stat -c %u:%g mnt/outer mnt/outer/inner/new mnt/secret)" "0:0"$'\n'"$MAP:$MAP"$'\n'"$((MAP + 5)):$((MAP + 6))"
	umount_plyfs "$D/mnt"
}

# As on an idmapped mount. What the machine's root makes in a container that does not have him is the container's root's.
strangers() {
	fresh
	umount tmp
	mount_mapped
	mkdir -m 777 mnt/wide
	for make in "touch mnt/wide/new" "mkdir mnt/wide/new" "ln -s x mnt/wide/new"; do
		# shellcheck disable=SC2086  # words
		contains "$(as 70000 $make 2>&1 || true)" "Value too large"
		# shellcheck disable=SC2086
		contains "$(setpriv --reuid 7 --regid 70000 --clear-groups $make 2>&1 || true)" "Value too large"
	done
	eq "$(ls mnt/wide)" ""
	umount_plyfs "$D/mnt"
	mkdir other
	mount_plyfs "lowerdir=low,upperdir=other,workdir=work,allow_other,uidmapping=0:$MAP:65536,gidmapping=0:$MAP:65536" "$D/mnt"
	mkdir -p mnt/made/deep
	echo x >mnt/made/deep/new
	eq "$(stat -c %u:%g mnt/made mnt/made/deep/new)" "$MAP:$MAP"$'\n'"$MAP:$MAP"
	umount_plyfs "$D/mnt"
}

# Entries of an ACL for whom the mount does not have: nobody is let in, and they stay stored.
acls() {
	fresh
	umount tmp
	setfacl -m u:4242:rw-,u:$((MAP + 7)):r--,g:4242:r-- low/ours
	mount_mapped
	refuses as $NOBODY cat mnt/ours
	eq "$(as 7 cat mnt/ours)" bytes
	lacks "$(getfacl -nc mnt/ours)" $NOBODY
	chmod 660 mnt/ours
	umount_plyfs "$D/mnt"
	mount_plyfs "lowerdir=low,upperdir=upper,workdir=work" "$D/mnt"
	eq "$(getfacl -nc mnt/ours | grep ':[0-9]')" "user:4242:rw-"$'\n'"user:$((MAP + 7)):r--"$'\n'"group:4242:r--"
	umount_plyfs "$D/mnt"
}

run_test "uidmapping, nobody" idmapping $NOBODY
run_test "uidmapping, another user" idmapping 1000
run_test "uidmapping, root" idmapping 0
run_test "uidmapping, root gives an owner" given_an_owner
run_test "uidmapping, strangers make nothing" strangers
run_test "uidmapping, ACLs" acls
finish
