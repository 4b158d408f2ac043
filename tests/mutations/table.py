# SPDX-License-Identifier: LGPL-2.1-or-later
"""Protections taken out, one at a time, and the tests that have to notice. T: of the table in tests/SECURITY.md."""
import dataclasses

CHILD = "daemon/launch/child.c"
LAUNCH = "daemon/launch/launch.c"
MOUNTS = "daemon/plan/mounts.c"
MOUNT_RUN = "daemon/launch/mount-run.c"
ROOT = "daemon/launch/root.c"
SANDBOX = "daemon/launch/sandbox.c"
RESOURCES = "daemon/plan/resources.c"
RESTRICTIONS = "daemon/plan/restrictions.c"
SYSCALLS = "daemon/plan/syscalls.c"
UNIT = "daemon/spec/unit.c"

FACTS = "test_tenants.py::test_facts"
NEIGHBOUR = "test_tenants.py::test_neighbour"
UNFILTERED = "test_tenants.py::test_neighbour_without_the_filter"
USES = "test_syscalls.py::test_uses_by_default"
BAD_UNITS = "test_failures.py::test_bad_units_at_the_start"


@dataclasses.dataclass
class Mutation:
    name: str
    test: str  # T18 ...
    edits: list  # (file, text that is there exactly once, text in its place)
    killers: list  # tests that must fail: FILE::FUNCTION of tests/system, vm:FILE::FUNCTION of tests/vm, or unit:NAME


def step(name, test, function, *killers):
    """A step of the child left out."""
    constant = f"STEP_{name.upper().replace('-', '_')}"
    return Mutation(f"no step {name}", test, [(CHILD, f"\t{{{constant}, {function}}},", "")], list(killers))


def edit(name, test, file, old, new, *killers):
    return Mutation(name, test, [(file, old, new)], list(killers))


MUTATIONS = [
    # T18: nothing left of a start.
    edit("a dead child is not waited for", "T18", LAUNCH, "(void)waitpid((pid_t)pid, NULL, __WALL);", ";",
         "test_leaks.py::test_starts_that_fail"),
    edit("the control group of a failed start stays", "T18", LAUNCH,
         "(void)cgroup_remove(shared->cgroup_fd, job->plan->cgroup);", ";", "test_leaks.py::test_starts_that_fail"),
    edit("a start's descriptors stay open", "T18", "daemon/launch/start.c",
         "\tfor (unsigned i = 0; i < start->n_mount_fds; i++)\n\t\tfd_close(start->mount_fds[i]);\n", "",
         "test_leaks.py::test_starts_and_stops"),
    edit("a sandbox's namespaces stay open", "T18", SANDBOX, "\tfd_close(sandbox->network_fd);\n", "",
         "test_leaks.py::test_starts_and_stops"),

    # T20: hostile names and files.
    edit("any name", "T20", "daemon/base/str.c",
         "return length > 0 && length <= NAME_BYTES_MAX && name[length] == '\\0' && name[0] != '.' &&\n\t       name[0] != '-';",
         "return length + 1 > 0;", "test_failures.py::test_bad_names"),
    edit("names of any length", "T20", "daemon/base/str.c", "length <= NAME_BYTES_MAX && ", "",
         "test_failures.py::test_bad_names"),
    edit("names that begin with a dash", "T20", "daemon/base/str.c", "name[0] != '.' &&\n\t       name[0] != '-'",
         "name[0] != '.'", "test_failures.py::test_bad_names"),
    edit("NUL bytes", "T20", UNIT, "if (c == '\\0')", "if (c == '\\0' && !length)", BAD_UNITS),
    edit("control bytes", "T20", UNIT, "(c < 0x20 && c != '\\t')", "(c < 0x1b && c != '\\t')", BAD_UNITS),
    edit("bytes that are not UTF-8", "T20", UNIT, "if (step == 0)", "if (step == 0 && (step = 1) == 0)", BAD_UNITS),
    edit("lines of any length", "T20", UNIT, "if (length > SPEC_LINE_BYTES)\n\t\treturn", "if (0)\n\t\treturn", BAD_UNITS),
    edit("twins of 49 bytes", "T20", "daemon/base/str.h", "__builtin_strcmp(a, b) == 0", "__builtin_strncmp(a, b, 49) == 0",
         "test_failures.py::test_twins_of_49_bytes_stay_two"),
    edit("two sites share a port", "T20", "daemon/core/loader.c", "if (spec->reuse_port && ", "if (0 && ",
         "test_failures.py::test_listener_claimed_twice"),

    # T24: what is given.
    Mutation("the launcher's descriptors", "T24",
             [(LAUNCH, "close_range(3, ~0U, CLOSE_RANGE_UNSHARE) < 0", "unshare(CLONE_FILES) < 0"),
              (CHILD, "RAWCALL(SYS_close_range, n, ~0U, 0)", "0")],
             [FACTS]),
    edit("descriptors stay open until execve", "T24", CHILD, "RAWCALL(SYS_close_range, n, ~0U, 0)",
         "RAWCALL(SYS_close_range, n, ~0U, CLOSE_RANGE_CLOEXEC)",
         "test_tenants.py::test_a_path_of_the_tenant_s_names_no_descriptor_of_the_daemon_s"),
    edit("no capability to send descriptors", "T28", "daemon/launch/start.c", "sends_as_user ? sending & ~plan->bounding : 0", "0",
         "test_tenants.py::test_descriptors_under_way_of_one_site_are_no_other_s_concern"),
    edit("ignored signals are handed on", "T24", "daemon/core/daemon.c", "action.sa_handler == SIG_IGN", "0", FACTS),
    step("signals", "T24", "step_signals", FACTS),
    step("limits", "T24", "step_limits", FACTS),
    step("priority", "T24", "step_priority", FACTS),
    step("working-directory", "T24", "step_working_directory", "test_container.py::test_settings_of_the_process"),
    edit("no masks of files in /proc", "T24", MOUNTS, "\tadd_proc_each(b, MOUNT_OP_MASK, 0, masked_proc,",
         "\tif (0)\n\t\tadd_proc_each(b, MOUNT_OP_MASK, 0, masked_proc,",
         "test_container.py::test_proc_is_masked", "test_roots.py::test_proc_is_masked"),
    edit("no masks of folders in /proc", "T24", MOUNTS, "\tadd_proc_each(b, MOUNT_OP_MASK, MOUNT_OP_FOLDER, masked_proc_folders,",
         "\tif (0)\n\t\tadd_proc_each(b, MOUNT_OP_MASK, MOUNT_OP_FOLDER, masked_proc_folders,",
         "test_container.py::test_proc_is_masked", "test_roots.py::test_proc_is_masked"),
    edit("/proc/sys can be written", "T24", MOUNTS, "add_proc_each(b, MOUNT_OP_COVER_READ_ONLY,",
         "if (0)\n\t\tadd_proc_each(b, MOUNT_OP_COVER_READ_ONLY,", "test_container.py::test_root_is_read_only"),
    edit("the root can be written", "T24", MOUNTS, "{.kind = MOUNT_OP_READ_ONLY}, NULL, \"/\", NULL", "{.kind = MOUNT_OP_WRITABLE}, NULL, \"/\", NULL",
         "test_container.py::test_root_is_read_only"),
    # Never to be tried by writing: it is the host that would be written to.
    edit("programs of the host can be written", "T24", MOUNTS, "{.kind = MOUNT_OP_SEAL}", "{.kind = MOUNT_OP_WRITABLE}",
         "test_container.py::test_mounts_of_the_host_are_read_only"),
    edit("set-user-ID programs", "T24", "daemon/launch/mount-source.c", "return MOUNT_ATTR_NOSUID | ", "return ",
         "test_container.py::test_mounts_are_nosuid"),

    # T25: a hostile root.
    edit("links of tenants lead anywhere", "T25", "daemon/base/trusted-path.c", "walk.owner != NOBODY && st.st_uid != walk.owner", "0",
         "unit:trusted-path", "test_links_of_the_host.py::test_a_link_of_the_tenant_s"),
    edit("targets outside the root", "T25", MOUNT_RUN,
         ".resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | run->resolve", ".resolve = 0 * run->resolve",
         "test_roots.py::test_mount_points_that_are_links_are_refused", "test_roots.py::test_binds_and_tmpfs"),
    edit("links for torpor's own mount points", "T25", MOUNT_RUN, "run->resolve = units ? 0 : RESOLVE_NO_SYMLINKS;",
         "run->resolve = units ? 0 : 0;", "test_roots.py::test_mount_points_that_are_links_are_refused"),
    edit("an overlay in anybody's folder", "T25", ROOT, "if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))", "if (0)",
         "test_roots.py::test_overlay_in_a_folder_that_is_not_torpor_s"),
    edit("an overlay over a link", "T25", ROOT, "O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC", "O_RDONLY | O_DIRECTORY | O_CLOEXEC",
         "test_roots.py::test_overlay_in_a_folder_that_is_not_torpor_s"),
    edit("mounts of the host show inside", "T25", "daemon/launch/mount-source.c", ", .propagation = MS_PRIVATE", "",
         "test_container.py::test_mounts_of_the_host_stay_outside"),

    # T26: identity.
    step("session", "T26", "step_session", FACTS),
    step("keyring", "T26", "step_keyring", "test_tenants.py::test_session_keyring"),
    edit("root by a name of the image", "T26", "daemon/plan/oci-plan.c", "if (found->uid == 0) {", "if (false) {",
         "test_oci.py::test_a_user_that_the_image_makes_root_is_refused"),
    edit("set-user-ID for the host", "T26", "daemon/plan/plan.c",
         "return spec->dynamic_user || spec_has_private_users(spec);", "return spec->dynamic_user;",
         "test_identity.py::test_no_file_for_the_host_to_run_as_another"),
    step("groups", "T26", "step_groups", FACTS),
    step("bounding-set", "T26", "step_bounding_set", FACTS),
    step("user", "T26", "step_user", FACTS),
    step("capabilities", "T26", "step_capabilities", FACTS),
    step("no-new-privileges", "T26", "step_no_new_privileges", FACTS),
    step("label", "T26", "step_label", "test_identity.py::test_a_label_that_cannot_be_set",
         "vm:test_labels.py::test_a_profile_holds", "vm:selinux/test_selinux.py::test_a_context_holds"),
    edit("a label that fails is passed over", "T26", CHILD, "return own->optional ? 0 : r;", "return 0 * r;",
         "test_identity.py::test_a_label_that_cannot_be_set"),
    edit("no user namespace", "T26", CHILD, "return c->users_fd < 0 ? 0 : RAWCALL(SYS_setns, c->users_fd, CLONE_NEWUSER);",
         "return 0 * c->users_fd;", "test_identity.py::test_uid_maps"),

    # T27: system calls.
    step("syscalls", "T27", "step_syscalls", USES, "test_syscalls.py::test_every_refused_call_by_default"),
    edit("calls of other architectures", "T27", "daemon/plan/filter.c", "BPF_K, NATIVE_ARCH, 1, 0)", "BPF_K, NATIVE_ARCH, 1, 1)", USES),
    edit("dangerous calls", "T27", SYSCALLS, "\tfind_hazards(&edit);\n", "", "test_syscalls.py::test_a_list_that_allows_kills"),
    edit("namespaces", "T27", RESTRICTIONS, "\tif (!refused)\n\t\treturn;", "\tif (refused)\n\t\treturn;", USES),
    edit("clone3", "T27", RESTRICTIONS, "\tput_check(rules, \"clone3\", &checks[3]);\n", "", USES),
    edit("socket families", "T27", RESTRICTIONS, "\tput_check(rules, \"socket\", check);\n", "", USES),
    edit("terminals", "T27", RESTRICTIONS, "\t{\"ioctl\", ALWAYS, {TESTS(terminal), ALLOW}},\n", "", USES),
    edit("personalities", "T27", RESTRICTIONS, "\t{\"personality\", ALWAYS, {TESTS(personalities), REFUSE}},\n", "", USES),
    edit("filters of listeners", "T27", RESTRICTIONS, "\t{\"setsockopt\", ALWAYS, {TESTS(socket_filters), ALLOW}},\n", "", USES),

    # T28: neighbours.
    edit("no pid namespace", "T28", LAUNCH, "CLONE_NEWPID | CLONE_NEWCGROUP", "CLONE_NEWCGROUP", NEIGHBOUR, UNFILTERED),
    edit("no network namespace", "T28", SANDBOX, "CLONE_NEWNET | CLONE_NEWIPC", "CLONE_NEWIPC", NEIGHBOUR),
    edit("no IPC namespace", "T28", SANDBOX, "CLONE_NEWNET | CLONE_NEWIPC", "CLONE_NEWNET", NEIGHBOUR),
    edit("no cgroup namespace", "T28", LAUNCH, "CLONE_NEWPID | CLONE_NEWCGROUP", "CLONE_NEWPID", "test_container.py::test_cgroup"),
    edit("the host's /tmp", "T28", MOUNTS,
         "{.kind = MOUNT_OP_FILESYSTEM}, \"tmpfs\", \"/tmp\",", "{.kind = MOUNT_OP_DIRECTORY, .mode = 0755}, NULL, \"/tmp\",",
         "test_container.py::test_private_tmp"),

    # T29: a fork bomb. What the limit does is seen where pids is a controller.
    edit("no limit of processes", "T29", RESOURCES, "{\"TasksMax\", FILE_PIDS_MAX, FIELD(tasks_max), \"max\", true},", "",
         "unit:resources", "vm:test_hogs.py::test_fork_bomb"),

    # T30: hogs.
    edit("no limit of inotify instances", "T30", "daemon/launch/user-namespace-child.c",
         "\t{\"sys/user/max_inotify_instances\", \"16\", 2},\n", "", "test_hogs.py::test_inotify"),
    edit("no limit of memory", "T30", RESOURCES, "{\"MemoryMax\", FILE_MEMORY_MAX, FIELD(memory_max), \"max\", false},", "",
         "vm:test_hogs.py::test_memory_max"),
    edit("no weights of processors", "T30", RESOURCES, "\t\tadd(b, FILE_CPU_WEIGHT, \"CPUWeight\",", "\t\tif (0) add(b, FILE_CPU_WEIGHT, \"CPUWeight\",",
         "vm:test_limits.py::test_weights_of_sites"),
    edit("no quota of processors", "T30", RESOURCES, "\tadd(b, FILE_CPU_MAX, \"CPUQuota\",", "\tif (0) add(b, FILE_CPU_MAX, \"CPUQuota\",",
         "vm:test_limits.py::test_quota"),
]
