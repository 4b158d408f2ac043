/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox-pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define SHARED_ROOT_AGE_NS UINT64_C(60000000000) /* made anew when older, between two starts */

void sandbox_pool_init(struct sandbox_pool *pool, unsigned max_spare)
{
	*pool = (struct sandbox_pool){.host = SANDBOX_HOST_NONE, .max_spare = max_spare};
	pthread_mutex_init(&pool->mutex, NULL);
	for (size_t i = 0; i < sizeof pool->shared_roots / sizeof *pool->shared_roots; i++)
		shared_root_init(&pool->shared_roots[i]);
}

int sandbox_pool_open(struct sandbox_pool *pool)
{
	return sandbox_host_open(&pool->host);
}

void sandbox_pool_finish(struct sandbox_pool *pool)
{
	sandbox_host_close(&pool->host);
	for (size_t i = 0; i < sizeof pool->shared_roots / sizeof *pool->shared_roots; i++)
		shared_root_finish(&pool->shared_roots[i]);
	while (pool->n_spare > 0)
		sandbox_finish(&pool->spare[--pool->n_spare]);
	free((void *)pool->last.list);
	pthread_mutex_destroy(&pool->mutex);
}

/* The next start is likely to be of the same kind. */
static int remember(struct sandbox_pool *pool, struct shared_root *shared, const struct sandbox_kind *kind)
{
	void *copy;

	pool->last_shared = shared;
	pool->last.private_users = kind->private_users;
	if (pool->last.list_bytes == kind->list_bytes &&
	    memcmp(pool->last.list, kind->list, kind->list_bytes) == 0)
		return 0;
	copy = malloc(kind->list_bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, kind->list, kind->list_bytes);
	free((void *)pool->last.list);
	pool->last.list = copy;
	pool->last.list_bytes = kind->list_bytes;
	return 0;
}

/* The shared root's namespace, which another thread may replace meanwhile: a descriptor of the caller's own. */
static int hold_shared(const struct shared_root *shared, struct shared_root *ret)
{
	*ret = *shared;
	ret->namespace_fd = fcntl(shared->namespace_fd, F_DUPFD_CLOEXEC, 0);
	return ret->namespace_fd < 0 ? -errno : 0;
}

/* One of the spares; false: none fits. */
static bool take_spare(struct sandbox_pool *pool, const struct shared_root *shared,
		       const struct sandbox_kind *kind, struct sandbox *ret)
{
	for (unsigned i = pool->n_spare; i-- > 0;)
		if (sandbox_fits(&pool->spare[i], shared, kind)) {
			*ret = pool->spare[i];
			pool->spare[i] = pool->spare[--pool->n_spare];
			return true;
		}
	return false;
}

int sandbox_pool_take(struct sandbox_pool *pool, const struct launch_plan *plan, struct sandbox *ret,
		      enum launch_step *step, const char **detail)
{
	struct shared_root *root = &pool->shared_roots[spec_has_root(plan->spec)], shared;
	struct sandbox_kind kind = {.list = plan->system_mounts->data,
				    .list_bytes = plan->system_mounts->data_bytes,
				    .private_users = spec_has_private_users(plan->spec)};
	bool taken = false;
	int r;

	*detail = NULL;
	*step = STEP_SHARED_ROOT;
	pthread_mutex_lock(&pool->mutex);
	/* However old: only another /etc is reason enough to make a visitor wait. */
	r = shared_root_refresh(root, plan->shared_mounts->data, pool->host.mounts_fd, UINT64_MAX, detail);
	if (r == 0) {
		*step = STEP_SANDBOX;
		r = remember(pool, root, &kind);
	}
	if (r == 0)
		taken = take_spare(pool, root, &kind, ret);
	if (r == 0 && !taken)
		r = hold_shared(root, &shared);
	pthread_mutex_unlock(&pool->mutex);
	if (r < 0 || taken)
		return r;
	r = sandbox_make(ret, &pool->host, &shared, &kind, detail);
	shared_root_finish(&shared);
	return r;
}

/* Closes the spares that the next start could not use. */
static void drop_unfit(struct sandbox_pool *pool)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pool->n_spare; i++)
		if (sandbox_fits(&pool->spare[i], pool->last_shared, &pool->last))
			pool->spare[n++] = pool->spare[i];
		else
			sandbox_finish(&pool->spare[i]);
	pool->n_spare = n;
}

/* What to make the next spare for: *list is a copy of the kind's, to be freed. 1, 0: enough are there, or
 * -errno. Called with the mutex. */
static int begin_spare(struct sandbox_pool *pool, struct shared_root *shared, struct sandbox_kind *kind,
		       struct mount_list **list)
{
	const char *detail;
	int r;

	if (!pool->last.list)
		return 0;
	r = shared_root_refresh(pool->last_shared, pool->last_shared->list, pool->host.mounts_fd,
				SHARED_ROOT_AGE_NS, &detail);
	if (r < 0)
		return r;
	drop_unfit(pool);
	if (pool->n_spare + pool->n_making >= pool->max_spare)
		return 0;
	*list = malloc(pool->last.list_bytes);
	if (!*list)
		return -ENOMEM;
	memcpy(*list, pool->last.list, pool->last.list_bytes);
	*kind = pool->last;
	kind->list = *list;
	r = hold_shared(pool->last_shared, shared);
	if (r < 0)
		return r;
	pool->n_making++;
	return 1;
}

unsigned sandbox_pool_n_spare(struct sandbox_pool *pool)
{
	unsigned n;

	pthread_mutex_lock(&pool->mutex);
	n = pool->n_spare;
	pthread_mutex_unlock(&pool->mutex);
	return n;
}

int sandbox_pool_prepare(struct sandbox_pool *pool)
{
	autofree struct mount_list *list = NULL;
	struct sandbox made = SANDBOX_NONE;
	struct shared_root shared;
	struct sandbox_kind kind;
	const char *detail;
	int r;

	pthread_mutex_lock(&pool->mutex);
	r = begin_spare(pool, &shared, &kind, &list);
	pthread_mutex_unlock(&pool->mutex);
	if (r <= 0)
		return r;
	r = sandbox_make(&made, &pool->host, &shared, &kind, &detail);
	shared_root_finish(&shared);
	pthread_mutex_lock(&pool->mutex);
	pool->n_making--;
	if (r == 0)
		pool->spare[pool->n_spare++] = made;
	r = r < 0 ? r : pool->n_spare + pool->n_making < pool->max_spare;
	pthread_mutex_unlock(&pool->mutex);
	return r;
}
