/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "looker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#include "background.h"
#include "clock.h"
#include "owners.h"
#include "reaper.h"
#include "sockdiag.h"
#include "tally.h"

#define RECENT_SLACK_US UINT64_C(100000) /* from the visitor to the loop of a machine that has much to do */
#define OWNERS_WANTED   256              /* processes that one look asks for */

struct look {
	struct look *prev, *next;
	uint64_t id, tag, since_ns;
	struct reaper_listener *listeners; /* owned */
	unsigned n_listeners;
	struct tally tally;
	struct connections connections;
};

struct looker {
	void (*notify)(void *userdata);
	void *userdata;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;

	/* Under the lock. */
	bool stop;
	struct look *asked, *answered; /* oldest first */
	uint64_t asked_ns;             /* the last of them */
	unsigned n_looks;              /* in both, and being looked at */

	/* Of the thread. */
	struct sockdiag *diag; /* owned */
	struct tally_table table;
	struct owners owners;
};

static void look_destroy(struct look *look)
{
	free(look->listeners);
	free(look);
}

static struct look *look_create(const struct looker_question *question)
{
	size_t bytes = question->n_listeners * sizeof *question->listeners;
	struct look *look = calloc(1, sizeof *look);

	if (!look)
		return NULL;
	look->listeners = malloc(bytes ? bytes : 1);
	if (!look->listeners) {
		free(look);
		return NULL;
	}
	if (bytes > 0)
		memcpy(look->listeners, question->listeners, bytes);
	look->n_listeners = question->n_listeners;
	look->id = question->id;
	look->tag = question->tag;
	look->since_ns = question->since_ns;
	look->connections.fresh = question->fresh;
	return look;
}

static void destroy_all(struct look *looks)
{
	struct look *look, *next;

	DL_FOREACH_SAFE(looks, look, next)
	look_destroy(look);
}

/* Whether a connection's process is to be found out. */
static bool wanted(const struct connection *connection)
{
	return connection->peer.family == AF_UNIX && connection->inode > 0 && connection->peer.pid == 0;
}

/* Each connection of a look; the first may be among those shown, and is one more here. */
static struct connection *nth(struct look *look, unsigned i)
{
	if (i < look->connections.n)
		return &look->connections.shown[i];
	return i == look->connections.n && look->connections.n_recent > 0 ? &look->connections.first : NULL;
}

static void fill_owner(struct look *looks, const struct owner *owner)
{
	struct connection *connection;

	for (struct look *look = looks; look; look = look->next)
		for (unsigned i = 0; (connection = nth(look, i)); i++)
			if (wanted(connection) && connection->inode == owner->inode) {
				connection->peer.pid = owner->pid;
				peer_read_command(&connection->peer);
			}
}

/* Who is at the other end of unix connections. */
static void find_owners(struct looker *looker, struct look *looks)
{
	struct owner owners[OWNERS_WANTED];
	struct connection *connection;
	unsigned n = 0;

	for (struct look *look = looks; look; look = look->next)
		for (unsigned i = 0; n < OWNERS_WANTED && (connection = nth(look, i)); i++) {
			uid_t uid;

			if (!wanted(connection))
				continue;
			if (sockdiag_unix_uid(looker->diag, connection->inode, &uid) == 0) {
				connection->peer.has_uid = true;
				connection->peer.uid = uid;
			}
			owners[n++] = (struct owner){.inode = connection->inode,
						     .has_uid = connection->peer.has_uid,
						     .uid = connection->peer.uid};
		}
	if (n > 0)
		owners_find(&looker->owners, owners, n);
	for (unsigned i = 0; i < n; i++)
		if (owners[i].pid > 0)
			fill_owner(looks, &owners[i]);
}

/* Looks, for a list of questions, and puts the answers into them. */
static void look_at(struct looker *looker, struct look *looks)
{
	uint64_t now_ns = clock_now_ns();

	tally_table_clear(&looker->table);
	for (struct look *look = looks; look; look = look->next) {
		tally_init(&look->tally);
		look->tally.list = &look->connections;
		if (look->since_ns > 0 && look->since_ns <= now_ns)
			look->connections.recent_us = (now_ns - look->since_ns) / 1000 + RECENT_SLACK_US;
		for (unsigned i = 0; i < look->n_listeners; i++)
			(void)tally_table_add(&looker->table, &look->listeners[i], &look->tally);
	}
	tally_table_scan(&looker->table, looker->diag);
	find_owners(looker, looks);
}

/* Called and left with the lock, when there is a question. */
static void wait_for_quiet(struct looker *looker)
{
	uint64_t latest_ns = clock_now_ns() + LOOKER_ANYWAY_NS;

	while (!looker->stop) {
		uint64_t quiet_ns = looker->asked_ns + LOOKER_QUIET_NS;
		uint64_t at_ns = quiet_ns < latest_ns ? quiet_ns : latest_ns;
		struct timespec until = clock_timespec(at_ns);

		if (clock_now_ns() >= at_ns)
			break;
		(void)pthread_cond_clockwait(&looker->wake, &looker->lock, CLOCK_MONOTONIC, &until);
	}
}

static void *thread_main(void *userdata)
{
	struct looker *looker = userdata;

	pthread_mutex_lock(&looker->lock);
	while (!looker->stop) {
		struct look *looks;
		int nice;

		if (!looker->asked) {
			pthread_cond_wait(&looker->wake, &looker->lock);
			continue;
		}
		wait_for_quiet(looker);
		looks = looker->asked;
		looker->asked = NULL;
		pthread_mutex_unlock(&looker->lock);
		nice = background_begin();
		look_at(looker, looks);
		background_end(nice);
		pthread_mutex_lock(&looker->lock);
		DL_CONCAT(looker->answered, looks);
		pthread_mutex_unlock(&looker->lock);
		looker->notify(looker->userdata);
		pthread_mutex_lock(&looker->lock);
	}
	pthread_mutex_unlock(&looker->lock);
	return NULL;
}

/* The thread takes no signal: they are the main thread's. */
static int start_thread(struct looker *looker)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	r = pthread_create(&looker->thread, NULL, thread_main, looker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(looker->thread, "looker");
	return -r;
}

int looker_create(void (*notify)(void *userdata), void *userdata, struct looker **ret)
{
	struct looker *looker = calloc(1, sizeof *looker);
	int r;

	if (!looker)
		return -ENOMEM;
	looker->notify = notify;
	looker->userdata = userdata;
	looker->table.once = true;
	pthread_mutex_init(&looker->lock, NULL);
	pthread_cond_init(&looker->wake, NULL);
	r = sockdiag_create(&looker->diag);
	if (r == 0) {
		sockdiag_show_peers(looker->diag);
		r = start_thread(looker);
	}
	if (r < 0) {
		sockdiag_destroy(looker->diag);
		free(looker);
		return r;
	}
	*ret = looker;
	return 0;
}

void looker_destroy(struct looker *looker)
{
	if (!looker)
		return;
	pthread_mutex_lock(&looker->lock);
	looker->stop = true;
	pthread_cond_signal(&looker->wake);
	pthread_mutex_unlock(&looker->lock);
	pthread_join(looker->thread, NULL);

	destroy_all(looker->asked);
	destroy_all(looker->answered);
	sockdiag_destroy(looker->diag);
	tally_table_finish(&looker->table);
	pthread_mutex_destroy(&looker->lock);
	pthread_cond_destroy(&looker->wake);
	free(looker);
}

int looker_ask(struct looker *looker, const struct looker_question *question)
{
	struct look *look = look_create(question);
	int r = 0;

	if (!look)
		return -ENOMEM;
	pthread_mutex_lock(&looker->lock);
	if (looker->n_looks >= LOOKER_QUESTIONS_MAX) {
		r = -EBUSY;
	} else {
		looker->n_looks++;
		looker->asked_ns = clock_now_ns();
		/* Who waits for quiet wakes by the clock alone. */
		if (!looker->asked)
			pthread_cond_signal(&looker->wake);
		DL_APPEND(looker->asked, look);
	}
	pthread_mutex_unlock(&looker->lock);
	if (r < 0)
		look_destroy(look);
	return r;
}

bool looker_next_answer(struct looker *looker, struct looker_answer *ret)
{
	struct look *look;

	pthread_mutex_lock(&looker->lock);
	look = looker->answered;
	if (look) {
		DL_DELETE(looker->answered, look);
		looker->n_looks--;
	}
	pthread_mutex_unlock(&looker->lock);
	if (!look)
		return false;
	*ret = (struct looker_answer){
		.id = look->id, .tag = look->tag, .known = look->tally.known, .connections = look->connections};
	look_destroy(look);
	return true;
}
