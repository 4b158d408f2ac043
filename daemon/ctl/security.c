/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "field.h"
#include "log.h"
#include "options.h"
#include "sheet.h"
#include "sites.h"
#include "str.h"
#include "table.h"
#include "torpord.h"

/* torporctl security: what torpord has assessed, of sites or (--offline) of files. */

#define EXPOSURE_MAX 100 /* tenths */

static const struct table_column finding_columns[] = {
	{""},
	{"ITEM", .least = 12, .cut = WIDTH_CUT_END},
	{"DESCRIPTION", .least = 30, .cut = WIDTH_CUT_END},
	{"EXPOSURE", .right = true},
};
static const struct table_column site_columns[] = {
	{"SITE", .least = 22, .cut = WIDTH_CUT_MIDDLE},
	{"EXPOSURE", .right = true},
	{"PREDICATE"},
};

#define N(array) (sizeof(array) / sizeof(array)[0])

/* The colours go with the words of systemd-analyze(1). */
static const char *mark_of(uint64_t tenths)
{
	return tenths >= 75 ? MARK_RED : tenths >= 50 ? MARK_YELLOW : MARK_GREEN;
}

/* "2.3" of a field in tenths; NULL where it is absent. */
static const char *figure(struct arena *arena, const json_t *object)
{
	uint64_t tenths;

	if (!field_u64(object, "exposure", &tenths) || tenths > EXPOSURE_MAX)
		return NULL;
	return arena_printf(arena, "%llu.%llu", (unsigned long long)tenths / 10,
			    (unsigned long long)tenths % 10);
}

/* The figure of a whole container, or its word, in its colour. */
static const char *coloured(struct arena *arena, const json_t *security, const char *text)
{
	uint64_t tenths = 0;

	field_u64(security, "exposure", &tenths);
	return text ? arena_printf(arena, "%s%s" MARK_PLAIN, mark_of(tenths), text) : NULL;
}

/* A tick where nothing is exposed, a cross where something is; a dot for what only is told. */
static const char *sign(const struct ctl *ctl, uint64_t weight, uint64_t badness)
{
	bool utf8 = ctl->terminal.utf8;

	if (weight == 0 && badness == 0)
		return utf8 ? MARK_DIM "\u00b7" MARK_PLAIN : ".";
	if (badness == 0)
		return utf8 ? MARK_GREEN "\u2713" MARK_PLAIN : MARK_GREEN "+" MARK_PLAIN;
	if (badness <= 30)
		return utf8 ? MARK_YELLOW "\u2717" MARK_PLAIN : MARK_YELLOW "-" MARK_PLAIN;
	return utf8 ? MARK_RED "\u2717" MARK_PLAIN : MARK_RED "-" MARK_PLAIN;
}

static void print_findings(struct ctl *ctl, const json_t *findings)
{
	struct arena *arena = &ctl->arena;
	struct table table;

	table_init(&table, finding_columns, N(finding_columns));
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		uint64_t weight = 0, badness = 0;
		const char *cells[N(finding_columns)];

		field_u64(finding, "weight", &weight);
		field_u64(finding, "badness", &badness);
		cells[0] = sign(ctl, weight, badness);
		cells[1] = field_text(arena, finding, "id");
		cells[2] = field_text(arena, finding, "description");
		cells[3] = weight > 0 || badness > 0 ? figure(arena, finding) : NULL;
		if (table_add(&table, cells) < 0)
			break;
	}
	table_print(&table, &ctl->terminal, SIZE_MAX, stdout);
	table_finish(&table);
}

static void print_page(struct ctl *ctl, const json_t *security)
{
	struct arena *arena = &ctl->arena;
	const char *name = field_text(arena, security, "name"), *word = field_text(arena, security, "word"),
		   *decided_by = field_text(arena, security, "decided_by"), *whole = figure(arena, security);

	print_findings(ctl, json_object_get(security, "findings"));
	putchar('\n');
	whole = arena_printf(arena, "%s %s", whole ? whole : "?", word ? word : "?");
	sheet_sentence(&ctl->terminal, stdout,
		       arena_printf(arena, "%s Exposure of %s: %s%s", terminal_arrow(&ctl->terminal),
				    name ? name : "?", coloured(arena, security, whole),
				    decided_by ? arena_printf(arena, ", by %s alone", decided_by) : ""));
	if (field_is(security, "restart_needed", true) && field_is(security, "running", true))
		sheet_sentence(
			&ctl->terminal, stdout,
			"Its container runs on an older unit: torporctl restart puts the new one in force.");
}

/* One line a site. */
static void print_overview(struct ctl *ctl, const json_t *array)
{
	struct arena *arena = &ctl->arena;
	struct table table;

	table_init(&table, site_columns, N(site_columns));
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *security = json_array_get(array, i);
		const char *cells[N(site_columns)] = {
			field_text(arena, security, "name"),
			coloured(arena, security, figure(arena, security)),
			coloured(arena, security, field_text(arena, security, "word")),
		};

		if (table_add(&table, cells) < 0)
			break;
	}
	table_print(&table, &ctl->terminal, SIZE_MAX, stdout);
	table_finish(&table);
}

/* Says which of them are above --threshold=. */
static enum exit_code check_threshold(struct ctl *ctl, const json_t *array)
{
	unsigned most = ctl->options->flags & OPTION_THRESHOLD ? ctl->options->threshold : EXPOSURE_MAX;
	enum exit_code code = EXIT_OK;

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *security = json_array_get(array, i);
		const char *name = field_text(&ctl->arena, security, "name");
		uint64_t tenths = 0;

		if (!field_u64(security, "exposure", &tenths) || tenths <= most)
			continue;
		log_error("%s: exposure %s is above the threshold %u.%u", name ? name : "?",
			  figure(&ctl->arena, security), most / 10, most % 10);
		code = EXIT_FAILED;
	}
	return code;
}

static enum exit_code print(struct ctl *ctl, const json_t *array, bool overview, bool alone)
{
	if (ctl->options->json && (!alone || json_array_size(array) > 0))
		ctl_print_json(ctl, alone ? json_array_get(array, 0) : array);
	else if (!ctl->options->json && overview)
		print_overview(ctl, array);
	for (size_t i = 0; !ctl->options->json && !overview && i < json_array_size(array); i++) {
		if (i > 0)
			putchar('\n');
		print_page(ctl, json_array_get(array, i));
	}
	fflush(stdout);
	return check_threshold(ctl, array);
}

/* Asks for one site and appends it to array. overview: in short, and one that has gone meanwhile is no error.
 */
static enum exit_code ask(struct ctl *ctl, const char *site, bool overview, json_t *array)
{
	struct reply reply = {0};
	json_t *parameters = json_pack("{s:s, s:b}", "site", site, "brief", overview), *security;
	enum exit_code code = EXIT_OK;
	int r;

	client_set_timeout(&ctl->client, ctl_timeout(ctl, CTL_TIMEOUT_US));
	r = client_send(&ctl->client, "GetSecurity", parameters, 0);
	if (r >= 0)
		r = client_wait(&ctl->client, &reply);
	security = json_object_get(reply.parameters, "security");
	if (r < 0)
		code = ctl_complain(ctl, r);
	else if (reply.error && !(overview && reply_exit_code(&reply) == EXIT_NO_SITE))
		code = ctl_complain_reply(ctl, &reply, site);
	else if (!reply.error && !json_is_object(security))
		code = ctl_complain(ctl, -EBADMSG);
	if (json_is_object(security))
		json_array_append(array, security);
	else if (reply.error && !overview && ctl->options->json)
		json_array_append_new(array, ctl_error_object(site, &reply));
	reply_finish(&reply);
	return code;
}

static enum exit_code assess_all(struct ctl *ctl, json_t *array)
{
	struct sites sites = {0};
	enum exit_code code = sites_list(ctl, NULL, &sites);

	sites_sort_by_name(&sites);
	for (size_t i = 0; i < sites.count && code != EXIT_UNREACHABLE; i++) {
		const char *name = field_raw(sites.items[i], "name");

		if (name && str_valid_name(name))
			code = ctl_worse(code, ask(ctl, name, true, array));
	}
	sites_finish(&sites);
	return code;
}

static enum exit_code assess_named(struct ctl *ctl, json_t *array)
{
	json_t *names = NULL, *value;
	enum exit_code code = sites_select(ctl, &names);
	const char *name;

	json_object_foreach(names, name, value)
	{
		code = ctl_worse(code, ask(ctl, name, false, array));
		if (code == EXIT_UNREACHABLE)
			break;
	}
	json_decref(names);
	return code;
}

/* Starts torpord with its output in a pipe: its pid and the end to read, or -errno. */
static int start_torpord(struct ctl *ctl, char **arguments, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		if (dup2(fds[1], STDOUT_FILENO) >= 0)
			torpord_become(ctl, arguments);
		_exit(EXIT_FAILED);
	}
	fd_close(fds[1]);
	if (pid < 0) {
		fd_close(fds[0]);
		return -errno;
	}
	*ret_fd = fds[0];
	return pid;
}

/* torpord reads the files, and says what is wrong with them. */
static enum exit_code assess_files(struct ctl *ctl, json_t **ret)
{
	static const char *const own[] = {"--security", NULL};
	autofree char **arguments = torpord_arguments(ctl, own);
	autoclose int fd = -EBADF;
	int pid = arguments ? start_torpord(ctl, arguments, &fd) : -ENOMEM, status = 0;

	if (pid < 0) {
		log_error("cannot start torpord: %s", strerror(-pid));
		return EXIT_FAILED;
	}
	*ret = json_loadfd(fd, 0, NULL);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || !json_is_array(*ret))
		return EXIT_FAILED;
	return (enum exit_code)WEXITSTATUS(status);
}

static enum exit_code assess_offline(struct ctl *ctl)
{
	json_t *array = NULL;
	enum exit_code code;

	if (ctl->options->n_arguments == 0) {
		log_error("security --offline: something is missing: FILE|TEMPLATE...");
		return EXIT_USAGE;
	}
	code = assess_files(ctl, &array);
	if (array)
		code = ctl_worse(code, print(ctl, array, false, ctl->options->n_arguments == 1));
	json_decref(array);
	return code;
}

enum exit_code command_security(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	bool overview = options->n_arguments == 0,
	     alone = options->n_arguments == 1 && !sites_is_pattern(options->arguments[0]);
	enum exit_code code;
	json_t *array;

	if (options->flags & OPTION_OFFLINE)
		return assess_offline(ctl);
	code = ctl_connect(ctl, CTL_TIMEOUT_US);
	if (code != EXIT_OK)
		return code;
	array = json_array();
	code = overview ? assess_all(ctl, array) : assess_named(ctl, array);
	if (code != EXIT_UNREACHABLE || json_array_size(array) > 0)
		code = ctl_worse(code, print(ctl, array, overview, alone));
	json_decref(array);
	return code;
}
