/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "environment.h"

#include <errno.h>
#include <string.h>

#include "mounts.h"
#include "plan.h"

const char *const environment_search_path[] = {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/",
					       "/sbin/",           "/bin/",           NULL};

static size_t name_length(const char *assignment)
{
	return strcspn(assignment, "=");
}

static bool overridden(const char *const *later, const char *assignment)
{
	size_t length = name_length(assignment) + 1;

	for (; later && *later; later++)
		if (strncmp(*later, assignment, length) == 0)
			return true;
	return false;
}

/* "name:name:name", one for each listener. */
static char *listen_fdnames(struct launch_plan *plan)
{
	const struct site_spec *spec = plan->spec;
	size_t bytes = sizeof "LISTEN_FDNAMES=";
	char *text, *at;

	for (unsigned i = 0; i < spec->n_listeners; i++)
		bytes += strlen(spec->listeners[i].fd_name) + 1;
	text = arena_alloc(&plan->arena, bytes);
	if (!text)
		return NULL;
	at = stpcpy(text, "LISTEN_FDNAMES=");
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		if (i > 0)
			*at++ = ':';
		at = stpcpy(at, spec->listeners[i].fd_name);
	}
	return text;
}

int environment_compile(struct launch_plan *plan, const struct environment_account *account)
{
	const struct site_spec *spec = plan->spec;
	struct arena *arena = &plan->arena;
	const char *defaults[12];
	const char **envp;
	const char *const *image = plan->oci ? plan->oci->image->environment : NULL;
	size_t n_defaults = 0, n_weak, n_own = 0, n_image = 0, n = 0;

	/* A root of the site's own need not be one where /bin is /usr/bin. */
	defaults[n_defaults++] = spec_has_root(spec)
					 ? "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
					 : "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
	if ((spec->user || plan->oci) && *account->user) {
		defaults[n_defaults++] = arena_printf(arena, "USER=%s", account->user);
		defaults[n_defaults++] = arena_printf(arena, "LOGNAME=%s", account->user);
		defaults[n_defaults++] = arena_printf(arena, "HOME=%s", account->home);
		defaults[n_defaults++] = arena_printf(arena, "SHELL=%s", account->shell);
	}
	n_weak = n_defaults; /* an image may say otherwise; what follows only the unit may */
	if (handover_offers(spec->handover)) {
		defaults[n_defaults++] = spec->n_listeners == 1
						 ? "LISTEN_FDS=1"
						 : arena_printf(arena, "LISTEN_FDS=%u", spec->n_listeners);
		defaults[n_defaults++] = "LISTEN_PID=1";
		defaults[n_defaults++] = listen_fdnames(plan);
	}
	if (spec->notify_access != NOTIFY_NONE)
		defaults[n_defaults++] = "NOTIFY_SOCKET=" CONTAINER_NOTIFY_SOCKET;
	defaults[n_defaults] = NULL;
	while (spec->environment && spec->environment[n_own])
		n_own++;
	while (image && image[n_image])
		n_image++;
	envp = arena_alloc(arena, (n_defaults + n_image + n_own + 1) * sizeof *envp);
	if (!envp)
		return -ENOMEM;
	for (size_t i = 0; i < n_defaults; i++) {
		if (!defaults[i])
			return -ENOMEM;
		if (!overridden(spec->environment, defaults[i]) &&
		    !(i < n_weak && overridden(image, defaults[i])))
			envp[n++] = defaults[i];
	}
	for (size_t i = 0; i < n_image; i++)
		if (!overridden(spec->environment, image[i]) && !overridden(image + i + 1, image[i]) &&
		    !overridden(defaults + n_weak, image[i]))
			envp[n++] = image[i];
	for (size_t i = 0; i < n_own; i++)
		if (!overridden(spec->environment + i + 1, spec->environment[i]))
			envp[n++] = spec->environment[i];
	plan->envp = envp;
	return 0;
}
