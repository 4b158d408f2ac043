/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "fd.h"
#include "launch.h"
#include "log.h"

/* ThreadSanitizer keeps one table of descriptors for all threads, and takes equal numbers of two tables for
 * one: what a launcher thread does with its own is not for it to see. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OWN_DESCRIPTORS 1
#endif
#endif
#ifdef OWN_DESCRIPTORS
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define BEGIN_OWN_DESCRIPTORS()                                                                                \
	(AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define END_OWN_DESCRIPTORS()                                                                                  \
	(AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define BEGIN_OWN_DESCRIPTORS() ((void)0)
#define END_OWN_DESCRIPTORS()   ((void)0)
#endif

#define SPARES           16      /* sets of namespaces made ahead by all threads together */
#define PREPARE_DELAY_NS 2000000 /* after a start, before the next one is prepared */

struct queue {
	struct launch_job *first, **last;
};

struct worker {
	struct launcher *launcher;
	pthread_t thread;
	int error; /* of its preparation; read after `ready` */
};

struct launcher {
	char *cgroup_path; /* owned */
	int event_fd;
	unsigned max_spare; /* sets of namespaces that each thread keeps ahead */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct queue waiting, done;
	unsigned ready; /* threads that have prepared themselves, or failed to */
	bool stopping;

	unsigned n_workers;
	struct worker workers[];
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

/* One job, or with nothing to do the preparation of the next one: whether there is more to prepare. Called and
 * left with the mutex. */
static bool work(struct launcher *launcher, struct launch_thread *thread)
{
	struct launch_job *job = queue_pop(&launcher->waiting);
	int r = 1;

	pthread_mutex_unlock(&launcher->mutex);
	if (job) {
		BEGIN_OWN_DESCRIPTORS();
		launch_run(thread, job);
		END_OWN_DESCRIPTORS();
		pthread_mutex_lock(&launcher->mutex);
		queue_push(&launcher->done, job);
		pthread_mutex_unlock(&launcher->mutex);
		/* By this thread's own copy: the process's descriptors are not in its table. */
		BEGIN_OWN_DESCRIPTORS();
		(void)eventfd_write(thread->event_fd, 1);
		END_OWN_DESCRIPTORS();
	} else {
		BEGIN_OWN_DESCRIPTORS();
		r = launch_prepare(thread);
		END_OWN_DESCRIPTORS();
		if (r < 0)
			log_warning("namespaces cannot be made ahead: %s", strerror(-r));
	}
	pthread_mutex_lock(&launcher->mutex);
	return r > 0;
}

/* Waits PREPARE_DELAY_NS for a job; whether something has come. */
static bool wait_a_moment(struct launcher *launcher)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PREPARE_DELAY_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return pthread_cond_clockwait(&launcher->changed, &launcher->mutex, CLOCK_MONOTONIC, &until) == 0;
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct launcher *launcher = worker->launcher;
	struct launch_thread thread;
	bool unprepared = true;

	pthread_setname_np(pthread_self(), "launcher");
	BEGIN_OWN_DESCRIPTORS();
	worker->error =
		launch_thread_init(&thread, launcher->cgroup_path, launcher->event_fd, launcher->max_spare);
	END_OWN_DESCRIPTORS();
	pthread_mutex_lock(&launcher->mutex);
	launcher->ready++;
	pthread_cond_broadcast(&launcher->changed);
	while (worker->error == 0) {
		if (launcher->waiting.first) {
			(void)work(launcher, &thread);
			unprepared = true;
		} else if (launcher->stopping) {
			break;
		} else if (unprepared) {
			/* Not at once: the program that has just been started needs the processor more. Where
			 * it fails it is not tried again: the next start says why. */
			if (!wait_a_moment(launcher) && !launcher->waiting.first)
				unprepared = work(launcher, &thread);
		} else {
			pthread_cond_wait(&launcher->changed, &launcher->mutex);
		}
	}
	pthread_mutex_unlock(&launcher->mutex);
	BEGIN_OWN_DESCRIPTORS();
	launch_thread_finish(&thread);
	END_OWN_DESCRIPTORS();
	return NULL;
}

/* Signals are the loop's: the threads, and so the children until they say otherwise, have all of them blocked.
 */
static int start_threads(struct launcher *launcher, unsigned n_threads)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; r == 0 && i < n_threads; i++) {
		struct worker *worker = &launcher->workers[i];

		worker->launcher = launcher;
		r = -pthread_create(&worker->thread, NULL, worker_main, worker);
		if (r == 0)
			launcher->n_workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_lock(&launcher->mutex);
	while (launcher->ready < launcher->n_workers)
		pthread_cond_wait(&launcher->changed, &launcher->mutex);
	pthread_mutex_unlock(&launcher->mutex);
	for (unsigned i = 0; r == 0 && i < launcher->n_workers; i++)
		r = launcher->workers[i].error;
	return r;
}

int launcher_create(unsigned n_threads, const char *cgroup_path, struct launcher **ret)
{
	struct launcher *launcher = calloc(1, sizeof *launcher + n_threads * sizeof launcher->workers[0]);
	int r;

	if (!launcher)
		return -ENOMEM;
	launcher->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	launcher->max_spare = SPARES / n_threads < LAUNCH_SPARES_MAX ? SPARES / n_threads : LAUNCH_SPARES_MAX;
	launcher->waiting.last = &launcher->waiting.first;
	launcher->done.last = &launcher->done.first;
	pthread_mutex_init(&launcher->mutex, NULL);
	pthread_cond_init(&launcher->changed, NULL);
	launcher->cgroup_path = strdup(cgroup_path);
	r = launcher->event_fd < 0  ? -errno
	    : launcher->cgroup_path ? start_threads(launcher, n_threads)
				    : -ENOMEM;
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
	free(launcher->cgroup_path);
	free(launcher);
}

int launcher_event_fd(const struct launcher *launcher)
{
	return launcher->event_fd;
}

void launcher_submit(struct launcher *launcher, struct launch_job *job)
{
	pthread_mutex_lock(&launcher->mutex);
	queue_push(&launcher->waiting, job);
	pthread_cond_signal(&launcher->changed);
	pthread_mutex_unlock(&launcher->mutex);
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
