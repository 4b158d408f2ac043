/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "knock.h"
#include "verdict.h"

#define SOON_US UINT64_C(60000000)

static char folder[] = "/tmp/torpor-test.XXXXXX";

static int setup(void **unused)
{
	(void)unused;
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **unused)
{
	(void)unused;
	return rmdir(folder);
}

static struct sockaddr_storage address_of(const char *name, socklen_t *length)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_storage address = {0};

	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			      (size_t)snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", folder, name));
	memcpy(&address, &un, sizeof un);
	return address;
}

/* Files are dated by a clock of ticks, which others' fine dates can be ahead of (multigrain time stamps,
 * Linux 6.13): a visit is later than all that was before only once that clock has passed the present. */
static void await_tick(void)
{
	struct timespec before, now;

	clock_gettime(CLOCK_REALTIME, &before);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec < before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec <= before.tv_nsec));
}

static void visit(const struct sockaddr_storage *address, socklen_t length)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	await_tick();
	assert_return_code(connect(fd, (const struct sockaddr *)address, length), errno);
	close(fd);
}

static void test_visits(void **unused)
{
	struct knock knock = KNOCK_NONE;
	struct sockaddr_storage address;
	struct statvfs fs;
	socklen_t length;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	assert_return_code(statvfs(folder, &fs), errno);
	if (fs.f_flag & ST_NOATIME)
		skip(); /* /tmp is mounted noatime: nobody can tell */
	address = address_of("socket", &length);
	assert_return_code(bind(fd, (const struct sockaddr *)&address, length), errno);
	assert_return_code(listen(fd, 8), errno);
	(void)knock_age_us(&knock, &address, length); /* of whoever came before the first look, or made it */
	for (unsigned i = 0; i < 3; i++) {
		assert_true(knock_age_us(&knock, &address, length) == IDLE_NEVER);
		visit(&address, length);
		visit(&address, length);
		assert_true(knock_age_us(&knock, &address, length) < SOON_US);
	}
	knock_finish(&knock);
	close(fd);
	unlink(((struct sockaddr_un *)&address)->sun_path);
}

/* What is no socket is not touched, whatever it is called. */
static void test_no_socket(void **unused)
{
	struct sockaddr_storage file, link, missing, abstract = {.ss_family = AF_UNIX};
	struct knock knock = KNOCK_NONE;
	socklen_t length, link_length, missing_length;

	(void)unused;
	file = address_of("file", &length);
	link = address_of("link", &link_length);
	missing = address_of("missing", &missing_length);
	close(open(((struct sockaddr_un *)&file)->sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_return_code(symlink("file", ((struct sockaddr_un *)&link)->sun_path), errno);
	assert_true(knock_age_us(&knock, &file, length) == IDLE_NEVER);
	knock_finish(&knock);
	assert_true(knock_age_us(&knock, &link, link_length) == IDLE_NEVER);
	knock_finish(&knock);
	assert_true(knock_age_us(&knock, &missing, missing_length) == IDLE_NEVER);
	knock_finish(&knock);
	memcpy(((struct sockaddr_un *)&abstract)->sun_path, "\0/name", 6);
	assert_true(knock_age_us(&knock, &abstract, sizeof(sa_family_t) + 6) == IDLE_NEVER);
	assert_true(knock_age_us(&knock, &abstract, sizeof(sa_family_t)) == IDLE_NEVER);
	knock_finish(&knock);
	unlink(((struct sockaddr_un *)&link)->sun_path);
	unlink(((struct sockaddr_un *)&file)->sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_visits),
		cmocka_unit_test(test_no_socket),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
