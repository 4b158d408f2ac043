/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_RECORD_NAME "ids"
#define ID_RANGE_COUNT UINT32_C(65536) /* ids of a range */

enum id_kind { ID_RANGE, ID_SINGLE };

/* How many ids one of a kind is. */
uint32_t id_kind_count(enum id_kind kind);

/* One line of the record of who has which ids: see id-ranges.h. */
struct id_entry {
	uint32_t first;
	uint8_t kind; /* enum id_kind */
	bool held;    /* acquired by a site that has not been released; not recorded */
	char *site;   /* owned */
	char *places; /* owned; as in id-place.h */
};

struct id_record {
	struct id_entry *entries; /* [n], by site and kind */
	size_t n, size;
};

/* Where the entry of a site is, or would be. */
size_t id_record_find(const struct id_record *record, enum id_kind kind, const char *site, bool *found);

/* A new entry in its place. NULL when out of memory. */
struct id_entry *id_record_insert(struct id_record *record, enum id_kind kind, const char *site);
void id_record_remove(struct id_record *record, size_t at);

/* Reads the file at path, which need not be there, into an empty record. -EBADMSG, with the number of the line,
 * where one is not as id_record_format() writes it; another -errno. To be finished all the same. */
int id_record_read(struct id_record *record, const char *path, unsigned *line);

/* The text of the file, a new string; NULL when out of memory. */
char *id_record_format(const struct id_record *record);

/* Puts a text (NULL: there was no memory for it) in the place of the file in the folder, which is made where it
 * is missing. It is on disk when this returns 0; -errno: the old one is, or none. */
int id_record_write(const char *state_dir, const char *text);

void id_record_finish(struct id_record *record);
