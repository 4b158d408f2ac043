/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/sysmacros.h>

#include "allocations.h"
#include "devices.h"
#include "disk.h"
#include "exposure.h"
#include "scratch.h"
#include "str.h"

/* Room for a description where a table is 80 columns wide. */
#define DESCRIPTION_COLUMNS 44

static struct host host;

/* Every path but one lies on a disk. */
int __wrap_disk_find(const char *path, dev_t *ret);

int __wrap_disk_find(const char *path, dev_t *ret)
{
	*ret = makedev(8, 0);
	return strncmp(path, "/torpor/", 8) == 0 ? -ENOENT : 0;
}

/* Nodes that no machine has. */
int __wrap_device_find(const char *path, bool *ret_block, dev_t *ret);

int __wrap_device_find(const char *path, bool *ret_block, dev_t *ret)
{
	*ret_block = str_equal(path, "/dev/torpor/disk");
	*ret = *ret_block                            ? makedev(8, 0)
	       : str_equal(path, "/dev/torpor/kmem") ? makedev(1, 2)
						     : makedev(195, 0);
	return 0;
}

static int setup(void **state)
{
	static struct scratch scratch;

	host = (struct host){
		.controllers = CONTROLLER_CPU | CONTROLLER_IO | CONTROLLER_MEMORY | CONTROLLER_PIDS,
		.cgroup_files = CGROUP_FILES_ALL,
		.device_programs = true,
		.memory_bytes = UINT64_C(16) << 30,
		.tasks_max = 32768,
		.run_dir = "/run/torpor",
		.open_files = {1024, 524288},
		.links = {{"bin", "usr/bin"}, {"lib64", "usr/lib64"}},
		.n_links = 2,
	};
	calls = fail_at = 0;
	live = 0;
	scratch_init(&scratch);
	*state = &scratch;
	return 0;
}

static int teardown(void **state)
{
	fail_at = 0;
	scratch_finish(*state);
	return live != 0 ? -1 : 0;
}

/* The plan of a unit with these lines, which begin in [Container]. */
static struct launch_plan *make_plan(struct scratch *scratch, struct planner *planner, const char *lines)
{
	struct launch_plan *plan = NULL;
	struct site_spec *spec;
	char text[4096];
	struct diag diag;

	snprintf(text, sizeof text, "[Socket]\nListenStream=@a\n[Container]\nExecStart=/usr/bin/x\n%s", lines);
	scratch_write(scratch, "etc/sites/a.site", text);
	if (spec_load(&scratch->lookup, NULL, "a", &spec, &diag) < 0 ||
	    plan_create(planner, spec, &plan, &diag) < 0)
		fail_msg("%s:%u: %s", diag.file, diag.line, diag.message);
	return plan;
}

/* What a unit with these lines comes to; unenforced is the container's, which runs. */
static void assess(struct scratch *scratch, const char *lines, const char *unenforced, struct exposure *ret)
{
	struct planner planner;
	struct launch_plan *plan;
	struct exposure_calls of;
	struct exposure_input input;

	planner_init(&planner, &host);
	plan = make_plan(scratch, &planner, lines);
	exposure_calls_decide(plan->spec, &of);
	input = (struct exposure_input){
		.plan = plan, .calls = &of, .resources = plan->resources->data, .unenforced = unenforced};
	assert_int_equal(exposure_assess(&input, ret), 0);
	/* Values and texts that are the spec's would not stay. */
	for (size_t i = 0; i < exposure_n_items; i++) {
		ret->findings[i].value = arena_strdup(&ret->arena, ret->findings[i].value);
		ret->findings[i].text = arena_strdup(&ret->arena, ret->findings[i].text);
	}
	plan_unref(plan);
	planner_finish(&planner);
}

static const struct exposure_finding *find(const struct exposure *exposure, const char *id)
{
	for (size_t i = 0; i < exposure_n_items; i++)
		if (str_equal(exposure_items[i].id, id))
			return &exposure->findings[i];
	fail_msg("there is no item %s", id);
	return NULL;
}

/* Each item closed and open: the lines, then what its finding is. NULL: any value. */
static const struct {
	const char *id, *lines, *value, *text;
	unsigned badness;
} cases[] = {
	{"user", "", "65534", "nobody", 20},
	{"user", "User=root\n", "0", "Is root", 100},
	{"user", "User=1234\n", "1234", "Is 1234 (1234)", 0},
	{"group", "User=1234\n", "1234", "", 0},
	{"group", "User=1234\nGroup=0\n", "0", "group root", 100},
	{"supplementary-groups", "", "none", "no other group", 0},
	{"no-new-privileges", "User=root\n", "yes", "", 0},
	{"group", "User=root\nPrivateUsers=yes\n", "0", "group 0", 0},
	{"group", "DynamicUser=yes\nGroup=1234\n", "1234", "", 0},
	{"group", "DynamicUser=yes\n", "dynamic", "", 0},
	{"user", "User=root\nPrivateUsers=yes\n", "0", "on the host nobody", 20},
	{"user", "PrivateUsers=yes\n", "65534", "of its own users", 0},
	{"user", "DynamicUser=yes\n", "dynamic", "no other site's", 0},
	{"namespace-user", "", "no", "no user namespace", 100},
	{"namespace-user", "RootDirectory=/srv/root\n", "own", "", 0},
	{"namespace-user", "RootDirectory=/srv/root\nPrivateUsers=no\n", "no", "", 100},
	{"namespace-user", "PrivateUsers=yes\n", "own", "", 0},
	{"namespace-mount", "", "own", "", 0},
	{"namespace-pid", "", "own", "", 0},
	{"namespace-ipc", "", "own", "", 0},
	{"namespace-uts", "", "own", "", 0},
	{"namespace-cgroup", "", "own", "", 0},
	{"namespace-time", "", "no", "", 0},
	{"network", "", "none", "loopback alone", 0},
	{"network", "PrivateNetwork=no\n", "host", "the host's network", 100},
	{"network", "Network=host\n", "host", "the host's network", 100},
	{"network", "Network=lan\n", "lan", "what the CNI network lan does", 50},
#define HAS(capabilities) "CapabilityBoundingSet=" capabilities "\nAmbientCapabilities=" capabilities "\n"
	{"capabilities-host", "", "none", "no capability over the host", 0},
	{"capabilities-host", HAS("CAP_SYS_ADMIN CAP_CHOWN"), "CAP_SYS_ADMIN", "Has CAP_SYS_ADMIN", 100},
	{"capabilities-host", HAS("CAP_SYS_ADMIN") "PrivateUsers=yes\n", "CAP_SYS_ADMIN", "own users alone",
	 20},
	{"capabilities-files", HAS("CAP_SYS_ADMIN"), "none", "", 0},
	{"capabilities-files", HAS("CAP_SYS_ADMIN CAP_CHOWN CAP_MKNOD"), "CAP_CHOWN CAP_MKNOD", "", 100},
	{"capabilities-network", HAS("CAP_CHOWN"), "none", "", 0},
	{"capabilities-network", HAS("CAP_NET_RAW"), "CAP_NET_RAW", "", 50},
	{"capabilities-network", HAS("CAP_NET_RAW") "PrivateNetwork=no\n", "CAP_NET_RAW", "", 100},
	{"capabilities-other", HAS("CAP_CHOWN"), "none", "", 0},
	{"capabilities-other", HAS("CAP_NET_BIND_SERVICE"), "CAP_NET_BIND_SERVICE", "", 20},
	{"capabilities-other", HAS("CAP_SYS_NICE"), "CAP_SYS_NICE", "", 100},
	{"capabilities-bounding", "", "none", "empty", 0},
	{"capabilities-bounding", HAS("CAP_CHOWN"), "CAP_CHOWN", "that it has", 0},
	{"capabilities-bounding", "CapabilityBoundingSet=CAP_SYS_NICE\n", "CAP_SYS_NICE", "", 50},
	{"capabilities-bounding", "CapabilityBoundingSet=CAP_SYS_ADMIN\n", "CAP_SYS_ADMIN", "", 100},
	{"root", "", "host", "12 names of /etc", 20},
	{"root", "RootDirectory=/srv/roots/a\n", "directory", "Has /srv/roots/a for its root", 5},
	{"root", "RootDirectory=/\n", "directory", "Has / for its root", 100},
	{"root", "RootImage=/srv/a.erofs\n", "image", "the image /srv/a.erofs", 0},
	{"root-writable", "", "no", "read-only", 0},
	{"root-writable", "RootDirectory=/srv/roots/a\n", "no", "read-only", 0},
	{"root-writable", "RootDirectory=/srv/roots/a\nOverlay=tmpfs\n", "tmpfs", "until it is stopped", 30},
	{"root-writable", "RootImage=/srv/a.erofs\nOverlay=/srv/changes/a\n", "kept", "is kept", 100},
	{"host-paths-writable", "", "none", "", 0},
	{"host-paths-writable", "BindReadOnlyPaths=/etc\n", "none", "", 0},
	{"host-paths-writable", "BindPaths=/srv/data/a\n", "/srv/data/a", "Writes to the host's /srv/data/a",
	 20},
	{"host-paths-writable", "BindPaths=/srv/a /:/host\n", "/srv/a /", "the host's / and 1 more", 100},
	{"host-paths-writable", "BindPaths=/var\n", "/var", "", 100},
	{"host-paths-writable", "BindPaths=/var/lib/a\n", "/var/lib/a", "", 20},
	{"host-paths-writable", "BindPaths=/etc/a\n", "/etc/a", "", 80},
	{"host-paths-writable", "BindPaths=/etcetera\n", "/etcetera", "", 20},
	{"host-paths-writable", "BindPaths=/run/mysqld\n", "/run/mysqld", "", 40},
	{"host-paths-writable", "BindPaths=/run/systemd/private\n", "/run/systemd/private", "", 100},
	{"host-paths-readable", "", "none", "", 0},
	{"host-paths-readable", "BindReadOnlyPaths=/srv/www/a\n", "/srv/www/a", "", 5},
	{"host-paths-readable", "BindReadOnlyPaths=/:/host\n", "/", "", 100},
	{"host-paths-readable", "BindReadOnlyPaths=/run/docker.sock\n", "/run/docker.sock", "", 100},
	{"host-paths-readable", "BindReadOnlyPaths=-/root/key\n", "/root/key", "", 100},
	{"host-paths-writable", "BindPaths=/srv/a\nReadOnlyPaths=/srv\n", "none", "", 0},
	{"host-paths-readable", "BindPaths=/srv/a\nReadOnlyPaths=/srv\n", "/srv/a", "", 5},
	{"host-paths-writable", "BindPaths=/srv/a\nReadOnlyPaths=/srv\nReadWritePaths=/srv/a/b\n", "/srv/a", "",
	 20},
	{"host-paths-writable", "BindPaths=/srv/a\nReadOnlyPaths=/\nReadWritePaths=/srv\n", "/srv/a", "", 20},
	{"host-paths-writable", "BindPaths=/srv/a\nReadOnlyPaths=/srv/a/b\n", "/srv/a", "", 20},
	{"host-paths-writable", "BindPaths=/etc\nInaccessiblePaths=/etc\n", "none", "", 0},
	{"host-paths-readable", "BindReadOnlyPaths=/root\nInaccessiblePaths=/root\n", "none", "", 0},
	{"proc-processes", "", "default", "", 0},
	{"proc-processes", "ProtectProc=invisible\n", "invisible", "", 0},
	{"tmp", "", "own", "of its own", 0},
	{"tmp", "TemporaryFileSystem=/tmp\n", "own", "", 0},
	{"tmp", "BindPaths=/tmp\n", "/tmp", "the host's /tmp", 100},
	{"tmp", "BindPaths=/srv/a:/tmp\n", "/srv/a", "", 20},
	{"proc", "", "10 masked 5 read-only", "", 0},
	{"device-nodes", "", "standard", "", 0},
	{"device-nodes", "DeviceAllow=/dev/null r\n", "standard", "", 0},
	{"device-nodes", "DeviceAllow=/dev/ptmx rw\n", "standard", "", 0},
	{"device-nodes", "DeviceAllow=/dev/torpor/gpu r\n", "/dev/torpor/gpu", "Has /dev/torpor/gpu", 30},
	{"device-nodes", "DeviceAllow=/dev/torpor/gpu r\nDeviceAllow=/dev/torpor/disk r\n",
	 "/dev/torpor/gpu /dev/torpor/disk", "", 100},
	{"device-nodes", "DeviceAllow=/dev/torpor/kmem r\n", "/dev/torpor/kmem", "", 100},
	{"device-program", "", "closed", "", 0},
	{"device-program", "DevicePolicy=strict\n", "strict", "", 0},
	{"device-program", "DevicePolicy=auto\n", "auto", "every device", 60},
	{"device-program", "DeviceAllow=block-*\n", "classes", "1 whole class", 30},
	{"system-calls-hazards", "", "none", "", 0},
	{"system-calls-hazards", "SystemCallFilter=@known\n", "none", "", 0},
	{"system-calls-hazards", "SystemCallFilter=@known ptrace bpf\n", "bpf ptrace", "Has bpf ptrace", 68},
	{"system-calls-groups", "", "none", "", 0},
	{"system-calls-groups", "SystemCallFilter=@container mount\n", "@mount", "calls of @mount", 50},
	{"system-calls-foreign", "", "refused", "", 0},
	{"address-families", "", NULL, "all but PACKET ALG VSOCK", 30},
	{"address-families", "RestrictAddressFamilies=AF_UNIX AF_INET\n", "AF_UNIX AF_INET", "", 0},
	{"address-families", "RestrictAddressFamilies=AF_UNIX AF_NETLINK\n", "AF_UNIX AF_NETLINK", "", 10},
	{"address-families", "RestrictAddressFamilies=none\n", "none", "no sockets", 0},
	{"address-families", "RestrictAddressFamilies=AF_ALG\n", "AF_ALG", "", 100},
	{"address-families", "SystemCallFilter=~socket\n", "none", "no sockets", 0},
	{"new-namespaces", "", "none", "", 0},
	{"new-namespaces", "RestrictNamespaces=user\n", "user", "Makes namespaces: user", 100},
	{"new-namespaces", "RestrictNamespaces=net uts\n", "net uts", "", 20},
	{"new-namespaces", "RestrictNamespaces=no\n", "cgroup ipc net mnt pid time user uts", "", 100},
	{"new-namespaces", "RestrictNamespaces=no\nSystemCallFilter=~unshare setns clone3 clone\n", "none", "",
	 0},
	{"memory-write-execute", "", "allowed", "", 100},
	{"memory-write-execute", "MemoryDenyWriteExecute=yes\n", "refused", "", 0},
	{"realtime", "", "allowed", "", 100},
	{"realtime", "RestrictRealtime=yes\n", "refused", "", 0},
	{"realtime", "SystemCallFilter=~sched_setscheduler sched_setattr\n", "refused", "", 0},
	{"set-user-id", "", "allowed", "", 100},
	{"set-user-id", "RestrictSUIDSGID=yes\n", "refused", "", 0},
	{"personality", "", "harmless", "", 30},
	{"personality", "LockPersonality=yes\n", "refused", "", 0},
	{"terminal-input", "SystemCallFilter=@known\n", "refused", "", 0},
	{"interception", "", "bind listen", "Asks torpor at bind listen", 100},
	{"interception", "Handover=listen-fds\n", "none", "", 0},
	{"interception", "Handover=listen-fds\nAcceptWhenReady=yes\n", "accept accept4", "", 100},
	{"limit-memory", "", "none", "no MemoryMax=", 100},
	{"limit-memory", "[Resources]\nMemoryMax=128M\n", "134217728", "Takes 128.0M", 0},
	{"limit-memory", "[Resources]\nMemoryHigh=128M\n", "high", "", 30},
	{"limit-memory", "[Resources]\nMemoryMax=infinity\n", "none", "", 100},
	{"limit-tasks", "", "512", "512 processes", 0},
	{"limit-tasks", "[Resources]\nTasksMax=infinity\n", "none", "", 100},
	{"limit-cpu", "", "none", "", 50},
	{"limit-cpu", "[Resources]\nCPUQuota=80%\n", "80000 100000", "", 0},
	{"limit-cpu", "[Resources]\nAllowedCPUs=0\n", "not in force", "AllowedCPUs= is not in force", 100},
	{"limit-io", "", "none", "", 100},
	{"limit-io", "[Resources]\nIOWeight=50\n", "weight", "", 50},
	{"limit-io", "[Resources]\nIOReadBandwidthMax=/disk 1M\n", "max", "", 0},
	{"limit-io", "[Resources]\nIOReadBandwidthMax=/torpor/nosuch 1M\n", "not in force", "", 100},
	{"limits-in-force", "", "0", "", 0},
	{"limits-in-force", "[Resources]\nAllowedCPUs=0\n", "1", "Lacks AllowedCPUs=", 100},
	{"limit-core-dumps", "", "0:0", "Dumps no core", 0},
	{"limit-core-dumps", "LimitCORE=0\n", "0:0", "", 0},
	{"limit-core-dumps", "LimitCORE=infinity\n", "infinity:infinity", "", 100},
	{"limit-open-files", "", "1024:524288", "", 0},
	{"limit-open-files", "LimitNOFILE=64\n", "64:64", "", 0},
	{"oom-score", "OOMScoreAdjust=500\n", "500", "", 0},
	{"oom-score", "OOMScoreAdjust=-500\n", "-500", "", 100},
	{"keyring", "", "own", "", 0},
	{"session", "", "new", "", 0},
	{"controlling-terminal", "", "none", "", 0},
	{"label", "", "inherited", "", 100},
	{"label", "AppArmorProfile=-web\n", "web", "or starts without", 50},
	{"label", "AppArmorProfile=web\n", "web", "Has the label web", 0},
	{"label", "SELinuxContext=system_u:system_r:web_t:s0\n", "system_u:system_r:web_t:s0", "", 0},
	{"environment-files", "", "0", "", 0},
	{"environment-files", "EnvironmentFile=/etc/a\nEnvironmentFile=/etc/b\n", "2", "/etc/a and more", 100},
	{"umask", "", "0022", "its user alone", 0},
	{"umask", "UMask=0002\n", "0002", "its group", 30},
	{"umask", "UMask=0\n", "0000", "everybody", 100},
	{"notify-socket", "", "none", "", 0},
	{"notify-socket", "NotifyAccess=main\n", "main", "", 100},
	{"notify-socket", "NotifyAccess=all\n", "all", "", 100},
};

static void test_items(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct exposure_finding *finding;
		struct exposure exposure;

		assess(*state, cases[i].lines, NULL, &exposure);
		finding = find(&exposure, cases[i].id);
		if (finding->badness != cases[i].badness || !strstr(finding->text, cases[i].text) ||
		    (cases[i].value && strcmp(finding->value, cases[i].value) != 0))
			fail_msg("%s with \"%s\": %u%% \"%s\" \"%s\" instead of %u%% \"%s\" \"%s\"",
				 cases[i].id, cases[i].lines, finding->badness, finding->value, finding->text,
				 cases[i].badness, cases[i].value ? cases[i].value : "*", cases[i].text);
		exposure_finish(&exposure);
	}
}

/* Every item is seen closed, and open where a unit can open it. */
static void test_items_are_all_tested(void **state)
{
	(void)state;
	for (size_t i = 0; i < exposure_n_items; i++) {
		const struct exposure_item *item = &exposure_items[i];
		bool met = false, good = false, bad = false;

		for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
			bool same = str_equal(cases[k].id, item->id);

			met |= same;
			good |= same && cases[k].badness <= 20;
			bad |= same && cases[k].badness > 20;
		}
		if (str_equal(item->id, "system-calls"))
			continue; /* numbers of calls have a test of their own */
		if (!met || (item->weight > 0 && item->keys && item->assess && !(good && bad)))
			fail_msg("%s is not tested in both ways", item->id);
	}
}

static void test_system_calls_counts(void **state)
{
	struct exposure closed, usual, open;

	assess(*state, "SystemCallFilter=read\n", NULL, &closed);
	assess(*state, "", NULL, &usual);
	assess(*state, "SystemCallFilter=@known ptrace\n", NULL, &open);
	assert_in_range(find(&closed, "system-calls")->badness, 1, 10);
	assert_in_range(find(&usual, "system-calls")->badness, 18, 20);
	assert_in_range(find(&open, "system-calls")->badness, 80, 99);
	exposure_finish(&closed);
	exposure_finish(&usual);
	exposure_finish(&open);
}

/* A host that lacks controllers, and a kernel that took no device program. */
static void test_not_in_force(void **state)
{
	static const char *const ids[] = {"limit-memory", "limit-tasks", "limit-cpu", "limit-io",
					  "device-program"};
	struct exposure exposure;

	host.controllers = 0;
	host.device_programs = false;
	assess(*state, "[Resources]\nMemoryMax=1G\nCPUQuota=50%\nIOWeight=30\n", NULL, &exposure);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		assert_string_equal(find(&exposure, ids[i])->value, "not in force");
		assert_true(find(&exposure, ids[i])->badness >= 60);
	}
	assert_non_null(strstr(find(&exposure, "limit-memory")->text, "MemoryMax= is not in force (no memory"));
	assert_string_equal(find(&exposure, "limits-in-force")->value, "5");
	exposure_finish(&exposure);
	assess(*state, "", "writing pids.max failed", &exposure);
	assert_string_equal(find(&exposure, "limits-in-force")->text,
			    "Lacks TasksMax= (no pids controller in this "
			    "host's cgroup v2) and 2 more");
	exposure_finish(&exposure);
	setup(state);
	assess(*state, "", "writing pids.max failed", &exposure);
	assert_string_equal(find(&exposure, "limits-in-force")->text, "Lacks writing pids.max failed");
	exposure_finish(&exposure);
}

/* The figure is the weighted mean, rounded up, and its parts are of it. */
static void test_sum(void **state)
{
	unsigned whole = 0, sum = 0;
	struct exposure exposure;

	assess(*state, "", NULL, &exposure);
	for (size_t i = 0; i < exposure_n_items; i++)
		whole += exposure_items[i].weight;
	for (size_t i = 0; i < exposure_n_items; i++) {
		const struct exposure_finding *finding = &exposure.findings[i];
		unsigned part = finding->badness * exposure_items[i].weight;

		sum += part;
		assert_int_equal(finding->tenths, part / whole + (part % whole > 0));
		assert_true(finding->badness == 0 || finding->item->weight > 0);
	}
	assert_int_equal(exposure.tenths, sum / whole + (sum % whole > 0));
	assert_null(exposure.decided_by);
	assert_string_equal(exposure_word(exposure.tenths), "OK");
	exposure_finish(&exposure);
}

/* One hole is as bad as it is, however closed the rest. */
static void test_alone(void **state)
{
	static const struct {
		const char *lines, *id;
		unsigned tenths;
	} holes[] = {
		{HAS("CAP_SYS_ADMIN"), "capabilities-host", 95},
		{HAS("CAP_CHOWN"), "capabilities-files", 60},
		{"BindPaths=/:/host\n", "host-paths-writable", 95},
		{"BindPaths=/etc/a\n", "host-paths-writable", 76},
		{"BindReadOnlyPaths=/run/docker.sock\n", "host-paths-readable", 60},
		{"RootDirectory=/\n", "root", 60},
		{"RestrictAddressFamilies=AF_ALG\n", "address-families", 55},
		{"SystemCallFilter=@container io_uring_setup\n", "system-calls-hazards", 38},
	};
	struct exposure exposure;

	for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
		assess(*state, holes[i].lines, NULL, &exposure);
		assert_non_null(exposure.decided_by);
		assert_string_equal(exposure.decided_by->id, holes[i].id);
		assert_int_equal(exposure.tenths, holes[i].tenths);
		exposure_finish(&exposure);
	}
	assess(*state, "BindPaths=/srv/a\n", NULL, &exposure);
	assert_null(exposure.decided_by);
	exposure_finish(&exposure);
}

/* What narrows a unit never makes it look more exposed. */
static void test_closing_helps(void **state)
{
	static const char *const steps[] = {"User=1234\n",
					    "LockPersonality=yes\n",
					    "MemoryDenyWriteExecute=yes\n",
					    "RestrictRealtime=yes\n",
					    "RestrictSUIDSGID=yes\n",
					    "RestrictAddressFamilies=AF_UNIX AF_INET\n",
					    "LimitCORE=0\n",
					    "Handover=listen-fds\n",
					    "SystemCallFilter=@default read write accept4\n",
					    "[Resources]\nMemoryMax=1G\nCPUQuota=50%\nIOWeight=30\n"};
	char lines[1024] = "";
	unsigned before = 100;
	struct exposure exposure;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		strcat(lines, steps[i]);
		assess(*state, lines, NULL, &exposure);
		assert_true(exposure.tenths <= before);
		before = exposure.tenths;
		exposure_finish(&exposure);
	}
	assert_true(before < 10);
}

static void test_words(void **state)
{
	static const struct {
		unsigned tenths;
		const char *word;
	} words[] = {{0, "PERFECT"},  {1, "SAFE"},    {9, "SAFE"},    {10, "OK"},
		     {49, "OK"},      {50, "MEDIUM"}, {74, "MEDIUM"}, {75, "EXPOSED"},
		     {89, "EXPOSED"}, {90, "UNSAFE"}, {99, "UNSAFE"}, {100, "DANGEROUS"}};

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		assert_string_equal(exposure_word(words[i].tenths), words[i].word);
}

/* What most sites have is said in so few words that 80 columns show it whole. */
static void test_descriptions_fit(void **state)
{
	struct exposure exposure;

	assess(*state, "", NULL, &exposure);
	for (size_t i = 0; i < exposure_n_items; i++)
		if (strlen(exposure.findings[i].text) > DESCRIPTION_COLUMNS)
			fail_msg("%s: \"%s\"", exposure_items[i].id, exposure.findings[i].text);
	exposure_finish(&exposure);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < exposure_n_items; i++) {
		const struct exposure_item *item = &exposure_items[i];

		assert_true(item->reason && item->reason[strlen(item->reason) - 1] == '.');
		assert_true((item->assess != NULL) == (item->value == NULL && item->text == NULL));
		assert_in_range(item->alone, 0, 100);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(item->id, exposure_items[k].id);
	}
}

static void test_out_of_memory(void **state)
{
	struct planner planner;
	struct launch_plan *plan;
	struct exposure_calls of;
	struct exposure exposure;
	long before;
	int r;

	planner_init(&planner, &host);
	plan = make_plan(*state, &planner, HAS("CAP_CHOWN") "BindPaths=/srv/a /srv/b\n");
	exposure_calls_decide(plan->spec, &of);
	before = live;
	for (size_t n = 1;; n++) {
		struct exposure_input input = {.plan = plan, .calls = &of, .resources = plan->resources->data};

		calls = 0;
		fail_at = n;
		r = exposure_assess(&input, &exposure);
		fail_at = 0;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(live, before);
		assert_true(n < 1000);
	}
	exposure_finish(&exposure);
	assert_int_equal(live, before);
	plan_unref(plan);
	planner_finish(&planner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_items, setup, teardown),
		cmocka_unit_test(test_items_are_all_tested),
		cmocka_unit_test_setup_teardown(test_system_calls_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_in_force, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closing_helps, setup, teardown),
		cmocka_unit_test(test_words),
		cmocka_unit_test_setup_teardown(test_descriptions_fit, setup, teardown),
		cmocka_unit_test(test_table),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
