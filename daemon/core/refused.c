/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "refused.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

void refused_set(struct refused **table, const char *noun, const char *name, int error, const struct diag *diag)
{
	struct refused *refused = refused_find(*table, name);
	char text[1100];

	if (refused && strcmp(refused->diag.message, diag->message) == 0 &&
	    strcmp(refused->diag.file, diag->file) == 0 && refused->diag.line == diag->line) {
		refused->error = error;
		return;
	}
	log_error("%s %s: %s", noun, name, diag_format(diag, text, sizeof text));
	if (!refused) {
		refused = calloc(1, sizeof *refused);
		if (!refused || !(refused->name = strdup(name))) {
			free(refused);
			return;
		}
		HASH_ADD_KEYPTR(hh, *table, refused->name, strlen(refused->name), refused);
		if (!refused->hh.tbl) {
			free(refused->name);
			free(refused);
			return;
		}
	}
	refused->error = error;
	refused->diag = *diag;
}

static void drop(struct refused **table, struct refused *refused)
{
	HASH_DEL(*table, refused);
	free(refused->name);
	free(refused);
}

void refused_clear(struct refused **table, const char *noun, const char *name)
{
	struct refused *refused = refused_find(*table, name);

	if (refused) {
		log_info("%s %s: the file on disk is in force again", noun, name);
		drop(table, refused);
	}
}

struct refused *refused_find(struct refused *table, const char *name)
{
	struct refused *refused;

	HASH_FIND_STR(table, name, refused);
	return refused;
}

void refused_clear_all(struct refused **table)
{
	struct refused *refused, *next;

	HASH_ITER(hh, *table, refused, next)
	drop(table, refused);
}
