/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/capability.h>
#include <linux/filter.h>
#include <signal.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <sys/capability.h>

#include "cleanup.h"
#include "defaults.h"
#include "devices.h"
#include "key.h"
#include "plan.h"
#include "str.h"

/* One line of a text that may hold any byte: escaped, or it could pretend to be more lines. */
static void dump_text(const char *label, const char *text, FILE *out)
{
	size_t size = strlen(text) * strlen("\\xNN") + 1;
	autofree char *escaped = malloc(size);

	if (escaped)
		str_escape(text, escaped, size);
	fprintf(out, "%s: %s\n", label, escaped ? escaped : "(out of memory)");
}

static void dump_mounts(const struct mount_list *list, const char *label, FILE *out)
{
	for (uint32_t i = 0; i < list->n_ops; i++) {
		const struct mount_op *op = &list->ops[i];
		const char *source = mount_text(list, op->source), *options = mount_text(list, op->options);

		fprintf(out, "mount: %s %s %s", label, mount_op_name(op->kind), mount_text(list, op->target));
		if (source)
			fprintf(out, " <- %s", source);
		if (op->mode)
			fprintf(out, " mode=%04o", op->mode);
		if (op->kind == MOUNT_OP_DEVICE)
			fprintf(out, " device=%s%u:%u", op->flags & MOUNT_OP_BLOCK ? "block " : "",
				major(op->device), minor(op->device));
		if (options)
			fprintf(out, " %s", options);
		fprintf(out, "%s%s%s%s%s%s\n", op->flags & MOUNT_OP_OPTIONAL ? " optional" : "",
			op->flags & MOUNT_OP_RECURSIVE ? " recursive" : "",
			op->flags & MOUNT_OP_RDONLY ? " ro" : "", op->flags & MOUNT_OP_NOEXEC ? " noexec" : "",
			op->flags & MOUNT_OP_DEVICES ? " devices" : "",
			op->flags & MOUNT_OP_FOLDER ? " folder" : "");
	}
}

static void dump_capabilities(const char *label, uint64_t mask, FILE *out)
{
	fprintf(out, "capabilities: %s", label);
	if (!mask)
		fputs(" none", out);
	for (int cap = 0; cap < 64; cap++) {
		char *name = mask & (1ULL << cap) ? cap_to_name(cap) : NULL;

		if (name)
			fprintf(out, " %s", name);
		cap_free(name);
	}
	fputc('\n', out);
}

static void dump_limits(const struct launch_plan *plan, FILE *out)
{
	for (unsigned i = 0; i < plan->n_limits; i++) {
		const struct rlimit *limit = &plan->limits[i].limit;

		fprintf(out, "limit: resource %d", plan->limits[i].resource);
		if (limit->rlim_cur == RLIM_INFINITY)
			fputs(" soft infinity", out);
		else
			fprintf(out, " soft %llu", (unsigned long long)limit->rlim_cur);
		if (limit->rlim_max == RLIM_INFINITY)
			fputs(" hard infinity\n", out);
		else
			fprintf(out, " hard %llu\n", (unsigned long long)limit->rlim_max);
	}
}

/* What the program was made from: the calls, then the other keys that are set, as they stand in a unit. */
static void dump_syscalls(const struct site_spec *spec, FILE *out)
{
	static const char *const others[] = {
		"SystemCallErrorNumber",  "RestrictAddressFamilies", "RestrictNamespaces", "LockPersonality",
		"MemoryDenyWriteExecute", "RestrictRealtime",        "RestrictSUIDSGID"};

	fprintf(out, "syscalls: %s\n", spec->system_calls ? spec->system_calls : "default");
	if (handover_intercepts(spec->handover) || spec->accept_when_ready)
		fprintf(out, "intercepted:%s%s\n", handover_intercepts(spec->handover) ? " bind listen" : "",
			spec->accept_when_ready ? " accept accept4" : "");
	for (size_t i = 0; i < site_keys.n_keys; i++)
		for (size_t k = 0; k < sizeof others / sizeof *others; k++)
			if (str_equal(site_keys.keys[i].name, others[k]))
				key_print(&site_keys.keys[i], spec, defaults_site(), false, out);
}

static void dump_resources(const struct resource_list *list, FILE *out)
{
	const char *missing = resource_text(list, list->missing);

	for (unsigned i = 0; i < list->n_writes; i++)
		fprintf(out, "cgroup: write %s %s\n", cgroup_file_name(list->writes[i].file),
			resource_text(list, list->writes[i].value));
	for (unsigned i = 0; i < list->n_missing; i++, missing = resource_next_missing(missing))
		dump_text(missing == resource_text(list, list->refused) ? "cgroup: refused"
									: "cgroup: not in force",
			  missing, out);
}

/* The descriptors that the program starts with, and the binds that get it a listener. */
static void dump_handover(const struct site_spec *spec, FILE *out)
{
	static const char *const types[] = {
		[SOCK_STREAM] = "stream",
		[SOCK_DGRAM] = "datagram",
		[SOCK_SEQPACKET] = "sequential-packet",
	};
	char bind[ADDRESS_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];

	fprintf(out, "handover: %s\n", handover_name(spec->handover));
	for (unsigned i = 0; spec->handover != HANDOVER_BIND && i < spec->n_listeners; i++)
		fprintf(out, "descriptor: %u <- %s\n", spec->handover == HANDOVER_STDIN ? i : i + 3,
			address_format(&spec->listeners[i].address, address));
	for (unsigned i = 0; handover_intercepts(spec->handover) && i < spec->n_listeners; i++) {
		const struct address *wanted = listener_bind(&spec->listeners[i]);

		fprintf(out, "bind: %s %s%s <- %s\n", types[wanted->type],
			address_family(wanted) == AF_UNSPEC ? "port " : "", address_format(wanted, bind),
			address_format(&spec->listeners[i].address, address));
	}
}

static void dump_label(const char *module, const struct label_spec *label, FILE *out)
{
	char text[32];

	if (!label)
		return;
	snprintf(text, sizeof text, "label: %s%s", module, label->optional ? " optional" : "");
	dump_text(text, label->name, out);
}

static void dump_user(const char *label, const struct launch_plan *plan, unsigned id, FILE *out)
{
	if (plan->spec->dynamic_user && id == PLAN_DYNAMIC_ID)
		fprintf(out, "%s: dynamic\n", label);
	else
		fprintf(out, "%s: %u\n", label, id);
}

void plan_dump(const struct launch_plan *plan, FILE *out)
{
	const struct site_spec *spec = plan->spec;

	fprintf(out, "cgroup: %s\n", plan->cgroup);
	dump_resources(plan->resources->data, out);
	if (plan->devices)
		devices_dump(plan->devices->data, plan->devices->data_bytes, out);
	fprintf(out, "namespaces: mount pid ipc uts cgroup%s%s\n",
		spec->network && !spec_names_network(spec) ? "" : " network",
		spec_has_private_users(spec) ? " user" : "");
	if (spec_names_network(spec))
		dump_text("network", spec->network, out);
	fprintf(out, "hostname: %s\n", spec->name);
	if (spec->root_directory)
		dump_text("root: directory", spec->root_directory, out);
	if (spec->root_image)
		dump_text("root: image", spec->root_image, out);
	if (spec->root_oci)
		dump_text("root: oci", spec->root_oci, out);
	for (unsigned i = 0; plan->oci && i < plan->oci->image->n_layers; i++)
		dump_text("root: layer", plan->oci->image->layers[i].digest, out);
	if (spec->overlay)
		dump_text("root: overlay", spec->overlay, out);
	dump_mounts(plan->shared_mounts->data, "shared", out);
	dump_mounts(plan->system_mounts->data, "system", out);
	dump_mounts(plan->unit_mounts->data, "unit", out);
	dump_handover(spec, out);
	dump_limits(plan, out);
	if (plan->write_oom_score_adj)
		fprintf(out, "oom-score-adjust: %d\n", spec->oom_score_adjust);
	if (spec->nice)
		fprintf(out, "nice: %d\n", spec->nice);
	dump_user("user", plan, plan->uid, out);
	dump_user("group", plan, plan->gid, out);
	fputs("groups: none\n", out);
	dump_capabilities("bounding", plan->bounding, out);
	dump_capabilities("ambient", plan->ambient, out);
	dump_label("AppArmor", spec->app_armor, out);
	dump_label("SELinux", spec->selinux, out);
	fputs("no-new-privileges: yes\n", out);
	dump_syscalls(spec, out);
	fprintf(out, "umask: %04o\nworking-directory: %s%s\n", spec->umask,
		spec->working_directory_optional ? "-" : "",
		plan_working_directory(plan) ? plan_working_directory(plan) : "/");
	for (const char *const *env = plan->envp; *env; env++)
		dump_text("environment", *env, out);
	for (const char *const *file = spec->environment_files; file && *file; file++)
		dump_text("environment-file", *file, out);
	for (const char *const *arg = plan_argv(plan); *arg; arg++)
		dump_text(arg == plan_argv(plan) ? "execute" : "argument", *arg, out);
}
