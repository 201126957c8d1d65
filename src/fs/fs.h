/* SPDX-License-Identifier: Apache-2.0 */
/* The file system without FUSE: every operation as a function that returns 0 or -errno. */
#ifndef PLYFS_FS_FS_H
#define PLYFS_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "attr/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "fs/options.h"

/*
 * Works by inode: a number stays valid from the operation that returned it (and counted a look-up)
 * until fs_forget() has given all its look-ups back, whether the inode still has a name or not.
 * There are no open files here. -ESTALE: no such inode.
 *
 * Owners, in every attr and ACL that passes this interface, are shown ids (after id mapping).
 * Permissions are not checked here: the kernel does it (default_permissions).
 *
 * Threads: all functions from any thread. The locks are described in doc/locking.md.
 */
struct fs;

#define FS_ROOT_INO 1

/* Who asks. */
struct fs_caller {
	uint32_t uid, gid;
	uint32_t umask;
	int32_t pid;
};

/* A name that was looked up or made: its look-up is counted. */
struct fs_entry {
	uint64_t ino;	  /* for all calls of this interface */
	struct attr attr; /* attr.ino is what is shown: it may be folded (ino32_t) */
};

/*
 * Opens the layers and the upper that OPTIONS name (paths against the current directory, by the
 * kernel's rules) and checks them. The sentence in ERR names the layer or file that is wrong.
 * OPTIONS must outlive RET_FS.
 */
int fs_open(const struct fs_options *options, struct fs **ret_fs, struct err *err);
/*
 * To be called once, in the process that will serve (after a fork), before the first operation:
 * starts the background threads, which take no signals, and notes the pid as the owner of the upper. 0, -EAGAIN when the
 * thread that makes changes durable cannot be had (there are no changes then), or another -errno of the upper.
 */
int fs_start(struct fs *fs);
/* Checkpoints and frees; NULL is fine. No operation may be running. */
void fs_close(struct fs *fs);
DEFINE_CLEANUP_PTR(struct fs, fs, fs_close)

/* True when nothing can be changed: no upper, or the upper is in use and this is a snapshot. */
bool fs_read_only(const struct fs *fs);
/* True when fs_open() fell back to a read-only snapshot; for a line to the user. */
bool fs_is_snapshot(const struct fs *fs);

/* Names. NAME is NUL-terminated; "." and ".." are -EINVAL; over 255 bytes -ENAMETOOLONG. */
int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret_entry);
void fs_forget(struct fs *fs, uint64_t ino, uint64_t n);
/* Regular, fifo, socket, device. MODE with type and as the caller gave it (umask not applied). */
int fs_mknod(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	     uint32_t mode, uint32_t rdev_major, uint32_t rdev_minor, struct fs_entry *ret_entry);
int fs_mkdir(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	     uint32_t mode, struct fs_entry *ret_entry);
int fs_symlink(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	       const char *target, struct fs_entry *ret_entry);
/* A regular file without a name (O_TMPFILE) in PARENT's file system. */
int fs_tmpfile(struct fs *fs, const struct fs_caller *who, uint64_t parent, uint32_t mode,
	       struct fs_entry *ret_entry);
int fs_link(struct fs *fs, uint64_t ino, uint64_t new_parent, const char *new_name,
	    struct fs_entry *ret_entry);
int fs_unlink(struct fs *fs, uint64_t parent, const char *name);
int fs_rmdir(struct fs *fs, uint64_t parent, const char *name);
/* An inode that a rename gave another place; its look-up is not counted, so it may be gone already. */
struct fs_moved {
	uint64_t ino;  /* 0: there is none */
	uint32_t type; /* S_IFMT bits */
};
/*
 * FLAGS: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT of renameat2(2). RET_MOVED (may be NULL, set on success): what
 * was at NAME, and with RENAME_EXCHANGE what was at NEW_NAME; nothing where there was nothing to do.
 */
int fs_rename(struct fs *fs, const struct fs_caller *who, uint64_t parent, const char *name,
	      uint64_t new_parent, const char *new_name, unsigned int flags,
	      struct fs_moved ret_moved[2]);

/*
 * May the kernel be about to count down the links of INO by itself? It does when the answer to an unlink reaches
 * it, although the new count may have reached it before, by another name's look-up. So for some seconds
 * after a file lost one name of several, its attributes must not be cached for long.
 */
bool fs_unsettled(struct fs *fs, uint64_t ino);

/* Attributes. */
int fs_getattr(struct fs *fs, uint64_t ino, struct attr *ret_attr);
enum fs_set {
	FS_SET_MODE = 1 << 0,
	FS_SET_UID = 1 << 1,
	FS_SET_GID = 1 << 2,
	FS_SET_SIZE = 1 << 3,
	FS_SET_ATIME = 1 << 4,
	FS_SET_MTIME = 1 << 5,
	FS_SET_CTIME = 1 << 6,
	FS_SET_ATIME_NOW = 1 << 7,
	FS_SET_MTIME_NOW = 1 << 8,
	FS_SET_KILL_SUIDGID = 1 << 9, /* clear S_ISUID, and S_ISGID of an executable group */
	FS_SET_KILL_SGID = 1 << 10,   /* clear S_ISGID: the caller is not in the file's group */
	/* With SIZE: where that is the length already, as the caller believes, no time moves. */
	FS_SET_KEEP_TIMES = 1 << 11,
};
/*
 * Of a regular file that has lost its last name MTIME and CTIME, together and alone, are answered and not kept: so speaks
 * a kernel with the writeback cache, which shows its own times for as long as it has the inode.
 */
int fs_setattr(struct fs *fs, uint64_t ino, uint32_t set, const struct attr *attr,
	       struct attr *ret_attr);
/* TARGET is NUL-terminated; returns its length; -ENAMETOOLONG. */
ssize_t fs_readlink(struct fs *fs, uint64_t ino, char *target, size_t size);

/* Files. */
ssize_t fs_read(struct fs *fs, uint64_t ino, void *bytes, size_t size, off_t off);
/*
 * The same for who moves bytes between files himself: USE gets a descriptor of the plain file that has all of the SIZE
 * bytes from OFF on, at that place; fewer only at the end of the file, and never none. It is called under the lock of
 * the bytes, keeps neither of them, and its result is that of the function. -EOPNOTSUPP: fs_read() has to be taken.
 */
struct fs_reader {
	int (*use)(void *arg, int fd, size_t size, off_t off);
	void *arg;
};
int fs_read_file(struct fs *fs, uint64_t ino, size_t size, off_t off,
		 const struct fs_reader *reader);
enum fs_write {
	FS_WRITE_KILL = 1 << 0, /* clear set-id bits */
	/*
	 * The bytes come from the cache of a kernel that keeps the times of what it caches, and says by fs_setattr() what
	 * they have become. So they stay as they are.
	 */
	FS_WRITE_BACK = 1 << 1,
};
/* Writes all or fails. HOW: FS_WRITE_*. */
ssize_t fs_write(struct fs *fs, uint64_t ino, const void *bytes, size_t size, off_t off,
		 unsigned int how);
int fs_fallocate(struct fs *fs, uint64_t ino, int mode, off_t off, off_t len);
/* Returns how many bytes were copied: fewer than LEN at the end of FROM, and where LEN is large. HOW: as they are written. */
ssize_t fs_copy_range(struct fs *fs, uint64_t from, off_t from_off, uint64_t to, off_t to_off,
		      size_t len, unsigned int how);
off_t fs_lseek(struct fs *fs, uint64_t ino, off_t off, int whence);
/*
 * Calls USE with a descriptor of the plain file that holds exactly the bytes of INO, valid (and not to be closed) until
 * USE returns, and returns what USE does: 0 or -errno. -EOPNOTSUPP: there is no such file (the bytes are inline, in
 * pieces, in an archive), or the file system can be changed, so that there may soon be another one. Reading that file
 * is not reading INO: it leaves access times to the file's own mount.
 */
int fs_with_file(struct fs *fs, uint64_t ino, int (*use)(void *arg, int fd), void *arg);
int fs_fsync(struct fs *fs, uint64_t ino, bool datasync);
int fs_syncfs(struct fs *fs);
int fs_statfs(struct fs *fs, struct statvfs *ret_st);

/* Directories. */
struct fs_dirent {
	uint64_t ino;	 /* with attributes: as fs_entry.ino; without: as attr.ino */
	uint64_t cookie; /* pass as COOKIE to continue after this entry; < 2^63 */
	const char *name;
	uint16_t len;
	uint8_t dtype;
	/* fs_readdirplus(): the attributes; NULL for "." and "..", and what cannot be looked at */
	const struct attr *attr;
};
/*
 * What fs_readdir() gives entries to: mostly one, and all that share a place in the listing together, as no cookie
 * leads in between. Takes all N or none; false: none, it has enough.
 */
typedef bool fs_emit(void *arg, const struct fs_dirent *entries, size_t n);
/*
 * Calls EMIT for the entries after COOKIE (0: from the start, "." and ".." included) until it
 * returns false. Cookies stay valid while the directory changes, and after it was closed; they are below 2^31. Several
 * entries that EMIT refuses as the first ones of a call it gets again one by one, as too many to be given together,
 * and their cookies may be wider. In
 * fs_readdirplus() an entry with attributes for which EMIT returned true has been looked up.
 */
int fs_readdir(struct fs *fs, uint64_t ino, uint64_t cookie, fs_emit *emit, void *arg);
int fs_readdirplus(struct fs *fs, uint64_t ino, uint64_t cookie, fs_emit *emit, void *arg);

/* Extended attributes: sizes as getxattr(2). FLAGS: XATTR_CREATE, XATTR_REPLACE. */
ssize_t fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size);
ssize_t fs_listxattr(struct fs *fs, uint64_t ino, char *names, size_t size);
/* KILL_SGID: the ACL change was made by one who is not in the group (FUSE_SETXATTR_ACL_KILL_SGID). */
int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t len,
		int flags, bool kill_sgid);
int fs_removexattr(struct fs *fs, uint64_t ino, const char *name);

/* The layers, the topmost first, for tools that ask each of them; valid as long as FS. */
struct stack;
struct stack *fs_stack(struct fs *fs);

/* Text for SIGUSR1 and bug reports: inodes held, layers, catalog, descriptors. */
void fs_to_text(struct fs *fs, struct buf *out);

#endif
