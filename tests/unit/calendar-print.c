/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* calendar-print EXPRESSION AFTER N: the next N instants of a calendar after a second since the epoch, a line
 * each; what was expected instead on the standard error, with exit 1. In the zone of $TZ. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "calendar.h"

int main(int argc, char **argv)
{
	struct calendar calendar;
	const char *message;
	uint64_t at;

	if (argc != 4)
		return 2;
	if (calendar_parse(argv[1], &calendar, &message) < 0) {
		fprintf(stderr, "%s\n", message);
		return 1;
	}
	at = strtoull(argv[2], NULL, 10) * 1000000;
	for (int n = atoi(argv[3]); n > 0; n--) {
		at = calendar_next(&calendar, at);
		if (at == CALENDAR_NEVER)
			break;
		printf("%" PRIu64 "\n", at / 1000000);
	}
	return 0;
}
