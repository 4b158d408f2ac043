/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "cleanup.h"
#include "command.h"
#include "log.h"
#include "options.h"
#include "torpord.h"

/* torporctl verify: torpord checks the files. It runs in our place, and its exit code is ours. */

enum exit_code command_verify(struct ctl *ctl)
{
	const char *const own[] = {"--verify", ctl->options->json ? "--json" : NULL, NULL};
	autofree char **arguments = torpord_arguments(ctl, own);

	if (!arguments)
		log_error("out of memory");
	else
		torpord_become(ctl, arguments);
	return EXIT_FAILED;
}
