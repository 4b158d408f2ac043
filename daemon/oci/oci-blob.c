/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci-blob.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "str.h"

int oci_open_file(int folder_fd, const char *path)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	autoclose int fd = (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? steal_fd(&fd) : -EINVAL;
}

const char *oci_blob_path(const char *digest, char buf[static OCI_BLOB_PATH_BYTES])
{
	snprintf(buf, OCI_BLOB_PATH_BYTES, "blobs/sha256/%s", digest);
	return buf;
}

static int read_text(int folder_fd, const char *path, char **ret, size_t *ret_bytes, struct diag *diag)
{
	autoclose int fd = oci_open_file(folder_fd, path);
	char own[32];
	int r = fd;

	if (fd >= 0) {
		snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
		r = fd_read_file(AT_FDCWD, own, OCI_DOCUMENT_BYTES, ret, ret_bytes);
	}
	if (r == -E2BIG)
		return diag_set(diag, -EINVAL, path, 0, "larger than %d bytes", OCI_DOCUMENT_BYTES);
	return r < 0 ? diag_set(diag, r, path, 0, "%s", strerror(-r)) : 0;
}

int oci_read_file(int folder_fd, const char *path, json_t **ret, struct diag *diag)
{
	autofree char *text = NULL;
	size_t bytes;
	int r = read_text(folder_fd, path, &text, &bytes, diag);

	return r < 0 ? r : oci_document_parse(text, bytes, path, ret, diag);
}

bool oci_digest_is(struct sha256_ctx *hash, const char *digits)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	char found[2 * SHA256_DIGEST_SIZE + 1];

	sha256_digest(hash, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(found + 2 * i, 3, "%02x", digest[i]);
	return str_equal(found, digits);
}

static bool has_digest(const char *text, size_t bytes, const char *digest)
{
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, bytes, (const uint8_t *)text);
	return oci_digest_is(&hash, digest);
}

int oci_read_blob(int folder_fd, const struct oci_descriptor *descriptor, json_t **ret, struct diag *diag)
{
	char path[OCI_BLOB_PATH_BYTES];
	autofree char *text = NULL;
	size_t bytes;
	int r = read_text(folder_fd, oci_blob_path(descriptor->digest, path), &text, &bytes, diag);

	if (r < 0)
		return r;
	if (bytes != descriptor->bytes)
		return diag_set(diag, -EINVAL, path, 0, "has %zu bytes; expected %llu, as its descriptor says",
				bytes, (unsigned long long)descriptor->bytes);
	if (!has_digest(text, bytes, descriptor->digest))
		return diag_set(diag, -EINVAL, path, 0,
				"is not what its digest says: damaged, or changed; copy the image anew");
	return oci_document_parse(text, bytes, path, ret, diag);
}
