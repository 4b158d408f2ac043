/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ledgers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "container-memory.h"
#include "daemon.h"
#include "history.h"
#include "log.h"

#define HEAD "torpor-ledger 1\n"

/* The ledger of a site that is not there. */
struct absent {
	UT_hash_handle hh; /* by name */
	char *name;        /* owned */
	struct ledger ledger;
};

struct ledgers {
	struct daemon *daemon;
	uv_timer_t timer;
	struct absent *absent;
	char *path;  /* of the file; owned */
	bool closed; /* what is written last is in text */
	char *text;  /* owned */
	size_t text_bytes;
};

/* One writing of the file, in a thread of the pool: it may take as long as a disk takes. */
struct writing {
	uv_work_t work;
	char *path, *text; /* owned */
	size_t text_bytes;
};

static int write_file(const char *path, const char *text, size_t size)
{
	char temporary[PATH_MAX];
	autoclose int fd = -EBADF;
	int r;

	if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, size);
	if (r == 0 && (fsync(fd) < 0 || rename(temporary, path) < 0))
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

/* The folder's name is that of the path up to its last slash. */
static void write_and_complain(const char *path, const char *text, size_t size)
{
	autofree char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	int r = folder ? fd_make_directories(folder) : -ENOMEM;

	if (r == 0)
		r = write_file(path, text, size);

	if (r < 0)
		log_warning("%s cannot be written, what sites have cost is not kept: %s", path, strerror(-r));
}

static void add_absent(struct ledgers *ledgers, const char *name, const struct ledger *ledger)
{
	struct absent *absent = NULL;

	HASH_FIND_STR(ledgers->absent, name, absent);
	if (absent || HASH_COUNT(ledgers->absent) >= LEDGERS_ABSENT_MAX)
		return;
	absent = calloc(1, sizeof *absent);
	if (absent)
		absent->name = strdup(name);
	if (absent && absent->name) {
		absent->ledger = *ledger;
		HASH_ADD_KEYPTR(hh, ledgers->absent, absent->name, strlen(absent->name), absent);
		if (absent->hh.tbl)
			return;
	}
	if (absent)
		free(absent->name);
	free(absent);
}

static void forget(struct ledgers *ledgers, struct absent *absent)
{
	HASH_DEL(ledgers->absent, absent);
	free(absent->name);
	free(absent);
}

static int read_file(struct ledgers *ledgers)
{
	autofree char *text = NULL;
	unsigned wrong = 0;
	char *rest, *line;
	size_t size;
	int r = fd_read_file(AT_FDCWD, ledgers->path, LEDGERS_FILE_BYTES, &text, &size);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (strncmp(text, HEAD, strlen(HEAD)) != 0)
		return -EBADMSG;
	rest = text + strlen(HEAD);
	while (rest && *rest && (line = strsep(&rest, "\n"))) {
		struct ledger ledger;
		const char *name;

		if (ledger_parse(line, &name, &ledger) == 0)
			add_absent(ledgers, name, &ledger);
		else
			wrong++;
	}
	if (wrong > 0)
		log_warning("%s: %u lines make no sense, and are left out", ledgers->path, wrong);
	return 0;
}

/* All of them as they stand now. */
static char *make_text(struct ledgers *ledgers, size_t *ret_size)
{
	char *text = NULL, line[LEDGER_LINE_BYTES];
	FILE *out = open_memstream(&text, ret_size);

	if (!out)
		return NULL;
	fputs(HEAD, out);
	for (struct site *site = ledgers->daemon->sites; site; site = site->hh.next) {
		if (!site->history || site->history->ledger.since_us == 0)
			continue;
		ledger_account(&site->history->ledger, site->state, clock_now_ns());
		if (ledger_format(&site->history->ledger, site->name, line) == 0)
			fputs(line, out);
	}
	for (struct absent *absent = ledgers->absent; absent; absent = absent->hh.next)
		if (ledger_format(&absent->ledger, absent->name, line) == 0)
			fputs(line, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void work(uv_work_t *request)
{
	struct writing *writing = request->data;

	write_and_complain(writing->path, writing->text, writing->text_bytes);
}

static void after(uv_work_t *request, int status)
{
	struct writing *writing = request->data;

	(void)status;
	free(writing->path);
	free(writing->text);
	free(writing);
}

static void on_timer(uv_timer_t *timer)
{
	struct ledgers *ledgers = timer->data;
	struct writing *writing = calloc(1, sizeof *writing);

	if (!writing)
		return;
	writing->work.data = writing;
	writing->path = strdup(ledgers->path);
	writing->text = make_text(ledgers, &writing->text_bytes);
	if (!writing->path || !writing->text ||
	    uv_queue_work(&ledgers->daemon->loop, &writing->work, work, after) < 0)
		after(&writing->work, 0);
}

int ledgers_create(struct daemon *daemon, struct ledgers **ret)
{
	struct ledgers *ledgers = calloc(1, sizeof *ledgers);
	int r;

	if (!ledgers)
		return -ENOMEM;
	if (asprintf(&ledgers->path, "%s/ledger", daemon->options.state) < 0) {
		free(ledgers);
		return -ENOMEM;
	}
	ledgers->daemon = daemon;
	uv_timer_init(&daemon->loop, &ledgers->timer);
	ledgers->timer.data = ledgers;
	r = read_file(ledgers);
	if (r < 0)
		log_warning("%s cannot be read, what sites have cost is counted anew: %s", ledgers->path,
			    strerror(-r));
	*ret = ledgers;
	return 0;
}

void ledgers_close(struct ledgers *ledgers)
{
	if (!ledgers)
		return;
	ledgers->closed = true;
	ledgers->text = make_text(ledgers, &ledgers->text_bytes);
	uv_close((uv_handle_t *)&ledgers->timer, NULL);
}

void ledgers_destroy(struct ledgers *ledgers)
{
	struct absent *absent, *next;

	if (!ledgers)
		return;
	if (ledgers->text && ledgers->text_bytes > strlen(HEAD))
		write_and_complain(ledgers->path, ledgers->text, ledgers->text_bytes);
	HASH_ITER(hh, ledgers->absent, absent, next)
	forget(ledgers, absent);
	free(ledgers->text);
	free(ledgers->path);
	free(ledgers);
}

void ledgers_take(struct site *site)
{
	struct ledgers *ledgers = site->daemon->ledgers;
	struct absent *absent = NULL;

	if (ledgers)
		HASH_FIND_STR(ledgers->absent, site->name, absent);
	if (!absent)
		return;
	site->history = calloc(1, sizeof *site->history);
	if (!site->history)
		return;
	site->history->ledger = absent->ledger;
	site->history->ledger.at_ns = clock_now_ns();
	forget(ledgers, absent);
}

void ledgers_leave(struct site *site)
{
	struct ledgers *ledgers = site->daemon->ledgers;

	if (!ledgers || ledgers->closed || !site->history || site->history->ledger.since_us == 0)
		return;
	ledger_account(&site->history->ledger, site->state, clock_now_ns());
	add_absent(ledgers, site->name, &site->history->ledger);
}

static void measure(const struct site *site, uint32_t *kib)
{
	uint64_t bytes;

	if (site->run && container_memory(&site->run->container, CONTAINER_MEMORY_FEW, &bytes) == 0)
		*kib = bytes / 1024 > UINT32_MAX ? UINT32_MAX : (uint32_t)(bytes / 1024);
}

static void count_wake(struct ledger *ledger, bool thawed, uint64_t took_us)
{
	ledger->thaws += thawed;
	ledger->wakes += !thawed;
	sketch_add(thawed ? &ledger->thaw : &ledger->cold, took_us);
}

void ledgers_site_changed(struct site *site, enum site_state before, uint64_t took_us)
{
	struct ledgers *ledgers = site->daemon->ledgers;
	struct ledger *ledger = site->history ? &site->history->ledger : NULL;
	uint64_t now_ns = clock_now_ns();

	if (!ledger || !ledgers || ledgers->closed)
		return;
	if (ledger->since_us == 0) {
		ledger->since_us = clock_realtime_us();
		ledger->at_ns = now_ns;
	}
	ledger_account(ledger, before, now_ns);
	if (site->state == STATE_AWAKE && (before == STATE_STARTING || site_rule(before)->asleep))
		count_wake(ledger, before != STATE_STARTING, took_us);
	ledger->failures += site->state == STATE_FAILED;
	if (site->state == STATE_AWAKE)
		ledger_used(ledger, now_ns);
	else if (before == STATE_AWAKE)
		ledger->idle_since_ns = site->state == STATE_FREEZING ? site->run->last_active_ns : now_ns;
	if (before == STATE_AWAKE)
		measure(site, &ledger->awake_kib);
	if (site->state == STATE_PAGED)
		measure(site, &ledger->paged_kib);
	if (!uv_is_active((uv_handle_t *)&ledgers->timer))
		uv_timer_start(&ledgers->timer, on_timer, LEDGERS_WRITE_MS, 0);
}

void ledgers_note_gaps(struct site *site)
{
	struct gaps gaps;

	if (site->history && reaper_take_gaps(site->daemon->reaper, site->id, &gaps))
		ledger_add_gaps(&site->history->ledger, &gaps);
}

static json_t *quantiles(const struct sketch *sketch)
{
	uint64_t p50 = sketch_quantile(sketch, 50);

	return p50 == 0 ? NULL
			: json_pack("{s:I, s:I, s:I}", "p50_us", (json_int_t)p50, "p90_us",
				    (json_int_t)sketch_quantile(sketch, 90), "p99_us",
				    (json_int_t)sketch_quantile(sketch, 99));
}

json_t *ledgers_report(const struct site *site)
{
	struct ledger l = site->history ? site->history->ledger : (struct ledger){0};

	if (l.since_us == 0)
		return NULL;
	ledger_account(&l, site->state, clock_now_ns());
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o*, s:o*}", "since_us",
			 (json_int_t)l.since_us, "wakes", (json_int_t)l.wakes, "thaws", (json_int_t)l.thaws,
			 "failures", (json_int_t)l.failures, "awake_us", (json_int_t)l.spent_us[LEDGER_AWAKE],
			 "frozen_us", (json_int_t)l.spent_us[LEDGER_FROZEN], "paged_us",
			 (json_int_t)l.spent_us[LEDGER_PAGED], "cold_us", (json_int_t)l.spent_us[LEDGER_COLD],
			 "saved_byte_hours", (json_int_t)(l.saved_kib_s * 1024 / 3600), "wake",
			 quantiles(&l.cold), "thaw", quantiles(&l.thaw));
}
