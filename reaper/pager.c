/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pager.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

#include "fd.h"
#include "memory.h"
#include "stretch.h"

#define PAGER_NICE 5 /* awake sites have the processor first, but it goes on beside them */

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct pager_job {
	struct pager_job *prev, *next;
	enum job_state state;  /* under the lock */
	atomic_bool cancelled; /* while it runs: its end is nobody's business */
	int cgroup_fd;         /* owned */
	bool remember;
	struct pager_result result; /* owns the footprint */
};

struct pager {
	void (*notify)(void *userdata);
	void *userdata;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;

	/* Under the lock. */
	bool stop;
	struct pager_job *jobs; /* oldest first */
};

static void free_job(struct pager *pager, struct pager_job *job)
{
	DL_DELETE(pager->jobs, job);
	fd_close(job->cgroup_fd);
	footprint_free(job->result.footprint);
	free(job);
}

static struct pager_job *find_state(struct pager *pager, enum job_state state)
{
	struct pager_job *job;

	DL_SEARCH_SCALAR(pager->jobs, job, state, state);
	return job;
}

/* Called and left with the lock held. */
static void run_job(struct pager *pager, struct pager_job *job)
{
	struct memory memory;
	bool cancelled;
	int r;

	job->state = JOB_RUNNING;
	pthread_mutex_unlock(&pager->lock);
	r = memory_read(&memory);
	STRETCH("page-out-begins", "-");
	if (r == 0 && job->remember)
		(void)footprint_read(job->cgroup_fd, &job->result.footprint);
	if (r == 0)
		r = pageout_run(job->cgroup_fd, &memory, &job->cancelled, &job->result.pageout);
	STRETCH("page-out-ends", "-");
	job->result.error = r;
	pthread_mutex_lock(&pager->lock);
	cancelled = atomic_load(&job->cancelled);
	if (cancelled) {
		free_job(pager, job);
		return;
	}
	job->state = JOB_DONE;
	pthread_mutex_unlock(&pager->lock);
	pager->notify(pager->userdata);
	pthread_mutex_lock(&pager->lock);
}

static void *thread_main(void *userdata)
{
	struct pager *pager = userdata;
	struct pager_job *job;

	(void)setpriority(PRIO_PROCESS, 0, PAGER_NICE); /* of this thread alone, on Linux */
	pthread_mutex_lock(&pager->lock);
	while (!pager->stop) {
		job = find_state(pager, JOB_QUEUED);
		if (job)
			run_job(pager, job);
		else
			pthread_cond_wait(&pager->wake, &pager->lock);
	}
	pthread_mutex_unlock(&pager->lock);
	return NULL;
}

/* The thread takes no signal: they are the main thread's. */
static int start_thread(struct pager *pager)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	r = pthread_create(&pager->thread, NULL, thread_main, pager);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(pager->thread, "pager");
	return -r;
}

int pager_create(void (*notify)(void *userdata), void *userdata, struct pager **ret)
{
	struct pager *pager = calloc(1, sizeof *pager);
	int r;

	if (!pager)
		return -ENOMEM;
	pager->notify = notify;
	pager->userdata = userdata;
	pthread_mutex_init(&pager->lock, NULL);
	pthread_cond_init(&pager->wake, NULL);
	r = start_thread(pager);
	if (r < 0) {
		pthread_cond_destroy(&pager->wake);
		pthread_mutex_destroy(&pager->lock);
		free(pager);
		return r;
	}
	*ret = pager;
	return 0;
}

void pager_destroy(struct pager *pager)
{
	struct pager_job *job, *following;

	if (!pager)
		return;
	pthread_mutex_lock(&pager->lock);
	pager->stop = true;
	DL_FOREACH(pager->jobs, job)
	atomic_store(&job->cancelled, true);
	pthread_cond_signal(&pager->wake);
	pthread_mutex_unlock(&pager->lock);
	pthread_join(pager->thread, NULL);
	DL_FOREACH_SAFE(pager->jobs, job, following)
	free_job(pager, job);
	pthread_cond_destroy(&pager->wake);
	pthread_mutex_destroy(&pager->lock);
	free(pager);
}

int pager_submit(struct pager *pager, uint64_t id, int cgroup_fd, bool remember)
{
	struct pager_job *job = calloc(1, sizeof *job);

	if (!job) {
		fd_close(cgroup_fd);
		return -ENOMEM;
	}
	job->result.id = id;
	job->cgroup_fd = cgroup_fd;
	job->remember = remember;
	pthread_mutex_lock(&pager->lock);
	DL_APPEND(pager->jobs, job);
	pthread_cond_signal(&pager->wake);
	pthread_mutex_unlock(&pager->lock);
	return 0;
}

void pager_cancel(struct pager *pager, uint64_t id)
{
	struct pager_job *job, *following;

	pthread_mutex_lock(&pager->lock);
	DL_FOREACH_SAFE(pager->jobs, job, following)
	{
		if (job->result.id != id)
			continue;
		if (job->state == JOB_RUNNING)
			atomic_store(&job->cancelled, true);
		else
			free_job(pager, job);
	}
	pthread_mutex_unlock(&pager->lock);
}

bool pager_next_result(struct pager *pager, struct pager_result *ret)
{
	struct pager_job *job;

	pthread_mutex_lock(&pager->lock);
	job = find_state(pager, JOB_DONE);
	if (job) {
		*ret = job->result;
		job->result.footprint = NULL;
		free_job(pager, job);
	}
	pthread_mutex_unlock(&pager->lock);
	return job != NULL;
}
