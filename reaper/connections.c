/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "connections.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sockdiag.h"

const char *connection_state_name(enum connection_state state)
{
	static const char *const names[CONNECTION_STATES] = {
		[CONNECTION_WAITING] = "waiting",
		[CONNECTION_OPEN] = "open",
		[CONNECTION_CLOSED] = "closed",
	};

	return names[state];
}

/* Whether a has moved bytes longer ago than b. */
static bool older(const struct connection *a, const struct connection *b)
{
	return a->dated && (!b->dated || a->last_data_age_us > b->last_data_age_us);
}

static bool is_recent(const struct connections *list, const struct connection *connection)
{
	if (connection->state == CONNECTION_WAITING || (list->fresh && connection->state == CONNECTION_OPEN))
		return true;
	return connection->dated && connection->last_data_age_us < list->recent_us;
}

static void add(struct connections *list, const struct connection *connection)
{
	struct connection *place = &list->shown[0];

	list->counts[connection->state]++;
	if (is_recent(list, connection)) {
		if (list->n_recent == 0 ||
		    (list->fresh ? older(connection, &list->first) : older(&list->first, connection)))
			list->first = *connection;
		list->n_recent++;
	}
	if (list->n < CONNECTIONS_SHOWN) {
		list->shown[list->n++] = *connection;
		return;
	}
	for (unsigned i = 1; i < list->n; i++)
		if (older(&list->shown[i], place))
			place = &list->shown[i];
	if (older(place, connection))
		*place = *connection;
}

static void note_inet(struct connections *list, struct connection *connection,
		      const struct sockdiag_socket *socket)
{
	bool tcp = socket->table == SOCKDIAG_TCP4 || socket->table == SOCKDIAG_TCP6;
	bool queued = socket->state == TCP_ESTABLISHED || socket->state == TCP_SYN_RECV ||
		      socket->state == TCP_CLOSE_WAIT;

	if (!tcp && socket->state != TCP_ESTABLISHED)
		return; /* UDP: the listener itself */
	peer_set_inet(&connection->peer, socket->peer_address, socket->address_bytes, socket->peer_port);
	connection->state = socket->inode != 0 ? CONNECTION_OPEN
			    : queued           ? CONNECTION_WAITING
					       : CONNECTION_CLOSED;
	if (connection->state != CONNECTION_CLOSED || (socket->dated && is_recent(list, connection)))
		add(list, connection);
}

static void note_unix(struct connections *list, struct connection *connection,
		      const struct sockdiag_socket *socket)
{
	connection->peer.family = AF_UNIX;
	if (socket->state == TCP_LISTEN) {
		connection->state = CONNECTION_WAITING;
		connection->unread = connection->unsent = 0; /* of a listener they are numbers of connections */
		for (size_t i = 0; i < socket->n_waiting; i++) {
			connection->inode = socket->waiting_inodes[i];
			add(list, connection);
		}
	} else if (socket->state == TCP_ESTABLISHED && socket->type != SOCK_DGRAM) {
		connection->state = CONNECTION_OPEN;
		connection->inode = socket->peer_inode;
		add(list, connection);
	}
}

void connections_note(struct connections *list, unsigned listener, const struct sockdiag_socket *socket)
{
	struct connection connection = {
		.listener = listener,
		.unread = socket->rqueue,
		.unsent = socket->wqueue,
		.dated = socket->dated,
		.last_data_age_us = socket->last_data_age_us,
	};

	if (socket->table == SOCKDIAG_UNIX)
		note_unix(list, &connection, socket);
	else
		note_inet(list, &connection, socket);
}
