/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <syslog.h>

#include "config.h"
#include "spec.h"
#include "scratch.h"

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

static void test_missing(void **state)
{
	struct scratch *scratch = *state;
	struct config config;
	struct diag diag;

	assert_int_equal(config_load(&scratch->lookup, &config, &diag), 0);
	assert_null(config.control_group);
	assert_int_equal(config.max_starting, 0);
	assert_int_equal(config.max_awake, 0);
	assert_int_equal(config.memory_keep_free, SPEC_SHARE | 500);
	assert_true(config.memory_pressure_watch);
	assert_int_equal(config.memory_pressure_us, 200000);
	assert_int_equal(config.scan_interval_us, 1000000);
	assert_int_equal(config.log_level, LOG_INFO);
	assert_string_equal(config.network_config_path, "/etc/cni/net.d");
	assert_string_equal(config.network_plugin_path, "/usr/lib/cni:/opt/cni/bin");
	config_finish(&config);
}

static void test_networks(void **state)
{
	struct scratch *scratch = *state;
	struct config config;
	struct diag diag;

	scratch_write(scratch, "etc/torpor.conf",
		      "[Daemon]\nNetworkConfigPath=/srv//net.d/\nNetworkPluginPath=/a/:/b\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), 0);
	assert_string_equal(config.network_config_path, "/srv/net.d");
	assert_string_equal(config.network_plugin_path, "/a:/b");
	config_finish(&config);
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nNetworkPluginPath=/a::/b\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
	assert_int_equal(diag.line, 2);
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nNetworkConfigPath=net.d\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
}

static void test_user_ids(void **state)
{
	static const char *const bad[] = {
		"65536",        "0-131071",      "65536-131071", "65537-196608",     "65536-196608",
		"131072-1",     "65536-196606",  "a-b",          "65536-4294967295", "65536-99999999999",
		"-65536-99999", "65536--196607",
	};
	struct scratch *scratch = *state;
	struct config config;
	struct diag diag;
	char text[128];

	assert_int_equal(config_load(&scratch->lookup, &config, &diag), 0);
	assert_int_equal(config.user_ids.first, 0x40000000);
	assert_int_equal(config.user_ids.last, 0x7ffdffff);
	config_finish(&config);
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nUserIds=65536-196607\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), 0);
	assert_int_equal(config.user_ids.first, 65536);
	assert_int_equal(config.user_ids.last, 196607);
	config_finish(&config);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "[Daemon]\nUserIds=%s\n", bad[i]);
		scratch_write(scratch, "etc/torpor.conf", text);
		assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
		assert_int_equal(diag.line, 2);
	}
}

static void test_files(void **state)
{
	struct scratch *scratch = *state;
	struct config config;
	struct diag diag;

	scratch_write(scratch, "lib/torpor.conf", "[Daemon]\nMaxStarting=1\nControlGroup=lib\n");
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nControlGroup=adm\nLogLevel=debug\n");
	scratch_write(scratch, "lib/torpor.conf.d/a.conf", "[Daemon]\nScanIntervalSec=50ms\nLogLevel=error\n");
	scratch_write(scratch, "run/torpor.conf.d/b.conf", "[Daemon]\nLogLevel=\nControlGroup=www-data\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), 0);
	assert_string_equal(config.control_group, "www-data");
	assert_int_equal(config.max_starting, 0);
	assert_int_equal(config.scan_interval_us, 50000);
	assert_int_equal(config.log_level, LOG_INFO);
	config_finish(&config);
	assert_null(config.control_group);
	config_finish(&config);
}

static void test_refusals(void **state)
{
	struct scratch *scratch = *state;
	struct config config = {.max_starting = 77};
	struct diag diag;

	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nControlGroup=adm\nScanIntervalSec=49ms\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
	assert_int_equal(diag.line, 3);
	assert_non_null(strstr(diag.message, "from 50ms to 1h"));
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nControlGruop=adm\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
	assert_non_null(strstr(diag.message, "did you mean ControlGroup=?"));
	scratch_write(scratch, "etc/torpor.conf", "[Daemon]\nMaxStarting=4\n");
	scratch_write(scratch, "etc/torpor.conf.d/x.conf", "[Site]\nTemplate=x\n");
	assert_int_equal(config_load(&scratch->lookup, &config, &diag), -EINVAL);
	assert_string_equal(diag.file, scratch_path(scratch, "etc/torpor.conf.d/x.conf"));
	assert_int_equal(config.max_starting, 77);
}

static void test_check_file(void **state)
{
	struct scratch *scratch = *state;
	const char *path = scratch_path(scratch, "x/torpor.conf");
	struct diag diag = {0};

	scratch_write(scratch, "x/torpor.conf",
		      "[Daemon]\nControlGroup=adm\nLogLevel=\nNetworkConfigPath=/a\nMaxAwake=7\n");
	assert_int_equal(config_check_file(path, &diag), 0);
	scratch_write(scratch, "x/torpor.conf", "[Daemon]\nControlGroup=adm\nMaxAwake=many\n");
	assert_int_equal(config_check_file(path, &diag), -EINVAL);
	assert_string_equal(diag.file, path);
	assert_int_equal(diag.line, 3);
	scratch_write(scratch, "x/torpor.conf", "[Daemon]\nNosuch=1\n");
	assert_int_equal(config_check_file(path, &diag), -EINVAL);
	assert_string_equal(diag.message, "unknown key 'Nosuch' in [Daemon]; torpor.conf(5) lists the keys");
	/* By itself: a drop-in beside it is another file. */
	scratch_write(scratch, "x/torpor.conf", "[Daemon]\nMaxAwake=7\n");
	scratch_write(scratch, "x/torpor.conf.d/y.conf", "[Site]\nTemplate=x\n");
	assert_int_equal(config_check_file(path, &diag), 0);
	assert_int_equal(config_check_file(scratch_path(scratch, "x/torpor.conf.d/y.conf"), &diag), -EINVAL);
	assert_int_equal(config_check_file(scratch_path(scratch, "x/missing.conf"), &diag), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_networks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
