/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tally.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "clock.h"
#include "connections.h"
#include "log.h"
#include "reaper.h"
#include "sockdiag.h"
#include "verdict.h"

#define DUMP_TRIES 3 /* a dump that was interrupted is made again, so often in all */

/* An address as it is compared: the table it is in, then IPv4: address, port; IPv6: address, port, interface;
 * unix: type, name. */
#define KEY_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) + 2)

struct tally_key {
	unsigned char size;
	unsigned char bytes[KEY_BYTES];
};

struct tally_listener {
	struct tally_key key;
	enum sockdiag_table table;
	unsigned next;       /* in its bucket: index + 1; 0: the last */
	unsigned number;     /* of those of its site */
	struct tally *tally; /* of its site; not owned */
	struct tally counts; /* of this listener alone, so that a failed dump can be taken back */
};

static const char *const table_names[SOCKDIAG_TABLES] = {
	[SOCKDIAG_TCP4] = "TCP over IPv4", [SOCKDIAG_TCP6] = "TCP over IPv6", [SOCKDIAG_UDP4] = "UDP over IPv4",
	[SOCKDIAG_UDP6] = "UDP over IPv6", [SOCKDIAG_UNIX] = "unix",
};

void tally_init(struct tally *tally)
{
	*tally = (struct tally){.known = true, .last_data_age_us = IDLE_NEVER};
}

void tally_table_finish(struct tally_table *table)
{
	requests_finish(&table->requests);
	free(table->listeners);
	free(table->buckets);
	*table = (struct tally_table){0};
}

void tally_table_clear(struct tally_table *table)
{
	table->n_listeners = 0;
}

static void key_append(struct tally_key *key, const void *data, size_t size)
{
	memcpy(key->bytes + key->size, data, size);
	key->size = (unsigned char)(key->size + size);
}

/* Only a link-local address means something else on each interface; elsewhere a socket may be bound to one
 * (SO_BINDTODEVICE, a VRF) and its address says all. */
static void inet_key(struct tally_key *key, const void *address, size_t address_bytes, uint16_t port,
		     uint32_t interface)
{
	struct in6_addr in6;

	key->bytes[0] = address_bytes == sizeof in6 ? AF_INET6 : AF_INET;
	key->size = 1;
	key_append(key, address, address_bytes);
	key_append(key, &port, sizeof port);
	if (address_bytes == sizeof in6) {
		memcpy(&in6, address, sizeof in6);
		if (IN6_IS_ADDR_LINKLOCAL(&in6))
			key_append(key, &interface, sizeof interface);
	}
}

/* The kernel gives a path with its NUL, an abstract name without any. False: no name, or none that fits. */
static bool unix_key(struct tally_key *key, const char *name, size_t size, int type)
{
	if (size > 0 && name[0] != '\0')
		size = strnlen(name, size);
	if (size == 0 || size > KEY_BYTES - 2)
		return false;
	key->bytes[0] = AF_UNIX;
	key->bytes[1] = (unsigned char)type; /* abstract names are apart for each type */
	key->size = 2;
	key_append(key, name, size);
	return true;
}

static int listener_key(const struct reaper_listener *listener, struct tally_key *key,
			enum sockdiag_table *table)
{
	bool stream = listener->type == SOCK_STREAM;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (listener->address.ss_family == AF_UNIX) {
		const char *name = (const char *)&listener->address + offsetof(struct sockaddr_un, sun_path);
		size_t before = offsetof(struct sockaddr_un, sun_path);

		*table = SOCKDIAG_UNIX;
		if (listener->length <= before || listener->length > sizeof listener->address ||
		    !unix_key(key, name, listener->length - before, listener->type))
			return -EAFNOSUPPORT;
		return 0;
	}
	if (!stream && listener->type != SOCK_DGRAM)
		return -EAFNOSUPPORT;
	if (listener->address.ss_family == AF_INET && listener->length >= sizeof in) {
		*table = stream ? SOCKDIAG_TCP4 : SOCKDIAG_UDP4;
		memcpy(&in, &listener->address, sizeof in);
		inet_key(key, &in.sin_addr, sizeof in.sin_addr, in.sin_port, 0);
		return 0;
	}
	if (listener->address.ss_family == AF_INET6 && listener->length >= sizeof in6) {
		*table = stream ? SOCKDIAG_TCP6 : SOCKDIAG_UDP6;
		memcpy(&in6, &listener->address, sizeof in6);
		inet_key(key, &in6.sin6_addr, sizeof in6.sin6_addr, in6.sin6_port, in6.sin6_scope_id);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static unsigned key_hash(const struct tally_key *key)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (unsigned i = 0; i < key->size; i++)
		hash = (hash ^ key->bytes[i]) * 16777619U;
	return hash ^ hash >> 15;
}

int tally_table_add(struct tally_table *table, const struct reaper_listener *listener, struct tally *tally)
{
	struct tally_listener *entry;
	int r;

	if (table->n_listeners == table->listeners_size) {
		unsigned size = table->listeners_size ? 2 * table->listeners_size : 64;

		entry = reallocarray(table->listeners, size, sizeof *entry);
		if (!entry) {
			tally->known = false;
			return -ENOMEM;
		}
		table->listeners = entry;
		table->listeners_size = size;
	}
	entry = &table->listeners[table->n_listeners];
	entry->number = tally->n_listeners++;
	r = listener_key(listener, &entry->key, &entry->table);
	if (r < 0) {
		tally->known = false;
		return r;
	}
	entry->tally = tally;
	tally_init(&entry->counts);
	table->n_listeners++;
	return 0;
}

/* At most half full. */
static int build_buckets(struct tally_table *table)
{
	unsigned n = 64;

	while (n < 2 * table->n_listeners)
		n *= 2;
	if (n > table->n_buckets) {
		unsigned *buckets = reallocarray(table->buckets, n, sizeof *buckets);

		if (!buckets)
			return -ENOMEM;
		table->buckets = buckets;
		table->n_buckets = n;
	}
	memset(table->buckets, 0, table->n_buckets * sizeof *table->buckets);
	for (unsigned i = 0; i < table->n_listeners; i++) {
		unsigned *bucket = &table->buckets[key_hash(&table->listeners[i].key) & (table->n_buckets - 1)];

		table->listeners[i].next = *bucket;
		*bucket = i + 1;
	}
	return 0;
}

static void count_data(struct tally *counts, const struct sockdiag_socket *socket)
{
	/* A kernel that does not tell: it may have been just now. */
	uint64_t age_us = socket->dated ? socket->last_data_age_us : 0;

	if (age_us < counts->last_data_age_us)
		counts->last_data_age_us = age_us;
}

/* What moved last came in: a request under way, or after too long something that is none. */
static void count_asked(struct tally_table *table, struct tally *counts, const struct tally *site,
			const struct sockdiag_socket *socket)
{
	uint64_t age_us = requests_age_us(&table->requests, socket->cookie, socket->last_data_age_us);

	if (age_us < site->request_timeout_us) {
		counts->requests++;
		count_data(counts, socket);
	}
}

static void count_tcp(struct tally_table *table, struct tally *counts, const struct tally *site,
		      const struct sockdiag_socket *socket)
{
	uint32_t unsent = socket->wqueue;

	switch (socket->state) {
	case TCP_ESTABLISHED:
	case TCP_SYN_RECV:
	case TCP_CLOSE_WAIT:
		if (socket->inode == 0) {
			counts->waiting++; /* a program's close(2) leaves these states, so it is not accepted
					      yet */
			return;
		}
		break;
	case TCP_FIN_WAIT1:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		if (unsent > 0)
			unsent--; /* the FIN takes a sequence number */
		break;
	case TCP_FIN_WAIT2:
		if (socket->inode == 0)
			return; /* perhaps a TIME-WAIT remnant without a date */
		break;
	case TCP_TIME_WAIT:
		if (socket->dated)
			count_data(counts, socket);
		return;
	default:
		return;
	}
	if (socket->dated && socket->asked && socket->inode != 0 && site->request_timeout_us > 0) {
		count_asked(table, counts, site, socket);
	} else {
		requests_answered(&table->requests, socket->cookie);
		count_data(counts, socket);
	}
	if (socket->inode == 0)
		return; /* closed by the program: the kernel sends the rest alone */
	counts->connections++;
	if (socket->rqueue > 0 || unsent > 0)
		counts->queued++;
}

/* The kernel dates nothing of a unix connection: there may be a request under way from when it was first seen,
 * or was last seen with an answer on its way. */
static void count_undated(struct tally_table *table, struct tally *counts, const struct tally *site,
			  const struct sockdiag_socket *socket)
{
	if (socket->wqueue > 0)
		requests_answered(&table->requests, socket->cookie);
	if (requests_age_us(&table->requests, socket->cookie, 0) < site->request_timeout_us)
		counts->undated++;
}

static void count_unix(struct tally_table *table, struct tally *counts, const struct tally *site,
		       const struct sockdiag_socket *socket)
{
	if (socket->state == TCP_LISTEN) {
		counts->waiting += socket->rqueue;
	} else if (socket->type == SOCK_DGRAM) {
		counts->waiting += socket->rqueue > 0;
		counts->queued += socket->wqueue > 0;
	} else if (socket->state == TCP_ESTABLISHED) {
		counts->connections++;
		counts->queued += socket->rqueue > 0 || socket->wqueue > 0;
		if (site->request_timeout_us > 0)
			count_undated(table, counts, site, socket);
	}
}

static void count_udp(struct tally *counts, const struct sockdiag_socket *socket)
{
	if (socket->state == TCP_ESTABLISHED) {
		counts->connections++; /* the program's own, connected to one peer from the listener's port */
		counts->queued += socket->rqueue > 0 || socket->wqueue > 0;
	} else {
		counts->waiting += socket->rqueue > 0;
		counts->queued += socket->wqueue > 0;
	}
}

/* Counts the socket for every listener of that address (sites may share one by SO_REUSEPORT). */
static bool count(struct tally_table *table, const struct tally_key *key, const struct sockdiag_socket *socket)
{
	unsigned at = table->buckets[key_hash(key) & (table->n_buckets - 1)];
	bool found = false;

	while (at > 0) {
		struct tally_listener *entry = &table->listeners[at - 1];

		at = entry->next;
		if (entry->table != socket->table || entry->key.size != key->size ||
		    memcmp(entry->key.bytes, key->bytes, key->size) != 0)
			continue;
		found = true;
		if (entry->tally->list)
			connections_note(entry->tally->list, entry->number, socket);
		if (socket->table == SOCKDIAG_UNIX)
			count_unix(table, &entry->counts, entry->tally, socket);
		else if (socket->table == SOCKDIAG_UDP4 || socket->table == SOCKDIAG_UDP6)
			count_udp(&entry->counts, socket);
		else
			count_tcp(table, &entry->counts, entry->tally, socket);
	}
	return found;
}

static void visit(const struct sockdiag_socket *socket, void *userdata)
{
	static const struct in6_addr any; /* of IPv4 too, in its first bytes */
	struct tally_table *table = userdata;
	struct tally_key key;

	if (socket->table == SOCKDIAG_UNIX) {
		if (unix_key(&key, socket->address, socket->address_bytes, socket->type))
			count(table, &key, socket);
		return;
	}
	inet_key(&key, socket->address, socket->address_bytes, socket->port, socket->interface);
	if (count(table, &key, socket))
		return;
	/* An unconnected UDP socket is a listener itself: it is the wildcard or it is another's. A connection
	 * over IPv4 to an IPv6 wildcard is in the IPv6 table, with a mapped address. */
	if ((socket->table == SOCKDIAG_UDP4 || socket->table == SOCKDIAG_UDP6) &&
	    socket->state != TCP_ESTABLISHED)
		return;
	inet_key(&key, &any, socket->address_bytes, socket->port, 0);
	count(table, &key, socket);
}

/* Reads one kernel table, again if it changed under the reading. */
static int scan_table(struct tally_table *table, struct sockdiag *diag, enum sockdiag_table which)
{
	int r = -EAGAIN;

	for (unsigned tries = 0; r == -EAGAIN && tries < DUMP_TRIES; tries++) {
		for (unsigned i = 0; i < table->n_listeners; i++)
			if (table->listeners[i].table == which)
				tally_init(&table->listeners[i].counts);
		r = sockdiag_dump(diag, which, visit, table);
		if (r == -EAGAIN && table->once)
			r = 0;
	}
	if (r == 0)
		table->reported &= ~(1U << which);
	else if (!(table->reported & 1U << which)) {
		table->reported |= 1U << which;
		log_warning("cannot read the %s sockets, their sites count as in use: %s%s", table_names[which],
			    strerror(-r),
			    r == -ENOENT ? " (is the kernel module tcp_diag, udp_diag or unix_diag missing?)"
					 : "");
	}
	return r;
}

static void add_up(struct tally *sum, const struct tally *counts, unsigned number)
{
	uint64_t bit = number < 64 ? UINT64_C(1) << number : 0;

	if (counts->connections > 0)
		sum->attended |= bit;
	else if (counts->waiting > 0)
		sum->neglected |= bit;
	sum->connections += counts->connections;
	sum->waiting += counts->waiting;
	sum->queued += counts->queued;
	sum->requests += counts->requests;
	sum->undated += counts->undated;
	if (counts->last_data_age_us < sum->last_data_age_us)
		sum->last_data_age_us = counts->last_data_age_us;
}

void tally_table_scan(struct tally_table *table, struct sockdiag *diag)
{
	bool in_use[SOCKDIAG_TABLES] = {false};
	int results[SOCKDIAG_TABLES] = {0};

	for (unsigned i = 0; i < table->n_listeners; i++)
		in_use[table->listeners[i].table] = true;
	if (build_buckets(table) < 0) {
		for (unsigned i = 0; i < table->n_listeners; i++)
			table->listeners[i].tally->known = false;
		return;
	}
	requests_begin(&table->requests, clock_now_ns());
	for (unsigned which = 0; which < SOCKDIAG_TABLES; which++)
		if (in_use[which])
			results[which] = scan_table(table, diag, which);
	for (unsigned i = 0; i < table->n_listeners; i++) {
		if (results[table->listeners[i].table] == 0)
			add_up(table->listeners[i].tally, &table->listeners[i].counts,
			       table->listeners[i].number);
		else
			table->listeners[i].tally->known = false;
	}
}
