/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>
#include <pwd.h>

#include "allocations.h"
#include "plan.h"
#include "scratch.h"

static const struct host host = {
	.controllers = CONTROLLER_MEMORY | CONTROLLER_PIDS,
	.cgroup_files = CGROUP_FILES_ALL,
	.device_programs = true,
	.run_dir = "/run/torpor",
	.open_files = {1024, 524288},
	.oom_score_adj = -900,
	.links = {{"bin", "usr/bin"}, {"lib64", "usr/lib64"}},
	.n_links = 2,
};

struct fixture {
	struct scratch scratch;
	struct planner planner;
};

static int setup(void **state)
{
	static struct fixture fixture;

	calls = fail_at = 0;
	live = 0;
	scratch_init(&fixture.scratch);
	planner_init(&fixture.planner, &host);
	*state = &fixture;
	return 0;
}

static bool has_blobs(const struct planner *planner)
{
	return planner->mounts.blobs || planner->syscalls.blobs || planner->resources.blobs ||
	       planner->devices.blobs || planner->images.blobs;
}

/* Nothing is left behind, by any test. */
static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fail_at = 0;
	planner_finish(&fixture->planner);
	scratch_finish(&fixture->scratch);
	return has_blobs(&fixture->planner) || fixture->planner.accounts || live != 0 ? -1 : 0;
}

/* The spec of a site whose [Container] holds these lines too. */
static struct site_spec *load(struct fixture *fixture, const char *name, const char *lines)
{
	char path[300], text[4096];
	struct site_spec *spec;
	struct diag diag;

	snprintf(path, sizeof path, "etc/sites/%s.site", name);
	snprintf(text, sizeof text, "[Socket]\nListenStream=@%s\n[Container]\nExecStart=/usr/bin/x\n%s", name,
		 lines);
	scratch_write(&fixture->scratch, path, text);
	if (spec_load(&fixture->scratch.lookup, NULL, name, &spec, &diag) < 0)
		fail_msg("%s:%u: %s", diag.file, diag.line, diag.message);
	return spec;
}

static struct launch_plan *make(struct fixture *fixture, const char *name, const char *lines)
{
	struct launch_plan *plan;
	struct diag diag;

	if (plan_create(&fixture->planner, load(fixture, name, lines), &plan, &diag) < 0)
		fail_msg("%s:%u: %s", diag.file, diag.line, diag.message);
	return plan;
}

static bool has(const struct launch_plan *plan, const char *assignment)
{
	for (const char *const *env = plan->envp; *env; env++)
		if (strcmp(*env, assignment) == 0)
			return true;
	return false;
}

static void test_default_user(void **state)
{
	struct launch_plan *plan = make(*state, "a", "");
	const struct passwd *nobody = getpwnam("nobody");

	assert_int_equal(plan->refs, 1);
	assert_int_equal(plan->uid, nobody->pw_uid);
	assert_int_equal(plan->gid, nobody->pw_gid);
	assert_false(has(plan, "USER=nobody"));
	plan_unref(plan);
}

static void test_named_user(void **state)
{
	struct launch_plan *plan = make(*state, "a", "User=nobody\n");
	const struct passwd *nobody = getpwnam("nobody");

	assert_int_equal(plan->uid, nobody->pw_uid);
	assert_int_equal(plan->gid, nobody->pw_gid);
	assert_true(has(plan, "USER=nobody"));
	assert_true(has(plan, "LOGNAME=nobody"));
	plan_unref(plan);
	plan = make(*state, "b", "User=nobody\nGroup=daemon\n");
	assert_int_equal(plan->uid, nobody->pw_uid);
	assert_int_equal(plan->gid, getgrnam("daemon")->gr_gid);
	plan_unref(plan);
	plan = make(*state, "c", "Group=daemon\n");
	assert_int_equal(plan->uid, nobody->pw_uid);
	assert_int_equal(plan->gid, getgrnam("daemon")->gr_gid);
	plan_unref(plan);
}

/* A number needs no entry in passwd(5), and with one it has its group. */
static void test_numeric_user(void **state)
{
	static const struct {
		const char *lines;
		uid_t uid;
		gid_t gid;
	} cases[] = {
		{"User=4123456789\n", 4123456789, 4123456789},
		{"User=4123456789\nGroup=4000000000\n", 4123456789, 4000000000},
		{"User=0\n", 0, 0},
		{"User=0\nGroup=4294967294\n", 0, 4294967294},
	};
	char lines[64];
	const struct passwd *nobody = getpwnam("nobody");
	struct launch_plan *plan;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		plan = make(*state, "a", cases[i].lines);
		assert_int_equal(plan->uid, cases[i].uid);
		assert_int_equal(plan->gid, cases[i].gid);
		plan_unref(plan);
	}
	snprintf(lines, sizeof lines, "User=%u\n", nobody->pw_uid);
	plan = make(*state, "b", lines);
	assert_int_equal(plan->gid, nobody->pw_gid);
	assert_true(has(plan, "USER=nobody"));
	plan_unref(plan);
}

static void assert_refused(struct fixture *fixture, const char *lines, const char *message)
{
	struct site_spec *spec = load(fixture, "a", lines);
	struct launch_plan *plan = (void *)fixture;
	struct diag diag = {0};

	assert_int_equal(plan_create(&fixture->planner, spec, &plan, &diag), -EINVAL);
	assert_ptr_equal(plan, (void *)fixture);
	assert_string_equal(diag.message, message);
	assert_string_equal(diag.file, scratch_path(&fixture->scratch, "etc/sites/a.site"));
	/* The spec is still the caller's; a diag is not needed. */
	assert_int_equal(plan_create(&fixture->planner, spec, &plan, NULL), -EINVAL);
	assert_string_equal(spec->name, "a");
	spec_free(spec);
}

static void test_unknown_accounts(void **state)
{
	assert_refused(*state, "User=torpor-nosuch\n",
		       "User=torpor-nosuch: no such user on this host: create it, or name another");
	assert_refused(*state, "Group=torpor-nosuch\n",
		       "Group=torpor-nosuch: no such group on this host: create it, or name another");
	assert_refused(*state, "User=0\nGroup=torpor-nosuch\n",
		       "Group=torpor-nosuch: no such group on this host: create it, or name another");
}

static void test_accounts_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct launch_plan *first = make(fixture, "a", "User=nobody\n"), *second;
	struct account *accounts = fixture->planner.accounts;

	assert_non_null(accounts);
	second = make(fixture, "b", "User=nobody\n");
	assert_ptr_equal(fixture->planner.accounts, accounts);
	planner_forget_accounts(&fixture->planner);
	assert_null(fixture->planner.accounts);
	/* What plans say of them is their own. */
	assert_true(has(first, "USER=nobody"));
	plan_unref(first);
	plan_unref(second);
}

static void test_references(void **state)
{
	struct launch_plan *plan = make(*state, "a", "");

	assert_ptr_equal(plan_ref(plan), plan);
	assert_int_equal(plan->refs, 2);
	plan_unref(plan);
	assert_string_equal(plan->spec->name, "a");
	plan_unref(plan);
	plan_unref(NULL);
}

/* Two sites alike share what is large; a third one that differs in one thing shares the rest. */
static void test_sharing(void **state)
{
	struct fixture *fixture = *state;
	struct launch_plan *one = make(fixture, "a", "BindPaths=/srv:/srv\n"),
			   *two = make(fixture, "b", "BindPaths=/srv:/srv\n"),
			   *other = make(fixture, "c", "BindPaths=/srv:/data\n");

	assert_ptr_equal(one->shared_mounts, two->shared_mounts);
	assert_ptr_equal(one->system_mounts, two->system_mounts);
	assert_ptr_equal(one->unit_mounts, two->unit_mounts);
	assert_ptr_equal(one->syscalls, two->syscalls);
	assert_ptr_equal(one->shared_mounts, other->shared_mounts);
	assert_ptr_equal(one->syscalls, other->syscalls);
	assert_ptr_not_equal(one->unit_mounts, other->unit_mounts);
	plan_unref(one);
	/* The other's content is still there. */
	assert_true(two->unit_mounts->refs > 0 && two->unit_mounts->data_bytes > 0);
	plan_unref(two);
	/* Its own goes with the last that has it. */
	one = make(fixture, "d", "");
	assert_ptr_equal(one->syscalls, other->syscalls);
	plan_unref(other);
	plan_unref(one);
}

static void test_cgroup(void **state)
{
	struct launch_plan *plan = make(*state, "cgroup.procs", "[Site]\n");

	assert_string_equal(plan->cgroup, "cgroup.procs.site");
	plan_unref(plan);
	plan = make(*state, "a", "[Site]\nSlice=customers\n");
	assert_string_equal(plan->cgroup, "customers.slice/a.site");
	plan_unref(plan);
	plan = make(*state, "a", "[Site]\nSlice=customers-shop-test.slice\n");
	assert_string_equal(plan->cgroup,
			    "customers.slice/customers-shop.slice/customers-shop-test.slice/a.site");
	plan_unref(plan);
}

static void test_resources(void **state)
{
	struct launch_plan *plan = make(*state, "a", "[Resources]\nMemoryMax=1G\nCPUWeight=50\nTasksMax=7\n");
	const struct resource_list *list = plan->resources->data;

	assert_int_equal(list->n_writes, 2);
	assert_string_equal(cgroup_file_name(list->writes[0].file), "memory.max");
	assert_string_equal(resource_text(list, list->writes[0].value), "1073741824");
	assert_string_equal(cgroup_file_name(list->writes[1].file), "pids.max");
	assert_string_equal(resource_text(list, list->writes[1].value), "7");
	assert_int_equal(list->controllers, CONTROLLER_MEMORY | CONTROLLER_PIDS);
	assert_int_equal(list->n_missing, 1);
	assert_string_equal(resource_text(list, list->missing),
			    "CPUWeight= (no cpu controller in this host's cgroup v2)");
	assert_int_equal(list->refused, 0);
	plan_unref(plan);
}

/* What sites have in common is kept once, and costs a cold one a pointer. */
static void test_resources_shared(void **state)
{
	struct launch_plan *one = make(*state, "a", "[Resources]\nMemoryMax=1G\n"),
			   *two = make(*state, "b", "[Resources]\nMemoryMax=1024M\n"),
			   *other = make(*state, "c", "DeviceAllow=/dev/null r\nDevicePolicy=strict\n");

	assert_ptr_equal(one->resources, two->resources);
	assert_ptr_equal(one->devices, two->devices);
	assert_ptr_not_equal(one->resources, other->resources);
	assert_ptr_not_equal(one->devices, other->devices);
	plan_unref(one);
	plan_unref(two);
	plan_unref(other);
	one = make(*state, "d", "DevicePolicy=auto\n");
	assert_null(one->devices);
	plan_unref(one);
}

/* A slice without limits, beside a site: nothing that looks alike is taken for something else. */
static void test_slice(void **state)
{
	struct fixture *fixture = *state;
	struct launch_plan *plan = make(fixture, "a", "");
	struct slice_spec *spec;
	struct blob *none = plan_slice(&fixture->planner, NULL), *some;
	const struct resource_list *list = none->data;
	struct diag diag;

	assert_int_equal(none->data_bytes, sizeof *list);
	assert_true(list->n_writes == 0 && list->n_missing == 0 && list->refused == 0);
	scratch_write(&fixture->scratch, "etc/slices/s.slice", "[Resources]\nMemoryMax=1G\nIOWeight=5\n");
	assert_int_equal(slice_load(&fixture->scratch.lookup, "s", &spec, &diag), 0);
	some = plan_slice(&fixture->planner, spec);
	list = some->data;
	assert_int_equal(list->n_writes, 1);
	assert_string_equal(resource_text(list, list->writes[0].value), "1073741824");
	assert_int_equal(list->n_missing, 1);
	slice_free(spec);
	blob_unref(some);
	blob_unref(none);
	plan_unref(plan);
}

static void count_unused(void *context, const char *path)
{
	assert_string_equal(path, "/srv/image");
	++*(unsigned *)context;
}

/* Whoever keeps it mounted is told when no plan names it any more, once. */
static void test_image(void **state)
{
	struct fixture *fixture = *state;
	unsigned unused = 0;
	struct launch_plan *one, *two;

	planner_on_image_unused(&fixture->planner, count_unused, &unused);
	one = make(fixture, "a", "RootImage=/srv/image\n");
	two = make(fixture, "b", "RootImage=/srv//image/\nOverlay=tmpfs\n");
	assert_ptr_equal(one->image, two->image);
	assert_ptr_equal(one->system_mounts, two->system_mounts);
	assert_ptr_not_equal(one->unit_mounts, two->unit_mounts);
	plan_unref(one);
	assert_int_equal(unused, 0);
	one = make(fixture, "c", "");
	assert_ptr_not_equal(one->shared_mounts, two->shared_mounts);
	assert_null(one->image);
	plan_unref(two);
	assert_int_equal(unused, 1);
	plan_unref(one);
	assert_int_equal(unused, 1);
}

static const struct plan_limit *limit_of(const struct launch_plan *plan, int resource)
{
	const struct plan_limit *found = NULL;

	for (unsigned i = 0; i < plan->n_limits; i++)
		if (plan->limits[i].resource == resource) {
			assert_null(found);
			found = &plan->limits[i];
		}
	return found;
}

static void test_limits(void **state)
{
	struct launch_plan *plan = make(*state, "a", "");
	const struct plan_limit *limit;

	/* Not the limit that torpord raised for itself. */
	assert_int_equal(plan->n_limits, 2);
	limit = limit_of(plan, RLIMIT_NOFILE);
	assert_int_equal(limit->limit.rlim_cur, 1024);
	assert_int_equal(limit->limit.rlim_max, 524288);
	limit = limit_of(plan, RLIMIT_CORE);
	assert_true(limit->limit.rlim_cur == 0 && limit->limit.rlim_max == 0);
	plan_unref(plan);
	plan = make(*state, "b", "LimitNOFILE=64:128\nLimitCORE=infinity\nLimitAS=1M:infinity\n");
	assert_int_equal(plan->n_limits, 3);
	limit = limit_of(plan, RLIMIT_NOFILE);
	assert_int_equal(limit->limit.rlim_cur, 64);
	assert_int_equal(limit->limit.rlim_max, 128);
	limit = limit_of(plan, RLIMIT_CORE);
	assert_true(limit->limit.rlim_cur == RLIM_INFINITY && limit->limit.rlim_max == RLIM_INFINITY);
	limit = limit_of(plan, RLIMIT_AS);
	assert_true(limit->limit.rlim_cur == 1048576 && limit->limit.rlim_max == RLIM_INFINITY);
	plan_unref(plan);
}

static void test_oom_score(void **state)
{
	struct launch_plan *plan = make(*state, "a", "");

	/* torpord's own is -900 here, which a site must not inherit. */
	assert_true(plan->write_oom_score_adj);
	plan_unref(plan);
	plan = make(*state, "b", "OOMScoreAdjust=-900\n");
	assert_false(plan->write_oom_score_adj);
	plan_unref(plan);
}

static void test_capabilities(void **state)
{
	struct launch_plan *plan = make(*state, "a", "");

	assert_int_equal(plan->bounding, 0);
	assert_int_equal(plan->ambient, 0);
	plan_unref(plan);
	plan = make(*state, "b",
		    "CapabilityBoundingSet=CAP_CHOWN CAP_NET_BIND_SERVICE\n"
		    "AmbientCapabilities=CAP_NET_BIND_SERVICE\n");
	assert_int_equal(plan->bounding, 1 << 0 | 1 << 10);
	assert_int_equal(plan->ambient, 1 << 10);
	plan_unref(plan);
}

static char *dump(const struct launch_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	plan_dump(plan, out);
	fclose(out);
	return text;
}

/* One line an operation, whatever the values hold: none can pretend to be another line. */
static void test_dump_lines(void **state)
{
	struct launch_plan *plan = make(*state, "a",
					"Environment=\"A=x\\nuser: 0\" \"B=\\t\\x1b[31m\\xff\"\n"
					"ExecStart=\nExecStart=/usr/bin/x \"one\\nargument: two\"\n");
	char *text = dump(plan);

	assert_null(strstr(text, "\nuser: 0"));
	assert_null(strstr(text, "\nargument: two"));
	assert_non_null(strstr(text, "\nenvironment: A=x\\x0auser: 0\n"));
	assert_non_null(strstr(text, "\nenvironment: B=\\x09\\x1b[31m\\xff\n"));
	assert_non_null(strstr(text, "\nargument: one\\x0aargument: two\n"));
	for (const char *at = text; *at; at++)
		assert_true((unsigned char)*at >= 0x20 || *at == '\n');
	__real_free(text); /* open_memstream(3) made it */
	plan_unref(plan);
}

/* The n-th allocation fails, for every n: -ENOMEM, no leak, the spec still the caller's, and the next plan is
 * as good as any. */
static void test_out_of_memory(void **state)
{
	static const char lines[] =
		"User=nobody\nGroup=daemon\nEnvironment=A=1 B=2\nBindPaths=/srv:/data /a:/b\n"
		"RootImage=/x\nReadOnlyPaths=/\nReadWritePaths=/a\nTemporaryFileSystem=/"
		"tmp:size=1M\nLimitCORE=0\nEnvironmentFile=-/x\n"
		"SystemCallFilter=@system-service\nRestrictAddressFamilies=AF_UNIX\n"
		"[Resources]\nMemoryMax=1G\nCPUQuota=50%\nAllowedCPUs=0\nTasksMax=5\n"
		"IOReadBandwidthMax=/ 1M\nIOWeight=5\n[Container]\nDeviceAllow=/dev/null r\nDeviceAllow=char-* "
		"r\n"
		"DeviceAllow=block-* r\nDeviceAllow=char-pts r\nDeviceAllow=/dev/fuse\nDeviceAllow=/dev/tty\n"
		"[Site]\nSlice=customers\n";
	struct fixture *fixture = *state;
	struct site_spec *spec = load(fixture, "a", lines);
	bool reached = true;
	size_t n;

	for (n = 1; reached; n++) {
		struct launch_plan *plan = NULL;
		struct planner planner;
		struct diag diag = {0};
		long before = live;
		int r;

		planner_init(&planner, &host);
		calls = 0;
		fail_at = n;
		r = plan_create(&planner, spec, &plan, &diag);
		reached = calls >= n;
		fail_at = 0;
		assert_int_equal(r, reached ? -ENOMEM : 0);
		if (r < 0) {
			assert_null(plan);
			assert_non_null(strcasestr(diag.message, "memory"));
			/* With what it has kept, it makes the plan as if nothing had been. */
			assert_int_equal(plan_create(&planner, spec, &plan, NULL), 0);
			plan->spec = NULL;
		} else {
			spec = NULL;
		}
		plan_unref(plan);
		planner_finish(&planner);
		assert_false(has_blobs(&planner));
		if (spec)
			assert_int_equal(live, before);
	}
	/* A test that reaches nothing proves nothing. */
	assert_true(n > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(default_user),
		TEST(named_user),
		TEST(numeric_user),
		TEST(unknown_accounts),
		TEST(accounts_remembered),
		TEST(references),
		TEST(sharing),
		TEST(cgroup),
		TEST(resources),
		TEST(resources_shared),
		TEST(slice),
		TEST(image),
		TEST(limits),
		TEST(oom_score),
		TEST(capabilities),
		TEST(dump_lines),
		TEST(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
