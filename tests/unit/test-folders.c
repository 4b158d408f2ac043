/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "folders.h"
#include "scratch.h"

static const struct host host = {.links = {{"bin", "usr/bin"}, {"lib64", "usr/lib64"}}, .n_links = 2};

static int setup(void **state)
{
	static struct scratch scratch;

	scratch_init(&scratch);
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	scratch_finish(*state);
	return 0;
}

/* "PATH before N" for each folder of a site with these lines. */
static void assert_folders(struct scratch *scratch, const char *socket, const char *container,
			   const char *expected)
{
	struct socket_folder folders[SPEC_LISTENERS_MAX];
	char text[4096], found[16384] = "";
	FILE *out = fmemopen(found, sizeof found, "w");
	struct site_spec *spec;
	struct diag diag;
	unsigned n;

	snprintf(text, sizeof text, "[Socket]\n%s[Container]\nExecStart=/x\n%s", socket, container);
	scratch_write(scratch, "etc/sites/a.site", text);
	if (spec_load(&scratch->lookup, NULL, "a", &spec, &diag) < 0)
		fail_msg("%s: %s", text, diag.message);
	n = folders_find(spec, &host, folders);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%s%s before %u", i ? ", " : "", folders[i].path, folders[i].before);
	fclose(out);
	assert_string_equal(found, expected);
	spec_free(spec);
}

#define RUN "ListenStream=/run/app/a.sock\n"

static void test_handover(void **state)
{
	assert_folders(*state, RUN, "", "/run/app before 0");
	assert_folders(*state, RUN, "Handover=bind\n", "/run/app before 0");
	assert_folders(*state, RUN, "Handover=listen-fds\n", "");
	assert_folders(*state, RUN, "Handover=stdin\n", "");
}

static void test_kinds(void **state)
{
	assert_folders(*state, "ListenStream=80\nListenStream=@a\n", "", "");
	assert_folders(*state, "ListenDatagram=/run/d/x\nListenSequentialPacket=/run/s/x\n", "",
		       "/run/d before 0, /run/s before 0");
	/* What the program binds counts. */
	assert_folders(*state, RUN, "BindPort=80\n", "");
	assert_folders(*state, "ListenStream=80\n", "BindAddress=/srv/a/b.sock\n", "/srv/a before 0");
}

/* Each once, and the outer ones first. */
static void test_order(void **state)
{
	assert_folders(*state,
		       "ListenStream=/run/b/c/x\nListenStream=/run/b/y\nListenStream=/run/b/c/z\n"
		       "ListenStream=/run/a/x\nListenStream=/var/run/a/y\n",
		       "", "/run/a before 0, /run/b before 0, /run/b/c before 0");
	assert_folders(*state, "ListenStream=/run/x\n", "", "/run before 0");
}

static void test_closed(void **state)
{
	assert_folders(
		*state,
		"ListenStream=/x\nListenStream=/usr/x\nListenStream=/usr/local/run/x\nListenStream=/etc/x\n"
		"ListenStream=/dev/log\nListenStream=/dev/shm/x\nListenStream=/proc/x\nListenStream=/bin/x\n"
		"ListenStream=/lib64/a/x\nListenStream=/sys/x\nListenStream=/var/x\nListenStream=/tmp/x\n"
		"ListenStream=/var/tmp/x2\n",
		"", "");
	assert_folders(*state, "ListenStream=/usrs/x\nListenStream=/var/a/x\nListenStream=/tmp/a/x\n", "",
		       "/usrs before 0, /tmp/a before 0, /var/a before 0");
}

static void test_mounts(void **state)
{
	/* The unit's own folder, for better or worse. */
	assert_folders(*state, RUN, "BindPaths=/srv:/run/app\n", "");
	assert_folders(*state, RUN, "BindReadOnlyPaths=/srv:/run/app\n", "");
	assert_folders(*state, RUN, "TemporaryFileSystem=/run/app:mode=1777\n", "");
	assert_folders(*state, RUN, "TemporaryFileSystem=/var/run/app\n", "");
	/* Above it: a folder in a tmpfs is made, one in the host's file system is not. */
	assert_folders(*state, RUN, "TemporaryFileSystem=/run\n", "/run/app before 1");
	assert_folders(*state, RUN, "TemporaryFileSystem=/run:size=1M,ro\n", "");
	assert_folders(*state, RUN, "TemporaryFileSystem=/run:size=1M,rw\n", "/run/app before 1");
	assert_folders(*state, RUN, "BindPaths=/srv:/run\n", "");
	assert_folders(*state, RUN, "BindReadOnlyPaths=/srv:/run\n", "");
	assert_folders(*state, RUN, "BindPaths=/srv:/run\nTemporaryFileSystem=/run\n", "/run/app before 2");
	assert_folders(*state, RUN, "TemporaryFileSystem=/run\nBindPaths=/srv:/run\n", "");
	/* Beside it: of no matter. */
	assert_folders(*state, RUN, "BindPaths=/srv:/run/apple /srv:/srv\n", "/run/app before 2");
	/* Below it: it must not be hidden. */
	assert_folders(*state, RUN, "BindPaths=/srv:/srv /srv:/run/app/data\n", "/run/app before 1");
	assert_folders(*state, RUN, "TemporaryFileSystem=/run\nBindPaths=/srv:/var/run/app/data\n",
		       "/run/app before 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_handover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mounts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
