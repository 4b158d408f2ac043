/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The n-th allocation fails, for every n: no crash, no leak, an error (T10). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "allocations.h"
#include "config.h"
#include "scratch.h"
#include "spec.h"

static void write_files(struct scratch *scratch)
{
	scratch_write(scratch, "lib/templates/base.template",
		      "[Socket]\nListenStream=/run/%i.sock\nListenStream=127.0.0.1:80\n"
		      "[Container]\nUser=web\nGroup=web\nEnvironment=A=%r B='x y' C=$ D=1 E=2 F=3 G=4 H=5 I=6\n"
		      "ExecStart=/usr/bin/x --listen %R $B ${A} %%\nBindPaths=/srv/%i:/srv -/a\\:b\n"
		      "TemporaryFileSystem=/tmp:size=10M\nEnvironmentFile=-/e/%i\nLimitNOFILE=1024\n"
		      "CapabilityBoundingSet=CAP_CHOWN\nSystemCallFilter=read\nSystemCallFilter=~write:"
		      "EPERM\nWorkingDirectory=/srv/%i\nStandardOutput=file:/log/%i\n"
		      "[Resources]\nAllowedCPUs=0-3\n");
	scratch_write(scratch, "lib/templates/php.template", "[Site]\nTemplate=base\nDescription=%i of %H\n");
	scratch_write(scratch, "etc/templates/php.template.d/x.conf", "[Container]\nLimitCORE=0\n");
	scratch_write(scratch, "etc/sites/a:b.site", "[Site]\nTemplate=php\n");
	scratch_write(scratch, "run/sites/a:b.site.d/x.conf", "[Container]\nEnvironment=J=7 K=8 A=9\n");
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nControlGroup=adm\nMaxStarting=4\n");
	scratch_write(scratch, "etc/torpor.conf.d/x.conf", "[Daemon]\nControlGroup=www-data\n");
}

/* One load of a site, of which allocation fail_at fails. Whether it was reached. */
static bool try_load(struct scratch *scratch, bool with_cache)
{
	struct spec_cache *cache = NULL;
	struct site_spec *spec = NULL;
	struct diag diag = {0};
	int error = 0;

	calls = 0;
	live = 0;
	if (with_cache) {
		cache = spec_cache_create();
		if (!cache)
			error = -ENOMEM;
	}
	if (error == 0)
		error = spec_load(&scratch->lookup, cache, "a:b", &spec, &diag);
	if (fail_at > 0 && calls >= fail_at) {
		assert_int_equal(error, -ENOMEM);
		assert_null(spec);
	} else {
		assert_int_equal(error, 0);
		spec_free(spec);
	}
	spec_cache_destroy(cache);
	assert_int_equal(live, 0);
	return calls >= fail_at;
}

static void test_load(void **state)
{
	struct scratch scratch;

	(void)state;
	scratch_init(&scratch);
	write_files(&scratch);
	for (int with_cache = 0; with_cache < 2; with_cache++) {
		fail_at = 0;
		try_load(&scratch, with_cache);
		/* A test that reaches nothing proves nothing. */
		assert_true(calls > 30);
		for (fail_at = 1; try_load(&scratch, with_cache);)
			fail_at++;
	}
	fail_at = 0;
	scratch_finish(&scratch);
}

static void test_other_calls(void **state)
{
	struct scratch scratch;
	bool reached = true;

	(void)state;
	scratch_init(&scratch);
	write_files(&scratch);
	for (fail_at = 1; reached; fail_at++) {
		char **list = NULL;
		struct config config;
		struct site_spec *spec;
		size_t n;
		int errors[5];

		calls = 0;
		live = 0;
		errors[0] = lookup_list(&scratch.lookup, UNIT_SITE, &list, &n);
		if (errors[0] == 0)
			lookup_free_list(list);
		errors[1] = config_load(&scratch.lookup, &config, NULL);
		if (errors[1] == 0)
			config_finish(&config);
		errors[2] = spec_load_file(&scratch.lookup, scratch_path(&scratch, "etc/sites/a:b.site"), &spec,
					   NULL);
		if (errors[2] == 0)
			spec_free(spec);
		errors[3] = spec_check_fragment(&scratch.lookup,
						scratch_path(&scratch, "lib/templates/php.template"), NULL);
		errors[4] = config_check_file(scratch_path(&scratch, "etc/torpor.conf"), NULL);
		reached = calls >= fail_at;
		assert_int_equal(errors[0] + errors[1] + errors[2] + errors[3] + errors[4],
				 reached ? -ENOMEM : 0);
		assert_int_equal(live, 0);
	}
	fail_at = 0;
	scratch_finish(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_other_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
