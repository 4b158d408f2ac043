/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enforce.h"

#include "fd.h"
#include "resources.h"
#include "str.h"

/* The write to the same file about the same thing (its reset says which), or NULL. */
static const struct resource_write *find(const struct resource_list *list, const struct resource_list *other,
					 const struct resource_write *write)
{
	for (unsigned i = 0; list && i < list->n_writes; i++)
		if (list->writes[i].file == write->file &&
		    str_equal(resource_text(list, list->writes[i].reset), resource_text(other, write->reset)))
			return &list->writes[i];
	return NULL;
}

static void write_one(int cgroup_fd, enum cgroup_file file, const char *value, int *first,
		      const char **ret_file)
{
	int r = fd_write_attribute(cgroup_fd, cgroup_file_name(file), value);

	if (r < 0 && *first == 0) {
		*first = r;
		*ret_file = cgroup_file_name(file);
	}
}

int enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
		      bool again, const char **ret_file)
{
	int r = 0;

	/* What goes goes first: a group that was idle takes a weight only then. */
	for (unsigned i = 0; was && i < was->n_writes; i++)
		if (!find(wanted, was, &was->writes[i]))
			write_one(cgroup_fd, was->writes[i].file, resource_text(was, was->writes[i].reset), &r,
				  ret_file);
	for (unsigned i = 0; i < wanted->n_writes; i++) {
		const struct resource_write *write = &wanted->writes[i], *before = find(was, wanted, write);

		if (!before || again ||
		    !str_equal(resource_text(was, before->value), resource_text(wanted, write->value)))
			write_one(cgroup_fd, write->file, resource_text(wanted, write->value), &r, ret_file);
	}
	return r;
}
