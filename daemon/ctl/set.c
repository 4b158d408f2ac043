/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "field.h"
#include "log.h"
#include "options.h"
#include "sites.h"

/* torporctl set: keys of one site, or of one slice. */

static json_t *settings_json(const struct options *options, int first)
{
	json_t *array = json_array();

	for (int i = first; i < options->n_arguments; i++)
		json_array_append_new(array, json_string(options->arguments[i]));
	return array;
}

/* What can be said without asking: a word that is no setting would be a site's name that was forgotten, or a
 * second one. */
static enum exit_code check(const struct options *options, int first)
{
	if (first >= options->n_arguments) {
		log_error("set: something is missing: torporctl set SITE KEY=VALUE...");
		return EXIT_USAGE;
	}
	for (int i = first; i < options->n_arguments; i++)
		if (!strchr(options->arguments[i], '=')) {
			log_error("set: %s: expected KEY=VALUE", options->arguments[i]);
			return EXIT_USAGE;
		}
	return EXIT_OK;
}

static void print(struct ctl *ctl, const char *name, const json_t *result)
{
	const char *file = field_text(&ctl->arena, result, "file"),
		   *missing = field_joined(&ctl->arena, result, "limits_not_in_force");

	terminal_print(&ctl->terminal, stdout,
		       arena_printf(&ctl->arena, "%s: set in %s\n", name, file ? file : "?"));
	if (missing)
		log_warning("not in force: %s", missing);
}

enum exit_code command_set(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	int first = options->slice ? 0 : 1;
	const char *site = options->slice ? NULL : sites_one(ctl);
	enum exit_code code = site || options->slice ? check(options, first) : EXIT_NO_SITE;
	struct reply reply;

	if (code == EXIT_OK)
		code = ctl_connect(ctl, CLIENT_NEVER);
	if (code != EXIT_OK)
		return code;
	code = ctl_call(ctl, "Set",
			json_pack("{s:s*, s:s*, s:o, s:b}", "site", site, "slice", options->slice, "settings",
				  settings_json(options, first), "persist",
				  (options->flags & OPTION_PERSIST) != 0),
			site, &reply);
	if (code == EXIT_OK && !json_is_object(reply.parameters))
		code = ctl_complain(ctl, -EBADMSG);
	else if (code == EXIT_OK && options->json)
		ctl_print_json(ctl, reply.parameters);
	else if (code == EXIT_OK)
		print(ctl, site ? site : options->slice, reply.parameters);
	reply_finish(&reply);
	return code;
}
