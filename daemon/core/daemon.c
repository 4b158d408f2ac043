/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "arrivals.h"
#include "cleanup.h"
#include "clock.h"
#include "control.h"
#include "delegation.h"
#include "explain.h"
#include "group.h"
#include "handover.h"
#include "id-ranges.h"
#include "interceptor.h"
#include "ladder.h"
#include "ledgers.h"
#include "loader.h"
#include "log.h"
#include "networks.h"
#include "notify.h"
#include "probe.h"
#include "schedule.h"
#include "store.h"
#include "transition.h"
#include "unpacker.h"
#include "wake.h"
#include "watch.h"

#define STARVED_MS        1000
#define VERDICTS_A_TURN   16  /* each is a freeze: who comes meanwhile does not wait for all of them */
#define OWN_FILES         256 /* the daemon's own, and what it opens for a moment */
#define FILES_A_CONTAINER 4   /* pidfd, cgroup, cgroup.events, the reaper's cgroup or else cgroup.freeze */

void daemon_take_launched(struct daemon *daemon)
{
	struct launch_job *job;

	while ((job = launcher_next_done(daemon->launcher))) {
		struct run *run = (struct run *)((char *)job - offsetof(struct run, job));

		wake_launched(run->site);
	}
}

static void on_launched(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	daemon_take_launched(poll->data);
}

struct site *daemon_find_site(const struct daemon *daemon, uint64_t id)
{
	for (struct site *site = daemon->sites; site; site = site->hh.next)
		if (site->id == id)
			return site;
	return NULL;
}

struct site *daemon_site_by_id(struct daemon *daemon, uint64_t id)
{
	for (struct run *run = daemon->runs; run; run = run->next)
		if (run->site->id == id)
			return run->site;
	return NULL;
}

static void on_verdict(uv_async_t *async)
{
	struct daemon *daemon = async->data;
	struct reaper_verdict verdict;
	struct looker_answer answer;
	unsigned n = 0;

	while (n < VERDICTS_A_TURN && reaper_next_verdict(daemon->reaper, &verdict)) {
		struct site *site = daemon_site_by_id(daemon, verdict.id);

		n++;
		if (!site || site->state != STATE_AWAKE)
			continue;
		site->run->stop_when_frozen = verdict.verdict == IDLE_STOP;
		site_dispatch(site, EVENT_FREEZE, "idle");
	}
	if (n == VERDICTS_A_TURN)
		uv_async_send(async); /* there may be more */
	while (looker_next_answer(daemon->looker, &answer))
		explain_answered(daemon, &answer);
}

/* The reaper's thread may only wake the loop. */
static void wake_verdict(void *userdata)
{
	uv_async_send(&((struct daemon *)userdata)->verdict);
}

static void on_terminate(uv_signal_t *handle, int signal)
{
	log_notice("%s: stopping", strsignal(signal));
	daemon_stop(handle->data);
}

static void on_hangup(uv_signal_t *handle, int signal)
{
	(void)signal;
	(void)loader_load_all(handle->data);
}

static void on_starved(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	struct site *site, *next;

	HASH_ITER(hh, daemon->sites, site, next)
	if (site->state == STATE_COLD)
		site_watch(site, true);
}

void daemon_starved(struct daemon *daemon, struct site *site)
{
	log_error("site %s: out of memory for a start: trying again in %d ms", site->name, STARVED_MS);
	site_watch(site, false);
	if (!uv_is_active((uv_handle_t *)&daemon->starved))
		uv_timer_start(&daemon->starved, on_starved, STARVED_MS, 0);
}

/* As many files as the host lets us have. */
static void raise_open_files(struct daemon *daemon)
{
	struct rlimit limit = daemon->host.open_files;
	unsigned reserved = RESERVED_FILES;

	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit = daemon->host.open_files;
	daemon->max_files = limit.rlim_cur;
	if (reserved > limit.rlim_cur / 2)
		reserved = (unsigned)limit.rlim_cur / 2;
	daemon->max_listeners =
		(unsigned)(limit.rlim_cur > UINT32_MAX ? UINT32_MAX : limit.rlim_cur) - reserved;
}

unsigned daemon_files_left(const struct daemon *daemon)
{
	rlim_t used =
		OWN_FILES + daemon->n_listeners + (rlim_t)daemon->n_runs * FILES_A_CONTAINER + daemon->n_held;

	return used < daemon->max_files ? (unsigned)(daemon->max_files - used) : 0;
}

/* One torpord a run folder. */
static int lock_run_dir(struct daemon *daemon)
{
	const char *run_dir = daemon->options.lookup.dirs[1];
	int r = fd_make_directories(run_dir);

	if (r == 0) {
		autoclose int dir_fd = open(run_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

		daemon->lock_fd = dir_fd < 0
					  ? -EBADF
					  : openat(dir_fd, "torpord.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (daemon->lock_fd < 0)
			r = -errno;
		else if (flock(daemon->lock_fd, LOCK_EX | LOCK_NB) < 0)
			r = -errno;
	}
	if (r == -EWOULDBLOCK)
		log_error("another torpord runs with --run=%s", run_dir);
	else if (r < 0)
		log_error("run folder %s: %s", run_dir, strerror(-r));
	return r;
}

static int load_config(struct daemon *daemon)
{
	char text[1100];
	struct diag diag = {0};
	int r = config_load(&daemon->options.lookup, &daemon->config, &diag);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (r < 0) {
		log_error("%s", diag_format(&diag, text, sizeof text));
		return r;
	}
	log_set_level(daemon->config.log_level);
	daemon->admission.limit =
		daemon->config.max_starting ? daemon->config.max_starting : (unsigned)(cpus > 0 ? cpus : 1) * 2;
	return 0;
}

static int init_loop(struct daemon *daemon)
{
	int r = uv_loop_init(&daemon->loop);

	if (r < 0)
		return r;
	r = uv_async_init(&daemon->loop, &daemon->verdict, on_verdict);
	daemon->verdict.data = daemon;
	uv_signal_init(&daemon->loop, &daemon->terminate);
	uv_signal_init(&daemon->loop, &daemon->interrupt);
	uv_signal_init(&daemon->loop, &daemon->hangup);
	uv_timer_init(&daemon->loop, &daemon->starved);
	uv_timer_init(&daemon->loop, &daemon->retry);
	uv_timer_init(&daemon->loop, &daemon->look);
	openings_init(daemon);
	daemon->retry.data = daemon->look.data = daemon;
	daemon->terminate.data = daemon->interrupt.data = daemon->hangup.data = daemon->starved.data = daemon;
	return r;
}

static int open_ranges(struct daemon *daemon)
{
	const struct id_span *ids = &daemon->config.user_ids;
	unsigned line = 0;
	int r = id_ranges_open(daemon->options.state, &daemon->options.lookup, ids->first, ids->last,
			       &daemon->ranges, &line);

	if (r == -EBADMSG)
		log_error("%s/ids:%u: no line that torpord has written; expected FIRST COUNT SITE [PLACE...]: "
			  "mend it, as it says whose files are whose",
			  daemon->options.state, line);
	else if (r < 0)
		log_error("%s/ids cannot be read: %s", daemon->options.state, strerror(-r));
	return r;
}

static int start_threads(struct daemon *daemon)
{
	int r = handover_start(daemon); /* which forks: before there are threads */

	if (r < 0)
		return r;
	r = launcher_create(daemon->admission.limit, daemon->delegation.path,
			    interceptor_channel_fd(daemon->interceptor), daemon->ranges, &daemon->launcher);
	if (r == 0)
		r = uv_poll_init(&daemon->loop, &daemon->launched, launcher_event_fd(daemon->launcher));
	if (r == 0) {
		daemon->launched.data = daemon;
		r = uv_poll_start(&daemon->launched, UV_READABLE, on_launched);
	}
	if (r < 0) {
		log_error("the launcher cannot be started: %s", strerror(-r));
		return r;
	}
	r = reaper_create(daemon->config.scan_interval_us, wake_verdict, daemon, &daemon->reaper);
	if (r == 0)
		r = looker_create(wake_verdict, daemon, &daemon->looker);
	if (r == 0)
		r = ledgers_create(daemon, &daemon->ledgers);
	if (r < 0)
		log_error("the reaper cannot be started: %s", strerror(-r));
	return r < 0 ? r : ladder_start(daemon);
}

static void forget_image(void *context, const char *path)
{
	struct daemon *daemon = context;

	if (daemon->launcher)
		launcher_forget_image(daemon->launcher, path);
}

static int set_up(struct daemon *daemon)
{
	int r = host_probe(&daemon->host);

	if (r < 0) {
		log_error("the host cannot be read: %s", strerror(-r));
		return r;
	}
	daemon->host.run_dir = daemon->options.lookup.dirs[1];
	raise_open_files(daemon);
	r = load_config(daemon);
	if (r == 0)
		r = lock_run_dir(daemon);
	if (r < 0)
		return r;
	r = inherited_receive(&daemon->inheritance);
	if (r < 0) {
		log_error("the sockets of LISTEN_FDS cannot be taken over: %s", strerror(-r));
		return r;
	}
	r = delegation_open(daemon->options.cgroup, &daemon->delegation);
	if (r < 0)
		return r;
	daemon->host.controllers = daemon->delegation.controllers;
	daemon->host.cgroup_files = daemon->delegation.files;
	daemon->host.device_programs = daemon->delegation.device_programs;
	planner_init(&daemon->planner, &daemon->host);
	planner_on_image_unused(&daemon->planner, forget_image, daemon);
	r = networks_create(daemon, &daemon->networks);
	if (r < 0)
		return r;
	r = open_ranges(daemon);
	if (r < 0)
		return r;
	daemon->cache = spec_cache_create();
	r = daemon->cache ? start_threads(daemon) : -ENOMEM;
	if (r == 0)
		r = unpacker_create(daemon, &daemon->unpacker);
	if (r == 0) {
		r = control_create(daemon, &daemon->control);
		if (r < 0)
			log_error("control socket %s/control: %s", daemon->host.run_dir, strerror(-r));
	}
	if (r == 0) {
		r = notify_create(daemon, &daemon->notify);
		if (r < 0)
			log_error("notify socket %s/notify: %s", daemon->host.run_dir, strerror(-r));
	}
	if (r == 0) {
		r = schedule_create(daemon, &daemon->schedule);
		if (r < 0)
			log_error("the timer of schedules cannot be made: %s", strerror(-r));
	}
	if (r == 0) {
		r = probes_create(daemon, &daemon->probes);
		if (r < 0)
			log_error("the watch over probes cannot be set up: %s", strerror(-r));
	}
	return r;
}

/* Where settings by command go: made before the folders are watched, since one that comes later has all of them
 * looked through again. */
static void make_folders(const struct daemon *daemon)
{
	static const enum unit_kind kinds[] = {UNIT_SITE, UNIT_SLICE};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char path[PATH_MAX];
		int r;

		snprintf(path, sizeof path, "%s/%s", daemon->host.run_dir, unit_kind_folder(kinds[i]));
		r = fd_make_directories(path);
		if (r < 0)
			log_warning("folder %s cannot be made: %s", path, strerror(-r));
	}
}

static void load(struct daemon *daemon)
{
	int r;

	make_folders(daemon);
	r = watch_create(daemon, &daemon->watch); /* before loading: nothing is missed in between */

	if (r < 0)
		log_warning("changes of unit files will not be noticed (use torporctl reload): %s",
			    strerror(-r));
	(void)loader_load_all(daemon);
	unpacker_sweep_soon(daemon->unpacker);
	inherited_report(&daemon->inheritance);
	log_notice("%u sites listening on %u sockets (limit %u of %llu open files), %u files refused",
		   HASH_COUNT(daemon->sites), daemon->n_listeners, daemon->max_listeners,
		   (unsigned long long)daemon->max_files, HASH_COUNT(daemon->refused));
	for (unsigned bit = CONTROLLER_CPU; bit <= CONTROLLER_PIDS; bit <<= 1)
		if (!(daemon->host.controllers & bit))
			log_notice("no %s controller in this host's cgroup v2: limits that need it are not in "
				   "force",
				   controller_name(bit));
}

void daemon_site_settled(struct daemon *daemon)
{
	loader_retry_soon(daemon);
	if (!daemon->stopping || uv_is_closing((uv_handle_t *)&daemon->terminate))
		return;
	for (const struct run *run = daemon->runs; run; run = run->next)
		if (site_rule(run->site->state)->container)
			return;
	if (!networks_busy(daemon->networks))
		uv_stop(&daemon->loop);
}

void daemon_stop(struct daemon *daemon)
{
	struct run *run, *next;

	if (daemon->stopping)
		return;
	daemon->stopping = true;
	admission_close(&daemon->admission);
	sd_notify(0, "STOPPING=1");
	for (struct site *site = daemon->sites; site; site = site->hh.next)
		if (site_rule(site->state)->watched)
			site_watch(site, false);
	for (run = daemon->runs; run; run = next) {
		next = run->next;
		site_dispatch(run->site, EVENT_STOP, "torpord stops");
	}
	grace_begin(daemon);
	daemon_site_settled(daemon);
}

static void close_loop(struct daemon *daemon)
{
	uv_close((uv_handle_t *)&daemon->verdict, NULL);
	uv_close((uv_handle_t *)&daemon->terminate, NULL);
	uv_close((uv_handle_t *)&daemon->interrupt, NULL);
	uv_close((uv_handle_t *)&daemon->hangup, NULL);
	uv_close((uv_handle_t *)&daemon->starved, NULL);
	uv_close((uv_handle_t *)&daemon->retry, NULL);
	uv_close((uv_handle_t *)&daemon->look, NULL);
	openings_close(daemon);
	(void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&daemon->loop) < 0)
		log_warning("handles were left open at the end");
}

static void leave_listeners(struct daemon *daemon)
{
	int r = store_leave(daemon);

	if (r == -ENOENT)
		log_warning("the listeners are closed, as the service manager stores no descriptors: "
			    "FileDescriptorStoreMax= of torpor.service says how many");
	else if (r < 0)
		log_warning("the listeners are closed, as they cannot be left with the service manager: %s",
			    strerror(-r));
	daemon->listeners_left = r == 0;
}

static void tear_down(struct daemon *daemon)
{
	struct site *site, *next;

	if (daemon->launched.data)
		uv_close((uv_handle_t *)&daemon->launched, NULL);
	handover_close(daemon);
	launcher_destroy(daemon->launcher);
	handover_destroy(daemon);
	reaper_destroy(daemon->reaper);
	looker_destroy(daemon->looker);
	daemon->launcher = NULL;
	control_destroy(daemon->control);
	daemon->control = NULL;
	unpacker_destroy(daemon->unpacker);
	daemon->unpacker = NULL;
	ledgers_close(daemon->ledgers);
	if (daemon->options.keep_listeners)
		leave_listeners(daemon);
	HASH_ITER(hh, daemon->sites, site, next)
	site_destroy(site);
	ladder_stop(daemon);
	notify_destroy(daemon->notify);
	schedule_destroy(daemon->schedule);
	probes_destroy(daemon->probes);
	networks_destroy(daemon->networks);
	id_ranges_close(daemon->ranges);
	watch_destroy(daemon->watch);
	arrivals_destroy(daemon->arrivals);
	admission_finish(&daemon->admission);
	refused_clear_all(&daemon->refused);
	refused_clear_all(&daemon->refused_slices);
	group_destroy_all(daemon);
	journal_finish(&daemon->journal);
	close_loop(daemon);
	ledgers_destroy(daemon->ledgers);
	spec_cache_destroy(daemon->cache);
	security_cache_finish(&daemon->security);
	planner_finish(&daemon->planner);
	inherited_finish(&daemon->inheritance);
	delegation_close(&daemon->delegation);
	config_finish(&daemon->config);
	fd_close(daemon->lock_fd);
}

/* Whoever started us may ignore some, which execve(2) hands on: sites would be deaf to them, and children
 * vanish unseen. */
static void init_signals(void)
{
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			(void)signal(number, SIG_DFL);
	}
	(void)signal(SIGPIPE, SIG_IGN);
}

int daemon_run(const struct options *options)
{
	struct daemon daemon = {.options = *options, .delegation.fd = -EBADF, .lock_fd = -EBADF};
	int r;

	init_signals();
	daemon.started_us = clock_realtime_us();
	r = init_loop(&daemon);
	if (r < 0) {
		log_error("the event loop cannot be set up: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	/* From the beginning: who has taken over listeners that were left does not end without leaving them. */
	uv_signal_start(&daemon.terminate, on_terminate, SIGTERM);
	uv_signal_start(&daemon.interrupt, on_terminate, SIGINT);
	uv_signal_start(&daemon.hangup, on_hangup, SIGHUP);
	r = set_up(&daemon);
	if (r == 0) {
		load(&daemon);
		sd_notify(0, "READY=1");
		(void)uv_run(&daemon.loop, UV_RUN_DEFAULT);
	}
	tear_down(&daemon);
	return r < 0 || daemon.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
