/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "arena.h"
#include "diag.h"
#include "specifier.h"
#include "spec.h"
#include "unit.h"

/* The one declaration of every key that a file may hold. Parsing, dumps, manual pages and completion read it.
 */

struct key;
struct pack;

/* One assignment on its way into a struct. */
struct setting {
	const struct key *key;
	void *target;        /* the struct that key->offset counts in */
	struct arena *arena; /* for strings and lists of the result; the unit's own text may be used too */
	const struct specifier_context *specifiers; /* NULL: '%' is an ordinary byte */
	struct origin origin;
	char message[256]; /* set by a parser that returns -EINVAL: what is wrong and what was expected */
};

/* How values of one type are read, written and copied. */
struct type {
	size_t size; /* of the field; 0: several fields, reset and print do it all */
	bool unset;  /* without a default the field is SPEC_UNSET */
	bool adds;   /* an assignment adds to those before it */

	/* Reads text, never empty, into the field. -EINVAL with a message, or -ENOMEM. */
	int (*parse)(struct setting *setting, const char *text);

	/* Puts the field back after an empty assignment. NULL: to the key's default. */
	void (*reset)(struct setting *setting);

	/* Writes the value of one field of size bytes. */
	void (*format)(const struct key *key, const void *field, FILE *out);

	/* Writes all lines of the key, for what is no single field. NULL: one line by format. */
	void (*print)(const struct key *key, const void *target, bool all, FILE *out);

	/* Moves what the field points to into the pack. NULL: it points to nothing. */
	void (*copy)(const struct key *key, void *target, struct pack *pack);
};

/* The order in which assignments are read, whatever the order of the lines: specifiers of later ones need the
 * results of earlier ones. */
enum key_phase { KEY_REST, KEY_TEMPLATE, KEY_OWNER, KEY_LISTENER, KEY_BIND };

struct choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct key {
	const char *section, *name;
	const struct type *type;
	size_t offset;  /* of the field in the target, or in what `through` leads to */
	size_t through; /* of a pointer in the target to another struct; 0: none, the field is the target's own
			 */
	size_t second;  /* of the field that goes with it: a list's count, an "optional" mark; or 0 */
	int parameter;  /* for the type: a socket type, an RLIMIT_* */
	int64_t min, max;
	const struct choice *choices;
	enum key_phase phase;
	bool live;            /* a change takes effect in a container that runs */
	const char *argument; /* "SECONDS", for help */
	const char *fallback; /* the default as a value; NULL: zero, or SPEC_UNSET */
	const char
		*unset_means; /* what happens where there is no default; NULL: nothing, or fallback says it */
	const char *help;     /* one paragraph for the manual page */
};

struct key_table {
	const struct key *keys; /* [n_keys], by section */
	size_t n_keys;
	const char *page; /* the manual page that has them */
};

extern const struct key_table site_keys;   /* into struct site_spec */
extern const struct key_table slice_keys;  /* into struct slice_spec */
extern const struct key_table config_keys; /* into struct config */

/* Connects the unit's assignments to keys of the table. -EINVAL with *diag for an unknown section or key,
 * naming the nearest one; those starting with "X-" are passed over. */
int key_resolve(const struct key_table *table, struct unit *unit, struct diag *diag);

/* Fills target, zeroed, with the defaults of all keys. */
int key_set_defaults(const struct key_table *table, void *target, struct arena *arena);

/* Reads one resolved assignment into setting's target. setting->key and origin are set here. -EINVAL or
 * -ENOMEM with *diag. */
int key_apply(struct setting *setting, const struct unit *unit, const struct assignment *assignment,
	      struct diag *diag);

/* Writes the lines of one key: nothing where it has its default, unless all. defaults is a target with the
 * defaults. */
void key_print(const struct key *key, const void *target, const void *defaults, bool all, FILE *out);

/* The edit distance (insert, delete, replace, swap of neighbours) of two words, capped at 3. */
unsigned key_distance(const char *a, const char *b);

/* The struct that a key's fields are in. */
static inline void *key_part(const struct key *key, void *target)
{
	return key->through ? *(void **)((char *)target + key->through) : target;
}

static inline const void *key_part_const(const struct key *key, const void *target)
{
	return key->through ? *(const void *const *)((const char *)target + key->through) : target;
}

static inline void *key_field(const struct key *key, void *target)
{
	return (char *)key_part(key, target) + key->offset;
}

static inline const void *key_field_const(const struct key *key, const void *target)
{
	return (const char *)key_part_const(key, target) + key->offset;
}
