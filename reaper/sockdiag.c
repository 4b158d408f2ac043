/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "cleanup.h"

/* The kernel fills up to 32 KiB a message once it has seen a buffer that takes it. */
#define RECEIVE_BYTES (64 * 1024)

/* Dumps are made inside recv(2), so an answer that takes this long is lost (ENOBUFS), not slow. */
#define RECEIVE_TIMEOUT_S 2

/* FIN-WAIT, CLOSING and LAST-ACK too: a half-closed connection still moves bytes, and one that the program has
 * closed while its last bytes are under way dates the last use. Not SYN-SENT: no listener has such. Not
 * half-open (NEW-SYN-RECV): nobody is waiting yet, and a SYN flood must not keep a site awake; SYN-RECV proper
 * is a fast-open connection that can be accepted. TIME-WAIT holds no
 * program's connection, but tells for a minute when one ended: a site that answers and closes between two scans
 * would otherwise show no sign of use. */
#define TCP_STATES                                                                                             \
	(1U << TCP_ESTABLISHED | 1U << TCP_SYN_RECV | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 |              \
	 1U << TCP_CLOSE_WAIT | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING | 1U << TCP_TIME_WAIT)
/* Of them those whose program may not have them yet: the states after a close(2) are none of these. */
#define WAITING_STATES  (1U << TCP_ESTABLISHED | 1U << TCP_SYN_RECV | 1U << TCP_CLOSE_WAIT)
#define TIMER_TIME_WAIT 3                  /* idiag_timer of what the kernel remembers of a closed connection */
#define TIME_WAIT_US    UINT64_C(60000000) /* TCP_TIMEWAIT_LEN of the kernel, not to be configured */

/* Of tcpi_bytes_received and tcpi_bytes_sent in the kernel's struct tcp_info, which is longer than the C
 * library's; the two headers cannot be had together. */
#define BYTES_RECEIVED_AT 128
#define BYTES_SENT_AT     200

struct sockdiag {
	int fd; /* owned; negative: to be opened */
	uint32_t sequence;
	uint32_t unix_show; /* UDIAG_SHOW_... */
	uint32_t tcp_states;
	uint8_t tcp_extensions;
	char buffer[RECEIVE_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct request {
	struct nlmsghdr header;
	union {
		struct inet_diag_req_v2 inet;
		struct unix_diag_req unix_;
	};
};

int sockdiag_create(struct sockdiag **ret)
{
	struct sockdiag *diag = calloc(1, sizeof *diag);

	if (!diag)
		return -ENOMEM;
	diag->fd = -EBADF;
	diag->unix_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN;
	diag->tcp_states = TCP_STATES;
	diag->tcp_extensions = 1U << (INET_DIAG_INFO - 1);
	*ret = diag;
	return 0;
}

void sockdiag_show_peers(struct sockdiag *diag)
{
	diag->unix_show |= UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS;
}

void sockdiag_show_waiting(struct sockdiag *diag)
{
	diag->tcp_states = WAITING_STATES;
	diag->tcp_extensions = 0;
}

void sockdiag_destroy(struct sockdiag *diag)
{
	if (!diag)
		return;
	fd_close(diag->fd);
	free(diag);
}

static int open_netlink(void)
{
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct timeval timeout = {.tv_sec = RECEIVE_TIMEOUT_S};

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int send_request(int fd, const struct request *request)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	for (;;) {
		ssize_t n = sendto(fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
				   sizeof kernel);

		if (n >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static int request_dump(struct sockdiag *diag, enum sockdiag_table table)
{
	struct request request = {.header = {
					  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
					  .nlmsg_seq = ++diag->sequence,
				  }};

	if (table == SOCKDIAG_UNIX) {
		request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.unix_);
		request.unix_.sdiag_family = AF_UNIX;
		request.unix_.udiag_states = ~0U;
		request.unix_.udiag_show = diag->unix_show;
	} else {
		bool tcp = table == SOCKDIAG_TCP4 || table == SOCKDIAG_TCP6;
		bool ipv6 = table == SOCKDIAG_TCP6 || table == SOCKDIAG_UDP6;

		request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.inet);
		request.inet.sdiag_family = ipv6 ? AF_INET6 : AF_INET;
		request.inet.sdiag_protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		request.inet.idiag_states = tcp ? diag->tcp_states : ~0U;
		request.inet.idiag_ext = tcp ? diag->tcp_extensions : 0;
	}
	return send_request(diag->fd, &request);
}

/* The attribute of that type among those that follow a message's fixed part; NULL: none. */
static const struct rtattr *find_attribute(const void *from, size_t size, unsigned short type)
{
	const struct rtattr *attribute = from;
	int left = (int)size; /* signed: what RTA_NEXT and NLMSG_NEXT take off, padding included, may be more */

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return attribute;
	return NULL;
}

/* Whether bytes came in, and none went out yet. A kernel before 4.19 does not tell. */
static bool never_answered(const char *info, size_t size)
{
	uint64_t received, sent;

	if (size < BYTES_SENT_AT + sizeof sent)
		return false;
	memcpy(&received, info + BYTES_RECEIVED_AT, sizeof received);
	memcpy(&sent, info + BYTES_SENT_AT, sizeof sent);
	return received > 0 && sent == 0;
}

static int parse_inet(const void *data, size_t size, struct sockdiag_socket *ret)
{
	const size_t needed = offsetof(struct tcp_info, tcpi_last_data_recv) + sizeof(uint32_t);
	const struct inet_diag_msg *message = data;
	const struct rtattr *attribute;
	struct tcp_info info = {0};

	if (size < sizeof *message)
		return -EBADMSG;
	ret->state = message->idiag_state;
	ret->inode = message->idiag_inode;
	ret->cookie = (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0];
	ret->rqueue = message->idiag_rqueue;
	ret->wqueue = message->idiag_wqueue;
	ret->address = message->id.idiag_src;
	ret->address_bytes =
		message->idiag_family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	ret->peer = message->id.idiag_dst;
	ret->port = message->id.idiag_sport;
	ret->interface = message->id.idiag_if;
	ret->peer_address = message->id.idiag_dst;
	ret->peer_port = message->id.idiag_dport;

	/* What is left of a connection that the program has closed, and the peer has not yet, is remembered
	 * like it.
	 */
	if (message->idiag_state == TCP_TIME_WAIT ||
	    (message->idiag_state == TCP_FIN_WAIT2 && message->idiag_timer == TIMER_TIME_WAIT)) {
		uint64_t left_us = (uint64_t)message->idiag_expires * 1000;

		ret->dated = message->idiag_timer == TIMER_TIME_WAIT && left_us <= TIME_WAIT_US;
		ret->last_data_age_us = TIME_WAIT_US - left_us;
		return 0;
	}
	attribute = find_attribute((const char *)data + NLMSG_ALIGN(sizeof *message),
				   size - NLMSG_ALIGN(sizeof *message), INET_DIAG_INFO);
	if (attribute && RTA_PAYLOAD(attribute) >= needed) {
		memcpy(&info, RTA_DATA(attribute), needed);
		ret->dated = true;
		/* Times are counted in ticks of up to 10 ms, within which a connection can be made, too. */
		ret->asked = info.tcpi_last_data_recv < info.tcpi_last_data_sent ||
			     never_answered(RTA_DATA(attribute), RTA_PAYLOAD(attribute));
		ret->last_data_age_us = info.tcpi_last_data_recv < info.tcpi_last_data_sent
						? info.tcpi_last_data_recv
						: info.tcpi_last_data_sent;
		ret->last_data_age_us *= 1000;
	}
	return 0;
}

static int parse_unix(const void *data, size_t size, struct sockdiag_socket *ret)
{
	const struct unix_diag_msg *message = data;
	const struct rtattr *name, *queues, *peer, *waiting;
	const void *attributes = (const char *)data + NLMSG_ALIGN(sizeof *message);
	struct unix_diag_rqlen lengths;

	if (size < sizeof *message)
		return -EBADMSG;
	ret->state = message->udiag_state;
	ret->type = message->udiag_type;
	ret->inode = message->udiag_ino;
	ret->cookie = (uint64_t)message->udiag_cookie[1] << 32 | message->udiag_cookie[0];
	size -= NLMSG_ALIGN(sizeof *message);
	name = find_attribute(attributes, size, UNIX_DIAG_NAME);
	if (name) {
		ret->address = RTA_DATA(name);
		ret->address_bytes = RTA_PAYLOAD(name);
	}
	queues = find_attribute(attributes, size, UNIX_DIAG_RQLEN);
	if (!queues || RTA_PAYLOAD(queues) < sizeof lengths)
		return -EBADMSG;
	memcpy(&lengths, RTA_DATA(queues), sizeof lengths);
	ret->rqueue = lengths.udiag_rqueue;
	ret->wqueue = lengths.udiag_wqueue;
	peer = find_attribute(attributes, size, UNIX_DIAG_PEER);
	if (peer && RTA_PAYLOAD(peer) >= sizeof ret->peer_inode)
		memcpy(&ret->peer_inode, RTA_DATA(peer), sizeof ret->peer_inode);
	waiting = find_attribute(attributes, size, UNIX_DIAG_ICONS);
	if (waiting) {
		ret->waiting_inodes = RTA_DATA(waiting); /* attributes are aligned as it is */
		ret->n_waiting = RTA_PAYLOAD(waiting) / sizeof *ret->waiting_inodes;
	}
	return 0;
}

static int parse_socket(const struct nlmsghdr *header, enum sockdiag_table table, sockdiag_visit visit,
			void *userdata)
{
	struct sockdiag_socket found = {.table = table};
	const void *data = NLMSG_DATA(header);
	size_t size = NLMSG_PAYLOAD(header, 0);
	int r = table == SOCKDIAG_UNIX ? parse_unix(data, size, &found) : parse_inet(data, size, &found);

	if (r == 0)
		visit(&found, userdata);
	return r;
}

/* The error that NLMSG_ERROR, or the end of a dump that failed on its way, carries; 0: none. */
static int parse_status(const struct nlmsghdr *header)
{
	int status = 0;

	if (NLMSG_PAYLOAD(header, 0) < sizeof status)
		return header->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&status, NLMSG_DATA(header), sizeof status);
	if (header->nlmsg_type == NLMSG_ERROR && status >= 0)
		return -EBADMSG; /* an acknowledgement: none was asked for */
	return status < 0 ? status : 0;
}

int sockdiag_parse(const void *data, size_t size, uint32_t sequence, enum sockdiag_table table,
		   bool *interrupted, sockdiag_visit visit, void *userdata)
{
	const char *at = data, *end = at + size;

	while ((size_t)(end - at) >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *header = (const void *)at;
		size_t left = (size_t)(end - at), length = header->nlmsg_len;
		int r;

		if (length < sizeof *header || length > left)
			return -EBADMSG;
		at = NLMSG_ALIGN(length) < left ? at + NLMSG_ALIGN(length) : end;
		if (header->nlmsg_seq != sequence)
			continue; /* the rest of an answer that was given up */
		if (header->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		switch (header->nlmsg_type) {
		case NLMSG_DONE:
			r = parse_status(header);
			return r < 0 ? r : *interrupted ? -EAGAIN : 1;
		case NLMSG_ERROR:
			return parse_status(header);
		case NLMSG_OVERRUN:
			return -ENOBUFS;
		case SOCK_DIAG_BY_FAMILY:
			r = parse_socket(header, table, visit, userdata);
			if (r < 0)
				return r;
			break;
		default:
			break;
		}
	}
	return at == end ? 0 : -EBADMSG;
}

/* One message of the kernel into the buffer. Returns its size. */
static ssize_t receive(struct sockdiag *diag)
{
	struct sockaddr_nl from;
	struct iovec iov = {diag->buffer, sizeof diag->buffer};

	for (;;) {
		struct msghdr message = {&from, sizeof from, &iov, 1, NULL, 0, 0};
		ssize_t n = recvmsg(diag->fd, &message, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -EBADMSG;
		if (message.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		if (from.nl_pid == 0) /* anybody may send to a netlink port, only the kernel is 0 */
			return n;
	}
}

static int open_if_needed(struct sockdiag *diag)
{
	if (diag->fd < 0)
		diag->fd = open_netlink();
	return diag->fd < 0 ? diag->fd : 0;
}

static int dump(struct sockdiag *diag, enum sockdiag_table table, sockdiag_visit visit, void *userdata)
{
	bool interrupted = false;
	int r = open_if_needed(diag);

	if (r == 0)
		r = request_dump(diag, table);
	while (r == 0) {
		ssize_t n = receive(diag);

		r = n < 0 ? (int)n
			  : sockdiag_parse(diag->buffer, (size_t)n, diag->sequence, table, &interrupted, visit,
					   userdata);
	}
	return r < 0 ? r : 0;
}

/* After some results the socket is in a known state; else an unfinished dump would meet the next one (EBUSY).
 */
static int settle(struct sockdiag *diag, int r)
{
	if (r < 0 && r != -EAGAIN && r != -ENOENT && r != -ENODATA) {
		fd_close(diag->fd);
		diag->fd = -EBADF;
	}
	return r;
}

int sockdiag_dump(struct sockdiag *diag, enum sockdiag_table table, sockdiag_visit visit, void *userdata)
{
	return settle(diag, dump(diag, table, visit, userdata));
}

/* The answer to a question about one socket: the socket, or an error. */
static int parse_uid(const void *data, size_t size, uint32_t sequence, uid_t *ret)
{
	const struct nlmsghdr *header = data;
	size_t fixed = NLMSG_ALIGN(sizeof(struct unix_diag_msg));
	const struct rtattr *uid;
	uint32_t value;

	if (size < sizeof *header || header->nlmsg_len > size || header->nlmsg_len < sizeof *header ||
	    header->nlmsg_seq != sequence)
		return -EBADMSG;
	if (header->nlmsg_type == NLMSG_ERROR)
		return parse_status(header);
	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || NLMSG_PAYLOAD(header, 0) < fixed)
		return -EBADMSG;
	uid = find_attribute((const char *)NLMSG_DATA(header) + fixed, NLMSG_PAYLOAD(header, 0) - fixed,
			     UNIX_DIAG_UID);
	if (!uid || RTA_PAYLOAD(uid) < sizeof value)
		return -ENODATA;
	memcpy(&value, RTA_DATA(uid), sizeof value);
	*ret = value;
	return 0;
}

int sockdiag_unix_uid(struct sockdiag *diag, uint32_t inode, uid_t *ret)
{
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof request.unix_),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST,
			   .nlmsg_seq = ++diag->sequence},
		.unix_ = {.sdiag_family = AF_UNIX,
			  .udiag_states = ~0U,
			  .udiag_ino = inode,
			  .udiag_show = UDIAG_SHOW_UID,
			  .udiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	int r = open_if_needed(diag);
	ssize_t n;

	if (r == 0)
		r = send_request(diag->fd, &request);
	if (r == 0) {
		n = receive(diag);
		r = n < 0 ? (int)n : parse_uid(diag->buffer, (size_t)n, request.header.nlmsg_seq, ret);
	}
	return settle(diag, r);
}
