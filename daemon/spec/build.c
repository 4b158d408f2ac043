/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "binding.h"
#include "command.h"
#include "defaults.h"
#include "key.h"
#include "pack.h"
#include "resource-share.h"
#include "str.h"

/* A spec on its way. */
struct build {
	const struct build_input *input;
	struct arena arena;             /* all that is made on the way; gone in the end */
	struct site_spec spec;          /* points into the arena, the units and the input */
	struct resource_spec resources; /* what spec.resources points to */
	struct specifier_context specifiers;
	struct origin handover, bind, ambient, root_image, root_oci, parameters, overlay, dynamic_user,
		hibernate_on; /* where they were set last; file NULL: nowhere */
	struct diag *diag;
};

static int refuse_at(struct build *b, const struct origin *origin, const char *message)
{
	return diag_set(b->diag, -EINVAL, origin->file ? origin->file : b->input->path,
			origin->file ? origin->line : 0, "%s", message);
}

static int out_of_memory(struct build *b)
{
	return diag_set(b->diag, -ENOMEM, b->input->path, 0, "out of memory");
}

static void remember_origin(struct build *b, const struct setting *setting)
{
	if (setting->key->through)
		return;
	if (setting->key->offset == offsetof(struct site_spec, handover))
		b->handover = setting->origin;
	else if (setting->key->phase == KEY_BIND)
		b->bind = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, ambient_capabilities))
		b->ambient = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, root_image))
		b->root_image = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, root_oci))
		b->root_oci = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, parameters))
		b->parameters = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, overlay))
		b->overlay = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, dynamic_user))
		b->dynamic_user = setting->origin;
	else if (setting->key->offset == offsetof(struct site_spec, hibernate_on))
		b->hibernate_on = setting->origin;
}

static int apply_phase(struct build *b, enum key_phase phase)
{
	struct setting setting = {.target = &b->spec, .arena = &b->arena, .specifiers = &b->specifiers};

	for (size_t u = 0; u < b->input->n_units; u++) {
		const struct unit *unit = b->input->units[u];

		for (size_t i = 0; i < unit->n_assignments; i++) {
			const struct assignment *a = &unit->assignments[i];
			int error;

			if (!a->known || a->known->phase != phase)
				continue;
			error = key_apply(&setting, unit, a, b->diag);
			if (error < 0)
				return error;
			if (b->arena.used_bytes > BUILD_SCRATCH_BYTES)
				return diag_set(b->diag, -EINVAL, unit->path, a->line,
						"the site takes more than %d bytes to read",
						BUILD_SCRATCH_BYTES);
			remember_origin(b, &setting);
		}
	}
	return 0;
}

/* Names of descriptors are joined by ':' in LISTEN_FDNAMES. */
static int finish_fd_name(struct build *b)
{
	struct listener_spec *listeners = (void *)b->spec.listeners;
	char *name = (char *)b->spec.name;

	if (b->spec.n_listeners == 0 || listeners[0].fd_name)
		return 0;
	if (strchr(name, ':')) {
		name = arena_strdup(&b->arena, name);
		if (!name)
			return out_of_memory(b);
		for (char *colon = name; (colon = strchr(colon, ':'));)
			*colon = '_';
	}
	for (unsigned i = 0; i < b->spec.n_listeners; i++)
		listeners[i].fd_name = name;
	return 0;
}

/* The order of phases is the order in which specifiers come to know: %u and %g, %r and %R, then all. Binds
 * name listeners, which are whole by then. */
static int apply_all(struct build *b)
{
	static const struct address example = {.type = SOCK_STREAM};
	struct site_spec *spec = &b->spec;
	int error;

	b->specifiers = (struct specifier_context){.lookup = b->input->lookup, .name = b->input->name};
	error = apply_phase(b, KEY_TEMPLATE);
	if (error == 0)
		error = apply_phase(b, KEY_OWNER);
	if (error < 0)
		return error;
	b->specifiers.user = spec->user;
	b->specifiers.group = spec->group;
	b->specifiers.owner_known = true;
	error = apply_phase(b, KEY_LISTENER);
	if (error < 0)
		return error;
	b->specifiers.first = &example;
	if (spec->n_listeners > 0)
		b->specifiers.first = &spec->listeners[0].address;
	else if (!b->input->fragment)
		return diag_set(b->diag, -EINVAL, b->input->path, 0,
				"a site needs at least one ListenStream=, ListenDatagram= or "
				"ListenSequentialPacket= in [Socket], here or in a template");
	error = apply_phase(b, KEY_REST);
	if (error == 0)
		error = finish_fd_name(b);
	return error < 0 ? error : apply_phase(b, KEY_BIND);
}

static int finish_command(struct build *b)
{
	struct site_spec *spec = &b->spec;
	char message[COMMAND_MESSAGE_BYTES];
	int error;

	if (!spec->exec_start && spec->root_oci)
		spec->exec_origin = b->root_oci;
	if (!spec->exec_start)
		return b->input->fragment || spec->root_oci
			       ? 0
			       : diag_set(b->diag, -EINVAL, b->input->path, 0,
					  "a site needs an ExecStart= in [Container], here or in a "
					  "template");
	error = command_expand(spec->exec_start, spec->environment, &b->arena, &spec->exec_start, message);
	if (error == -ENOMEM)
		return out_of_memory(b);
	if (error < 0)
		return diag_set(b->diag, error, spec->exec_origin.file, spec->exec_origin.line,
				"ExecStart=: %s", message);
	return 0;
}

/* A bind that could mean two listeners: their own addresses differ, what BindAddress= and BindPort= say may
 * not.
 */
static int check_binds(struct build *b)
{
	const struct listener_spec *listeners = b->spec.listeners;
	char bind[ADDRESS_TEXT_BYTES], one[ADDRESS_TEXT_BYTES], other[ADDRESS_TEXT_BYTES];

	for (unsigned i = 0; i < b->spec.n_listeners; i++)
		for (unsigned k = 0; k < i; k++) {
			if ((!listeners[i].bind && !listeners[k].bind) ||
			    !binding_same(listener_bind(&listeners[i]), listener_bind(&listeners[k])))
				continue;
			return diag_set(b->diag, -EINVAL, b->bind.file, b->bind.line,
					"a bind to %s means two listeners, %s and %s; expected one",
					address_format(listener_bind(&listeners[i]), bind),
					address_format(&listeners[k].address, one),
					address_format(&listeners[i].address, other));
		}
	return 0;
}

static int check_handover(struct build *b)
{
	const struct site_spec *spec = &b->spec;
	bool bound = false;

	for (unsigned i = 0; i < spec->n_listeners; i++)
		bound |= spec->listeners[i].bind != NULL;
	if (spec->handover == HANDOVER_STDIN && spec->n_listeners > 1)
		return refuse_at(b, &b->handover,
				 "Handover=stdin hands over one listener, and the site has more; expected "
				 "auto, listen-fds or bind");
	if (bound && !handover_intercepts(spec->handover))
		return refuse_at(b, &b->bind,
				 "BindPort= and BindAddress= need Handover=auto or bind, and the site has "
				 "another; an empty BindPort= clears those of a template");
	return bound ? check_binds(b) : 0;
}

static int check_identity(struct build *b)
{
	if (b->spec.dynamic_user && b->spec.user)
		return refuse_at(b, &b->dynamic_user,
				 "DynamicUser=yes and User= are both set; expected one (an empty assignment "
				 "clears a template's)");
	return 0;
}

static int check_root(struct build *b)
{
	const struct site_spec *spec = &b->spec;

	if (spec->overlay && !spec_has_root(spec) && !b->input->fragment)
		return refuse_at(
			b, &b->overlay,
			"Overlay= needs a root of the site's own; expected RootDirectory=, RootImage= or "
			"RootOCI=");
	if (spec->root_directory && spec->root_image)
		return refuse_at(
			b, &b->root_image,
			"RootImage= and RootDirectory= are both set; expected one (an empty assignment "
			"clears a template's)");
	if (spec->root_oci && (spec->root_directory || spec->root_image))
		return refuse_at(b, &b->root_oci,
				 "RootOCI= and another root are both set; expected one (an empty assignment "
				 "clears a template's)");
	if (spec->parameters && !spec->root_oci && !b->input->fragment)
		return refuse_at(b, &b->parameters,
				 "Parameters= are for the program of an image; expected RootOCI=, or the "
				 "arguments in ExecStart=");
	return 0;
}

static int finish(struct build *b)
{
	struct site_spec *spec = &b->spec;
	int error = finish_command(b);

	if (error == 0)
		error = check_handover(b);
	if (error == 0)
		error = check_identity(b);
	if (error < 0)
		return error;
	error = check_root(b);
	if (error < 0)
		return error;
	if (spec->ambient_capabilities & ~spec->capabilities)
		return refuse_at(b, &b->ambient,
				 "AmbientCapabilities= names what CapabilityBoundingSet= does not; expected "
				 "only capabilities of both");
	if (spec->hibernate_on && spec->keep == KEEP_AWAKE)
		return refuse_at(
			b, &b->hibernate_on,
			"HibernateOnCalendar= and Keep=awake contradict each other; expected KeepAwakeSec= "
			"for a site that is kept awake in given hours");
	if (spec->type == TYPE_NOTIFY && spec->notify_access == NOTIFY_NONE)
		spec->notify_access = NOTIFY_MAIN;
	if (!spec->description)
		spec->description = spec->name;
	if (!spec->syslog_identifier)
		spec->syslog_identifier = spec->name;
	return 0;
}

static void pack_spec(struct site_spec *spec, struct pack *pack)
{
	const char *name = spec->name;

	pack->shared = name;
	spec->name = pack_string(pack, name);
	spec->templates = pack_strings(pack, spec->templates);
	for (size_t i = 0; i < site_keys.n_keys; i++)
		if (site_keys.keys[i].type->copy && !site_keys.keys[i].through)
			site_keys.keys[i].type->copy(&site_keys.keys[i], spec, pack);
}

/* The spec as one block: the struct, its arrays, its strings. NULL when out of memory. */
static struct site_spec *pack_build(const struct build *b)
{
	struct site_spec counted = b->spec, *spec;
	struct pack pack = {.array_bytes = (sizeof *spec + 7) & ~(size_t)7};

	pack_spec(&counted, &pack);
	pack.block = malloc(pack.array_bytes + pack.string_bytes);
	if (!pack.block)
		return NULL;
	spec = (void *)pack.block;
	*spec = b->spec;
	pack.strings_at = pack.array_bytes;
	pack.array_bytes = (sizeof *spec + 7) & ~(size_t)7;
	pack.string_bytes = 0;
	pack.shared_copy = NULL;
	pack_spec(spec, &pack);
	return spec;
}

int build_spec(const struct build_input *input, struct site_spec **ret, struct diag *diag)
{
	const struct site_spec *defaults = defaults_site();
	struct build b = {.input = input, .diag = diag};
	int error;

	arena_init(&b.arena);
	b.spec = *defaults;
	b.resources = *defaults->resources;
	b.spec.resources = &b.resources;
	b.spec.name = input->name;
	b.spec.templates = input->templates && input->templates[0] ? input->templates : NULL;
	error = apply_all(&b);
	if (error == 0)
		error = finish(&b);
	if (error == 0) {
		struct site_spec *spec = pack_build(&b);

		if (!spec || resource_share(&b.resources, spec) < 0)
			error = out_of_memory(&b);
		if (error == 0)
			*ret = spec;
		else
			free(spec);
	}
	arena_finish(&b.arena);
	return error;
}
