/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "background.h"
#include "clock.h"
#include "fd.h"
#include "launch.h"
#include "log.h"
#include "own-descriptors.h"
#include "stretch.h"

#define HELD_MAX          64                 /* threads in the place of those that a start holds */
#define SPARES_A_THREAD   4                  /* sandboxes made ahead */
#define QUIET_NS          UINT64_C(2000000)  /* without a start, before the next one is prepared */
#define PREPARE_ANYWAY_NS UINT64_C(20000000) /* where starts never leave off, and few are ready */

struct queue {
	struct launch_job *first, **last;
};

/* An image that no plan names any more. */
struct forgotten {
	struct forgotten *next;
	char path[];
};

struct worker {
	struct launcher *launcher;
	pthread_t thread;
};

struct launcher {
	char *cgroup_path; /* owned */
	int event_fd, channel_fd;
	struct id_ranges *ranges;
	unsigned n_threads;
	struct launch_shared shared; /* its descriptors are the threads' */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct queue waiting, done;
	struct forgotten *forgotten;       /* owned */
	uint64_t last_ns;                  /* when the last job was submitted */
	unsigned preparing, max_preparing; /* threads that are at it, and may be */
	unsigned ready;                    /* threads that have prepared themselves, or failed to */
	unsigned running;                  /* threads that have not left yet */
	int error;                         /* the first, of a thread's preparation */
	unsigned busy;                     /* threads that carry a job out */
	bool stopping;

	unsigned n_workers;
	struct worker workers[]; /* [n_threads + HELD_MAX] */
};

static void queue_push(struct queue *queue, struct launch_job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct launch_job *queue_pop(struct queue *queue)
{
	struct launch_job *job = queue->first;

	if (job) {
		queue->first = job->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return job;
}

static void *worker_main(void *argument);

/* Threads share the descriptor table of the one that creates them, and at first its root and working directory
 * too: it takes its own again, since who shares them can enter no mount namespace. Called with the mutex. */
static int start_worker(struct launcher *launcher)
{
	struct worker *worker = &launcher->workers[launcher->n_workers];
	int r;

	worker->launcher = launcher;
	r = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (r == 0) {
		launcher->n_workers++;
		launcher->running++;
		(void)unshare(CLONE_FS);
	}
	return r;
}

/* One job. A start may be held for ever, by a file system or a log that does not answer: another thread is
 * there before that can be the last one. Called and left with the mutex. */
static void work(struct launcher *launcher, struct launch_thread *thread)
{
	struct launch_job *job = queue_pop(&launcher->waiting);

	if (++launcher->busy == launcher->n_workers && launcher->n_workers < launcher->n_threads + HELD_MAX)
		(void)start_worker(launcher);
	pthread_mutex_unlock(&launcher->mutex);
	BEGIN_OWN_DESCRIPTORS();
	launch_run(thread, job);
	END_OWN_DESCRIPTORS();
	pthread_mutex_lock(&launcher->mutex);
	queue_push(&launcher->done, job);
	pthread_mutex_unlock(&launcher->mutex);
	/* By this thread's own copy: the process's descriptors are not in its table. */
	BEGIN_OWN_DESCRIPTORS();
	(void)eventfd_write(thread->shared->event_fd, 1);
	END_OWN_DESCRIPTORS();
	pthread_mutex_lock(&launcher->mutex);
	launcher->busy--;
}

/* Called and left with the mutex. */
static void forget_image(struct launcher *launcher, struct launch_thread *thread)
{
	struct forgotten *image = launcher->forgotten;

	launcher->forgotten = image->next;
	pthread_mutex_unlock(&launcher->mutex);
	BEGIN_OWN_DESCRIPTORS();
	image_forget(&thread->shared->images, &thread->shared->pool.host, image->path);
	END_OWN_DESCRIPTORS();
	free(image);
	pthread_mutex_lock(&launcher->mutex);
}

/* Waits for a processor that has nothing better to do. Nothing is held meanwhile. Called and left with the
 * mutex. */
static void wait_for_processor(struct launcher *launcher)
{
	int nice;

	pthread_mutex_unlock(&launcher->mutex);
	nice = background_begin();
	(void)sched_yield();
	background_end(nice);
	pthread_mutex_lock(&launcher->mutex);
}

/* Called and left with the mutex. */
static int make_ahead(struct launcher *launcher, struct launch_thread *thread)
{
	int r;

	pthread_mutex_unlock(&launcher->mutex);
	STRETCH("preparing", "-");
	BEGIN_OWN_DESCRIPTORS();
	r = sandbox_pool_prepare(&thread->shared->pool);
	END_OWN_DESCRIPTORS();
	if (r < 0)
		log_warning("sandboxes cannot be made ahead: %s", strerror(-r));
	pthread_mutex_lock(&launcher->mutex);
	return r;
}

/* Part of the preparation of later starts; whether there is more of it. It begins when a processor has
 * something to spare: as it may wait for that, half of the threads always stay away from it. Once begun it goes
 * on like any other work: who makes namespaces and mounts takes locks that are the whole kernel's, and whoever
 * wants one of them would wait until he who has it is given a processor again. Where it fails it is not tried
 * again: the next start says why. Called and left with the mutex. */
static bool prepare(struct launcher *launcher, struct launch_thread *thread)
{
	int r = 1;

	launcher->preparing++;
	wait_for_processor(launcher);
	if (!launcher->waiting.first)
		r = make_ahead(launcher, thread);
	launcher->preparing--;
	pthread_cond_broadcast(&launcher->changed);
	return r > 0;
}

/* Waits until it is time to prepare, not in the midst of starts: the programs that have just been started need
 * the processors more. False: something else may be to do. */
static bool wait_for_quiet(struct launcher *launcher, uint64_t since_ns)
{
	bool few = sandbox_pool_n_spare(&launcher->shared.pool) < launcher->n_threads;
	uint64_t quiet_ns = launcher->last_ns + QUIET_NS, latest_ns = since_ns + PREPARE_ANYWAY_NS;
	uint64_t at_ns = few && latest_ns < quiet_ns ? latest_ns : quiet_ns;
	struct timespec until = clock_timespec(at_ns);

	if (launcher->preparing >= launcher->max_preparing) {
		pthread_cond_wait(&launcher->changed, &launcher->mutex);
		return false;
	}
	if (clock_now_ns() >= at_ns)
		return true;
	(void)pthread_cond_clockwait(&launcher->changed, &launcher->mutex, CLOCK_MONOTONIC, &until);
	return false; /* there may have been a start meanwhile, by another thread */
}

/* Takes jobs, and prepares later ones when there are none, until the launcher stops. Called and left with the
 * mutex. */
static void serve(struct launcher *launcher, struct launch_thread *thread)
{
	bool unprepared = false;
	uint64_t since_ns = 0;

	for (;;) {
		if (launcher->waiting.first) {
			work(launcher, thread);
			if (!unprepared)
				since_ns = clock_now_ns();
			unprepared = true;
		} else if (launcher->stopping) {
			break;
		} else if (launcher->forgotten) {
			forget_image(launcher, thread);
		} else if (unprepared) {
			if (wait_for_quiet(launcher, since_ns) && !launcher->waiting.first)
				unprepared = prepare(launcher, thread);
		} else {
			pthread_cond_wait(&launcher->changed, &launcher->mutex);
		}
	}
}

/* Called by the first of them. */
static int create_others(struct launcher *launcher)
{
	int r = 0;

	pthread_mutex_lock(&launcher->mutex);
	while (r == 0 && launcher->n_workers < launcher->n_threads)
		r = start_worker(launcher);
	pthread_mutex_unlock(&launcher->mutex);
	return r;
}

static int init_shared(struct launcher *launcher)
{
	unsigned spares = launcher->n_threads * SPARES_A_THREAD;
	int r = launch_shared_init(&launcher->shared, launcher->cgroup_path, launcher->event_fd,
				   launcher->channel_fd, launcher->ranges,
				   spares < SANDBOX_POOL_MAX ? spares : SANDBOX_POOL_MAX);

	return r < 0 ? r : create_others(launcher);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct launcher *launcher = worker->launcher;
	struct launch_thread thread = LAUNCH_THREAD_NONE;
	int r = 0;

	pthread_setname_np(pthread_self(), "launcher");
	BEGIN_OWN_DESCRIPTORS();
	if (worker == launcher->workers)
		r = init_shared(launcher);
	if (r == 0)
		r = launch_thread_init(&thread, &launcher->shared);
	END_OWN_DESCRIPTORS();
	pthread_mutex_lock(&launcher->mutex);
	launcher->ready++;
	if (r < 0 && launcher->error == 0)
		launcher->error = r;
	pthread_cond_broadcast(&launcher->changed);
	if (r == 0)
		serve(launcher, &thread);
	BEGIN_OWN_DESCRIPTORS();
	launch_thread_finish(&thread);
	if (--launcher->running == 0)
		launch_shared_finish(&launcher->shared);
	END_OWN_DESCRIPTORS();
	pthread_mutex_unlock(&launcher->mutex);
	return NULL;
}

/* Signals are the loop's: the threads, and so the children until they say otherwise, have all of them blocked.
 */
static int start_threads(struct launcher *launcher)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	launcher->workers[0].launcher = launcher;
	launcher->running = launcher->n_workers = 1;
	r = -pthread_create(&launcher->workers[0].thread, NULL, worker_main, &launcher->workers[0]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_lock(&launcher->mutex);
	if (r < 0)
		launcher->n_workers = 0;
	while (launcher->ready < launcher->n_workers)
		pthread_cond_wait(&launcher->changed, &launcher->mutex);
	if (r == 0)
		r = launcher->error;
	pthread_mutex_unlock(&launcher->mutex);
	return r;
}

int launcher_create(unsigned n_threads, const char *cgroup_path, int channel_fd, struct id_ranges *ranges,
		    struct launcher **ret)
{
	struct launcher *launcher =
		calloc(1, sizeof *launcher + (n_threads + HELD_MAX) * sizeof launcher->workers[0]);
	int r;

	if (!launcher)
		return -ENOMEM;
	launcher->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	launcher->n_threads = n_threads;
	launcher->channel_fd = channel_fd;
	launcher->ranges = ranges;
	launcher->max_preparing = (n_threads + 1) / 2;
	launcher->waiting.last = &launcher->waiting.first;
	launcher->done.last = &launcher->done.first;
	pthread_mutex_init(&launcher->mutex, NULL);
	pthread_cond_init(&launcher->changed, NULL);
	launcher->cgroup_path = strdup(cgroup_path);
	r = launcher->event_fd < 0 ? -errno : launcher->cgroup_path ? start_threads(launcher) : -ENOMEM;
	if (r < 0) {
		launcher_destroy(launcher);
		return r;
	}
	*ret = launcher;
	return 0;
}

void launcher_stop(struct launcher *launcher)
{
	struct launch_job *job;

	pthread_mutex_lock(&launcher->mutex);
	launcher->stopping = true;
	while ((job = queue_pop(&launcher->waiting))) {
		job->error = ECANCELED;
		job->step = STEP_CGROUP;
		queue_push(&launcher->done, job);
	}
	pthread_cond_broadcast(&launcher->changed);
	pthread_mutex_unlock(&launcher->mutex);
	/* No more of them come: that takes a job. */
	while (launcher->n_workers > 0)
		pthread_join(launcher->workers[--launcher->n_workers].thread, NULL);
}

void launcher_destroy(struct launcher *launcher)
{
	if (!launcher)
		return;
	launcher_stop(launcher);
	pthread_cond_destroy(&launcher->changed);
	pthread_mutex_destroy(&launcher->mutex);
	fd_close(launcher->event_fd);
	while (launcher->forgotten) {
		struct forgotten *next = launcher->forgotten->next;

		free(launcher->forgotten);
		launcher->forgotten = next;
	}
	free(launcher->cgroup_path);
	free(launcher);
}

int launcher_event_fd(const struct launcher *launcher)
{
	return launcher->event_fd;
}

void launcher_forget_image(struct launcher *launcher, const char *path)
{
	struct forgotten *image = malloc(sizeof *image + strlen(path) + 1);

	if (!image) {
		log_warning("image %s stays mounted: out of memory", path);
		return;
	}
	strcpy(image->path, path);
	pthread_mutex_lock(&launcher->mutex);
	image->next = launcher->forgotten;
	launcher->forgotten = image;
	pthread_cond_signal(&launcher->changed);
	pthread_mutex_unlock(&launcher->mutex);
}

void launcher_submit(struct launcher *launcher, struct launch_job *job)
{
	pthread_mutex_lock(&launcher->mutex);
	queue_push(&launcher->waiting, job);
	launcher->last_ns = clock_now_ns();
	pthread_mutex_unlock(&launcher->mutex);
	/* Not before: the thread that it wakes would run into the mutex, and who holds it may have lost the
	 * processor to that thread. */
	pthread_cond_signal(&launcher->changed);
}

struct launch_job *launcher_next_done(struct launcher *launcher)
{
	struct launch_job *job;
	eventfd_t count;

	(void)eventfd_read(launcher->event_fd, &count);
	pthread_mutex_lock(&launcher->mutex);
	job = queue_pop(&launcher->done);
	pthread_mutex_unlock(&launcher->mutex);
	return job;
}
