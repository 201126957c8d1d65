/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls as the rest of the program wants them: the result is >= 0 or -errno, EINTR is
 * retried, partial transfers are completed. Stateless but for what was learnt about the running
 * kernel; any thread.
 */
#ifndef PLYFS_BASE_SYS_H
#define PLYFS_BASE_SYS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Opening. O_CLOEXEC and O_NOCTTY are always added; the new descriptor is the caller's. MODE counts
 * only with O_CREAT or O_TMPFILE.
 */
int sys_openat(int dirfd, const char *name, int flags, mode_t mode);

/*
 * Opens NAME inside DIRFD and nothing else: NAME is one component (-EINVAL for a slash, -EXDEV for
 * ".."), a symbolic link is never followed (-ELOOP or -ENOTDIR; with O_PATH the link itself is
 * opened) and, with NO_XDEV, neither is a mount point (-EXDEV). FLAGS must not create anything.
 * Uses openat2(2), or where that is missing openat(2) and a look at st_dev, which does not see a
 * bind mount of the same file system.
 */
int sys_open_in(int dirfd, const char *name, int flags, bool no_xdev);

/*
 * Opens the directory or file PATH below DIRFD: not absolute, no "..", no symbolic link on the way or
 * at its end, no mount point. -ENOSYS where openat2(2) is missing.
 */
int sys_open_below(int dirfd, const char *path, int flags);

/* openat2(2) itself: -1 and errno. Its callers are the two functions above. */
struct open_how;
int sys_openat2(int dirfd, const char *path, const struct open_how *how);

/* A detached copy of the mount that FD is in, rooted at FD: nothing can be mounted over it. */
int sys_open_tree_clone(int fd);

/* Does RC say that the file system, or somebody's quota, has no room? */
static inline bool sys_is_full(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/*
 * Marks FD's file as used for as long as FD, or a copy of it, is open; sys_is_used() of any other descriptor of it
 * says so to every process on this machine. mtime becomes the time of the last use, with an hour's exactness, where the
 * file is our own. FD must be readable. Where there are no such locks nobody is told.
 */
void sys_note_use(int fd);
bool sys_is_used(int fd);

/* Inodes. RET_ST is untouched on failure. FLAGS as fstatat(2), for instance AT_SYMLINK_NOFOLLOW. */
int sys_fstat(int fd, struct stat *ret_st);
int sys_fstatat(int dirfd, const char *name, struct stat *ret_st, int flags);
/*
 * As sys_fstatat(), by one call, too: and is NAME the root of a mount? False before Linux 5.8, which does not tell, and where
 * statx(2) is not allowed.
 */
int sys_fstatat_mount(int dirfd, const char *name, struct stat *ret_st, int flags, bool *ret_mount);

/* The target, without a NUL; as many bytes as fit SIZE. NAME "" reads an O_PATH descriptor. */
ssize_t sys_readlinkat(int dirfd, const char *name, char *buf, size_t size);

/* Names. */
int sys_mkdirat(int dirfd, const char *name, mode_t mode);
/*
 * The directory PATH and those above it, where they are missing; 0 also when it was there. -ENOTDIR: something
 * else was. What cannot be made above it is no failure as long as PATH itself can.
 */
int sys_mkdir_all(const char *path, mode_t mode);
int sys_unlinkat(int dirfd, const char *name, int flags);
/* FLAGS as renameat2(2): 0, RENAME_NOREPLACE, RENAME_EXCHANGE. */
int sys_renameat(int olddir, const char *oldname, int newdir, const char *newname,
		 unsigned int flags);

/* Is NAME "." or ".."? */
static inline bool sys_is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Directory entries as the kernel packs them: getdents64(2), which calls it linux_dirent64. */
struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;	   /* where to lseek() to continue after this entry */
	uint16_t d_reclen; /* bytes to the next entry */
	uint8_t d_type;
	char d_name[];
};

/* Fills BUF (aligned as an uint64_t) with entries; 0 at the end of the directory. */
ssize_t sys_getdents(int fd, void *buf, size_t size);

/*
 * Walks what sys_getdents() returned:
 *
 *	struct sys_dirents it = sys_dirents_of(buf, n);
 *	while ((d = sys_dirents_next(&it)) != NULL)
 *
 * NULL at the end, and for an entry that does not lie whole inside the buffer with a name that is
 * not empty and ends in a NUL; `bad` then tells the two apart. "." and ".." are not skipped.
 */
struct sys_dirents {
	const char *p;
	size_t left;
	bool bad;
};

static inline struct sys_dirents sys_dirents_of(const void *buf, size_t len)
{
	return (struct sys_dirents){.p = (const char *)buf, .left = len};
}

const struct linux_dirent64 *sys_dirents_next(struct sys_dirents *it);

/*
 * Bytes. The reader returns how many bytes it read: fewer than LEN only at the end of the file.
 * The writers return 0 when everything was written; after a failure a part may have been.
 */
ssize_t sys_pread_full(int fd, void *buf, size_t len, off_t off);
int sys_pwrite_full(int fd, const void *buf, size_t len, off_t off);
int sys_write_full(int fd, const void *buf, size_t len);

/* Is it on btrfs, where whatever is written takes space? */
bool sys_is_btrfs(int fd);

/*
 * Has a file that is still empty overwritten in place from now on, where its file system would put what is
 * overwritten elsewhere, which takes space (btrfs). Nothing on others.
 */
void sys_set_in_place(int fd);

/*
 * May ftruncate(2) to a lower length fail for want of space, as it does on a full btrfs and at a used-up quota of one?
 * Then it may have lost bytes behind that length that were not on the disk.
 */
bool sys_cut_may_fail(int fd);

int sys_fdatasync(int fd);
/* fsync(2) of a directory. Some file systems have nothing to flush for one and say so with EINVAL. */
int sys_fsync_dir(int fd);
int sys_ftruncate(int fd, off_t len);
int sys_fallocate(int fd, int mode, off_t off, off_t len);
off_t sys_lseek(int fd, off_t off, int whence);

/*
 * Extended attributes of NAME in DIRFD (which may be O_PATH), or of DIRFD itself when NAME is NULL;
 * links are not followed. The result is the length; SIZE 0 asks for it (VALUE or BUF may then be
 * NULL), -ERANGE says that SIZE is too small. A file system without attributes has none: -ENODATA
 * and an empty list. Uses getxattrat(2) and listxattrat(2) of Linux 6.13, or /proc/self/fd.
 */
ssize_t sys_getxattr_at(int dirfd, const char *name, const char *xattr, void *value, size_t size);
ssize_t sys_listxattr_at(int dirfd, const char *name, char *buf, size_t size);
/* Is asking by NAME one system call, which needs no /proc? */
bool sys_has_xattrat(void);

/*
 * Makes the table of descriptors large enough for N of them, or as many as RLIMIT_NOFILE allows. The
 * kernel doubles it when it is full, and where threads share it that waits for all processors to
 * have looked away (synchronize_rcu(), ten milliseconds and more). To be called before the first
 * thread; failing costs that time only.
 */
void sys_reserve_fds(unsigned int n);
/*
 * How many descriptors RLIMIT_NOFILE still allows this process. What was kept at a high number behind 256 free ones is
 * not seen.
 */
size_t sys_fds_left(void);

/* Fills P with LEN random bytes; 0 or -errno. */
int sys_random(void *p, size_t len);

#endif
