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
	sandbox_kinds_finish(&pool->kinds);
	pthread_mutex_destroy(&pool->mutex);
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
		r = sandbox_kinds_use(&pool->kinds, root, &kind);
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

/* How many there are for a kind. */
static unsigned count_spares(const struct sandbox_pool *pool, const struct known_kind *known)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pool->n_spare; i++)
		n += sandbox_fits(&pool->spare[i], known->shared, &known->kind);
	return n;
}

/* Each kind has an equal part of the places. NULL: all have theirs. */
static struct known_kind *find_neediest(struct sandbox_pool *pool)
{
	unsigned least = pool->kinds.n > 0 ? pool->max_spare / pool->kinds.n : 0;
	struct known_kind *neediest = NULL;

	for (unsigned i = 0; i < pool->kinds.n; i++) {
		struct known_kind *known = &pool->kinds.known[i];
		unsigned n = count_spares(pool, known) + known->making;

		if (n < least) {
			least = n;
			neediest = known;
		}
	}
	return neediest;
}

/* Whether a spare is of a kind that starts ask for, and not one of more than its part. */
static bool is_fit(const struct sandbox_pool *pool, const struct sandbox *spare)
{
	for (unsigned i = 0; i < pool->kinds.n; i++) {
		const struct known_kind *known = &pool->kinds.known[i];

		if (sandbox_fits(spare, known->shared, &known->kind))
			return count_spares(pool, known) <= pool->max_spare / pool->kinds.n;
	}
	return false;
}

static void drop_unfit(struct sandbox_pool *pool)
{
	for (unsigned i = pool->n_spare; i-- > 0;)
		if (!is_fit(pool, &pool->spare[i])) {
			sandbox_finish(&pool->spare[i]);
			pool->spare[i] = pool->spare[--pool->n_spare];
		}
}

static int refresh_shared(struct sandbox_pool *pool)
{
	const char *detail;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < pool->kinds.n; i++)
		r = shared_root_refresh(pool->kinds.known[i].shared, pool->kinds.known[i].shared->list,
					pool->host.mounts_fd, SHARED_ROOT_AGE_NS, &detail);
	return r;
}

/* What to make the next spare for: *list is a copy of the kind's, to be freed, *of the root that it is copied
 * from. 1, 0: enough are there, or -errno. Called with the mutex. */
static int begin_spare(struct sandbox_pool *pool, struct shared_root **of, struct shared_root *shared,
		       struct sandbox_kind *kind, struct mount_list **list)
{
	struct known_kind *known;
	int r = refresh_shared(pool);

	if (r < 0)
		return r;
	drop_unfit(pool);
	known = find_neediest(pool);
	if (!known)
		return 0;
	*list = malloc(known->kind.list_bytes);
	if (!*list)
		return -ENOMEM;
	memcpy(*list, known->kind.list, known->kind.list_bytes);
	*kind = known->kind;
	kind->list = *list;
	*of = known->shared;
	r = hold_shared(known->shared, shared);
	if (r < 0)
		return r;
	known->making++;
	return 1;
}

unsigned sandbox_pool_n_spare(struct sandbox_pool *pool)
{
	return atomic_load(&pool->n_spare);
}

int sandbox_pool_prepare(struct sandbox_pool *pool)
{
	autofree struct mount_list *list = NULL;
	struct sandbox made = SANDBOX_NONE;
	struct shared_root shared, *of;
	struct known_kind *known;
	struct sandbox_kind kind;
	const char *detail;
	int r;

	pthread_mutex_lock(&pool->mutex);
	r = begin_spare(pool, &of, &shared, &kind, &list);
	pthread_mutex_unlock(&pool->mutex);
	if (r <= 0)
		return r;
	r = sandbox_make(&made, &pool->host, &shared, &kind, &detail);
	shared_root_finish(&shared);
	pthread_mutex_lock(&pool->mutex);
	known = sandbox_kinds_find(&pool->kinds, of, &kind);
	if (known && known->making > 0)
		known->making--;
	if (r == 0 && known && pool->n_spare < pool->max_spare)
		pool->spare[pool->n_spare++] = made;
	else
		sandbox_finish(&made);
	r = r < 0 ? r : find_neediest(pool) != NULL;
	pthread_mutex_unlock(&pool->mutex);
	return r;
}
