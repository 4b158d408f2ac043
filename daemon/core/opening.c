/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "opening.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "clock.h"
#include "daemon.h"
#include "fd.h"
#include "turns.h"

#define LOOK_LEAST_MS 1 /* between two looks, twice as long after each that has found nobody */
#define LOOK_MOST_MS  8
#define OPENING_NS    UINT64_C(1000000000)
/* Of Type=notify, from execve on. What reads files and computes all that time, as big programs in Java do, is
 * ready by then; what is not waits for something else, which may never come, or says nothing on purpose. A few
 * of those have all places, and visitors of all other sites wait as long: that is what a browser's user may put
 * up with. */
#define ANNOUNCING_NS UINT64_C(10000000000)

static bool somebody_waits(const struct run *run)
{
	const struct site *site = run->site;

	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++)
		if (listener_pending(site->listeners[i]))
			return true;
	return false;
}

/* proc_pid_stat(5): "PID (NAME) STATE ...", and a name may be anything. */
static bool sleeps(const struct run *run)
{
	char path[32], text[512];
	const char *end;

	snprintf(path, sizeof path, "/proc/%d/stat", run->container.pid);
	if (fd_read_attribute(AT_FDCWD, path, text, sizeof text) < 0)
		return false;
	end = strrchr(text, ')');
	return end && strncmp(end, ") S ", 4) == 0;
}

/* It says itself when it has opened. */
static bool announces(const struct run *run)
{
	return run->plan->spec->type == TYPE_NOTIFY;
}

/* One that sleeps at a single look may wait for its own disk or thread. Most have opened before it comes to
 * that.
 */
static bool is_idle(struct run *run)
{
	bool before = run->opening.asleep, looked_at = run->opening.looked_at;

	if (announces(run))
		return false;
	run->opening.looked_at = true;
	run->opening.asleep = looked_at && sleeps(run);
	return before && run->opening.asleep;
}

static bool has_opened(const struct run *run)
{
	if (announces(run))
		return clock_now_ns() - run->job.done_ns > ANNOUNCING_NS;
	return (run->opening.visited && !somebody_waits(run)) || clock_now_ns() - run->ready_ns > OPENING_NS;
}

static void leave(struct run *run)
{
	struct daemon *daemon = run->site->daemon;

	DL_DELETE2(daemon->openings.first, run, opening.prev, opening.next);
	if (announces(run))
		admission_give_up(&daemon->admission, run);
	else
		daemon->admission.opening--;
	run->opening.on = false;
	daemon->openings.n_long -= run->long_turns;
	turns_shorten(run);
}

static void on_look(uv_timer_t *timer);

static void set_timer(struct daemon *daemon)
{
	struct openings *openings = &daemon->openings;

	if (!openings->first || (daemon->admission.n_waiting == 0 && openings->n_long == 0))
		uv_timer_stop(&openings->timer);
	else if (!uv_is_active((uv_handle_t *)&openings->timer))
		uv_timer_start(&openings->timer, on_look, openings->pause_ms, 0);
}

/* timely: some time after the one before. */
static void look(struct daemon *daemon, bool timely)
{
	struct run *run, *next;
	bool found = false;

	DL_FOREACH_SAFE2(daemon->openings.first, run, next, opening.next)
	if (has_opened(run) || (timely && is_idle(run))) {
		leave(run);
		found = true;
	}
	if (found)
		daemon->openings.pause_ms = LOOK_LEAST_MS;
	else if (timely && daemon->openings.pause_ms < LOOK_MOST_MS)
		daemon->openings.pause_ms *= 2;
	if (found)
		admission_go_on(&daemon->admission);
	set_timer(daemon);
}

static void on_look(uv_timer_t *timer)
{
	look(timer->data, true);
}

void opening_ask(struct run *run)
{
	struct daemon *daemon = run->site->daemon;

	run->opening.visited = somebody_waits(run);
	if (daemon->openings.first && daemon->admission.n_waiting == 0)
		look(daemon, false);
}

void opening_expect(struct daemon *daemon)
{
	set_timer(daemon);
}

void opening_begin(struct run *run)
{
	struct daemon *daemon = run->site->daemon;

	run->opening = (struct opening){.on = true, .visited = run->opening.visited || somebody_waits(run)};
	DL_APPEND2(daemon->openings.first, run, opening.prev, opening.next);
	daemon->admission.opening += !announces(run);
	daemon->openings.n_long += run->long_turns;
	if (daemon->admission.n_waiting > 0 || run->long_turns)
		look(daemon, false);
}

void opening_end(struct run *run)
{
	struct daemon *daemon = run->site->daemon;

	if (!run->opening.on) {
		turns_shorten(run);
		return;
	}
	leave(run);
	admission_go_on(&daemon->admission);
	set_timer(daemon);
}

void openings_init(struct daemon *daemon)
{
	uv_timer_init(&daemon->loop, &daemon->openings.timer);
	daemon->openings.timer.data = daemon;
	daemon->openings.pause_ms = LOOK_LEAST_MS;
}

void openings_close(struct daemon *daemon)
{
	uv_close((uv_handle_t *)&daemon->openings.timer, NULL);
}
