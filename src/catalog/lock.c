/* SPDX-License-Identifier: Apache-2.0 */
/* The lock file: taking it, telling who has it, and the gate. */
#include "catalog/lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sys.h"
#include "catalog/format.h"

#define GATE_POLL_MS 2

/*
 * umount(2) returns before the daemon has made its last checkpoint, and even before it knows that it
 * is unmounted; a client that mounts again at once must get its upper back, not a snapshot of it.
 */
#define CLOSING_WAIT_MS 60000
#define UNMOUNT_WAIT_MS 1000
#define OWNER_POLL_MS	5

#define CLOSING_WORD " closing"
#define UNCLEAN_WORD " unclean"

struct owner {
	long pid;
	char host[65];
	char boot[40];
	bool closing;	 /* only said where there are no locks to say it */
	bool has_let_go; /* of what another one left that died */
};

bool lock_without_locks;

static int set_lock(int fd, short type, off_t byte)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (lock_without_locks)
		return -ENOLCK;
	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static bool means_no_locks(int rc)
{
	return rc == -ENOLCK || rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EINVAL;
}

/* The first word of TEXT, as far as it fits, without what could spoil the line. */
static void copy_word(char *to, size_t size, const char *text)
{
	size_t n = 0;

	while (n + 1 < size && isgraph((unsigned char)text[n])) {
		to[n] = text[n];
		n++;
	}
	to[n] = 0;
}

static void this_owner(struct owner *ret_owner)
{
	char text[65] = "";
	CLEANUP(fd) int fd = sys_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);

	*ret_owner = (struct owner){.pid = getpid()};
	if (fd >= 0 && sys_pread_full(fd, text, sizeof(text) - 1, 0) > 0)
		copy_word(ret_owner->boot, sizeof(ret_owner->boot), text);
	if (ret_owner->boot[0] == 0)
		memcpy(ret_owner->boot, "-", 2);
	memset(text, 0, sizeof(text));
	if (gethostname(text, sizeof(text) - 1) == 0)
		copy_word(ret_owner->host, sizeof(ret_owner->host), text);
	if (ret_owner->host[0] == 0)
		memcpy(ret_owner->host, "-", 2);
}

/* False when the file does not say. */
static bool read_owner(int fd, struct owner *ret_owner)
{
	struct owner o = {0};
	char text[256] = "";
	char *rest;

	if (sys_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
		return false;
	errno = 0;
	o.pid = strtol(text, &rest, 10);
	if (errno != 0 || o.pid <= 0 || *rest != ' ')
		return false;
	copy_word(o.host, sizeof(o.host), ++rest);
	rest += strlen(o.host);
	if (o.host[0] == 0 || *rest != ' ')
		return false;
	copy_word(o.boot, sizeof(o.boot), rest + 1);
	rest += 1 + strlen(o.boot);
	o.closing = strncmp(rest, CLOSING_WORD, strlen(CLOSING_WORD)) == 0;
	o.has_let_go = strncmp(rest, UNCLEAN_WORD, strlen(UNCLEAN_WORD)) == 0;
	*ret_owner = o;
	return true;
}

static int busy(int fd, struct err *err)
{
	struct owner o;

	if (!read_owner(fd, &o) || o.has_let_go)
		return err_set(err, EBUSY, "the upper layer is in use by another process");
	return err_set(err, EBUSY, "the upper layer is in use by process %ld on %s", o.pid, o.host);
}

/* A process that has ended and that nobody has waited for yet holds nothing any more. */
static bool is_zombie(long pid)
{
	char path[40], text[256] = "";
	const char *state;
	CLEANUP(fd) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0 || sys_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
		return false;
	/* The program's name before it may hold anything. */
	state = strrchr(text, ')');
	return state != NULL && state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X');
}

static bool is_running(long pid)
{
	return (kill((pid_t)pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

/* As set_owner_lock(): an owner of this boot that is still there after a wait keeps the upper. */
static bool outlives_us(int fd, struct owner *o)
{
	const struct timespec pause = {.tv_nsec = OWNER_POLL_MS * 1000000L};

	for (int ms = 0; is_running(o->pid); ms += OWNER_POLL_MS) {
		if (ms >= (o->closing ? CLOSING_WAIT_MS : UNMOUNT_WAIT_MS))
			return true;
		nanosleep(&pause, NULL);
		if (!read_owner(fd, o) || o->has_let_go)
			break;
	}
	return false;
}

/* No locks here: believe what the file says, and take over only what is surely dead. */
static int own_without_locks(int fd, struct err *err)
{
	struct owner o, me;

	this_owner(&me);
	if (!read_owner(fd, &o) || o.has_let_go || o.pid == me.pid)
		return 0;
	if (strcmp(o.boot, me.boot) == 0)
		return outlives_us(fd, &o) ? busy(fd, err) : 0;
	if (strcmp(o.host, me.host) == 0)
		return 0; /* before this machine's last boot */
	return err_set(
		err, ENOLCK,
		"process %ld on host %s may have the upper layer in use, and this file system "
		"has no locks to tell; if it does not, remove the file .plyfs/" LOCK_FILE,
		o.pid, o.host);
}

static int write_text(struct lock_file *l, const char *last_word)
{
	struct owner me;
	char text[160];
	int len, rc;

	this_owner(&me);
	len = snprintf(text, sizeof(text), "%ld %s %s%s\n", me.pid, me.host, me.boot, last_word);
	rc = sys_pwrite_full(l->fd, text, (size_t)len, 0);
	if (rc == 0)
		rc = sys_ftruncate(l->fd, len);
	/* Only for messages where there are locks: a full disk must not keep anyone out. */
	if (rc < 0 && l->has_locks) {
		log_debug("the lock file does not name its owner");
		return 0;
	}
	return rc;
}

int lock_write_owner(struct lock_file *l)
{
	return l->fd < 0 ? 0 : write_text(l, "");
}

static bool owner_is_closing(int fd)
{
	struct flock fl = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_CLOSING_BYTE, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

static int set_owner_lock(int fd)
{
	const struct timespec pause = {.tv_nsec = OWNER_POLL_MS * 1000000L};
	int rc = set_lock(fd, F_WRLCK, LOCK_OWNER_BYTE);

	for (int ms = 0; rc == -EAGAIN; ms += OWNER_POLL_MS) {
		if (ms >= (owner_is_closing(fd) ? CLOSING_WAIT_MS : UNMOUNT_WAIT_MS))
			break;
		nanosleep(&pause, NULL);
		rc = set_lock(fd, F_WRLCK, LOCK_OWNER_BYTE);
	}
	return rc;
}

void lock_announce_closing(struct lock_file *l)
{
	int rc = 0;

	if (l->fd >= 0)
		rc = l->has_locks ? set_lock(l->fd, F_WRLCK, LOCK_CLOSING_BYTE)
				  : write_text(l, CLOSING_WORD);
	if (rc < 0)
		log_debug("nobody can be told that the upper is being closed");
}

int lock_own(struct lock_file *l, int dirfd, struct err *err)
{
	struct lock_file own = {.fd = -1, .has_locks = true};
	struct owner before;
	CLEANUP(fd) int fd = sys_openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return err_errno(err, -fd, "cannot open the lock file .plyfs/" LOCK_FILE);
	rc = set_owner_lock(fd);
	if (rc == -EAGAIN)
		return busy(fd, err);
	if (means_no_locks(rc)) {
		own.has_locks = false;
		rc = own_without_locks(fd, err);
		if (rc < 0)
			return rc;
	} else if (rc < 0) {
		return err_errno(err, -rc, "cannot lock .plyfs/" LOCK_FILE);
	}
	own.fd = fd;
	own.was_owned = read_owner(fd, &before);
	rc = lock_write_owner(&own);
	if (rc < 0)
		return err_errno(err, -rc, "cannot write the lock file .plyfs/" LOCK_FILE);
	steal_fd(&fd);
	*l = own;
	return 0;
}

void lock_release(struct lock_file *l, bool unclean)
{
	int rc;

	if (l->fd < 0)
		return;
	rc = unclean ? write_text(l, UNCLEAN_WORD) : sys_ftruncate(l->fd, 0);
	if (rc < 0)
		log_debug("the lock file keeps its text");
	close(l->fd);
	l->fd = -1;
}

static int poll_lock(int fd, short type, off_t byte, int wait_ms)
{
	const struct timespec pause = {.tv_nsec = GATE_POLL_MS * 1000000L};
	int rc = set_lock(fd, type, byte);

	for (int ms = 0; rc == -EAGAIN && ms < wait_ms; ms += GATE_POLL_MS) {
		nanosleep(&pause, NULL);
		rc = set_lock(fd, type, byte);
	}
	return rc == -EAGAIN ? -EBUSY : rc;
}

int gate_shut(struct lock_file *l, int wait_ms)
{
	int rc;

	if (l->fd < 0 || !l->has_locks)
		return 0;
	rc = poll_lock(l->fd, F_WRLCK, LOCK_GATE_BYTE, wait_ms);
	/* Any other failure of a lock must not stop checkpoints for ever. */
	return rc == -EBUSY ? rc : 0;
}

void gate_open(struct lock_file *l)
{
	if (l->fd >= 0 && l->has_locks)
		set_lock(l->fd, F_UNLCK, LOCK_GATE_BYTE);
}

int gate_hold_for(int dirfd, int wait_ms)
{
	CLEANUP(fd) int fd = sys_openat(dirfd, LOCK_FILE, O_RDONLY | O_NOFOLLOW, 0);
	int rc;

	if (fd < 0)
		return fd;
	rc = poll_lock(fd, F_RDLCK, LOCK_GATE_BYTE, wait_ms);
	if (rc < 0)
		return means_no_locks(rc) ? -ENOLCK : rc;
	return steal_fd(&fd);
}

int gate_hold(int dirfd)
{
	return gate_hold_for(dirfd, GATE_WAIT_MS);
}
