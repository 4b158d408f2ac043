/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "key.h"
#include "str.h"
#include "type.h"

static const struct key_table *const tables[] = {&site_keys, &config_keys};

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(key_distance("", ""), 0);
	assert_int_equal(key_distance("Backlog", "Backlog"), 0);
	assert_int_equal(key_distance("Baklog", "Backlog"), 1);
	assert_int_equal(key_distance("Bakclog", "Backlog"), 1);
	assert_int_equal(key_distance("Bakclg", "Backlog"), 2);
	assert_int_equal(key_distance("xyz", "Backlog"), 3);
	assert_int_equal(key_distance("ab", ""), 2);
	assert_int_equal(key_distance("abc", ""), 3);
}

/* What every entry of the tables must say. */
static void test_tables(void **state)
{
	(void)state;
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < tables[t]->n_keys; i++) {
			const struct key *key = &tables[t]->keys[i];
			size_t length = strlen(key->help);

			assert_non_null(key->type->parse);
			assert_true(key->type->size > 0 || key->type->reset);
			assert_true(length > 10 && key->help[length - 1] == '.');
			assert_true(key->argument && *key->argument);
			assert_true(!key->fallback || !key->unset_means);
			assert_true((key->type == &type_choice || key->type == &type_choice_small) ==
				    (key->choices != NULL));
			for (size_t k = 0; k < i; k++) {
				assert_string_not_equal(key->name, tables[t]->keys[k].name);
				/* Sections stand together. */
				if (str_equal(key->section, tables[t]->keys[k].section))
					assert_string_equal(key->section, tables[t]->keys[i - 1].section);
			}
		}
}

/* Printing a default and reading it again comes to the same. */
static void test_defaults(void **state)
{
	struct resource_spec resources[2] = {0};
	struct site_spec a = {.resources = &resources[0]}, b = {.resources = &resources[1]};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	assert_int_equal(key_set_defaults(&site_keys, &a, &arena), 0);
	assert_null(arena.chunk);
	assert_int_equal(a.backlog, 4096);
	assert_int_equal(a.bind_ipv6_only, -1);
	assert_int_equal(a.resources->tasks_max, 512);
	assert_true(a.resources->memory_max == SPEC_UNSET && a.resources->cpu_weight == SPEC_UNSET &&
		    a.resources->cpu_quota_us == SPEC_UNSET);
	assert_int_equal(a.timeout_start_us, SPEC_TIMEOUT_START_US);
	assert_int_equal(a.timeout_stop_us, SPEC_TIMEOUT_STOP_US);
	assert_true(a.enabled && !a.network);
	assert_true(a.idle_cpu == 0.01);
	for (size_t i = 0; i < site_keys.n_keys; i++) {
		const struct key *key = &site_keys.keys[i];
		struct setting setting = {.key = key, .target = &b, .arena = &arena};
		char *text;
		size_t size;
		FILE *out;

		if (!key->fallback)
			continue;
		out = open_memstream(&text, &size);
		key->type->format(key, key_field_const(key, &a), out);
		fclose(out);
		assert_int_equal(key->type->parse(&setting, text), 0);
		assert_memory_equal(key_field(key, &a), key_field(key, &b), key->type->size);
		free(text);
	}
	arena_finish(&arena);
}

static void assert_resolve(const char *text, int error, const char *part)
{
	struct unit *unit;
	struct diag diag = {0};

	assert_int_equal(unit_parse("x", text, strlen(text), &unit, NULL), 0);
	assert_int_equal(key_resolve(&site_keys, unit, &diag), error);
	if (part && !strstr(diag.message, part))
		fail_msg("'%s' does not say '%s'", diag.message, part);
	unit_unref(unit);
}

static void test_resolve(void **state)
{
	(void)state;
	assert_resolve("[Socket]\nBacklog=1\n[Hibernate]\nKeep=no\n", 0, NULL);
	assert_resolve("[X-Other]\nFoo=1\n[Socket]\nX-Foo=1\n", 0, NULL);
	assert_resolve("[Socket]\nBaklog=1\n", -EINVAL,
		       "unknown key 'Baklog' in [Socket]; did you mean Backlog=?");
	assert_resolve("[Socket]\nbacklog=1\n", -EINVAL, "did you mean Backlog=?");
	assert_resolve("[Socket]\nExecStart=1\n", -EINVAL,
		       "ExecStart= stands in [Socket]; expected it in [Container]");
	assert_resolve("[Socket]\nExceStart=1\n", -EINVAL, "did you mean ExecStart= in [Container]?");
	assert_resolve("[Socket]\nSomething=1\n", -EINVAL,
		       "unknown key 'Something' in [Socket]; torpor.site(5)");
	assert_resolve("[Sokcet]\nBacklog=1\n", -EINVAL, "unknown section [Sokcet]; did you mean [Socket]?");
	assert_resolve("[container]\nUser=1\n", -EINVAL, "did you mean [Container]?");
	assert_resolve("[Service]\nUser=1\n", -EINVAL,
		       "expected [Site], [Socket], [Container], [Resources], [Hibernate]");
}

/* Reads "Key=Value" into a spec of defaults. */
static int apply(const char *text, struct site_spec *spec, struct arena *arena, struct diag *diag)
{
	struct setting setting = {.target = spec, .arena = arena};
	struct unit *unit;
	int error;

	assert_int_equal(unit_parse("x", text, strlen(text), &unit, diag), 0);
	error = key_resolve(&site_keys, unit, diag);
	for (size_t i = 0; i < unit->n_assignments && error == 0; i++)
		error = key_apply(&setting, unit, &unit->assignments[i], diag);
	unit_unref(unit);
	return error;
}

static void test_apply(void **state)
{
	struct resource_spec resources = {0};
	struct site_spec spec = {.resources = &resources};
	struct arena arena;
	struct diag diag;

	(void)state;
	arena_init(&arena);
	assert_int_equal(key_set_defaults(&site_keys, &spec, &arena), 0);
	assert_int_equal(apply("[Socket]\nBacklog=7\n", &spec, &arena, &diag), 0);
	assert_int_equal(spec.backlog, 7);
	assert_int_equal(apply("[Socket]\nBacklog=\n", &spec, &arena, &diag), 0);
	assert_int_equal(spec.backlog, 4096);
	assert_int_equal(apply("[Resources]\nMemoryMax=1G\nTasksMax=infinity\n", &spec, &arena, &diag), 0);
	assert_int_equal(spec.resources->memory_max, 1 << 30);
	assert_true(spec.resources->tasks_max == SPEC_INFINITY);
	assert_int_equal(apply("[Resources]\nMemoryMax=\nTasksMax=\n", &spec, &arena, &diag), 0);
	assert_true(spec.resources->memory_max == SPEC_UNSET);
	assert_int_equal(spec.resources->tasks_max, 512);
	assert_int_equal(apply("[Container]\nTimeoutSec=5\n", &spec, &arena, &diag), 0);
	assert_true(spec.timeout_start_us == 5000000 && spec.timeout_stop_us == 5000000);
	assert_int_equal(apply("[Container]\nTimeoutStartSec=0\nTimeoutSec=\n", &spec, &arena, &diag), 0);
	assert_true(spec.timeout_start_us == SPEC_TIMEOUT_START_US);
	arena_finish(&arena);
}

/* Each says what was expected. */
static void test_refusals(void **state)
{
	static const char *const bad[][2] = {
		{"[Site]\nEnabled=maybe", "expected yes or no"},
		{"[Site]\nTemplate=../x", "expected the name of a template"},
		{"[Site]\nSlice=a/b", "expected the name of a slice"},
		{"[Site]\nSlice=a--b", "expected the name of a slice"},
		{"[Site]\nSlice=a-", "expected the name of a slice"},
		{"[Site]\nSlice=-.slice", "expected the name of a slice"},
		{"[Site]\nSlice=.slice", "expected the name of a slice"},
		{"[Socket]\nListenStream=localhost:80", "names are not looked up"},
		{"[Socket]\nListenSequentialPacket=80", "only unix sockets"},
		{"[Socket]\nListenStream=80\nListenStream=80", "listens there already"},
		{"[Socket]\nListenStream=/a\nListenDatagram=//a", "listens there already"},
		{"[Socket]\nBacklog=0", "from 1 to 2147483647"},
		{"[Socket]\nSocketMode=rw", "octal"},
		{"[Socket]\nSocketUser=a:b", "expected a name"},
		{"[Socket]\nBindIPv6Only=yes", "expected default, both or ipv6-only"},
		{"[Socket]\nDeferAcceptSec=infinity", "expected a time from 0 to 1h"},
		{"[Socket]\nDeferAcceptSec=61min", "expected a time from 0 to 1h"},
		{"[Socket]\nIPAddressAllow=10.0.0.0/33", "'10.0.0.0/33': expected an address"},
		{"[Socket]\nIPAddressDeny=any none", "'none': expected an address"},
		{"[Socket]\nIPAddressDeny=\"any", "not closed"},
		{"[Socket]\nWakeLimitIntervalSec=0", "expected a time from 1s"},
		{"[Socket]\nWakeLimitBurst=-1", "from 0 to"},
		{"[Socket]\nFileDescriptorName=a:b", "without ':'"},
		{"[Container]\nType=forking", "expected simple or notify"},
		{"[Container]\nExecStart=bin/x", "absolute path"},
		{"[Container]\nExecStart=-/bin/x", "prefix '-'"},
		{"[Container]\nExecStart=@/bin/x x", "prefix '@'"},
		{"[Container]\nExecStart=\"+/bin/x\"", "prefix '+'"},
		{"[Container]\nExecStart=\"\" x", "absolute path"},
		{"[Container]\nExecStart=/a ; /b", "a lone ';'"},
		{"[Container]\nExecStart=/a ;", "a lone ';'"},
		{"[Container]\nExecStart=/a \"b", "not closed"},
		{"[Container]\nExecStart=/a\nExecStart=/b",
		 "there is one already, in x:2; expected an empty ExecStart="},
		{"[Container]\nUser=4294967295", "from 0 to 4294967294"},
		{"[Container]\nWorkingDirectory=~", "absolute path"},
		{"[Container]\nWorkingDirectory=/a/../b", "without \"..\""},
		{"[Container]\nBindPaths=a", "absolute path"},
		{"[Container]\nBindPaths=/a:/b:rbind:x", "expected SOURCE"},
		{"[Container]\nBindPaths=/a:/b:ro", "expected rbind or norbind"},
		{"[Container]\nBindPaths=/a:../b", "absolute path"},
		{"[Container]\nTemporaryFileSystem=/a:exec", "'exec' is not allowed"},
		{"[Container]\nTemporaryFileSystem=/a:dev,size=1M", "'dev' is not allowed"},
		{"[Container]\nTemporaryFileSystem=/a:size=x", "'size=x' is not allowed"},
		{"[Container]\nTemporaryFileSystem=/a:mode=9", "'mode=9' is not allowed"},
		{"[Container]\nEnvironment=A", "expected NAME=VALUE"},
		{"[Container]\nEnvironment=1A=b", "expected NAME=VALUE"},
		{"[Container]\nEnvironment==b", "expected NAME=VALUE"},
		{"[Container]\nEnvironmentFile=x", "absolute path"},
		{"[Container]\nLimitNOFILE=2:1", "SOFT not above HARD"},
		{"[Container]\nLimitCORE=x", "a size like 64M"},
		{"[Container]\nCapabilityBoundingSet=CAP_ALL", "'CAP_ALL' is no capability"},
		{"[Container]\nSystemCallFilter=opne", "'opne' is no system call; did you mean open?"},
		{"[Container]\nSystemCallFilter=qwertyuiop", "'qwertyuiop' is no system call"},
		{"[Container]\nSystemCallFilter=@moutn", "no group of system calls; did you mean @mount?"},
		{"[Container]\nSystemCallFilter=@qwertyuiop", "torpor.site(5) lists them"},
		{"[Container]\nSystemCallFilter=read ~write", "before the whole list alone"},
		{"[Container]\nSystemCallFilter=:EPERM", "'' is no system call"},
		{"[Container]\nSystemCallFilter=@", "'@' is no group"},
		{"[Container]\nSystemCallFilter=read:EPERM", "expected that in a list after"},
		{"[Container]\nSystemCallFilter=~read:EPREM", "an error like EPERM"},
		{"[Container]\nSystemCallFilter=~read:4096", "0 to 4095"},
		{"[Container]\nSystemCallFilter=~read:", "an error like EPERM"},
		{"[Container]\nSystemCallFilter=read\nSystemCallFilter=~execve", "denies execve"},
		{"[Container]\nSystemCallFilter=~@default", "denies execve"},
		{"[Container]\nSystemCallFilter=~@known:EPERM", "denies execve"},
		{"[Container]\nSystemCallFilter=~exit_group", "denies exit_group"},
		{"[Container]\nSystemCallFilter=abcdefghijklmnopqrstuvwxyzabcdefg", "is too long"},
		{"[Container]\nSystemCallFilter=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
		 "no system call"},
		{"[Container]\nSystemCallErrorNumber=0", "1 to 4095"},
		{"[Container]\nSystemCallErrorNumber=EPREM", "or kill"},
		{"[Container]\nSystemCallErrorNumber=-1", "or kill"},
		{"[Container]\nSystemCallArchitectures=x86", "expected native"},
		{"[Container]\nSystemCallArchitectures=native x32", "expected native"},
		{"[Container]\nRestrictAddressFamilies=INET", "is no address family"},
		{"[Container]\nRestrictAddressFamilies=AF_UNIX none", "'none' is no address family"},
		{"[Container]\nRestrictAddressFamilies=AF_MAX", "is no address family"},
		{"[Container]\nRestrictNamespaces=user,net", "some of cgroup"},
		{"[Container]\nRestrictNamespaces=~yes", "some of cgroup"},
		{"[Container]\nLockPersonality=x", "expected yes or no"},
		{"[Container]\nHandover=inetd", "expected auto, listen-fds, bind or stdin"},
		{"[Container]\nBindPort=0", "expected a port from 1 to 65535"},
		{"[Container]\nBindPort=http", "expected a port from 1 to 65535"},
		{"[Container]\nBindPort=127.0.0.1:80", "expected a port from 1 to 65535"},
		{"[Container]\nBindPort=80 81 82", "expected [LISTENER] PORT"},
		{"[Container]\nBindPort=\"80", "not closed"},
		{"[Container]\nBindAddress=localhost:80", "names are not looked up"},
		{"[Container]\nBindAddress=80 /a /b", "expected [LISTENER] ADDRESS"},
		{"[Container]\nBindAddress=/a/../b", "without \".\" and \"..\" parts"},
		{"[Socket]\nListenStream=80\nListenStream=81\n[Container]\nBindPort=8080",
		 "the site has several listeners; expected the one that is meant before it: [LISTENER] PORT"},
		{"[Socket]\nListenStream=80\nListenStream=81\n[Container]\nBindPort=82 8080",
		 "'82' names no listener of the site; expected its port, its address or its "
		 "FileDescriptorName="},
		{"[Socket]\nListenStream=80\n[Container]\nBindAddress=/a 8080", "'/a' names no listener"},
		{"[Socket]\nListenStream=127.0.0.1:80\nListenStream=[::1]:80\n[Container]\nBindPort=80 8080",
		 "'80' names several listeners; expected the address of one"},
		{"[Socket]\nListenStream=/a\nListenStream=/b\nFileDescriptorName=x\n[Container]\nBindPort=x 80",
		 "'x' names several listeners"},
		{"[Socket]\nListenSequentialPacket=/a\n[Container]\nBindPort=80",
		 "sequential packets have no ports; expected BindAddress="},
		{"[Socket]\nListenSequentialPacket=/a\n[Container]\nBindAddress=80", "only unix sockets"},
		{"[Container]\nKillSignal=SIGFOO", "expected a signal"},
		{"[Container]\nTimeoutStopSec=soon", "or infinity"},
		{"[Container]\nStandardOutput=tty", "expected journal"},
		{"[Container]\nStandardOutput=file:x", "absolute path"},
		{"[Container]\nUMask=1777", "at most 0777"},
		{"[Container]\nOOMScoreAdjust=1001", "from -1000 to 1000"},
		{"[Container]\nNice=-21", "from -20 to 19"},
		{"[Resources]\nCPUWeight=0", "from 1 to 10000"},
		{"[Resources]\nCPUQuota=80", "80%"},
		{"[Resources]\nCPUQuota=0%", "80%"},
		{"[Resources]\nCPUQuotaPeriodSec=2s", "from 1ms to 1s"},
		{"[Resources]\nAllowedCPUs=a", "expected numbers"},
		{"[Resources]\nMemoryMax=101%", "share of what the host has"},
		{"[Resources]\nMemoryMax=0%", "share of what the host has"},
		{"[Resources]\nMemoryMax=0", "expected more"},
		{"[Resources]\nMemoryMax=8E", "expected a size"},
		{"[Resources]\nMemoryMax=1X", "expected a size"},
		{"[Resources]\nTasksMax=10.123%", "share of what the host has"},
		{"[Resources]\nTasksMax=0", "from 1 to 2147483647"},
		{"[Resources]\nCPUWeight=Idle", "from 1 to 10000"},
		{"[Resources]\nIOWeight=idle", "from 1 to 10000"},
		{"[Resources]\nAllowedMemoryNodes=x", "expected numbers below"},
		{"[Resources]\nIODeviceWeight=/dev/sda", "expected PATH NUMBER"},
		{"[Resources]\nIODeviceWeight=/dev/sda 0", "from 1 to 10000"},
		{"[Resources]\nIODeviceWeight=/dev/sda 1 2", "expected PATH NUMBER"},
		{"[Resources]\nIOReadBandwidthMax=sda 1M", "expected an absolute path"},
		{"[Resources]\nIOReadBandwidthMax=/dev/../sda 1M", "expected an absolute path"},
		{"[Resources]\nIOReadBandwidthMax=/dev/sda", "expected PATH BYTES"},
		{"[Resources]\nIOWriteBandwidthMax=/dev/sda 0", "a number a second"},
		{"[Resources]\nIOReadIOPSMax=/dev/sda -1", "a number a second"},
		{"[Resources]\nIOWriteIOPSMax=/dev/sda 1x", "'1x': expected a number a second"},
		{"[Resources]\nIOWriteIOPSMax=\"/dev/sda 1", "IOWriteIOPSMax"},
		{"[Resources]\nRequireLimits=perhaps", "expected yes or no"},
		{"[Container]\nDevicePolicy=open", "expected auto, closed or strict"},
		{"[Container]\nDeviceAllow=null", "expected a path below /dev"},
		{"[Container]\nDeviceAllow=/etc/passwd", "expected a path below /dev"},
		{"[Container]\nDeviceAllow=/dev", "expected a path below /dev"},
		{"[Container]\nDeviceAllow=/dev/../dev/null", "expected an absolute path"},
		{"[Container]\nDeviceAllow=char-", "expected a path below /dev"},
		{"[Container]\nDeviceAllow=/dev/null rx", "letters of \"rwm\""},
		{"[Container]\nDeviceAllow=/dev/null r w", "expected DEVICE [ACCESS]"},
		{"[Hibernate]\nIdleCPU=1", "80%"},
		{"[Hibernate]\nKeep=yes", "expected no, warm or awake"},
		{"[Hibernate]\nWakeOnCalendar=8h", "expected a date"},
		{"[Hibernate]\nWakeOnCalendar=08:00 Europe/Berlin", "expected UTC"},
		{"[Hibernate]\nWakeOnCalendar=Fri..Mon", "expected days of the week"},
		{"[Hibernate]\nHibernateOnCalendar=25:00", "expected a time of day"},
		{"[Hibernate]\nHibernateOnCalendar=@0", "expected whole seconds"},
		{"[Hibernate]\nKeepAwakeSec=infinity", "from 0 to"},
		{"[Hibernate]\nPriority=101", "from -100 to 100"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct resource_spec resources = {0};
		struct site_spec spec = {.resources = &resources};
		struct arena arena;
		struct diag diag = {0};

		arena_init(&arena);
		assert_int_equal(key_set_defaults(&site_keys, &spec, &arena), 0);
		if (apply(bad[i][0], &spec, &arena, &diag) != -EINVAL)
			fail_msg("'%s' is taken", bad[i][0]);
		if (!strstr(diag.message, bad[i][1]))
			fail_msg("'%s' does not say '%s'", diag.message, bad[i][1]);
		assert_true(diag.line >= 2);
		arena_finish(&arena);
	}
}

static void test_list_limit(void **state)
{
	char text[128 * 1024] = "[Container]\n";
	size_t used = strlen(text);
	struct site_spec spec = {0};
	struct arena arena;
	struct diag diag;

	(void)state;
	for (int i = 0; i <= SPEC_LIST_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "EnvironmentFile=/%d\n", i);
	arena_init(&arena);
	assert_int_equal(apply(text, &spec, &arena, &diag), -EINVAL);
	assert_int_equal(diag.line, SPEC_LIST_MAX + 2);
	assert_non_null(strstr(diag.message, "more than 1024 entries"));
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),   cmocka_unit_test(test_tables),
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_apply),      cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_list_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
