/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "journal.h"
#include "state.h"

static void add(struct journal *journal, unsigned number, char *detail)
{
	char site[32];

	snprintf(site, sizeof site, "site-%u", number);
	journal_add(journal, &(struct journal_entry){
				     .time_us = 1000 + number,
				     .took_us = number % 2,
				     .site_id = number,
				     .site = site,
				     .by = "connection",
				     .detail = detail,
				     .from = STATE_COLD,
				     .to = STATE_STARTING,
			     });
}

static void keeps_the_last(void **state)
{
	struct journal journal = {0};

	(void)state;
	for (unsigned i = 0; i < JOURNAL_ENTRIES + 10; i++)
		add(&journal, i, NULL);
	assert_int_equal(journal.n, JOURNAL_ENTRIES);
	assert_int_equal(journal_at(&journal, 0)->site_id, 10);
	assert_string_equal(journal_at(&journal, 0)->site, "site-10");
	assert_int_equal(journal_at(&journal, JOURNAL_ENTRIES - 1)->site_id, JOURNAL_ENTRIES + 9);
	journal_finish(&journal);
	assert_int_equal(journal.n, 0);
}

static void is_an_event(void **state)
{
	struct journal journal = {0};
	char detail[] = "died of \xff";
	json_t *event;

	(void)state;
	add(&journal, 1, detail);
	detail[0] = 'x'; /* it has copies of its own */
	event = journal_event(journal_at(&journal, 0));
	assert_string_equal(json_string_value(json_object_get(event, "from")), "cold");
	assert_string_equal(json_string_value(json_object_get(event, "to")), "starting");
	assert_string_equal(json_string_value(json_object_get(event, "reason")), "connection");
	assert_string_equal(json_string_value(json_object_get(event, "detail")), "died of \\xff");
	assert_int_equal(json_integer_value(json_object_get(event, "took_us")), 1);
	assert_int_equal(json_integer_value(json_object_get(event, "time_us")), 1001);
	json_decref(event);
	add(&journal, 2, NULL);
	event = journal_event(journal_at(&journal, 1));
	assert_null(json_object_get(event, "detail"));
	assert_null(json_object_get(event, "took_us"));
	json_decref(event);
	journal_finish(&journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_last),
		cmocka_unit_test(is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
