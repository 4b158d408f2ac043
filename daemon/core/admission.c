/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"
#include "wake.h"

void admission_finish(struct admission *admission)
{
	free(admission->places);
	*admission = (struct admission){0};
}

static bool has_room(const struct admission *admission)
{
	if (admission->closed)
		return false;
	if (admission->narrow)
		return admission->starting + admission->opening == 0;
	return admission->starting < admission->limit && admission->opening < admission->limit;
}

bool admission_is_crowded(const struct admission *admission)
{
	return admission->starting > 1 || admission->opening > 0 || admission->n_waiting > 0;
}

static int priority(const struct run *run)
{
	return run->plan->spec->priority;
}

static void start(struct admission *admission, struct run *run)
{
	admission->starting++;
	run->admitted = true;
	wake_launch(run->site);
}

/* Whether two runs are of one outermost slice, or of none both. */
static bool same_slice(const struct run *a, const struct run *b)
{
	const char *one = a->plan->spec->slice ? a->plan->spec->slice : "";
	const char *other = b->plan->spec->slice ? b->plan->spec->slice : "";
	size_t length = strcspn(one, "-");

	return length == strcspn(other, "-") && memcmp(one, other, length) == 0;
}

/* The turn after its slice's last among those that wait with the same priority; where there is none of it, the
 * turn of whoever is first among them. */
static unsigned next_turn(const struct admission *admission, const struct run *run)
{
	unsigned turn = 0;

	for (unsigned i = admission->n_waiting; i-- > 0;) {
		const struct admission_place *place = &admission->waiting[i];

		if (priority(place->run) > priority(run))
			break;
		if (priority(place->run) < priority(run))
			continue;
		if (same_slice(place->run, run))
			return place->turn + 1;
		turn = place->turn;
	}
	return turn;
}

static bool goes_before(const struct admission_place *a, const struct admission_place *b)
{
	if (priority(a->run) != priority(b->run))
		return priority(a->run) > priority(b->run);
	return a->turn < b->turn;
}

/* Room for one more behind the last: what those who have gone have left in front, once it is half of all, or
 * more memory. */
static int make_room(struct admission *admission)
{
	unsigned gone = (unsigned)(admission->waiting - admission->places);
	unsigned want = admission->size ? admission->size * 2 : 64;
	struct admission_place *grown;

	if (gone + admission->n_waiting < admission->size)
		return 0;
	if (gone > 0 && gone >= admission->size / 2) {
		memmove(admission->places, admission->waiting, admission->n_waiting * sizeof(*grown));
		admission->waiting = admission->places;
		return 0;
	}
	grown = realloc(admission->places, want * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	admission->places = grown;
	admission->waiting = grown + gone;
	admission->size = want;
	return 0;
}

int admission_request(struct admission *admission, struct run *run)
{
	struct admission_place place = {.run = run};
	unsigned at = admission->n_waiting;

	if (!admission->going_on && has_room(admission)) {
		start(admission, run);
		return 0;
	}
	if (make_room(admission) < 0)
		return -ENOMEM;
	place.turn = next_turn(admission, run);
	while (at > 0 && goes_before(&place, &admission->waiting[at - 1]))
		at--;
	memmove(&admission->waiting[at + 1], &admission->waiting[at],
		(admission->n_waiting - at) * sizeof(admission->waiting[0]));
	admission->waiting[at] = place;
	admission->n_waiting++;
	run->queued = true;
	return 0;
}

static struct run *take(struct admission *admission, unsigned at)
{
	struct run *run = admission->waiting[at].run;

	admission->n_waiting--;
	if (at == 0)
		admission->waiting++;
	else
		memmove(&admission->waiting[at], &admission->waiting[at + 1],
			(admission->n_waiting - at) * sizeof(admission->waiting[0]));
	run->queued = false;
	return run;
}

void admission_go_on(struct admission *admission)
{
	if (admission->going_on)
		return;
	admission->going_on = true;
	while (has_room(admission) && admission->n_waiting > 0)
		start(admission, take(admission, 0));
	admission->going_on = false;
}

void admission_close(struct admission *admission)
{
	admission->closed = true;
}

void admission_narrow(struct admission *admission, bool narrow)
{
	admission->narrow = narrow;
	admission_go_on(admission);
}

void admission_give_up(struct admission *admission, struct run *run)
{
	if (!run->admitted)
		return;
	run->admitted = false;
	admission->starting--;
}

void admission_release(struct admission *admission, struct run *run)
{
	if (run->queued) {
		for (unsigned i = 0; i < admission->n_waiting; i++)
			if (admission->waiting[i].run == run) {
				take(admission, i);
				break;
			}
		return;
	}
	if (!run->admitted)
		return;
	admission_give_up(admission, run);
	admission_go_on(admission);
}
