/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "scratch.h"
#include "spec.h"

#define HEAD         "[Socket]\nListenStream=127.0.0.1:80\n[Container]\nExecStart=/bin/x\n"
#define TWO          "[Socket]\nListenStream=80\nListenStream=/run/x.sock\n[Container]\nExecStart=/x\n"
#define PAIR         "[Socket]\nListenStream=53\nListenDatagram=53\n[Container]\nExecStart=/x\n"
#define COUNT(array) (sizeof(array) / sizeof *(array))

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

static struct site_spec *load(struct scratch *scratch, const char *text)
{
	struct site_spec *spec = NULL;
	struct diag diag;

	scratch_write(scratch, "etc/sites/a.site", text);
	if (spec_load(&scratch->lookup, NULL, "a", &spec, &diag) < 0)
		fail_msg("%s%s", text, diag.message);
	return spec;
}

/* part is in the message. */
static void assert_refused(struct scratch *scratch, const char *text, unsigned line, const char *part)
{
	struct site_spec *spec = NULL;
	struct diag diag = {0};

	scratch_write(scratch, "etc/sites/a.site", text);
	assert_int_equal(spec_load(&scratch->lookup, NULL, "a", &spec, &diag), -EINVAL);
	if (!strstr(diag.message, part))
		fail_msg("'%s' does not say '%s'", diag.message, part);
	assert_int_equal(diag.line, line);
}

static char *dump(const struct site_spec *spec, bool all)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	spec_dump(spec, all, out);
	fclose(out);
	return text;
}

/* Loading a dump comes to the same spec, whose dump is the same. */
static void assert_round_trip(struct scratch *scratch, const struct site_spec *spec)
{
	for (int all = 0; all < 2; all++) {
		char *first = dump(spec, all), *second;
		struct site_spec *again = load(scratch, first);

		second = dump(again, all);
		assert_string_equal(first, second);
		spec_free(again);
		free(first);
		free(second);
	}
}

/* Which binds mean the listeners, in the order of these; "": their own addresses. */
static void test_binds(void **state)
{
	static const struct {
		const char *text, *binds[2];
	} good[] = {
		{HEAD "BindPort=8080\n", {"8080"}},
		{HEAD "BindPort=80 8080\n", {"8080"}},
		{HEAD "BindPort=a 8080\n", {"8080"}},
		{HEAD "BindPort=name 8080\n[Socket]\nFileDescriptorName=name\n", {"8080"}},
		{HEAD "BindAddress=127.0.0.1:81\n", {"127.0.0.1:81"}},
		{HEAD "BindAddress=/run//%i\n", {"/run/a"}},
		/* The last one counts. */
		{HEAD "BindAddress=@x\nBindPort=8080\nBindPort=8081\n", {"8081"}},
		{HEAD "BindPort=8080\nBindAddress=\n", {""}},
		{HEAD "BindAddress=@x\nBindPort=\n", {""}},
		{HEAD "Handover=stdin\nBindPort=8080\nBindPort=\n", {""}},
		{TWO "BindPort=80 8080\n", {"8080", ""}},
		{TWO "BindPort=/run//x.sock 80\nBindAddress=[::]:80 127.0.0.1:1\n", {"127.0.0.1:1", "80"}},
		{TWO "BindAddress=/run/x.sock /run/y.sock\n", {"", "/run/y.sock"}},
		/* Connections and datagrams of one port go together. */
		{PAIR "BindPort=53 5353\n", {"5353", "5353"}},
		{PAIR "BindAddress=a 127.0.0.1:5353\n", {"127.0.0.1:5353", "127.0.0.1:5353"}},
	};
	struct scratch *scratch = *state;

	for (size_t i = 0; i < COUNT(good); i++) {
		struct site_spec *spec = load(scratch, good[i].text);

		for (unsigned k = 0; k < spec->n_listeners; k++) {
			const struct address *bind = spec->listeners[k].bind;
			char text[ADDRESS_TEXT_BYTES] = "";

			assert_string_equal(bind ? address_format(bind, text) : "", good[i].binds[k]);
		}
		assert_round_trip(scratch, spec);
		spec_free(spec);
	}
}

static void test_bad_binds(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *part;
	} bad[] = {
		{HEAD "Handover=stdin\nBindPort=8080\n", 6, "need Handover=auto or bind"},
		{HEAD "BindAddress=@x\nHandover=listen-fds\n", 5, "need Handover=auto or bind"},
		{TWO "BindPort=8080\n", 6, "the site has several listeners"},
		{TWO "BindPort=81 8080\n", 6, "'81' names no listener"},
		{TWO "BindPort=a 8080\n", 6, "'a' names several listeners"},
		{PAIR "BindPort=8080\n", 6, "the site has several listeners"},
		{TWO "BindAddress=80 8080\nBindAddress=/run/x.sock 8080\n", 7,
		 "a bind to [::]:8080 means two listeners, [::]:80 and /run/x.sock; expected one"},
		{TWO "BindPort=80 8080\nBindPort=/run/x.sock 8080\n", 7, "a bind to 8080 means two listeners"},
		{TWO "BindPort=/run/x.sock 80\n", 6, "a bind to 80 means two listeners"},
		{TWO "BindPort=80 81\nBindAddress=/run/x.sock 0.0.0.0:81\n", 7, "means two listeners"},
		{TWO "BindAddress=80 /run/x.sock\n", 6, "a bind to /run/x.sock means two listeners"},
		{TWO "BindAddress=80 /var/run/x.sock\n", 6, "means two listeners"},
	};
	struct scratch *scratch = *state;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(scratch, bad[i].text, bad[i].line, bad[i].part);
	/* Two that change places. */
	spec_free(load(scratch, "[Socket]\nListenStream=80\nListenStream=81\n[Container]\nExecStart=/x\n"
				"BindPort=80 81\nBindPort=81 80\n"));
}

/* A template may say what its sites bind before they say where they listen. */
static void test_template_binds(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;
	struct diag diag;

	scratch_write(scratch, "lib/templates/t.template", "[Container]\nExecStart=/x\nBindPort=3000\n");
	assert_int_equal(
		spec_check_fragment(&scratch->lookup, scratch_path(scratch, "lib/templates/t.template"), &diag),
		0);
	spec = load(scratch, "[Site]\nTemplate=t\n[Socket]\nListenStream=80\n");
	assert_int_equal(address_family(spec->listeners[0].bind), AF_UNSPEC);
	spec_free(spec);
	scratch_write(scratch, "lib/templates/t.template", "[Container]\nExecStart=/x\nBindPort=80 3000x\n");
	assert_int_equal(
		spec_check_fragment(&scratch->lookup, scratch_path(scratch, "lib/templates/t.template"), &diag),
		-EINVAL);
	assert_int_equal(diag.line, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_binds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_binds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_template_binds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
