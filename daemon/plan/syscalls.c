/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "syscalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "syscall-filter.h"

/* What the program of a site is made from. No bytes between the fields: it is the key of the blob. */
struct inputs {
	uint64_t families;
	uint32_t namespaces;
	int16_t error;
	uint8_t families_mode, flags;
	char filter[]; /* as in the spec, without its end */
};

enum {
	LOCK_PERSONALITY = 1,
	DENY_WRITE_EXECUTE = 2,
	RESTRICT_REALTIME = 4,
	RESTRICT_SET_ID = 8,
	INTERCEPT = 16,
	ACCEPT_WHEN_READY = 32
};

/* Calls on their way into the rules. */
struct edit {
	struct filter_rules *rules;
	uint32_t action;
	bool hazards[FILTER_CALLS_MAX];
};

static uint32_t action_of(int error)
{
	return error == SYSCALL_KILL ? SECCOMP_RET_KILL_PROCESS : SYSCALLS_ERRNO((uint32_t)error);
}

/* named: the unit itself says this name, which may be a hazard's then. */
static void set_call(struct edit *edit, int number, bool named)
{
	if (number < 0 || number >= FILTER_CALLS_MAX)
		return;
	if (named || edit->action != SECCOMP_RET_ALLOW || !edit->hazards[number])
		edit->rules->action[number] = edit->action;
}

static void set_name(struct edit *edit, const char *name, bool named)
{
	const struct syscall_group *group = *name == '@' ? syscall_group_find(name) : NULL;
	const char *calls = group ? group->calls : "";
	char member[SYSCALL_NAME_BYTES];

	if (!group)
		set_call(edit, syscall_number(name), named);
	while (syscall_next(&calls, member))
		set_name(edit, member, false);
}

static void find_hazards(struct edit *edit)
{
	const char *calls = SYSCALL_HAZARDS;
	char name[SYSCALL_NAME_BYTES];

	while (syscall_next(&calls, name))
		edit->hazards[syscall_number(name)] = true;
}

/* What is there before the first word: calls that have no name here are newer than this program, and absent. */
static void set_base(struct edit *edit, bool allow_list, uint32_t refused, uint32_t absent)
{
	edit->action = allow_list ? refused : absent;
	set_name(edit, "@known", false);
	for (int number = 0; number < FILTER_CALLS_MAX; number++)
		if (edit->hazards[number])
			edit->rules->action[number] = absent;
	edit->action = SECCOMP_RET_ALLOW;
	set_name(edit, allow_list ? SYSCALL_GROUP_DEFAULT : SYSCALL_GROUP_CONTAINER, false);
}

/* Two calls ask first, where the program may make them. By sendmsg(2) its filter comes to be listened to. */
static void intercept(struct filter_rules *rules, const char *one, const char *other)
{
	const char *const calls[] = {one, other};

	for (size_t i = 0; i < 2; i++) {
		int number = syscall_number(calls[i]);

		if (number < 0 || rules->action[number] != SECCOMP_RET_ALLOW)
			continue;
		rules->action[number] = SECCOMP_RET_USER_NOTIF;
		rules->action[syscall_number("sendmsg")] = SECCOMP_RET_ALLOW;
	}
}

void syscalls_decide(const struct site_spec *spec, struct syscalls *ret)
{
	const char *filter = spec->system_calls ? spec->system_calls : "~";
	uint32_t absent = spec->system_call_error ? action_of(spec->system_call_error) : SYSCALLS_ERRNO(ENOSYS);
	uint32_t refused = spec->system_call_error ? absent : SECCOMP_RET_KILL_PROCESS;
	struct edit edit = {.rules = &ret->rules};
	struct syscall_word word;

	*ret = (struct syscalls){.rules.fallback = SYSCALLS_ERRNO(ENOSYS)};
	for (int number = 0; number < FILTER_CALLS_MAX; number++)
		ret->rules.action[number] = ret->rules.fallback;
	find_hazards(&edit);
	set_base(&edit, *filter != '~', refused, absent);
	while (syscall_filter_next(&filter, &word)) {
		edit.action = !word.deny ? SECCOMP_RET_ALLOW : word.has_error ? action_of(word.error) : refused;
		if (*word.name)
			set_name(&edit, word.name, true);
	}
	if (handover_intercepts(spec->handover))
		intercept(&ret->rules, "bind", "listen");
	if (spec->accept_when_ready)
		intercept(&ret->rules, "accept", "accept4");
	restrictions_apply(&ret->restrictions, spec, &ret->rules);
}

bool syscalls_notify(const struct blob *program)
{
	const struct sock_filter *code = program->data;

	for (size_t i = 0; i < program->data_bytes / sizeof *code; i++)
		if (code[i].code == (BPF_RET | BPF_K) && code[i].k == SECCOMP_RET_USER_NOTIF)
			return true;
	return false;
}

static struct inputs *make_inputs(const struct site_spec *spec, size_t *ret_bytes)
{
	size_t length = spec->system_calls ? strlen(spec->system_calls) : 0;
	struct inputs *inputs = calloc(1, sizeof *inputs + length);

	if (!inputs)
		return NULL;
	inputs->families = spec->families;
	inputs->namespaces = spec->namespaces;
	inputs->error = spec->system_call_error;
	inputs->families_mode = (uint8_t)spec->families_mode;
	inputs->flags = (uint8_t)(spec->lock_personality * LOCK_PERSONALITY |
				  spec->memory_deny_write_execute * DENY_WRITE_EXECUTE |
				  spec->restrict_realtime * RESTRICT_REALTIME |
				  spec->restrict_suid_sgid * RESTRICT_SET_ID |
				  handover_intercepts(spec->handover) * INTERCEPT |
				  spec->accept_when_ready * ACCEPT_WHEN_READY);
	if (length > 0)
		memcpy(inputs->filter, spec->system_calls, length);
	*ret_bytes = sizeof *inputs + length;
	return inputs;
}

static int compile(const struct site_spec *spec, struct sock_filter **ret, size_t *ret_n)
{
	autofree struct syscalls *syscalls = malloc(sizeof *syscalls);

	if (!syscalls)
		return -ENOMEM;
	syscalls_decide(spec, syscalls);
	return filter_compile(&syscalls->rules, ret, ret_n);
}

int syscalls_compile(struct blob_pool *pool, const struct site_spec *spec, struct blob **ret)
{
	size_t bytes, n;
	autofree struct inputs *inputs = make_inputs(spec, &bytes);
	struct sock_filter *code;
	int r;

	if (!inputs)
		return -ENOMEM;
	*ret = blob_find(pool, inputs, bytes);
	if (*ret)
		return 0;
	r = compile(spec, &code, &n);
	if (r < 0)
		return r;
	*ret = blob_add(pool, inputs, bytes, code, n * sizeof *code);
	return *ret ? 0 : -ENOMEM;
}
