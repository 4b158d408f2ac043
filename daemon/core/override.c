/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "override.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon.h"
#include "drop-in.h"
#include "group.h"
#include "loader.h"

#define RUNTIME_FILE    "50-set.conf"
#define PERSISTENT_FILE "50-set-persist.conf" /* sorts before the other, which therefore counts */

/* One file on its way from an old text to a new one. "" stands for no file. */
struct edit {
	char *folder, *path, *old, *new; /* owned */
};

struct override {
	struct daemon *daemon;
	enum unit_kind kind;
	const char *name;
	const struct key_table *table;
	const char *const *settings; /* [n] */
	size_t n;
	struct edit edits[2]; /* the file of the settings; the other one, from which they may go */
	unsigned n_edits;
	struct diag *diag;
};

static void finish(struct override *o)
{
	for (unsigned i = 0; i < o->n_edits; i++) {
		free(o->edits[i].folder);
		free(o->edits[i].path);
		free(o->edits[i].old);
		free(o->edits[i].new);
	}
}

static int out_of_memory(const struct override *o)
{
	return diag_set(o->diag, -ENOMEM, o->name, 0, "out of memory");
}

static int fail(const struct override *o, int error, const char *path)
{
	return diag_set(o->diag, error, path, 0, "cannot be written: %s", strerror(-error));
}

/* Puts text into a new file; whoever reads the folder passes over its hidden name. */
static int write_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

/* Replaces a file at once. An empty text takes it away, and its folder when it was the last. */
static int replace_file(const struct edit *edit, const char *text)
{
	autofree char *temporary = NULL;
	int r;

	if (!*text) {
		if (unlink(edit->path) < 0 && errno != ENOENT)
			return -errno;
		(void)rmdir(edit->folder);
		return 0;
	}
	r = asprintf(&temporary, "%s/.set.new", edit->folder) < 0 ? -ENOMEM : fd_make_directories(edit->folder);
	if (r == 0)
		r = write_file(temporary, text);
	if (r == 0 && rename(temporary, edit->path) < 0)
		r = -errno;
	if (r < 0 && temporary)
		(void)unlink(temporary);
	return r;
}

/* Looks at the new text as at a drop-in, in a file that is none yet. */
static int check_text(const struct override *o, const struct edit *edit)
{
	autofree char *temporary = NULL;
	int r = asprintf(&temporary, "%s/.set.check", edit->folder) < 0 ? -ENOMEM
									: fd_make_directories(edit->folder);

	if (r == 0)
		r = write_file(temporary, edit->new);
	if (r < 0) {
		fail(o, r, edit->path);
	} else {
		r = o->kind == UNIT_SLICE ? slice_check_file(temporary, o->diag)
					  : spec_check_fragment(&o->daemon->options.lookup, temporary, o->diag);
		snprintf(o->diag->file, sizeof o->diag->file, "%s", edit->path);
	}
	if (temporary)
		(void)unlink(temporary);
	if (r < 0)
		(void)rmdir(edit->folder);
	return r;
}

static int read_old(const struct override *o, struct edit *edit)
{
	size_t size;
	int r = fd_read_file(AT_FDCWD, edit->path, SPEC_FILE_BYTES, &edit->old, &size);

	if (r == -ENOENT) {
		edit->old = strdup("");
		r = edit->old ? 0 : -ENOMEM;
	}
	return r < 0 ? diag_set(o->diag, r, edit->path, 0, "%s", strerror(-r)) : 0;
}

static int add_edit(struct override *o, bool persist, bool set)
{
	struct edit *edit = &o->edits[o->n_edits++];
	int r;

	if (asprintf(&edit->folder, "%s/%s/%s%s.d", o->daemon->options.lookup.dirs[persist ? 0 : 1],
		     unit_kind_folder(o->kind), o->name, unit_kind_suffix(o->kind)) < 0) {
		edit->folder = NULL;
		return out_of_memory(o);
	}
	if (asprintf(&edit->path, "%s/%s", edit->folder, persist ? PERSISTENT_FILE : RUNTIME_FILE) < 0) {
		edit->path = NULL;
		return out_of_memory(o);
	}
	r = read_old(o, edit);
	if (r < 0)
		return r;
	return set ? drop_in_set(o->table, edit->path, o->settings, o->n, &edit->new, o->diag)
		   : drop_in_forget(o->table, edit->path, o->settings, o->n, &edit->new, o->diag);
}

/* Reads the unit again; why it is not in force, or NULL. */
static const struct refused *apply(const struct override *o)
{
	if (o->kind == UNIT_SLICE) {
		group_load(o->daemon, o->name);
		return refused_find(o->daemon->refused_slices, o->name);
	}
	loader_apply(o->daemon, o->name);
	return refused_find(o->daemon->refused, o->name);
}

/* All edits, or none: a unit that is not in force takes no settings. */
static int carry_out(const struct override *o)
{
	const struct refused *refused;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < o->n_edits; i++) {
		r = replace_file(&o->edits[i], o->edits[i].new);
		if (r < 0)
			fail(o, r, o->edits[i].path);
	}
	refused = r == 0 ? apply(o) : NULL;
	if (refused) {
		*o->diag = refused->diag;
		r = refused->error;
	}
	if (r == 0)
		return 0;
	for (unsigned i = 0; i < o->n_edits; i++)
		(void)replace_file(&o->edits[i], o->edits[i].old);
	(void)apply(o);
	return r;
}

int override_set(struct daemon *daemon, enum unit_kind kind, const char *name, const char *const *settings,
		 size_t n, bool persist, char **ret_file, struct diag *diag)
{
	__attribute__((cleanup(finish))) struct override o = {.daemon = daemon,
							      .kind = kind,
							      .name = name,
							      .table = kind == UNIT_SLICE ? &slice_keys
											  : &site_keys,
							      .settings = settings,
							      .n = n,
							      .diag = diag};
	int r = add_edit(&o, persist, true);

	if (r == 0)
		r = check_text(&o, &o.edits[0]);
	/* What is set for good is not to be hidden by what was set until the next boot. */
	if (r == 0 && persist)
		r = add_edit(&o, false, false);
	if (r == 0)
		r = carry_out(&o);
	if (r == 0)
		*ret_file = steal_ptr(o.edits[0].path);
	return r;
}
