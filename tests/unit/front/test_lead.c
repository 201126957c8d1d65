/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that a request which waits is taken, whatever the threads that read are at: the loop with its real
 * threads and libfuse, on a socket whose other end is a kernel that sends what it likes.
 */
#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include "front/guard.h"
#include "front/private.h"

/* Inodes: what the daemon does when it is asked for their attributes. */
enum {
	QUICK = 1,
	SLEEPS,	    /* takes a few milliseconds */
	ASKS,	    /* asks its own mount for something, and waits for that */
	HANGS,	    /* until rig.gate is opened */
	ANSWER = 16 /* and above: for who waits, see ask() */
};

#define MAX_CLIENTS 4

/* No client's: requests that the daemon's own threads caused. */
#define OWN_UNIQUE (UINT64_C(1) << 40)

struct client {
	struct rig *rig;
	pthread_t thread;
	unsigned int number, seed, rounds;
	uint64_t sent;
	sem_t answered;
};

struct rig {
	struct front f;
	struct front_options options;
	int kernel; /* the other end */
	pthread_t dispatcher, director;
	void (*script)(struct rig *r); /* what the clients do */

	struct client clients[MAX_CLIENTS];
	unsigned int n_clients, seed;
	bool crowded;		   /* so nobody leads under SCHED_IDLE */
	bool may_ask;		   /* clients send ASKS */
	bool may_grow;		   /* the guard may make one thread more */
	unsigned int percent_look; /* so many looks at a client ask the own mount */

	sem_t waits[64]; /* of threads that wait for ANSWER + i */
	atomic_uint n_waits, looks;
	atomic_uint answers, strays, failures;
	sem_t gate, at_gate;
};

/* The hook has no argument for it. A test is a process of its own. */
static struct rig rig;

/* In any thread; Criterion's own are for a test's first one. */
static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	atomic_fetch_add(&rig.failures, 1);
}

static void pause_ms(unsigned int ms)
{
	struct timespec t = {.tv_nsec = (long)ms * 1000 * 1000};

	nanosleep(&t, NULL);
}

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	return (unsigned int)rand_r(seed) % below;
}

/* ---- the kernel's side ------------------------------------------------------------------- */

static void send_request(uint32_t opcode, uint64_t ino, uint64_t unique, uint32_t pid)
{
	struct {
		struct fuse_in_header h;
		union {
			struct fuse_getattr_in getattr;
			struct fuse_fsync_in fsync;
			struct fuse_write_in write;
			struct fuse_init_in init;
		};
	} q = {.h = {.len = sizeof(q),
		     .opcode = opcode,
		     .nodeid = ino,
		     .unique = unique,
		     .pid = pid}};

	if (opcode == FUSE_INIT)
		q.init = (struct fuse_init_in){.major = 7, .minor = 38, .max_readahead = 4096};
	/* As the kernel writes back, so many bytes that it is slow; nobody looks at them. */
	if (opcode == FUSE_WRITE)
		q.write = (struct fuse_write_in){.size = 1 << 19, .write_flags = FUSE_WRITE_CACHE};
	check(send(rig.kernel, &q, sizeof(q), 0) == (ssize_t)sizeof(q), "a request is sent");
}

/* Gives each answer to the client that waits for it, until the daemon has gone. */
static void *dispatch(void *arg)
{
	struct {
		struct fuse_out_header h;
		unsigned char rest[512];
	} a;

	while (recv(rig.kernel, &a, sizeof(a), 0) > 0) {
		uint64_t client = a.h.unique >> 32;

		if (client < MAX_CLIENTS) {
			sem_post(&rig.clients[client].answered);
			atomic_fetch_add(&rig.answers, 1);
		} else if (a.h.unique < OWN_UNIQUE) {
			atomic_fetch_add(&rig.strays, 1);
		}
	}
	return arg;
}

static void call(struct client *c, uint32_t opcode, uint64_t ino)
{
	send_request(opcode, ino, (uint64_t)c->number << 32 | ++c->sent,
		     (uint32_t)getpid() + c->number);
	while (sem_wait(&c->answered) < 0)
		;
}

/* ---- the daemon's side ------------------------------------------------------------------- */

/*
 * As a thread of the daemon that unmaps a file of the mount: the kernel asks for something, in any of the
 * ways, and the thread goes on when that was served.
 */
static void ask(void)
{
	static const uint32_t opcodes[] = {FUSE_GETATTR, FUSE_WRITE, FUSE_FSYNC};
	unsigned int i = atomic_fetch_add(&rig.n_waits, 1);
	sem_t *mine = &rig.waits[i % 64];

	send_request(opcodes[i % 3], ANSWER + i % 64, OWN_UNIQUE + i, 0);
	while (sem_wait(mine) < 0)
		;
}

static void be_at(uint64_t ino)
{
	if (ino >= ANSWER) {
		sem_post(&rig.waits[ino - ANSWER]);
	} else if (ino == ASKS) {
		ask();
	} else if (ino == SLEEPS) {
		pause_ms(5);
	} else if (ino == HANGS) {
		sem_post(&rig.at_gate);
		while (sem_wait(&rig.gate) < 0)
			;
	}
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = {.st_ino = ino, .st_mode = S_IFREG | 0644};

	be_at(ino);
	fuse_reply_attr(req, &st, 0);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	be_at(ino);
	fuse_reply_err(req, 0);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	be_at(ino);
	fuse_reply_write(req, size);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	rig.f.init_done = true;
}

static const struct fuse_lowlevel_ops ops = {
	.init = on_init, .getattr = on_getattr, .fsync = on_fsync, .write = on_write};

static struct pace_seen look(struct follow *f, int pid)
{
	unsigned int seed = atomic_fetch_add(&rig.looks, 1) + (unsigned int)pid;

	if (draw(&seed, 100) < rig.percent_look)
		ask();
	f->cpu = 0;
	return (struct pace_seen){.reachable = draw(&seed, 8) > 0,
				  .crowded = rig.crowded || draw(&seed, 4) == 0};
}

/* ---- a run ------------------------------------------------------------------------------- */

static void *direct(void *arg)
{
	rig.script(&rig);
	/* All is answered; somebody may look at its client still. */
	while (atomic_load(&rig.f.lead.busy) > 0)
		pause_ms(1);
	/* As after an unmount, nothing can be read any more. */
	shutdown(rig.kernel, SHUT_RDWR);
	return arg;
}

static void mount_rig(enum front_loop loop, unsigned int threads)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char path[32];
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	rig.kernel = ends[1];
	rig.options = (struct front_options){.loop = loop, .threads = threads};
	rig.f = (struct front){.options = &rig.options, .lead.timer_fd = -1};
	cr_assert_eq(fuse_opt_add_arg(&args, "test"), 0);
	rig.f.session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	cr_assert_not_null(rig.f.session);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	cr_assert_eq(fuse_session_mount(rig.f.session, path), 0);
	fuse_opt_free_args(&args);
	cr_assert_eq(control_init(&rig.f), 0);
	send_request(FUSE_INIT, 0, OWN_UNIQUE, 0);
	cr_assert_eq(control_await_init(&rig.f), 0);
}

/* Returns when the script has ended, and with it all threads. */
static void run(enum front_loop loop, unsigned int threads, void (*script)(struct rig *r))
{
	/* What is looked for is a standstill. */
	alarm(240);
	rig.script = script;
	for (int i = 0; i < 64; i++)
		sem_init(&rig.waits[i], 0, 0);
	sem_init(&rig.gate, 0, 0);
	sem_init(&rig.at_gate, 0, 0);
	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &rig.clients[i];

		*c = (struct client){.rig = &rig, .number = i, .seed = rig.seed + i, .rounds = 150};
		sem_init(&c->answered, 0, 0);
	}
	mount_rig(loop, threads);
	cr_assert_eq(loop_prepare(&rig.f), 0);
	rig.f.lead.look = look;
	/* Where no thread is under SCHED_IDLE there is room for one. */
	if (rig.may_grow)
		rig.f.lead.max_workers++;
	loop_start(&rig.f);
	cr_assert_eq(pthread_create(&rig.dispatcher, NULL, dispatch, NULL), 0);
	cr_assert_eq(pthread_create(&rig.director, NULL, direct, NULL), 0);
	control_run(&rig.f);
	pthread_join(rig.director, NULL);
	pthread_join(rig.dispatcher, NULL);
	fuse_session_destroy(rig.f.session);
	close(rig.f.signal_fd);
	close(rig.f.done_fd);
	close(rig.f.lead.timer_fd);
	close(rig.kernel);
	cr_expect_eq(atomic_load(&rig.strays), 0, "answers to nobody");
	cr_expect_eq(atomic_load(&rig.failures), 0, "see above");
}

/* ---- scripts ----------------------------------------------------------------------------- */

static void burst(struct client *c, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		call(c, FUSE_GETATTR, QUICK);
}

/* While one look waits others are not made, so nobody knows how many requests it takes. */
static void until_looked_at(struct rig *r)
{
	do
		burst(&r->clients[0], 200);
	while (atomic_load(&r->looks) <= 2);
}

/* The last reference to the memory of a client that has just ended may be ours. */
Test(lead, a_look_at_a_client_that_waits_for_the_own_mount)
{
	rig.percent_look = 100;
	run(FRONT_LOOP_AUTO, 4, until_looked_at);
}

Test(lead, the_same_with_two_threads)
{
	rig.percent_look = 100;
	run(FRONT_LOOP_FOLLOW, 2, until_looked_at);
}

static bool is_at_rest(struct lead *l)
{
	bool rests;

	pthread_mutex_lock(&l->lock);
	rests = atomic_load(&l->mode) == PACE_THREADS && !atomic_load(&l->guarded) &&
		(l->idler == NULL || l->idler->parked);
	pthread_mutex_unlock(&l->lock);
	return rests;
}

static void await_rest(struct lead *l)
{
	struct itimerspec t;

	while (!is_at_rest(l))
		pause_ms(1);
	/* And it stays so. */
	pause_ms(30);
	check(is_at_rest(l), "it rests for longer than a moment");
	check(timerfd_gettime(l->timer_fd, &t) == 0, "the timer can be read");
	check(t.it_value.tv_sec == 0 && t.it_value.tv_nsec == 0,
	      "the guard is not called any more");
}

static bool was_led(struct lead *l)
{
	bool led;

	pthread_mutex_lock(&l->lock);
	led = l->pace.served[PACE_FOLLOW] + l->pace.served[PACE_FOLLOW_IDLE] > 0;
	pthread_mutex_unlock(&l->lock);
	return led;
}

static void bursts_and_rests(struct rig *r)
{
	for (int i = 0; i < 5 || !was_led(&r->f.lead); i++) {
		burst(&r->clients[0], 100);
		await_rest(&r->f.lead);
	}
}

Test(lead, nothing_runs_at_rest)
{
	run(FRONT_LOOP_AUTO, 4, bursts_and_rests);
}

Test(lead, nothing_runs_at_rest_with_loop_follow)
{
	run(FRONT_LOOP_FOLLOW, 4, bursts_and_rests);
}

static void *hang(void *arg)
{
	call(arg, FUSE_GETATTR, HANGS);
	return NULL;
}

static void all_hang(struct rig *r)
{
	burst(&r->clients[0], 100);
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&r->clients[i].thread, NULL, hang, &r->clients[i]);
	for (unsigned int i = 0; i < 2; i++)
		sem_wait(&r->at_gate);
	await_rest(&r->f.lead);
	for (unsigned int i = 0; i < 2; i++)
		sem_post(&r->gate);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(r->clients[i].thread, NULL);
	burst(&r->clients[0], 100);
}

Test(lead, nothing_runs_when_nothing_can_be_done)
{
	rig.crowded = true;
	run(FRONT_LOOP_FOLLOW, 2, all_hang);
}

static void set_default_stack(size_t size)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, size);
	check(pthread_setattr_default_np(&attr) == 0, "the size of stacks can be set");
	pthread_attr_destroy(&attr);
}

static void start_hanging(struct client *c)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1 << 20);
	check(pthread_create(&c->thread, &attr, hang, c) == 0, "a client is started");
	pthread_attr_destroy(&attr);
}

/* There is no thread to be had, as for whoever has as many as he may, and later there is. */
static void all_hang_and_no_thread(struct rig *r)
{
	set_default_stack(SIZE_MAX / 4);
	for (unsigned int i = 0; i < 2; i++)
		start_hanging(&r->clients[i]);
	for (unsigned int i = 0; i < 2; i++)
		sem_wait(&r->at_gate);
	pause_ms(250);
	check(atomic_load(&r->f.lead.n_workers) == 2, "no thread could be made");
	set_default_stack(1 << 20);
	call(&r->clients[2], FUSE_GETATTR, QUICK);
	check(atomic_load(&r->f.lead.n_workers) == 3, "a thread was made when there was one");
	for (unsigned int i = 0; i < 2; i++)
		sem_post(&r->gate);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(r->clients[i].thread, NULL);
}

Test(lead, a_thread_more_as_soon_as_there_is_one)
{
	rig.may_grow = true;
	run(FRONT_LOOP_THREADS, 2, all_hang_and_no_thread);
}

static void statistics(struct rig *r)
{
	burst(&r->clients[0], 100);
	guard_leave(&r->f);
	burst(&r->clients[0], 100);
	check(atomic_load(&r->f.lead.mode) == PACE_THREADS, "nobody leads while the guard is away");
	guard_watch(&r->f);
	burst(&r->clients[0], 100);
}

Test(lead, nobody_leads_while_the_guard_is_away)
{
	run(FRONT_LOOP_FOLLOW, 3, statistics);
}

static void *client_main(void *arg)
{
	struct client *c = arg;

	for (unsigned int i = 0; i < c->rounds; i++) {
		switch (draw(&c->seed, 8)) {
		case 0:
			call(c, FUSE_GETATTR, SLEEPS);
			break;
		case 1:
			call(c, FUSE_FSYNC, draw(&c->seed, 2) ? SLEEPS : QUICK);
			break;
		case 2:
			call(c, draw(&c->seed, 2) ? FUSE_FSYNC : FUSE_GETATTR,
			     c->rig->may_ask ? ASKS : QUICK);
			break;
		case 3:
			pause_ms(draw(&c->seed, 30));
			break;
		default:
			burst(c, draw(&c->seed, 60));
		}
	}
	return NULL;
}

static void all_clients(struct rig *r)
{
	for (unsigned int i = 0; i < r->n_clients; i++)
		pthread_create(&r->clients[i].thread, NULL, client_main, &r->clients[i]);
	for (unsigned int i = 0; i < r->n_clients; i++)
		pthread_join(r->clients[i].thread, NULL);
}

static void at_random(enum front_loop loop, unsigned int threads, unsigned int clients)
{
	unsigned int seed = (unsigned int)time(NULL);
	uint64_t sent = 0;

	fprintf(stderr, "seed %u\n", seed);
	rig = (struct rig){.n_clients = clients, .percent_look = 20, .seed = seed};
	/* As many threads may wait for others as there are clients, and one that looks. */
	rig.may_ask = threads == 0 || clients + 1 < threads;
	run(loop, threads, all_clients);
	for (unsigned int i = 0; i < clients; i++)
		sent += rig.clients[i].sent;
	cr_expect_gt(sent, 0);
	cr_expect_eq(atomic_load(&rig.answers), sent);
}

Test(lead, at_random)
{
	at_random(FRONT_LOOP_AUTO, 0, 1);
	at_random(FRONT_LOOP_AUTO, 0, 4);
	at_random(FRONT_LOOP_AUTO, 3, 1);
}

Test(lead, at_random_with_loop_follow)
{
	at_random(FRONT_LOOP_FOLLOW, 0, 1);
	at_random(FRONT_LOOP_FOLLOW, 0, 3);
	at_random(FRONT_LOOP_FOLLOW, 2, 2);
}
