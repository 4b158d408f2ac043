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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "oci-blob.h"
#include "unpack-protocol.h"

/* One layer on its way. */
struct unpacking {
	const struct oci_layer *layer;
	const char *blob;                 /* its path, for errors */
	int folder_fd;                    /* where it goes */
	int answer_fd;                    /* the program's */
	char record[UNPACK_RECORD_BYTES]; /* the one that is being read */
	size_t record_bytes;
	int error;
	struct diag *diag;
};

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

/* Until the program closes its end. */
static void listen_to(struct unpacking *u, pid_t pid, int cancel_fd)
{
	struct pollfd fds[] = {{u->answer_fd, POLLIN, 0}, {cancel_fd, POLLIN, 0}};
	bool more = true;

	while (more) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			fail(u, -errno, "cannot wait for torpor-unpack");
		if (fds[1].revents)
			fail(u, -ECANCELED, "given up, as torpord stops");
		if (u->error == 0 && fds[0].revents)
			more = read_answer(u);
		if (u->error < 0)
			break;
	}
	/* Nobody has waited for it yet, so the number is still its own; a pidfd may not be to be had, and it
	 * may be waiting for its answer to be read. */
	if (u->error < 0)
		(void)kill(pid, SIGKILL);
}

static int spawn(const char *program, const struct oci_layer *layer, int blob_fd, int answer_fd, int folder_fd,
		 pid_t *ret)
{
	char bytes[24];
	char *argv[] = {(char *)"torpor-unpack", (char *)layer->digest, bytes, NULL}, *envp[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)layer->bytes);
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

/* Runs the program; what it says is in u. */
static void run(struct unpacking *u, const char *program, int blob_fd, int cancel_fd)
{
	char text[128];
	siginfo_t info = {0};
	int pipe_fds[2], r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		fail(u, -errno, "no pipe can be made");
		return;
	}
	r = spawn(program, u->layer, blob_fd, pipe_fds[1], u->folder_fd, &pid);
	fd_close(pipe_fds[1]);
	u->answer_fd = pipe_fds[0];
	if (r < 0) {
		snprintf(text, sizeof text, "cannot be unpacked, as %.64s does not start: %s", program,
			 strerror(-r));
		fail(u, r, text);
	} else {
		listen_to(u, pid, cancel_fd);
		while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
			;
		if (info.si_code != CLD_EXITED || info.si_status != 0)
			fail(u, -EBADMSG, "torpor-unpack was killed: is the layer larger than it should be?");
	}
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
