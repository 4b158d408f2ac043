/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "cgroup-file.h"
#include "host.h"
#include "spec.h"

/* What is written into a control group for [Resources], and what of it this host cannot enforce. Texts are
 * offsets into the same block of memory, so that a list is one blob that sites share. */

struct resource_write {
	uint8_t file;          /* enum cgroup_file */
	uint32_t value, reset; /* texts: what is written, and what puts the kernel's own value back */
};

struct resource_list {
	uint16_t n_writes, n_missing;
	uint32_t controllers; /* that the writes need */
	uint32_t missing; /* n_missing texts, one behind the other: "MemoryMax= (no memory controller ...)" */
	uint32_t refused; /* the text among them for which RequireLimits=yes refuses the start; 0: none */
	bool require;     /* RequireLimits=: a write that fails is an error of the start */
	struct resource_write writes[];
	/* texts follow */
};

static inline const char *resource_text(const struct resource_list *list, uint32_t offset)
{
	return (const char *)list + offset;
}

/* The text behind one of list->missing. */
static inline const char *resource_next_missing(const char *text)
{
	return text + __builtin_strlen(text) + 1;
}

/* A list on its way. */
struct resource_builder {
	const struct host *host;
	struct arena arena;
	struct planned_write *writes; /* with strings for texts; room for all, as for missing */
	const char **missing;
	unsigned n_writes, n_missing;
	bool require;     /* RequireLimits= */
	unsigned refused; /* 1 + the index of the first missing limit; 0: none */
	int error;        /* sticky: -ENOMEM */
};

/* Begins a list: its writes for [Resources] (NULL: none), in an order in which the kernel takes them. There
 * will be room for n_more entries that resource_missing() adds. File names and formats:
 * Documentation/admin-guide/cgroup-v2.rst.
 */
void resources_begin(struct resource_builder *builder, const struct resource_spec *spec,
		     const struct host *host, unsigned n_more);

/* Adds what cannot be enforced; a limit is what RequireLimits= asks for. */
void resources_missing(struct resource_builder *builder, bool limit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends it: one malloc block to *ret, its size to *ret_bytes. -ENOMEM. */
int resources_finish(struct resource_builder *builder, struct resource_list **ret, size_t *ret_bytes);

/* A SPEC_SHARE of what the host has, rounded down, but not to nothing. */
uint64_t resource_share_of(uint64_t value, uint64_t whole);
