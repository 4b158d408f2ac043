/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reply.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "field.h"
#include "protocol.h"
#include "str.h"

#define VARLINK_INTERFACE "org.varlink.service"

static const char *without_interface(const char *error)
{
	static const char *const interfaces[] = {PROTOCOL_INTERFACE ".", VARLINK_INTERFACE "."};

	for (size_t i = 0; i < 2; i++)
		if (strncmp(error, interfaces[i], strlen(interfaces[i])) == 0)
			return error + strlen(interfaces[i]);
	return error;
}

void reply_init(struct reply *reply, json_t *message)
{
	const json_t *error = json_object_get(message, "error");

	*reply = (struct reply){.message = message, .parameters = json_object_get(message, "parameters")};
	reply->continues = json_is_true(json_object_get(message, "continues"));
	if (json_is_string(error))
		reply->error = without_interface(json_string_value(error));
	else if (error && !json_is_null(error))
		reply->error = "an error without a name";
}

void reply_finish(struct reply *reply)
{
	json_decref(reply->message);
	*reply = (struct reply){0};
}

enum exit_code reply_exit_code(const struct reply *reply)
{
	if (!reply->error)
		return EXIT_OK;
	if (str_equal(reply->error, "NoSuchSite") || str_equal(reply->error, "NoSuchSlice"))
		return EXIT_NO_SITE;
	if (str_equal(reply->error, "PermissionDenied"))
		return EXIT_DENIED;
	if (str_equal(reply->error, "NoSuchState"))
		return EXIT_USAGE;
	return EXIT_FAILED;
}

static const char *describe_start_failed(struct arena *arena, const json_t *parameters, const char *site)
{
	return arena_printf(arena, "site %s: %s. More: torporctl status %s", site,
			    field_failed_step(arena, parameters), site);
}

static const char *describe_not_possible(struct arena *arena, const json_t *parameters, const char *site)
{
	const char *state = field_text(arena, parameters, "state"),
		   *why = field_text(arena, parameters, "reason");

	return arena_printf(arena, "site %s: not possible while it is %s%s%s", site,
			    state && *state ? state : "in this state", why && *why ? ": " : "", why ? why : "");
}

const char *reply_describe(struct arena *arena, const struct reply *reply, const char *site)
{
	const char *name = reply->error, *text = NULL;

	if (!site)
		site = field_text(arena, reply->parameters, "site");
	if (!site)
		site = "?";
	if (str_equal(name, "NoSuchSite"))
		return arena_printf(arena, "there is no site %s. All of them: torporctl list", site);
	if (str_equal(name, "NoSuchState"))
		return arena_printf(arena,
				    "there is no state %s. There are: cold, starting, awake, freezing, frozen, "
				    "paging, paged, stopping, failed",
				    (text = field_text(arena, reply->parameters, "state")) ? text : "?");
	if (str_equal(name, "PermissionDenied"))
		return "torpord refuses: only root may change things; members of the group that ControlGroup= "
		       "in "
		       "torpor.conf names may look";
	if (str_equal(name, "NoSuchSlice"))
		return arena_printf(arena, "there is no slice %s: write its file into slices/ first",
				    (text = field_text(arena, reply->parameters, "slice")) ? text : "?");
	if (str_equal(name, "SettingRefused"))
		return arena_printf(arena, "nothing was changed: %s",
				    (text = field_file_error(arena, reply->parameters)) ? text : "?");
	if (str_equal(name, "StartFailed"))
		return describe_start_failed(arena, reply->parameters, site);
	if (str_equal(name, "NotPossible"))
		return describe_not_possible(arena, reply->parameters, site);
	if (str_equal(name, "Busy"))
		return arena_printf(
			arena, "torpord is busy, try again: %s",
			(text = field_text(arena, reply->parameters, "reason")) ? text : "no reason given");
	if (str_equal(name, "MethodNotFound") || str_equal(name, "MethodNotImplemented") ||
	    str_equal(name, "InterfaceNotFound") || str_equal(name, "InvalidParameter"))
		return arena_printf(
			arena,
			"torpord does not understand this call (%s): is it another version than this torporctl "
			"(" TORPOR_VERSION ")?",
			name);
	text = field_escape(arena, name);
	return arena_printf(arena, "torpord answered with an error: %s", text ? text : "?");
}

const char *reply_describe_trouble(struct arena *arena, int error, const char *run_dir)
{
	const char *dir = field_escape(arena, run_dir);

	if (!dir)
		dir = "?";
	switch (-error) {
	case EACCES:
	case EPERM:
		return arena_printf(
			arena,
			"no permission for %s/control: be root, or a member of the group that ControlGroup= in "
			"torpor.conf names",
			dir);
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
	case ENOTSOCK:
	case EPROTOTYPE:
		return arena_printf(
			arena,
			"torpord is not running, or %s/control is not its socket: %s. Start it with: systemctl "
			"start torpor",
			dir, strerror(-error));
	case ETIMEDOUT:
		return arena_printf(arena, "torpord did not answer in time on %s/control", dir);
	case ECONNRESET:
		return "torpord closed the connection before it had answered";
	case EBADMSG:
	case EPROTO:
		return arena_printf(arena, "what answers on %s/control does not speak the protocol of torpord",
				    dir);
	case EMSGSIZE:
		return arena_printf(
			arena,
			"torpord's answer is too large: more than %d MiB in one message, or too many sites",
			PROTOCOL_REPLY_BYTES >> 20);
	default:
		return arena_printf(arena, "cannot talk to torpord on %s/control: %s", dir, strerror(-error));
	}
}

enum exit_code reply_trouble_exit_code(int error)
{
	return error == -EACCES || error == -EPERM ? EXIT_DENIED : EXIT_UNREACHABLE;
}
