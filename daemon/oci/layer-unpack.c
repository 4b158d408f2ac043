/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer-unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "blob-feed.h"
#include "cleanup.h"
#include "oci-blob.h"
#include "unpack-protocol.h"

/* One layer on its way. */
struct unpacking {
	const struct oci_layer *layer;
	const char *blob;                 /* its path, for errors */
	int folder_fd;                    /* where it goes */
	int answer_fd;                    /* the program's */
	struct blob_feed feed;            /* what it is given */
	char record[UNPACK_RECORD_BYTES]; /* the one that is being read */
	size_t record_bytes;
	int error;
	struct diag *diag;
};

static const char cancelled[] = "given up, as torpord stops";

static int fail(struct unpacking *u, int error, const char *what)
{
	if (u->error == 0)
		u->error = diag_set(u->diag, error, u->blob, 0, "%s", what);
	return u->error;
}

/* A folder of the layer that hides what is below it, which needs a privilege that the program has not. Whatever
 * it names, no link is followed and nothing else is reached. */
static int make_opaque(const struct unpacking *u, const char *path)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	autoclose int fd = (int)syscall(SYS_openat2, u->folder_fd, path, &how, sizeof how);

	return fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
}

static void take_record(struct unpacking *u)
{
	const char *text = u->record + 1;
	int r;

	if (u->record[0] == UNPACK_ERROR) {
		fail(u, -EBADMSG, text);
	} else if (u->record[0] == UNPACK_OPAQUE) {
		r = make_opaque(u, text);
		if (r < 0)
			fail(u, r,
			     "the file system of the state folder holds no extended attributes of overlayfs");
	} else {
		fail(u, -EBADMSG, "torpor-unpack gave a wrong answer");
	}
}

/* Records end with a NUL. False at the end. */
static bool read_answer(struct unpacking *u)
{
	char buf[4096];
	ssize_t n = read(u->answer_fd, buf, sizeof buf);

	if (n < 0)
		return errno == EINTR;
	for (ssize_t i = 0; i < n; i++) {
		if (u->record_bytes == sizeof u->record) {
			fail(u, -EBADMSG, "torpor-unpack gave too long an answer");
			return false;
		}
		u->record[u->record_bytes++] = buf[i];
		if (buf[i] != '\0')
			continue;
		take_record(u);
		u->record_bytes = 0;
	}
	return n > 0;
}

static void check_read(struct unpacking *u, int r)
{
	if (r < 0)
		fail(u, r, strerror(-r));
}

/* What the program had no use for belongs to the blob, too. */
static void check_digest(struct unpacking *u, int cancel_fd)
{
	struct pollfd cancel = {cancel_fd, POLLIN, 0};
	int r;

	while (u->error == 0 && (r = blob_feed_pass(&u->feed)) != 0) {
		check_read(u, r);
		if (poll(&cancel, 1, 0) > 0)
			fail(u, -ECANCELED, cancelled);
	}
	r = u->error == 0 ? blob_feed_check(&u->feed, u->layer->digest) : 0;
	if (r == -EBADMSG)
		fail(u, r, "is not what its digest says: damaged, or changed; copy the image anew");
	else
		check_read(u, r);
}

/* Until the program closes its end. */
static void listen_to(struct unpacking *u, pid_t pid, int cancel_fd)
{
	struct pollfd fds[] = {{u->answer_fd, POLLIN, 0}, {cancel_fd, POLLIN, 0}, {-1, POLLOUT, 0}};
	bool more = true;

	while (more) {
		fds[2].fd = u->feed.to_fd;
		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			fail(u, -errno, "cannot wait for torpor-unpack");
			break;
		}
		if (fds[1].revents)
			fail(u, -ECANCELED, cancelled);
		if (u->error == 0 && fds[2].revents)
			check_read(u, blob_feed_send(&u->feed));
		if (u->error == 0 && fds[0].revents)
			more = read_answer(u);
		if (u->error < 0)
			break;
	}
	/* Who closes its end otherwise than by exiting may be waited for no longer. Nobody else waits for it,
	 * so the number is its own: no pidfd, which may not be to be had, does more. */
	(void)kill(pid, SIGKILL);
}

static int spawn(const char *program, int blob_fd, int answer_fd, int folder_fd, pid_t *ret)
{
	char *argv[] = {(char *)"torpor-unpack", NULL}, *envp[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
		return -ENOMEM;
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	/* Sources lie above, as 0 to 2 are torpord's: nothing is overwritten that is still needed. */
	posix_spawn_file_actions_adddup2(&actions, blob_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, answer_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, folder_fd, UNPACK_FOLDER_FD);
	r = posix_spawn(ret, program, &actions, &attributes, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* Waits for it, whatever it does. */
static void attend(struct unpacking *u, pid_t pid, int cancel_fd)
{
	siginfo_t info = {0};

	listen_to(u, pid, cancel_fd);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (info.si_code != CLD_EXITED || info.si_status != 0)
		fail(u, -EBADMSG, "torpor-unpack was killed: is the layer larger than it should be?");
	check_digest(u, cancel_fd);
}

/* Runs the program; what it says is in u. */
static void run(struct unpacking *u, const char *program, int blob_fd, int cancel_fd)
{
	int pipe_fds[2], blob_fds[2], r;
	char text[128];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		fail(u, -errno, "no pipe can be made");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, blob_fds) < 0) {
		fail(u, -errno, "no socket can be made");
		fd_close(pipe_fds[0]);
		fd_close(pipe_fds[1]);
		return;
	}
	blob_feed_init(&u->feed, blob_fd, blob_fds[0], u->layer->bytes);
	r = spawn(program, blob_fds[1], pipe_fds[1], u->folder_fd, &pid);
	fd_close(pipe_fds[1]);
	fd_close(blob_fds[1]);
	u->answer_fd = pipe_fds[0];
	if (r < 0) {
		snprintf(text, sizeof text, "cannot be unpacked, as %.64s does not start: %s", program,
			 strerror(-r));
		fail(u, r, text);
	} else {
		attend(u, pid, cancel_fd);
	}
	blob_feed_finish(&u->feed);
	fd_close(pipe_fds[0]);
}

static int unpack_one(const struct layer_store *store, int image_fd, const struct oci_layer *layer,
		      const char *program, int cancel_fd, struct diag *diag)
{
	char blob[OCI_BLOB_PATH_BYTES];
	struct unpacking u = {.layer = layer, .blob = oci_blob_path(layer->digest, blob), .diag = diag};
	autoclose int blob_fd = oci_open_file(image_fd, blob), folder_fd = -EBADF;
	autofree char *path = NULL;
	int r;

	if (blob_fd < 0)
		return diag_set(diag, blob_fd, blob, 0, "%s", strerror(-blob_fd));
	folder_fd = layer_store_begin(store, &path);
	if (folder_fd < 0)
		return diag_set(diag, folder_fd, store->folder, 0, "%s", strerror(-folder_fd));
	u.folder_fd = folder_fd;
	run(&u, program, blob_fd, cancel_fd);
	if (u.error < 0)
		return u.error;
	r = layer_store_commit(store, path, layer->digest);
	return r < 0 ? diag_set(diag, r, store->folder, 0, "%s", strerror(-r)) : 0;
}

int layers_unpack(const struct layer_store *store, const struct oci_image *image, const char *program,
		  int cancel_fd, struct diag *diag)
{
	autoclose int image_fd = open(image->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = image_fd < 0 ? diag_set(diag, -errno, "", 0, "%s", strerror(errno)) : 0;

	for (unsigned i = 0; r == 0 && i < image->n_layers; i++) {
		autofree char *path = layer_store_path(store->folder, image->layers[i].digest);

		if (!path)
			return diag_set(diag, -ENOMEM, "", 0, "out of memory");
		if (access(path, F_OK) < 0)
			r = unpack_one(store, image_fd, &image->layers[i], program, cancel_fd, diag);
	}
	if (r == 0) {
		r = layer_store_publish(store, image);
		if (r < 0)
			diag_set(diag, r, store->folder, 0, "%s", strerror(-r));
	}
	/* Of a layer that went wrong, too. */
	(void)layer_store_clean(store);
	return r;
}
