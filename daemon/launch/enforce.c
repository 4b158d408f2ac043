/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enforce.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

struct writer {
	int cgroup_fd, error;
	char *text;
	size_t used;
};

static void note_error(struct writer *writer, enum cgroup_file file, int error)
{
	size_t room = ENFORCE_TEXT_BYTES - writer->used;
	int n = snprintf(writer->text + writer->used, room, "%s%s (%s)", writer->used ? ", " : "",
			 cgroup_file_name(file), strerror(-error));

	if (writer->error == 0)
		writer->error = error;
	if (n > 0)
		writer->used += (size_t)n < room ? (size_t)n : room - 1;
}

/* A group with processes cannot have an empty set of CPUs (ENOSPC): it gets all that the one above has. */
static int fill_set(int cgroup_fd, enum cgroup_file file)
{
	const char *above = file == FILE_CPUSET_CPUS ? "../cpuset.cpus.effective" : "../cpuset.mems.effective";
	char all[4096];
	ssize_t n = fd_read_attribute(cgroup_fd, above, all, sizeof all);

	return n < 0 ? (int)n : fd_write_attribute(cgroup_fd, cgroup_file_name(file), all);
}

/* Puts the kernel's own value back. */
static void reset_one(struct writer *writer, const struct resource_list *was,
		      const struct resource_write *write)
{
	enum cgroup_file file = write->file;
	int r = fd_write_attribute(writer->cgroup_fd, cgroup_file_name(file), resource_text(was, write->reset));

	if (r == -ENOSPC && (file == FILE_CPUSET_CPUS || file == FILE_CPUSET_MEMS))
		r = fill_set(writer->cgroup_fd, file);
	/* What cannot be had on this disk, or a disk that is gone, need not be given up. */
	if (r < 0 && r != -EOPNOTSUPP && r != -ENODEV)
		note_error(writer, file, r);
}

int enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
		      bool again, char text[static ENFORCE_TEXT_BYTES])
{
	struct writer writer = {.cgroup_fd = cgroup_fd, .text = text};

	text[0] = '\0';
	/* What goes goes first: a group that was idle takes a weight only then. */
	for (unsigned i = 0; was && i < was->n_writes; i++)
		if (!find(wanted, was, &was->writes[i]))
			reset_one(&writer, was, &was->writes[i]);
	for (unsigned i = 0; i < wanted->n_writes; i++) {
		const struct resource_write *write = &wanted->writes[i], *before = find(was, wanted, write);
		const char *value = resource_text(wanted, write->value);
		int r = 0;

		if (!before || again || !str_equal(resource_text(was, before->value), value))
			r = fd_write_attribute(cgroup_fd, cgroup_file_name(write->file), value);
		if (r < 0)
			note_error(&writer, write->file, r);
	}
	return writer.error;
}
