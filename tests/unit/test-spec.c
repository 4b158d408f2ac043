/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "scratch.h"
#include "spec.h"
#include "str.h"

#define SITE_HEAD "[Socket]\nListenStream=127.0.0.1:80\n[Container]\nExecStart=/bin/x\n"

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

static struct site_spec *load(const struct scratch *scratch, const char *name)
{
	struct site_spec *spec = NULL;
	struct diag diag;
	char text[1200];

	if (spec_load(&scratch->lookup, NULL, name, &spec, &diag) < 0)
		fail_msg("%s", diag_format(&diag, text, sizeof text));
	return spec;
}

/* part is in the message, file the end of the path. */
static void assert_refused(const struct scratch *scratch, const char *name, int error, const char *file,
			   unsigned line, const char *part)
{
	struct site_spec *spec = NULL;
	struct diag diag = {0};

	assert_int_equal(spec_load(&scratch->lookup, NULL, name, &spec, &diag), error);
	assert_null(spec);
	if (!strstr(diag.message, part))
		fail_msg("'%s' does not say '%s'", diag.message, part);
	if (!str_has_suffix(diag.file, file) && !str_equal(diag.file, file))
		fail_msg("%s is not in %s", diag.file, file);
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
static void assert_round_trip(struct scratch *scratch, const char *name)
{
	struct site_spec *spec = load(scratch, name), *again;
	char relative[300];

	for (int all = 0; all < 2; all++) {
		char *first = dump(spec, all), *second, *start;
		const char *text = first;

		snprintf(relative, sizeof relative, "lib/again/sites/%s.site", name);
		scratch_write(scratch, relative, text);
		struct scratch other = *scratch;
		const char *root = scratch_path(scratch, "lib/again");

		other.lookup.dirs[0] = other.lookup.dirs[1] = other.lookup.dirs[2] = root;
		again = load(&other, name);
		second = dump(again, all);
		/* Without the line that names the templates. */
		start = strstr(first, "[Site]");
		assert_string_equal(start, second);
		spec_free(again);
		free(first);
		free(second);
	}
	spec_free(spec);
}

static void test_two_lines(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;

	scratch_write(scratch, "lib/templates/php.template",
		      "[Socket]\nListenStream=/run/%i.sock\n[Container]\nExecStart=php-fpm -l %r -n %R -u %u\n"
		      "User=web\nEnvironment=SOCKET=%R\n");
	scratch_write(scratch, "etc/sites/example.com.site", "[Site]\nTemplate=php\n");
	spec = load(scratch, "example.com");
	assert_string_equal(spec->name, "example.com");
	assert_ptr_equal(spec->description, spec->name);
	assert_ptr_equal(spec->syslog_identifier, spec->name);
	assert_ptr_equal(spec->listeners[0].fd_name, spec->name);
	assert_string_equal(spec->templates[0], "php");
	assert_null(spec->templates[1]);
	assert_int_equal(spec->n_listeners, 1);
	assert_string_equal(address_path(&spec->listeners[0].address), "/run/example.com.sock");
	assert_string_equal(spec->exec_start[0], "php-fpm");
	assert_string_equal(spec->exec_start[2], "/run/example.com.sock");
	assert_string_equal(spec->exec_start[4], "unix:/run/example.com.sock");
	assert_string_equal(spec->exec_start[6], "web");
	assert_null(spec->exec_start[7]);
	assert_string_equal(spec->exec_origin.file, scratch_path(scratch, "lib/templates/php.template"));
	assert_int_equal(spec->exec_origin.line, 4);
	assert_string_equal(spec->environment[0], "SOCKET=unix:/run/example.com.sock");
	/* Thousands of cold sites are kept: what one may take besides the struct. */
	assert_true(malloc_usable_size(spec) < sizeof *spec + 700);
	spec_free(spec);
	assert_round_trip(scratch, "example.com");
}

static void test_defaults(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;

	scratch_write(scratch, "etc/sites/a.site", SITE_HEAD);
	spec = load(scratch, "a");
	assert_null(spec->templates);
	assert_true(spec->enabled && !spec->network);
	assert_int_equal(spec->backlog, 4096);
	assert_int_equal(spec->socket_mode, 0666);
	assert_int_equal(spec->directory_mode, 0755);
	assert_int_equal(spec->bind_ipv6_only, -1);
	assert_int_equal(spec->defer_accept_us, 0);
	assert_int_equal(spec->capabilities, 0);
	assert_int_equal(spec->handover, HANDOVER_AUTO);
	assert_int_equal(spec->type, TYPE_SIMPLE);
	assert_int_equal(spec->notify_access, NOTIFY_NONE);
	assert_int_equal(spec->kill_signal, SIGTERM);
	assert_int_equal(spec->timeout_start_us, 90000000);
	assert_int_equal(spec->timeout_stop_us, 30000000);
	assert_int_equal(spec->drain_us, 0);
	assert_int_equal(spec->standard_output.kind, OUTPUT_JOURNAL);
	assert_int_equal(spec->standard_error.kind, OUTPUT_INHERIT);
	assert_int_equal(spec->umask, 0022);
	assert_true(spec->resources->cpu_weight == SPEC_UNSET && spec->resources->memory_max == SPEC_UNSET);
	assert_int_equal(spec->resources->cpu_quota_period_us, 100000);
	assert_int_equal(spec->resources->tasks_max, 512);
	assert_int_equal(spec->freeze_after_us, 30000000);
	assert_int_equal(spec->stop_after_us, 600000000);
	assert_true(spec->idle_cpu == 0.01);
	assert_int_equal(spec->keep, KEEP_NONE);
	spec_free(spec);
	assert_round_trip(scratch, "a");
}

/* Furthest template, its drop-ins, nearest template, its drop-ins, site, its drop-ins. */
static void test_order(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;
	char *text;

	scratch_write(scratch, "lib/templates/base.template",
		      SITE_HEAD
		      "Environment=A=base B=base C=base D=base E=base F=base\n[Hibernate]\nPriority=1\n");
	scratch_write(scratch, "etc/templates/base.template.d/x.conf",
		      "[Container]\nEnvironment=B=base.d C=base.d D=base.d E=base.d F=base.d\n");
	scratch_write(scratch, "lib/templates/near.template",
		      "[Site]\nTemplate=base\n[Container]\nEnvironment=C=near D=near E=near F=near\n");
	scratch_write(scratch, "run/templates/near.template.d/x.conf",
		      "[Container]\nEnvironment=D=near.d E=near.d F=near.d\n[Hibernate]\nPriority=2\n");
	scratch_write(scratch, "etc/sites/a.site",
		      "[Site]\nTemplate=other\n[Container]\nEnvironment=E=site F=site\n");
	scratch_write(scratch, "etc/sites/a.site.d/x.conf",
		      "[Site]\nTemplate=near\n[Container]\nEnvironment=F=site.d\n[Hibernate]\nPriority=\n");
	spec = load(scratch, "a");
	text = dump(spec, false);
	assert_non_null(strstr(text, "# Template: near base\n"));
	free(text);
	static const char *const expected[] = {"A=base",   "B=base.d", "C=near",
					       "D=near.d", "E=site",   "F=site.d"};
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(spec->environment[i], expected[i]);
	assert_null(spec->environment[6]);
	assert_int_equal(spec->priority, 0);
	spec_free(spec);
	assert_round_trip(scratch, "a");
}

static void test_resets(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;

	scratch_write(scratch, "lib/templates/t.template",
		      SITE_HEAD
		      "Environment=A=1\nBindPaths=/a\nTemporaryFileSystem=/t\nBindReadOnlyPaths=/b\n"
		      "LimitNOFILE=5\nLimitCORE=6\nLimitCPU=7\nWorkingDirectory=-/w\nStandardOutput=file:/x\n"
		      "CapabilityBoundingSet=CAP_KILL CAP_CHOWN\n[Resources]\nAllowedCPUs=1-2\n");
	scratch_write(
		scratch, "etc/sites/a.site",
		"[Site]\nTemplate=t\n[Socket]\nListenDatagram=\nListenStream=@x\n[Container]\n"
		"ExecStart=\nExecStart=/bin/y\nEnvironment=\nBindPaths=\nLimitNOFILE=\nWorkingDirectory=\n"
		"StandardOutput=\nCapabilityBoundingSet=\n[Resources]\nAllowedCPUs=\n");
	spec = load(scratch, "a");
	assert_string_equal(spec->exec_start[0], "/bin/y");
	assert_int_equal(spec->n_listeners, 1);
	assert_null(spec->environment);
	assert_int_equal(spec->n_mounts, 1);
	assert_string_equal(spec->mounts[0].target, "/t");
	assert_int_equal(spec->n_limits, 2);
	assert_null(spec->working_directory);
	assert_false(spec->working_directory_optional);
	assert_int_equal(spec->standard_output.kind, OUTPUT_JOURNAL);
	assert_null(spec->standard_output.path);
	assert_int_equal(spec->capabilities, 0);
	assert_null(spec->resources->allowed_cpus);
	spec_free(spec);
	scratch_write(scratch, "etc/sites/b.site", "[Site]\nTemplate=t\n[Container]\nExecStart=/bin/y\n");
	assert_refused(scratch, "b", -EINVAL, "etc/sites/b.site", 4,
		       "expected an empty ExecStart= before this line");
	scratch_write(scratch, "etc/sites/c.site", "[Site]\nTemplate=t\nTemplate=\n" SITE_HEAD);
	spec = load(scratch, "c");
	assert_null(spec->templates);
	spec_free(spec);
}

static void test_all_keys(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;

	scratch_write(
		scratch, "etc/sites/a.site",
		"[Site]\nDescription=100%% of %i\nEnabled=no\nSlice=customers\n"
		"[Socket]\nListenDatagram=127.0.0.1:53\nListenStream=[::1]:80\nListenSequentialPacket=@a b\n"
		"ListenStream=/run/a%%b:c.sock\n"
		"Backlog=9\nSocketUser=u\nSocketGroup=0\nSocketMode=0600\nDirectoryMode=0700\nBindIPv6Only="
		"ipv6-only\n"
		"ReusePort=1\nFreeBind=y\nKeepAlive=on\nNoDelay=t\nDeferAcceptSec=1min "
		"30s\nFileDescriptorName=web\n"
		"[Container]\nType=notify\nExecStart=x \"a b\" '$$HOME' ${A}x $B %% \"\" ; \\x41\\n\\xff;\n"
		"User=5\nGroup=g\nWorkingDirectory=-/w\n"
		"BindPaths=-/a:/b:norbind /c:/c:rbind '/d e\\:f':/g /h:/h:norbind /with\\x5cbackslash\n"
		"TemporaryFileSystem=/t /u:size=10%,mode=0700,ro\nBindReadOnlyPaths=/i%i\n"
		"Environment=\"A=1 2\" 'B=x \"y z\"' C=\\n\\t%%\nEnvironmentFile=-/e f\nEnvironmentFile=/g\n"
		"PrivateNetwork=no\nLimitNOFILE=1:2\nLimitCORE=infinity\nLimitNICE=+5\nLimitCPU="
		"1min\nLimitRTTIME=1s\n"
		"CapabilityBoundingSet=~CAP_SYS_ADMIN\nAmbientCapabilities=CAP_KILL\nHandover=bind\n"
		"BindPort=127.0.0.1:53 5353\nBindPort=80 '8080'\nBindAddress='@a b' \"/run/%i b\"\n"
		"BindAddress=/run/a%%b:c.sock [::1]:81\n"
		"NotifyAccess=all\nKillSignal=RTMIN+3\nDrainSec=5\nTimeoutStartSec=infinity\nTimeoutStopSec=0."
		"5\n"
		"StandardOutput=append:/var/log//x%%\nStandardError=null\nSyslogIdentifier=id\nUMask=0077\n"
		"OOMScoreAdjust=-5\nNice=3\nDevicePolicy=strict\nDeviceAllow=/dev/fuse\n"
		"DeviceAllow=\"/dev/a b%%\" wr\nDeviceAllow=block-* m\nDeviceAllow=/dev/fuse r\n"
		"[Resources]\nAllowedMemoryNodes=0 1\nMemoryZSwapMax=12.5%\nRequireLimits=yes\n"
		"IODeviceWeight=/dev/sda 5\nIOReadBandwidthMax=\"/srv/a b\" 1.5M\nIOReadIOPSMax=/ infinity\n"
		"IOReadBandwidthMax=/srv/%i 7\nIOWriteBandwidthMax=/ 1\nIOWriteIOPSMax=/x "
		"2K\nIODeviceWeight=/dev/sda 6\n"
		"CPUWeight=5\nCPUQuota=12.5%\nCPUQuotaPeriodSec=10ms\nAllowedCPUs=8 "
		"0-3\nMemoryMin=0\n"
		"MemoryLow=1K\nMemoryHigh=1.5G\nMemoryMax=infinity\nMemorySwapMax=3\nIOWeight=7\nTasksMax="
		"infinity\n"
		"[Hibernate]\nFreezeAfterSec=infinity\nStopAfterSec=1d\nIdleCPU=0.25%\nKeep=warm\nPriority=-"
		"7\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 24, "a lone ';'");
	char fixed[8192];
	FILE *in = fopen(scratch_path(scratch, "etc/sites/a.site"), "r");
	size_t size = fread(fixed, 1, sizeof fixed - 1, in);

	fclose(in);
	fixed[size] = '\0';
	memcpy(strstr(fixed, "\"\" ; "), "\"\" z ", 5);
	scratch_write(scratch, "etc/sites/a.site", fixed);
	spec = load(scratch, "a");
	assert_string_equal(spec->description, "100% of a");
	assert_int_equal(spec->n_listeners, 4);
	assert_int_equal(spec->listeners[2].address.type, SOCK_SEQPACKET);
	assert_string_equal(address_path(&spec->listeners[3].address), "/run/a%b:c.sock");
	static const char *const binds[] = {"5353", "8080", "/run/a b", "[::1]:81"};
	for (size_t i = 0; i < 4; i++) {
		char text[ADDRESS_TEXT_BYTES];

		assert_string_equal(address_format(listener_bind(&spec->listeners[i]), text), binds[i]);
		assert_int_equal(spec->listeners[i].bind->type, spec->listeners[i].address.type);
	}
	static const char *const argv[] = {"x", "a b", "$HOME", "1 2x", "x", "y z", "%", "", "z", "A\n\xff;"};
	for (size_t i = 0; i < 10; i++)
		assert_string_equal(spec->exec_start[i], argv[i]);
	assert_null(spec->exec_start[10]);
	assert_int_equal(spec->n_mounts, 8);
	assert_true(spec->mounts[0].optional && !spec->mounts[0].recursive);
	assert_string_equal(spec->mounts[2].source, "/d e:f");
	assert_string_equal(spec->mounts[4].source, "/with\\backslash");
	assert_string_equal(spec->mounts[6].options, "size=10%,mode=0700,ro");
	assert_int_equal(spec->mounts[7].kind, MOUNT_BIND_READ_ONLY);
	assert_string_equal(spec->environment[1], "B=x \"y z\"");
	assert_string_equal(spec->environment_files[0], "-/e f");
	assert_int_equal(spec->n_limits, 5);
	assert_string_equal(spec->resources->allowed_cpus, "0-3,8");
	assert_string_equal(spec->standard_output.path, "/var/log/x%");
	assert_int_equal(spec->resources->cpu_quota_us, 125000);
	spec_free(spec);
	assert_round_trip(scratch, "a");
}

static void test_variables(void **state)
{
	static const char *const bad[][2] = {
		{"$A b", "a variable as the program"},
		{"/x/${A}", "a variable in the program's path"},
		{"/x ${A", "expected ${NAME}"},
		{"/x ${A:-b}", "expected ${NAME}"},
		{"/x $A/b", "expected ${A} inside a word"},
		{"/x ${}", "expected ${NAME}"},
		{"/x $Q", "$Q holds a quote that is not closed"},
	};
	static const char *const good[] = {"/x", "a$b", "$", "$1", "one", "two 2", "", "-one \"two 2\"-$HOME"};
	struct scratch *scratch = *state;
	struct site_spec *spec;

	scratch_write(scratch, "etc/sites/a.site",
		      "[Socket]\nListenStream=80\n[Container]\n"
		      "ExecStart=/x a$b $ $1 $NONE $V ${NONE} -${V}-$$HOME\n"
		      "Environment='V=one \"two 2\"'\n");
	spec = load(scratch, "a");
	for (size_t i = 0; i < 8; i++)
		assert_string_equal(spec->exec_start[i], good[i]);
	assert_null(spec->exec_start[8]);
	spec_free(spec);
	assert_round_trip(scratch, "a");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[256];

		snprintf(text, sizeof text,
			 "[Socket]\nListenStream=80\n[Container]\nEnvironment=A=1 \"Q='\"\nExecStart=%s\n",
			 bad[i][0]);
		scratch_write(scratch, "etc/sites/a.site", text);
		assert_refused(scratch, "a", -EINVAL, "a.site", 5, bad[i][1]);
	}
}

/* A short command cannot become a long one. */
static void test_variable_sizes(void **state)
{
	struct scratch *scratch = *state;
	char text[40000];
	size_t used = (size_t)snprintf(
		text, sizeof text,
		"[Socket]\nListenStream=80\n[Container]\nEnvironment=A=%0999d\nExecStart=/x ", 0);

	for (int i = 0; i < 40; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "${A}");
	scratch_write(scratch, "etc/sites/a.site", text);
	assert_refused(scratch, "a", -EINVAL, "a.site", 5, "more than 32768 bytes");
}

static void test_checks(void **state)
{
	struct scratch *scratch = *state;

	assert_refused(scratch, "none", -ENOENT, "none", 0, "there is no such site");
	assert_refused(scratch, "../a", -EINVAL, "../a", 0, "no name of a site");
	scratch_write(scratch, "etc/sites/a.site", "[Container]\nExecStart=/x\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 0, "at least one ListenStream=");
	scratch_write(scratch, "etc/sites/a.site", "[Socket]\nListenStream=80\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 0, "needs an ExecStart=");
	scratch_write(scratch, "etc/sites/a.site", SITE_HEAD "Handover=stdin\n[Socket]\nListenStream=81\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 5, "hands over one listener");
	scratch_write(scratch, "etc/sites/a.site",
		      SITE_HEAD "AmbientCapabilities=CAP_KILL\nCapabilityBoundingSet=CAP_CHOWN\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 5, "AmbientCapabilities= names");
	scratch_write(scratch, "etc/sites/a.site",
		      "[Socket]\nListenStream=/run/%r.sock\n[Container]\nExecStart=/x\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 2, "%r cannot be used here");
	scratch_write(scratch, "etc/sites/a.site", SITE_HEAD "Type=notify\nNotifyAccess=none\n");
	struct site_spec *spec = load(scratch, "a");

	assert_int_equal(spec->notify_access, NOTIFY_MAIN);
	spec_free(spec);
	/* An error in a line that a later one would replace is an error. */
	scratch_write(scratch, "etc/sites/a.site", SITE_HEAD "Nice=100\nNice=1\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 5, "from -20 to 19");
	/* LISTEN_FDNAMES are joined by colons. */
	scratch_write(scratch, "etc/sites/a:b.site", SITE_HEAD);
	spec = load(scratch, "a:b");
	assert_string_equal(spec->listeners[0].fd_name, "a_b");
	spec_free(spec);
	assert_round_trip(scratch, "a:b");
}

static void test_templates(void **state)
{
	struct scratch *scratch = *state;

	scratch_write(scratch, "etc/sites/a.site", "[Site]\nTemplate=gone\n");
	assert_refused(scratch, "a", -EINVAL, "a.site", 2, "the template 'gone' is missing");
	scratch_write(scratch, "lib/templates/gone.template", "[Site]\nTemplate=x\n");
	scratch_write(scratch, "lib/templates/x.template", "[Site]\nTemplate=y\n");
	scratch_write(scratch, "lib/templates/y.template", "\n[Site]\nTemplate=x\n");
	assert_refused(scratch, "a", -EINVAL, "y.template", 3, "in a loop: gone -> x -> y -> x");
	scratch_write(scratch, "lib/templates/y.template", "[Site]\nTemplate=y\n");
	assert_refused(scratch, "a", -EINVAL, "y.template", 2, "in a loop: gone -> x -> y -> y");
	for (int i = 0; i < 20; i++) {
		char relative[64], text[64];

		snprintf(relative, sizeof relative, "lib/templates/t%d.template", i);
		snprintf(text, sizeof text, "[Site]\nTemplate=t%d\n", i + 1);
		scratch_write(scratch, relative, text);
	}
	scratch_write(scratch, "etc/sites/a.site", "[Site]\nTemplate=t0\n");
	assert_refused(scratch, "a", -EINVAL, "t15.template", 2, "more than 16 templates");
	scratch_write(scratch, "lib/templates/t3.template", "[Hibernate]\nKepe=no\n");
	assert_refused(scratch, "a", -EINVAL, "t3.template", 2, "did you mean Keep=?");
}

/* Folders, FIFOs, links to nowhere and files that cannot be read in the place of units. */
static void test_hostile_files(void **state)
{
	struct scratch *scratch = *state;

	scratch_write(scratch, "etc/sites/d.site/x", "x");
	assert_refused(scratch, "d", -EISDIR, "d.site", 0, "a folder");
	assert_int_equal(mkfifo(scratch_path(scratch, "etc/sites/f.site"), 0600), 0);
	assert_refused(scratch, "f", -EINVAL, "f.site", 0, "not a regular file");
	assert_int_equal(symlink("loop.site", scratch_path(scratch, "etc/sites/loop.site")), 0);
	assert_refused(scratch, "loop", -ELOOP, "loop.site", 0, "symbolic links");
	scratch_write(scratch, "etc/sites/a.site", SITE_HEAD);
	assert_int_equal(fd_make_directories(scratch_path(scratch, "etc/sites/a.site.d/x.conf")), 0);
	assert_refused(scratch, "a", -EISDIR, "a.site.d/x.conf", 0, "a folder");
	scratch_write_bytes(scratch, "etc/sites/n.site", "[Site]\nTemplate=a\0b\n", 20);
	assert_refused(scratch, "n", -EINVAL, "n.site", 2, "NUL");
	scratch_write(scratch, "etc/sites/u.site", SITE_HEAD);
	assert_int_equal(chmod(scratch_path(scratch, "etc/sites/u.site"), 0), 0);
	if (geteuid() != 0)
		assert_refused(scratch, "u", -EACCES, "u.site", 0, "Permission denied");
}

/* Names that differ after 49 bytes stay two sites. */
static void test_twins(void **state)
{
	struct scratch *scratch = *state;
	char name[64], relative[96];
	struct site_spec *specs[2];

	memset(name, 't', 50);
	for (int i = 0; i < 2; i++) {
		name[49] = (char)('0' + i);
		name[50] = '\0';
		snprintf(relative, sizeof relative, "etc/sites/%s.site", name);
		scratch_write(scratch, relative, SITE_HEAD);
		specs[i] = load(scratch, name);
	}
	assert_string_not_equal(specs[0]->name, specs[1]->name);
	spec_free(specs[0]);
	spec_free(specs[1]);
}

/* A million entries in one line are a line too long, and in many lines too many. */
static void test_long_lists(void **state)
{
	struct scratch *scratch = *state;
	size_t size = 4 * 1000 * 1000;
	char *text = malloc(size + 1);
	size_t used = (size_t)snprintf(text, size, SITE_HEAD "Environment=");

	for (; used + 4 < size; used += 4)
		memcpy(text + used, "A=1 ", 4);
	scratch_write_bytes(scratch, "etc/sites/a.site", text, used);
	assert_refused(scratch, "a", -EINVAL, "a.site", 0, "larger than");
	scratch_write_bytes(scratch, "etc/sites/a.site", text, 1000 * 1000);
	assert_refused(scratch, "a", -EINVAL, "a.site", 5, "a line of");
	used = (size_t)snprintf(text, size, "%s", SITE_HEAD);
	for (unsigned i = 0; used < 1000 * 1000; i++)
		used += (size_t)snprintf(text + used, size - used, "Environment=A%u=\n", i);
	scratch_write_bytes(scratch, "etc/sites/a.site", text, used);
	assert_refused(scratch, "a", -EINVAL, "a.site", 5 + SPEC_LIST_MAX, "more than 1024 entries");
	used = (size_t)snprintf(text, size, "[Container]\nExecStart=/x\n[Socket]\n");
	for (unsigned i = 1; used < 1000 * 1000; i++)
		used += (size_t)snprintf(text + used, size - used, "ListenStream=@%u\n", i);
	scratch_write_bytes(scratch, "etc/sites/a.site", text, used);
	assert_refused(scratch, "a", -EINVAL, "a.site", 4 + SPEC_LISTENERS_MAX, "more than 64 entries");
	free(text);
}

/* Each line is short, and what it comes to is not: 3,000 lines of 32 KiB. */
static void test_amplification(void **state)
{
	struct scratch *scratch = *state;
	char name[201], relative[256], line[400] = "Description=", *text = malloc(1024 * 1024);
	size_t used = (size_t)sprintf(text, "%s[Site]\n", SITE_HEAD), length = strlen(line);

	for (int i = 0; i < 163; i++)
		length += (size_t)sprintf(line + length, "%%i");
	line[length++] = '\n';
	for (; used + length < 1024 * 1024; used += length)
		memcpy(text + used, line, length);
	memset(name, 'n', 200);
	name[200] = '\0';
	snprintf(relative, sizeof relative, "etc/sites/%s.site", name);
	scratch_write_bytes(scratch, relative, text, used);
	assert_refused(scratch, name, -EINVAL, ".site", 6 + 16 * 1024 * 1024 / 32601, "takes more than");
	free(text);
}

static void test_cache(void **state)
{
	struct scratch *scratch = *state;
	struct spec_cache *cache = spec_cache_create();
	struct site_spec *spec;

	scratch_write(scratch, "lib/templates/t.template", SITE_HEAD "Nice=1\n");
	scratch_write(scratch, "lib/templates/t.template.d/x.conf", "[Container]\nUMask=0\n");
	scratch_write(scratch, "etc/sites/a.site", "[Site]\nTemplate=t\n");
	scratch_write(scratch, "etc/sites/b.site", "[Site]\nTemplate=t\n");
	assert_int_equal(spec_load(&scratch->lookup, cache, "a", &spec, NULL), 0);
	assert_int_equal(spec->nice, 1);
	spec_free(spec);
	/* Changes are seen when the cache is cleared. */
	scratch_write(scratch, "lib/templates/t.template", SITE_HEAD "Nice=2\n");
	assert_int_equal(spec_load(&scratch->lookup, cache, "b", &spec, NULL), 0);
	assert_int_equal(spec->nice, 1);
	assert_int_equal(spec->umask, 0);
	spec_free(spec);
	spec_cache_clear(cache);
	assert_int_equal(spec_load(&scratch->lookup, cache, "b", &spec, NULL), 0);
	assert_int_equal(spec->nice, 2);
	/* The spec outlives the cache. */
	spec_cache_destroy(cache);
	assert_string_equal(spec->exec_start[0], "/bin/x");
	spec_free(spec);
	spec_cache_destroy(NULL);
	spec_free(NULL);
}

static void test_load_file(void **state)
{
	struct scratch *scratch = *state;
	struct site_spec *spec;
	struct diag diag;

	scratch_write(scratch, "lib/templates/t.template", SITE_HEAD);
	scratch_write(scratch, "b.site", "[Site]\nTemplate=t\n");
	scratch_write(scratch, "b.site.d/x.conf", "[Container]\nNice=3\n");
	assert_int_equal(spec_load_file(&scratch->lookup, scratch_path(scratch, "b.site"), &spec, &diag), 0);
	assert_string_equal(spec->name, "b");
	assert_int_equal(spec->nice, 3);
	spec_free(spec);
	scratch_write(scratch, "b.txt", "");
	assert_int_equal(spec_load_file(&scratch->lookup, scratch_path(scratch, "b.txt"), &spec, &diag),
			 -EINVAL);
	assert_non_null(strstr(diag.message, "NAME.site"));
	scratch_write(scratch, "b c.site", "");
	assert_int_equal(spec_load_file(&scratch->lookup, scratch_path(scratch, "b c.site"), &spec, &diag),
			 -EINVAL);
	assert_int_equal(spec_load_file(&scratch->lookup, scratch_path(scratch, "c.site"), &spec, &diag),
			 -ENOENT);
}

static void test_check_fragment(void **state)
{
	struct scratch *scratch = *state;
	struct diag diag;

	scratch_write(scratch, "t.template", "[Container]\nEnvironment=A=%r B=%i\n");
	assert_int_equal(spec_check_fragment(&scratch->lookup, scratch_path(scratch, "t.template"), &diag), 0);
	scratch_write(scratch, "t.template", "[Site]\nTemplate=gone\n");
	assert_int_equal(spec_check_fragment(&scratch->lookup, scratch_path(scratch, "t.template"), &diag),
			 -EINVAL);
	assert_non_null(strstr(diag.message, "missing"));
	scratch_write(scratch, "x.conf", "[Site]\nTemplate=gone\n[Container]\nExecStart=/x $Y\n");
	assert_int_equal(spec_check_fragment(&scratch->lookup, scratch_path(scratch, "x.conf"), &diag), 0);
	scratch_write(scratch, "x.conf", "[Container]\nExecStart=/x ${\n");
	assert_int_equal(spec_check_fragment(&scratch->lookup, scratch_path(scratch, "x.conf"), &diag),
			 -EINVAL);
	assert_int_equal(diag.line, 2);
}

static void test_diag(void **state)
{
	struct diag diag;
	char text[64];

	(void)state;
	assert_int_equal(diag_set(&diag, -EINVAL, "f\x1b", 3, "bad %s", "\n"), -EINVAL);
	assert_string_equal(diag_format(&diag, text, sizeof text), "f\\x1b:3: bad \\x0a");
	diag_set(&diag, -EINVAL, "f", 0, "bad");
	assert_string_equal(diag_format(&diag, text, sizeof text), "f: bad");
	diag_set(&diag, -EINVAL, NULL, 0, "bad");
	assert_string_equal(diag_format(&diag, text, sizeof text), "bad");
	assert_int_equal(diag_set(NULL, -ENOMEM, "f", 0, "bad"), -ENOMEM);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_lines),      TEST(test_defaults), TEST(test_order),
		TEST(test_resets),         TEST(test_all_keys), TEST(test_variables),
		TEST(test_variable_sizes), TEST(test_checks),   TEST(test_templates),
		TEST(test_hostile_files),  TEST(test_twins),    TEST(test_long_lists),
		TEST(test_amplification),  TEST(test_cache),    TEST(test_load_file),
		TEST(test_check_fragment), TEST(test_diag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
