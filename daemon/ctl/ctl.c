/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include "dump.h"
#include "log.h"
#include "options.h"

uint64_t ctl_timeout(const struct ctl *ctl, uint64_t otherwise_us)
{
	return ctl->options->has_timeout ? ctl->options->timeout_us : otherwise_us;
}

enum exit_code ctl_complain(struct ctl *ctl, int error)
{
	const char *text = reply_describe_trouble(&ctl->arena, error, ctl->options->run_dir);

	log_error("%s", text ? text : "out of memory");
	return reply_trouble_exit_code(error);
}

enum exit_code ctl_complain_reply(struct ctl *ctl, const struct reply *reply, const char *site)
{
	const char *text = reply_describe(&ctl->arena, reply, site);

	log_error("%s", text ? text : "out of memory");
	return reply_exit_code(reply);
}

enum exit_code ctl_connect(struct ctl *ctl, uint64_t timeout_us)
{
	int r = client_connect(&ctl->client, ctl->options->run_dir, ctl_timeout(ctl, timeout_us));

	return r < 0 ? ctl_complain(ctl, r) : EXIT_OK;
}

enum exit_code ctl_call(struct ctl *ctl, const char *method, json_t *parameters, const char *site,
			struct reply *ret)
{
	int r = client_send(&ctl->client, method, parameters, 0);

	*ret = (struct reply){0};
	if (r >= 0)
		r = client_wait(&ctl->client, ret);
	if (r < 0)
		return ctl_complain(ctl, r);
	return ret->error ? ctl_complain_reply(ctl, ret, site) : EXIT_OK;
}

json_t *ctl_error_object(const char *site, const struct reply *reply)
{
	json_t *object = json_object(), *error = json_object_get(reply->message, "error");

	if (site)
		json_object_set_new(object, "site", json_string(site));
	if (error)
		json_object_set(object, "error", error);
	else
		json_object_set_new(object, "error", json_string("NoAnswer"));
	if (reply->parameters)
		json_object_set(object, "parameters", (json_t *)reply->parameters);
	return object;
}

void ctl_print_json(const struct ctl *ctl, const json_t *value)
{
	dump_print(value, ctl->terminal.is_terminal, stdout);
}
