/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "command.h"
#include "field.h"
#include "log.h"
#include "options.h"
#include "sites.h"

/* torporctl cat, plan, reload: one question, one text. */

static enum exit_code show(struct ctl *ctl, const char *method, json_t *parameters, const char *site)
{
	struct reply reply;
	enum exit_code code = ctl_call(ctl, method, parameters, site, &reply);
	const char *text = field_raw(reply.parameters, "text");
	json_t *files = json_object_get(reply.parameters, "files");

	if (code == EXIT_OK && !text)
		code = ctl_complain(ctl, -EBADMSG);
	if (code == EXIT_OK && ctl->options->json) {
		ctl_print_json(ctl, reply.parameters);
	} else if (code == EXIT_OK) {
		for (size_t i = 0; i < json_array_size(files); i++) {
			const char *file = field_print(&ctl->arena, json_array_get(files, i));

			terminal_print(
				&ctl->terminal, stdout,
				arena_printf(&ctl->arena, MARK_DIM "# %s" MARK_PLAIN "\n", file ? file : "?"));
		}
		terminal_print_raw(stdout, text);
	}
	reply_finish(&reply);
	return code;
}

enum exit_code command_cat(struct ctl *ctl)
{
	const char *site = sites_one(ctl);
	enum exit_code code = site ? ctl_connect(ctl, CTL_TIMEOUT_US) : EXIT_NO_SITE;
	json_t *parameters;

	if (code != EXIT_OK)
		return code;
	parameters = json_pack("{s:s}", "site", site);
	if (ctl->options->flags & OPTION_ALL)
		json_object_set_new(parameters, "all", json_true());
	return show(ctl, "Cat", parameters, site);
}

enum exit_code command_plan(struct ctl *ctl)
{
	const char *site = sites_one(ctl);
	enum exit_code code = site ? ctl_connect(ctl, CTL_TIMEOUT_US) : EXIT_NO_SITE;

	return code == EXIT_OK ? show(ctl, "Plan", json_pack("{s:s}", "site", site), site) : code;
}

/* What a reload came to. A file that is not in force is a failure. */
static enum exit_code print_reload(struct ctl *ctl, const json_t *result)
{
	const json_t *errors = json_object_get(result, "file_errors");
	const char *loaded = field_count(&ctl->arena, result, "loaded");
	const char *changed = field_count(&ctl->arena, result, "changed");
	const char *removed = field_count(&ctl->arena, result, "removed");

	if (ctl->options->json)
		ctl_print_json(ctl, result);
	else
		printf("%s loaded, %s changed, %s removed\n", loaded ? loaded : "?", changed ? changed : "?",
		       removed ? removed : "?");
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *text = field_file_error(&ctl->arena, json_array_get(errors, i));

		log_error("not in force: %s", text ? text : "?");
	}
	return json_array_size(errors) > 0 ? EXIT_FAILED : EXIT_OK;
}

enum exit_code command_reload(struct ctl *ctl)
{
	enum exit_code code = ctl_connect(ctl, CLIENT_NEVER);
	struct reply reply;

	if (code != EXIT_OK)
		return code;
	code = ctl_call(ctl, "Reload", NULL, NULL, &reply);
	if (code == EXIT_OK && !json_is_object(reply.parameters))
		code = ctl_complain(ctl, -EBADMSG);
	if (code == EXIT_OK)
		code = print_reload(ctl, reply.parameters);
	reply_finish(&reply);
	return code;
}
