/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The type of BindPort= and BindAddress=: which bind of the program means which listener. The listeners and
 * their names are complete: these keys come in a later phase. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "str.h"
#include "type.h"
#include "words.h"

/* Whether a word is the port of a listener, its address, or its name. */
static bool is_named(const struct listener_spec *listener, const char *word)
{
	const struct sockaddr_in *in = (const void *)listener->address.sockaddr;
	int family = address_family(&listener->address), type = listener->address.type;
	struct address address;
	const char *message;

	/* The port stands at one place in both families. */
	if ((family == AF_INET || family == AF_INET6) &&
	    address_parse_port(word, type, &address, &message) == 0)
		return ((const struct sockaddr_in *)(const void *)address.sockaddr)->sin_port == in->sin_port;
	if (address_parse(word, type, &address, &message) == 0)
		return address_equal(&address, &listener->address);
	return str_equal(word, listener->fd_name);
}

static int read_bind(struct setting *setting, const char *text, int type, struct address *ret)
{
	const char *message;
	int error = setting->key->parameter == AF_UNSPEC ? address_parse_port(text, type, ret, &message)
							 : address_parse(text, type, ret, &message);

	return error < 0 ? setting_refuse(setting, "%s", message) : 0;
}

static int set_bind(struct setting *setting, struct listener_spec *listener, const char *text)
{
	struct address *bind = arena_alloc(setting->arena, sizeof *bind);

	if (!bind)
		return -ENOMEM;
	*bind = (struct address){0};
	listener->bind = bind;
	return read_bind(setting, text, listener->address.type, bind);
}

/* Gives a bind to the listeners that a word names: one of each type at most. */
static int set_named(struct setting *setting, const char *name, const char *text)
{
	struct site_spec *spec = setting->target;
	struct listener_spec *listeners = (void *)spec->listeners;
	unsigned types = 0;

	for (unsigned i = 0; i < spec->n_listeners; i++) {
		unsigned type = 1U << listeners[i].address.type;
		int error;

		if (!is_named(&listeners[i], name))
			continue;
		if (types & type)
			return setting_refuse(
				setting, "'%.64s' names several listeners; expected the address of one", name);
		types |= type;
		error = set_bind(setting, &listeners[i], text);
		if (error < 0)
			return error;
	}
	if (!types)
		return setting_refuse(setting,
				      "'%.64s' names no listener of the site; expected its port, its address "
				      "or its FileDescriptorName=",
				      name);
	return 0;
}

/* The words of the value: 1 or 2. */
static int split(struct setting *setting, const char *text, const char *words[2])
{
	const char *message = NULL;
	char *word;
	int n = 0, r;

	while ((r = words_next(&text, 0, setting->arena, &word, &message)) > 0) {
		if (n == 2)
			return setting_refuse(setting, "expected %s", setting->key->argument);
		r = setting_expand(setting, word, &words[n++]);
		if (r < 0)
			return r;
	}
	return r == -EINVAL ? setting_refuse(setting, "%s", message) : r < 0 ? r : n;
}

static int parse_bind(struct setting *setting, const char *text)
{
	struct site_spec *spec = setting->target;
	struct address unused = {0};
	const char *words[2];
	int n = split(setting, text, words);

	if (n < 0)
		return n;
	/* A template may leave the listeners to its sites. */
	if (spec->n_listeners == 0)
		return read_bind(setting, words[n - 1], SOCK_STREAM, &unused);
	if (n == 2)
		return set_named(setting, words[0], words[1]);
	if (spec->n_listeners > 1)
		return setting_refuse(setting,
				      "the site has several listeners; expected the one that is meant before "
				      "it: %s",
				      setting->key->argument);
	return set_bind(setting, (void *)spec->listeners, words[0]);
}

/* Either of the keys clears what both say. */
static void reset_binds(struct setting *setting)
{
	struct site_spec *spec = setting->target;
	struct listener_spec *listeners = (void *)spec->listeners;

	for (unsigned i = 0; i < spec->n_listeners; i++)
		listeners[i].bind = NULL;
}

/* All of them, by the first of the two keys. A listener is named by its address, which is always clear. */
static void print_binds(const struct key *key, const void *target, bool all, FILE *out)
{
	const struct site_spec *spec = target;
	char text[ADDRESS_TEXT_BYTES];

	if (key->parameter != AF_UNSPEC)
		return;
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct listener_spec *listener = &spec->listeners[i];

		if (!listener->bind)
			continue;
		fputs(address_family(listener->bind) == AF_UNSPEC ? "BindPort=" : "BindAddress=", out);
		if (spec->n_listeners > 1) {
			words_quote(address_format(&listener->address, text), WORDS_SPECIFIER, out);
			putc(' ', out);
		}
		words_quote(address_format(listener->bind, text), WORDS_SPECIFIER, out);
		putc('\n', out);
		all = false;
	}
	if (all)
		fprintf(out, "%s=\n", key->name);
}

const struct type type_bind = {.parse = parse_bind, .reset = reset_binds, .print = print_binds};
