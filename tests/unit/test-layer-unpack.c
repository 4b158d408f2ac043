/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "layer-unpack.h"
#include "oci-blob.h"
#include "scratch.h"

#define BLOB_BYTES (1024 * 1024)
#define DIGEST     "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58" /* of so many zeros */

static bool exhaust;
static const char *lie = DIGEST; /* what the manifest says */
static uint64_t bytes = BLOB_BYTES;

int __real_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

int __wrap_syncfs(int fd);

/* Takes as long as others write. */
int __wrap_syncfs(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* From then on there is no new descriptor. */
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	struct rlimit limit;
	int r = __real_posix_spawn(pid, path, actions, attributes, argv, envp);

	if (exhaust) {
		assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
		limit.rlim_cur = 3;
		assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
	}
	return r;
}

static bool is_there(const struct scratch *scratch, const char *prefix, const char *digest)
{
	char path[128];

	snprintf(path, sizeof path, "layers/%s%s", prefix, digest);
	return access(scratch_path(scratch, path), F_OK) == 0;
}

/* Unpacks the one layer by a script. */
static int unpack(const char *script, bool cancel, struct diag *diag)
{
	static const char zeros[BLOB_BYTES];
	struct oci_layer layer = {.bytes = bytes};
	struct oci_image image = {.layers = &layer, .n_layers = 1};
	char blob[OCI_BLOB_PATH_BYTES], program[512], folder[64];
	struct layer_store store = {.folder = folder};
	struct rlimit before;
	struct scratch scratch;
	int r, cancel_fd = eventfd(cancel, EFD_CLOEXEC);

	scratch_init(&scratch);
	strcpy(layer.digest, lie);
	image.folder = scratch.root;
	scratch_write_bytes(&scratch, oci_blob_path(lie, blob), zeros, sizeof zeros);
	scratch_write(&scratch, "program", script);
	snprintf(program, sizeof program, "%s", scratch_path(&scratch, "program"));
	assert_return_code(chmod(program, 0755), errno);
	snprintf(folder, sizeof folder, "%s/layers", scratch.root);
	assert_return_code(mkdir(folder, 0700), errno);
	store.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(store.fd, errno);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
	r = layers_unpack(&store, &image, program, cancel_fd, diag);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
	assert_int_equal(is_there(&scratch, "", lie), r == 0);
	assert_false(is_there(&scratch, "new.", lie));
	/* Nothing is left running. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	close(store.fd);
	close(cancel_fd);
	scratch_finish(&scratch);
	return r;
}

static void a_layer(void **state)
{
	struct diag diag = {0};

	(void)state;
	assert_int_equal(unpack("#!/bin/sh\nexit 0\n", false, &diag), 0);
	assert_int_equal(unpack("#!/bin/sh\nprintf 'Ewrong\\0'\n", false, &diag), -EBADMSG);
	assert_string_equal(diag.message, "wrong");
	assert_int_equal(unpack("#!/bin/sh\nexit 1\n", false, &diag), -EBADMSG);
}

static void a_program_is_given_the_blob(void **state)
{
	struct diag diag = {0};

	(void)state;
	assert_int_equal(unpack("#!/bin/sh\ntest $(wc -c) = 1048576\n", false, &diag), 0);
	assert_int_equal(unpack("#!/bin/sh\ntest $(head -c 9 | wc -c) = 9\n", false, &diag), 0);
	assert_int_equal(unpack("#!/bin/sh\nexec <&-\n", false, &diag), 0);
}

/* Whatever the program makes of the blob, it has no say in what that goes by. */
static void another_digest(void **state)
{
	static const struct {
		const char *digest;
		uint64_t bytes;
	} lies[] = {
		{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", BLOB_BYTES},
		{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0}, /* of nothing */
		{DIGEST, BLOB_BYTES + 1},
		{DIGEST, BLOB_BYTES - 1},
	};
	static const char *const scripts[] = {"#!/bin/sh\nexit 0\n", "#!/bin/sh\ncat > /dev/null\n"};
	struct diag diag = {0};

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		for (size_t k = 0; k < sizeof scripts / sizeof *scripts; k++) {
			lie = lies[i].digest;
			bytes = lies[i].bytes;
			assert_int_equal(unpack(scripts[k], false, &diag), -EBADMSG);
			assert_non_null(strstr(diag.message, "not what its digest says"));
			diag = (struct diag){0};
		}
	lie = DIGEST;
	bytes = BLOB_BYTES;
}

/* By a program that would go on for ever, waiting for somebody to read what it says or for nothing. */
static void given_up(void **state)
{
	struct diag diag = {0};

	exhaust = *state != NULL;
	assert_int_equal(unpack("#!/bin/sh\nexec sleep infinity\n", true, &diag), -ECANCELED);
	assert_int_equal(unpack("#!/bin/sh\nexec cat /dev/zero\n", true, &diag), -ECANCELED);
	diag = (struct diag){0};
	assert_int_equal(unpack("#!/bin/sh\nexec cat /dev/zero\n", false, &diag), -EBADMSG);
	assert_string_equal(diag.message, "torpor-unpack gave a wrong answer");
	diag = (struct diag){0};
	assert_int_equal(unpack("#!/bin/sh\nexec sleep infinity >&-\n", false, &diag), -EBADMSG);
	exhaust = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer),
		cmocka_unit_test(a_program_is_given_the_blob),
		cmocka_unit_test(another_digest),
		cmocka_unit_test(given_up),
		cmocka_unit_test_prestate(given_up, &exhaust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
