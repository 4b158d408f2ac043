/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "environment.h"
#include "mounts.h"
#include "plan.h"

#define PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

static const struct listener_spec listeners[] = {{.fd_name = "web"}, {.fd_name = "a_b"}, {.fd_name = "web"}};
static const struct environment_account web = {"web", "/srv/web", "/bin/sh"}, unknown = {"", "/", ""};

struct fixture {
	struct site_spec spec;
	struct launch_plan plan;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){
		.spec = {.name = "a", .handover = HANDOVER_STDIN, .listeners = listeners, .n_listeners = 1}};
	arena_init(&fixture.plan.arena);
	fixture.plan.spec = &fixture.spec;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	arena_finish(&fixture->plan.arena);
	return 0;
}

/* Compares the whole environment, in its order. */
static void assert_environment(struct fixture *fixture, const struct environment_account *account,
			       const char *const *expected)
{
	size_t n = 0;

	assert_int_equal(environment_compile(&fixture->plan, account), 0);
	for (; expected[n]; n++) {
		assert_non_null(fixture->plan.envp[n]);
		assert_string_equal(fixture->plan.envp[n], expected[n]);
	}
	assert_null(fixture->plan.envp[n]);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_path(void **state)
{
	struct fixture *fixture = *state;
	char path[256] = "PATH=";

	assert_environment(fixture, &unknown, LIST(PATH));
	/* The folders that torpor looks in are those that the program is told of, where its root may have them
	 * all. */
	for (const char *const *folder = environment_search_path; *folder; folder++) {
		size_t length = strlen(*folder);

		assert_true(length > 1 && (*folder)[0] == '/' && (*folder)[length - 1] == '/');
		if (folder != environment_search_path)
			strcat(path, ":");
		strncat(path, *folder, length - 1);
	}
	assert_string_equal(path, PATH ":/sbin:/bin");
	fixture->spec.root_directory = "/srv/root";
	assert_environment(fixture, &unknown, LIST(PATH ":/sbin:/bin"));
}

static void test_user(void **state)
{
	struct fixture *fixture = *state;

	/* No User=: nobody, of whom there is nothing to tell. */
	assert_environment(fixture, &web, LIST(PATH));
	fixture->spec.user = "web";
	assert_environment(fixture, &web,
			   LIST(PATH, "USER=web", "LOGNAME=web", "HOME=/srv/web", "SHELL=/bin/sh"));
	/* A number without an entry in passwd(5). */
	fixture->spec.user = "4711";
	assert_environment(fixture, &unknown, LIST(PATH));
}

static void test_listen_fds(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.handover = HANDOVER_LISTEN_FDS;
	assert_environment(fixture, &unknown, LIST(PATH, "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=web"));
	fixture->spec.n_listeners = 3;
	assert_environment(fixture, &unknown,
			   LIST(PATH, "LISTEN_FDS=3", "LISTEN_PID=1", "LISTEN_FDNAMES=web:a_b:web"));
	fixture->spec.handover = HANDOVER_STDIN;
	assert_environment(fixture, &unknown, LIST(PATH));
}

static void test_notify(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.notify_access = NOTIFY_MAIN;
	assert_environment(fixture, &unknown, LIST(PATH, "NOTIFY_SOCKET=" CONTAINER_NOTIFY_SOCKET));
	fixture->spec.notify_access = NOTIFY_ALL;
	assert_environment(fixture, &unknown, LIST(PATH, "NOTIFY_SOCKET=" CONTAINER_NOTIFY_SOCKET));
}

static void test_own(void **state)
{
	struct fixture *fixture = *state;

	fixture->spec.environment = LIST("A=1", "B=", "C=x=y z\n");
	assert_environment(fixture, &unknown, LIST(PATH, "A=1", "B=", "C=x=y z\n"));
	/* Later ones win, also over themselves; a name is a whole name. */
	fixture->spec.environment = LIST("A=1", "AB=2", "A=3", "A=4", "B=5");
	assert_environment(fixture, &unknown, LIST(PATH, "AB=2", "A=4", "B=5"));
}

/* Environment= wins over each default. */
static void test_override(void **state)
{
	struct fixture *fixture = *state;
	const char *const *all = LIST("PATH=/bin", "USER=u", "LOGNAME=l", "HOME=/h", "SHELL=/s", "LISTEN_FDS=9",
				      "LISTEN_PID=9", "LISTEN_FDNAMES=n", "NOTIFY_SOCKET=");

	fixture->spec.user = "web";
	fixture->spec.handover = HANDOVER_LISTEN_FDS;
	fixture->spec.notify_access = NOTIFY_ALL;
	fixture->spec.environment = all;
	assert_environment(fixture, &web, all);
	fixture->spec.environment = LIST("HOME=/elsewhere", "PAT=x", "USERS=y");
	assert_environment(fixture, &web,
			   LIST(PATH, "USER=web", "LOGNAME=web", "SHELL=/bin/sh", "LISTEN_FDS=1",
				"LISTEN_PID=1", "LISTEN_FDNAMES=web", "NOTIFY_SOCKET=" CONTAINER_NOTIFY_SOCKET,
				"HOME=/elsewhere", "PAT=x", "USERS=y"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_override, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
