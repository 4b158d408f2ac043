/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's socket tables by NETLINK_SOCK_DIAG (sock_diag(7)): one dump hands every socket of one table to a
 * visitor, and keeps none. It shows the network namespace of the thread that made it; a socket that was
 * accepted lives in its listener's (unix sockets: in the client's). */

enum sockdiag_table { SOCKDIAG_TCP4, SOCKDIAG_TCP6, SOCKDIAG_UDP4, SOCKDIAG_UDP6, SOCKDIAG_UNIX };
#define SOCKDIAG_TABLES 5

/* One socket, as long as the visitor runs. States are those of TCP for all tables: TCP_ESTABLISHED ... */
struct sockdiag_socket {
	enum sockdiag_table table;
	int state;
	int type;                /* SOCK_STREAM ...: of unix sockets only */
	uint32_t inode;          /* 0: no program holds it: not accepted yet, or closed */
	uint32_t rqueue, wqueue; /* bytes; of a unix listener, rqueue is the connections that wait */
	bool dated;              /* last_data_age_us is known (TCP) */
	bool asked;              /* bytes that came in are the last that moved (TCP) */
	uint64_t last_data_age_us;
	uint64_t cookie;     /* of this socket alone, as long as it lives */
	const void *address; /* in_addr, in6_addr; of a unix socket sun_path, its length in address_bytes */
	size_t address_bytes;
	const void *peer;   /* in_addr, in6_addr; NULL of unix sockets */
	uint16_t port;      /* in network order, as in a sockaddr */
	uint32_t interface; /* bound to it; 0: to none */

	/* The other end: an address of the same kind. Of unix sockets the inode of its socket, and of a unix
	 * listener those of the sockets that wait; only with sockdiag_show_peers(). */
	const void *peer_address;
	uint16_t peer_port;
	uint32_t peer_inode; /* 0: none, or not known */
	const uint32_t *waiting_inodes;
	size_t n_waiting;
};

typedef void (*sockdiag_visit)(const struct sockdiag_socket *socket, void *userdata);

struct sockdiag;

/* 0 and *ret, or -ENOMEM. The netlink socket is opened when it is needed, and anew after a failure. */
int sockdiag_create(struct sockdiag **ret);

/* From now on unix sockets are shown with their peers, which costs the kernel more. */
void sockdiag_show_peers(struct sockdiag *diag);

/* From now on TCP sockets are shown only while they may be waiting to be accepted, and without dates: what the
 * kernel remembers of others, and counts, is not asked for. */
void sockdiag_show_waiting(struct sockdiag *diag);

/* The user that made the unix socket of this inode. -errno; -ENOENT: it is gone, or lives in another network
 * namespace; -ENODATA: this kernel does not tell. */
int sockdiag_unix_uid(struct sockdiag *diag, uint32_t inode, uid_t *ret);

/* NULL is fine. */
void sockdiag_destroy(struct sockdiag *diag);

/* Shows the sockets of a table: TCP those that are connected or were lately (not listeners, half-open ones),
 * unix and UDP all. 0: the visitor has seen every one. -EAGAIN: the table changed meanwhile in a way that may
 * have hidden some, another try is worth it. -ENOENT: this kernel has no such table (module udp_diag ...
 * missing). Any other -errno: nothing is known. What the visitor has seen before a failure is to be forgotten.
 */
int sockdiag_dump(struct sockdiag *diag, enum sockdiag_table table, sockdiag_visit visit, void *userdata);

/* Reads what one recv(2) brought of an answer to the request sequence. 1: that was the end; 0: more comes;
 * -EAGAIN at the end of an interrupted dump; -EBADMSG for what is cut or malformed; or the kernel's error.
 * *interrupted gathers NLM_F_DUMP_INTR over the calls. Bare for tests. */
int sockdiag_parse(const void *data, size_t size, uint32_t sequence, enum sockdiag_table table,
		   bool *interrupted, sockdiag_visit visit, void *userdata);
