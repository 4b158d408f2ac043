/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "cleanup.h"
#include "cni-config.h"
#include "config.h"
#include "environment.h"
#include "listener.h"
#include "plan.h"
#include "str.h"

#define DEPTH_MAX 8

/* A listener that a file has claimed. */
struct claim {
	UT_hash_handle hh;
	struct address address; /* the key */
	char *file, *site;      /* owned */
};

struct verify {
	const struct lookup *lookup;
	struct host host;
	struct planner planner;
	struct config config; /* read where a site names a network */
	struct claim *claims;
	json_t *errors; /* NULL: print as they come */
	unsigned checked, failed;
};

/* Names and messages may hold any byte; JSON holds characters. */
static json_t *json_text(const char *text)
{
	json_t *json = json_string(text);
	char escaped[2100];

	if (json)
		return json;
	str_escape(text, escaped, sizeof escaped);
	return json_string(escaped);
}

static void report(struct verify *verify, const struct diag *diag)
{
	char text[1100];

	verify->failed++;
	if (verify->errors) {
		json_array_append_new(verify->errors,
				      json_pack("{s:o, s:i, s:o}", "file", json_text(diag->file), "line",
						(int)diag->line, "message", json_text(diag->message)));
	} else {
		fprintf(stderr, "%s\n", diag_format(diag, text, sizeof text));
	}
}

static void warn(const struct verify *verify, const char *file, unsigned line, const char *message,
		 const char *what)
{
	struct diag diag;
	char text[1100];

	if (verify->errors)
		return;
	diag_set(&diag, 0, file, line, "warning: %s: %s", what, message);
	fprintf(stderr, "%s\n", diag_format(&diag, text, sizeof text));
}

static void claim_free(struct claim *claim)
{
	if (!claim)
		return;
	free(claim->file);
	free(claim->site);
	free(claim);
}

/* A disabled site claims nothing, and a site that is met again (in another lookup folder) nothing of its own.
 */
static int claim_listeners(struct verify *verify, const struct site_spec *spec, const char *path,
			   struct diag *diag)
{
	char text[ADDRESS_TEXT_BYTES];

	for (unsigned i = 0; spec->enabled && i < spec->n_listeners; i++) {
		const struct address *address = &spec->listeners[i].address;
		struct claim *claim;

		HASH_FIND(hh, verify->claims, address, sizeof *address, claim);
		if (claim && str_equal(claim->site, spec->name))
			continue;
		if (claim)
			return diag_set(diag, -EADDRINUSE, path, 0, "listener %s is already claimed by %s",
					address_format(address, text), claim->file);
		claim = calloc(1, sizeof *claim);
		if (!claim || !(claim->file = strdup(path)) || !(claim->site = strdup(spec->name))) {
			claim_free(claim);
			return diag_set(diag, -ENOMEM, path, 0, "out of memory");
		}
		claim->address = *address;
		HASH_ADD(hh, verify->claims, address, sizeof claim->address, claim);
	}
	return 0;
}

/* A program that is not there may be installed later: said, not refused. */
static void check_program(const struct verify *verify, const struct site_spec *spec)
{
	const char *program;
	char path[PATH_MAX];

	if (spec_has_root(spec)) /* where another's files are */
		return;
	program = spec->exec_start[0];
	if (strchr(program, '/')) {
		bool bound = false;

		for (unsigned i = 0; i < spec->n_mounts; i++)
			bound |= spec->mounts[i].target &&
				 strncmp(program, spec->mounts[i].target, strlen(spec->mounts[i].target)) == 0;
		if (!bound && access(program, X_OK) < 0)
			warn(verify, spec->exec_origin.file, spec->exec_origin.line, strerror(errno), program);
		return;
	}
	for (const char *const *folder = environment_search_path; *folder; folder++) {
		snprintf(path, sizeof path, "%s%s", *folder, program);
		if (access(path, X_OK) == 0)
			return;
	}
	warn(verify, spec->exec_origin.file, spec->exec_origin.line, "no such program", program);
}

/* What a start would find out before it calls the first plugin. */
static int check_network(struct verify *verify, const struct site_spec *spec, const char *path,
			 struct diag *diag)
{
	struct cni_network network = {0};
	struct diag wrong = {0};
	char text[400];
	int r;

	if (!spec_names_network(spec))
		return 0;
	r = verify->config.network_config_path ? 0 : config_load(verify->lookup, &verify->config, diag);
	if (r < 0)
		return r;
	r = cni_network_find(verify->config.network_config_path, spec->network, &network, &wrong);
	if (r == 0)
		r = cni_network_check(&network, verify->config.network_plugin_path, &wrong);
	cni_network_finish(&network);
	return r < 0 ? diag_set(diag, r, path, 0, "Network=%s: %s", spec->network,
				diag_format(&wrong, text, sizeof text))
		     : 0;
}

/* What would be found out before a unix socket is bound. */
static int check_owner(const struct site_spec *spec, struct diag *diag)
{
	struct listener_owner owner;

	for (unsigned i = 0; i < spec->n_listeners; i++)
		if (address_path(&spec->listeners[i].address))
			return listener_find_owner(spec, &owner, diag);
	return 0;
}

static int check_site(struct verify *verify, const char *path, struct diag *diag)
{
	struct launch_plan *plan = NULL;
	struct site_spec *spec;
	int r = spec_load_file(verify->lookup, path, &spec, diag);

	if (r < 0)
		return r;
	r = claim_listeners(verify, spec, path, diag);
	if (r == 0)
		r = plan_create(&verify->planner, spec, &plan, diag);
	if (r < 0) {
		spec_free(spec);
		return r;
	}
	r = check_owner(spec, diag);
	if (r == 0)
		r = check_network(verify, spec, path, diag);
	if (r == 0)
		check_program(verify, spec);
	plan_unref(plan);
	return r;
}

static int check_slice(struct verify *verify, const char *path, struct diag *diag)
{
	(void)verify;
	return slice_check_file(path, diag);
}

static int check_fragment(struct verify *verify, const char *path, struct diag *diag)
{
	return spec_check_fragment(verify->lookup, path, diag);
}

static int check_config(struct verify *verify, const char *path, struct diag *diag)
{
	(void)verify;
	return config_check_file(path, diag);
}

/* What torpord reads, by the name of the file, or by that of the folder of drop-ins that a file NAME.conf is
 * in. With a '.' before it, it is how the name ends. */
static const struct kind {
	const char *file, *folder;
	int (*check)(struct verify *verify, const char *path, struct diag *diag);
} kinds[] = {
	{".site", NULL, check_site},
	{NULL, ".site.d", check_fragment},
	{".template", ".template.d", check_fragment},
	{".slice", ".slice.d", check_slice},
	{"torpor.conf", "torpor.conf.d", check_config},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static bool is_called(const char *name, const char *like)
{
	return like && (*like == '.' ? str_has_suffix(name, like) : str_equal(name, like));
}

/* The last name of a path, and that of the folder before it. */
static const char *split(const char *path, char folder[static NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	size_t end = slash ? (size_t)(slash - path) : 0, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/';)
		start--;
	snprintf(folder, NAME_MAX + 1, "%.*s", (int)(end - start), path + start);
	return slash ? slash + 1 : path;
}

/* The folder counts first: a drop-in may have any name. NULL: torpord does not read it. */
static const struct kind *find_kind(const char *path)
{
	char folder[NAME_MAX + 1];
	const char *base = split(path, folder);

	for (size_t i = 0; i < N_KINDS && str_has_suffix(base, ".conf"); i++)
		if (is_called(folder, kinds[i].folder))
			return &kinds[i];
	for (size_t i = 0; i < N_KINDS; i++)
		if (is_called(base, kinds[i].file))
			return &kinds[i];
	return NULL;
}

static void check_path(struct verify *verify, const char *path, unsigned depth, bool named);

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void check_folder(struct verify *verify, const char *path, unsigned depth)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, compare_entries);

	if (n < 0) {
		struct diag diag;

		diag_set(&diag, 0, path, 0, "%s", strerror(errno));
		report(verify, &diag);
		return;
	}
	for (int i = 0; i < n; i++) {
		char child[PATH_MAX];

		if (entries[i]->d_name[0] != '.' &&
		    snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name) < (int)sizeof child)
			check_path(verify, child, depth + 1, false);
		free(entries[i]);
	}
	free(entries);
}

/* A unit is read with its drop-ins, torpor.conf is not: they are files of their own, and all are checked. */
static void check_drop_ins(struct verify *verify, const char *path, unsigned depth)
{
	char folder[PATH_MAX];
	struct stat st;

	if (snprintf(folder, sizeof folder, "%s.d", path) < (int)sizeof folder && stat(folder, &st) == 0 &&
	    S_ISDIR(st.st_mode))
		check_folder(verify, folder, depth);
}

/* Files that somebody named have to be units; others in a folder need not. */
static void check_path(struct verify *verify, const char *path, unsigned depth, bool named)
{
	const struct kind *kind = find_kind(path);
	struct diag diag = {0};
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (there && S_ISDIR(st.st_mode)) {
		if (depth < DEPTH_MAX)
			check_folder(verify, path, depth);
	} else if (!named && (!kind || (there && lookup_masked(&st)))) {
		return;
	} else if (!kind) {
		diag_set(&diag, 0, path, 0,
			 "expected the name of a unit: NAME.site, NAME.template, NAME.slice, "
			 "NAME.site.d/NAME.conf, torpor.conf or torpor.conf.d/NAME.conf");
		report(verify, &diag);
	} else {
		verify->checked++;
		if (kind->check(verify, path, &diag) < 0)
			report(verify, &diag);
		if (named && kind->check == check_config)
			check_drop_ins(verify, path, depth);
	}
}

int verify_files(const struct lookup *lookup, char **paths, bool json)
{
	struct verify verify = {.lookup = lookup};
	struct claim *claim, *next;

	if (host_probe(&verify.host) < 0) {
		fputs("torpord: the host cannot be read\n", stderr);
		return EXIT_FAILURE;
	}
	verify.host.run_dir = lookup->dirs[1];
	planner_init(&verify.planner, &verify.host);
	verify.errors = json ? json_array() : NULL;
	for (; *paths; paths++)
		check_path(&verify, *paths, 0, true);
	if (json) {
		json_dumpf(verify.errors, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(verify.errors);
	} else if (verify.failed == 0) {
		printf("%u units checked, no error\n", verify.checked);
	}
	HASH_ITER(hh, verify.claims, claim, next)
	{
		HASH_DEL(verify.claims, claim);
		claim_free(claim);
	}
	planner_finish(&verify.planner);
	config_finish(&verify.config);
	return verify.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
