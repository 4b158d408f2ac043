/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "state.h"

static void entry_finish(struct journal_entry *entry)
{
	free(entry->site);
	free(entry->detail);
}

void journal_finish(struct journal *journal)
{
	for (unsigned i = 0; i < journal->n; i++)
		entry_finish(&journal->entries[i]);
	free(journal->entries);
	*journal = (struct journal){0};
}

void journal_add(struct journal *journal, const struct journal_entry *entry)
{
	struct journal_entry copy = *entry, *place;

	if (!journal->entries)
		journal->entries = calloc(JOURNAL_ENTRIES, sizeof *journal->entries);
	copy.site = strdup(entry->site);
	copy.detail = entry->detail ? strdup(entry->detail) : NULL;
	if (!journal->entries || !copy.site) {
		entry_finish(&copy);
		return;
	}
	place = &journal->entries[(journal->first + journal->n) % JOURNAL_ENTRIES];
	if (journal->n == JOURNAL_ENTRIES) {
		entry_finish(place);
		journal->first = (journal->first + 1) % JOURNAL_ENTRIES;
	} else {
		journal->n++;
	}
	*place = copy;
}

const struct journal_entry *journal_at(const struct journal *journal, unsigned i)
{
	return &journal->entries[(journal->first + i) % JOURNAL_ENTRIES];
}

json_t *journal_event(const struct journal_entry *entry)
{
	json_t *event = json_pack("{s:I, s:s, s:s, s:s, s:s}", "time_us", (json_int_t)entry->time_us, "site",
				  entry->site, "from", site_rule(entry->from)->name, "to",
				  site_rule(entry->to)->name, "reason", entry->by ? entry->by : "");

	if (event && entry->took_us)
		json_object_set_new(event, "took_us", json_integer((json_int_t)entry->took_us));
	if (event && entry->detail)
		json_object_set_new(event, "detail", report_string(entry->detail));
	return event;
}
