/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"
#include "wake.h"

void admission_finish(struct admission *admission)
{
	free(admission->waiting);
	*admission = (struct admission){0};
}

static bool has_room(const struct admission *admission)
{
	return admission->starting < (admission->narrow ? 1 : admission->limit);
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

int admission_request(struct admission *admission, struct run *run)
{
	unsigned at = admission->n_waiting;

	if (has_room(admission)) {
		start(admission, run);
		return 0;
	}
	if (admission->n_waiting == admission->size) {
		unsigned want = admission->size ? admission->size * 2 : 64;
		struct run **grown = realloc(admission->waiting, want * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		admission->waiting = grown;
		admission->size = want;
	}
	while (at > 0 && priority(admission->waiting[at - 1]) < priority(run))
		at--;
	memmove(&admission->waiting[at + 1], &admission->waiting[at],
		(admission->n_waiting - at) * sizeof(admission->waiting[0]));
	admission->waiting[at] = run;
	admission->n_waiting++;
	run->queued = true;
	return 0;
}

static struct run *take(struct admission *admission, unsigned at)
{
	struct run *run = admission->waiting[at];

	admission->n_waiting--;
	memmove(&admission->waiting[at], &admission->waiting[at + 1],
		(admission->n_waiting - at) * sizeof(admission->waiting[0]));
	run->queued = false;
	return run;
}

static void start_waiting(struct admission *admission)
{
	while (has_room(admission) && admission->n_waiting > 0) {
		start(admission, take(admission, 0));
	}
}

void admission_narrow(struct admission *admission, bool narrow)
{
	admission->narrow = narrow;
	start_waiting(admission);
}

void admission_release(struct admission *admission, struct run *run)
{
	if (run->queued) {
		for (unsigned i = 0; i < admission->n_waiting; i++)
			if (admission->waiting[i] == run) {
				take(admission, i);
				break;
			}
		return;
	}
	if (!run->admitted)
		return;
	run->admitted = false;
	admission->starting--;
	start_waiting(admission);
}
