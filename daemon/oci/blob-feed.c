/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blob-feed.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "oci-blob.h"

void blob_feed_init(struct blob_feed *feed, int from_fd, int to_fd, uint64_t bytes)
{
	feed->from_fd = from_fd;
	feed->to_fd = to_fd;
	sha256_init(&feed->hash);
	feed->bytes = 0;
	feed->bytes_max = bytes;
	feed->at = feed->filled = 0;
}

static void hang_up(struct blob_feed *feed)
{
	fd_close(feed->to_fd);
	feed->to_fd = -EBADF;
}

int blob_feed_pass(struct blob_feed *feed)
{
	uint64_t left = feed->bytes_max - feed->bytes;
	ssize_t n;

	do
		n = read(feed->from_fd, feed->buf, left < sizeof feed->buf ? left : sizeof feed->buf);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	sha256_update(&feed->hash, (size_t)n, feed->buf);
	feed->bytes += (uint64_t)n;
	feed->at = 0;
	feed->filled = (size_t)n;
	return n > 0;
}

int blob_feed_send(struct blob_feed *feed)
{
	ssize_t n;
	int r;

	if (feed->at == feed->filled) {
		r = blob_feed_pass(feed);
		if (r <= 0) {
			hang_up(feed);
			return r;
		}
	}
	n = send(feed->to_fd, feed->buf + feed->at, feed->filled - feed->at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		feed->at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		hang_up(feed); /* it is gone, or has heard enough: its answer says which */
	return 0;
}

int blob_feed_check(struct blob_feed *feed, const char *digits)
{
	ssize_t n;

	n = read(feed->from_fd, feed->buf, 1);
	if (n < 0)
		return -errno;
	return n == 0 && feed->bytes == feed->bytes_max && oci_digest_is(&feed->hash, digits) ? 0 : -EBADMSG;
}

void blob_feed_finish(struct blob_feed *feed)
{
	hang_up(feed);
}
