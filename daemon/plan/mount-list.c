/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t add_text(struct mount_builder *b, const char *text)
{
	size_t bytes, at = b->texts_bytes;

	if (!text || b->error)
		return 0;
	bytes = strlen(text) + 1;
	if (b->texts_bytes + bytes > b->texts_size) {
		size_t want = (b->texts_bytes + bytes) * 2;
		char *grown = want > UINT32_MAX / 4 ? NULL : realloc(b->texts, want);

		if (!grown) {
			b->error = want > UINT32_MAX / 4 ? -E2BIG : -ENOMEM;
			return 0;
		}
		b->texts = grown;
		b->texts_size = want;
	}
	memcpy(b->texts + at, text, bytes);
	b->texts_bytes += bytes;
	return (uint32_t)at + 1; /* 0 is "none"; the join turns it into an offset */
}

void mount_list_add(struct mount_builder *b, struct mount_op op, const char *source, const char *target,
		    const char *options)
{
	if (b->n_ops == b->size_ops) {
		size_t want = b->size_ops ? b->size_ops * 2 : 64;
		struct mount_op *grown = realloc(b->ops, want * sizeof *grown);

		if (!grown) {
			b->error = -ENOMEM;
			return;
		}
		b->ops = grown;
		b->size_ops = want;
	}
	op.source = add_text(b, source);
	op.target = add_text(b, target);
	op.options = add_text(b, options);
	if (!b->error)
		b->ops[b->n_ops++] = op;
}

int mount_list_finish(struct mount_builder *b, struct mount_list **ret, size_t *ret_bytes)
{
	size_t head = sizeof **ret + b->n_ops * sizeof b->ops[0], bytes = head + b->texts_bytes;
	struct mount_list *list = b->error ? NULL : calloc(1, bytes);

	if (!b->error && !list)
		b->error = -ENOMEM;
	if (!b->error) {
		list->n_ops = (uint32_t)b->n_ops;
		list->n_ahead = (uint32_t)b->n_ahead;
		for (size_t i = 0; i < b->n_ops; i++) {
			struct mount_op op = b->ops[i];

			op.source += op.source ? (uint32_t)head - 1 : 0;
			op.target += op.target ? (uint32_t)head - 1 : 0;
			op.options += op.options ? (uint32_t)head - 1 : 0;
			list->ops[i] = op;
		}
		memcpy((char *)list + head, b->texts, b->texts_bytes);
		*ret = list;
		*ret_bytes = bytes;
	}
	free(b->ops);
	free(b->texts);
	return b->error;
}
