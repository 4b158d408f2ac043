/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "argument.h"
#include "daemon.h"
#include "log.h"
#include "security.h"
#include "state.h"
#include "str.h"
#include "verify.h"

#define EXIT_USAGE 2
#define GO_ON      (-1) /* no exit code: nothing is wrong so far */
#define LETTERS    "hV"

enum {
	OPTION_ETC = 256,
	OPTION_RUN,
	OPTION_LIB,
	OPTION_STATE,
	OPTION_CGROUP,
	OPTION_KEEP_LISTENERS,
	OPTION_VERIFY,
	OPTION_SECURITY,
	OPTION_BRIEF,
	OPTION_JSON,
	OPTION_STATES
};

static const struct option long_options[] = {
	{"etc", required_argument, NULL, OPTION_ETC},
	{"run", required_argument, NULL, OPTION_RUN},
	{"lib", required_argument, NULL, OPTION_LIB},
	{"state", required_argument, NULL, OPTION_STATE},
	{"cgroup", required_argument, NULL, OPTION_CGROUP},
	{"keep-listeners", no_argument, NULL, OPTION_KEEP_LISTENERS},
	{"verify", no_argument, NULL, OPTION_VERIFY},
	{"security", no_argument, NULL, OPTION_SECURITY},
	{"brief", no_argument, NULL, OPTION_BRIEF},
	{"json", no_argument, NULL, OPTION_JSON},
	{"states", no_argument, NULL, OPTION_STATES},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* The command line. Strings are argv's. */
struct request {
	struct options options;
	char **files; /* what is no option, NULL-terminated */
	bool verify, security, brief, json;
};

static void print_help(FILE *out)
{
	fputs("torpord [OPTIONS]\n"
	      "torpord --verify [--json] FILE|DIR...\n"
	      "torpord --security [--brief] FILE|TEMPLATE...\n"
	      "Holds the listening sockets of sites; starts a site's container when a connection arrives and\n"
	      "hibernates it when it is idle. Stays in the foreground.\n\n"
	      "  --etc=DIR      units of the administrator (/etc/torpor)\n"
	      "  --run=DIR      units of a control plane, the control socket (/run/torpor)\n"
	      "  --lib=DIR      units that came with packages (/usr/lib/torpor)\n"
	      "  --state=DIR    what outlives a reboot: ids of sites, unpacked images (/var/lib/torpor)\n"
	      "  --cgroup=PATH  cgroup v2 directory to manage (default: the one it is started in)\n"
	      "  --keep-listeners  leave them with the service manager at the end, for the next torpord\n"
	      "  --verify       check units and torpor.conf, and exit: 1 when one has an error\n"
	      "  --security     print as JSON what containers of such units may do, and exit\n"
	      "  --brief        with --security: the exposure alone\n"
	      "  --json         with --verify: errors as JSON\n"
	      "  --states       print the state machine and exit\n"
	      "  --version, --help\n\n"
	      "torporctl(1) shows and commands; torpor.site(5) describes units.\n",
	      out);
}

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int usage(const char *format, ...)
{
	char message[512], text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	str_escape(message, text, sizeof text);
	fprintf(stderr, "torpord: %s\nTry torpord --help.\n", text);
	return EXIT_USAGE;
}

/* A folder given without its last slash; relative ones as they are. */
static const char *folder(char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	return path;
}

/* Reads the options. GO_ON, or what to exit with. */
static int parse(struct request *request, int argc, char **argv)
{
	struct options *options = &request->options;
	char text[ARGUMENT_REFUSED_BYTES];
	int c;

	opterr = 0; /* getopt would print arguments as they are */
	while ((c = getopt_long(argc, argv, LETTERS, long_options, NULL)) != -1) {
		switch (c) {
		case OPTION_ETC:
			options->lookup.dirs[0] = folder(optarg);
			break;
		case OPTION_RUN:
			options->lookup.dirs[1] = folder(optarg);
			break;
		case OPTION_LIB:
			options->lookup.dirs[2] = folder(optarg);
			break;
		case OPTION_CGROUP:
			options->cgroup = folder(optarg);
			break;
		case OPTION_KEEP_LISTENERS:
			options->keep_listeners = true;
			break;
		case OPTION_STATE:
			options->state = folder(optarg);
			break;
		case OPTION_VERIFY:
			request->verify = true;
			break;
		case OPTION_SECURITY:
			request->security = true;
			break;
		case OPTION_BRIEF:
			request->brief = true;
			break;
		case OPTION_JSON:
			request->json = true;
			break;
		case OPTION_STATES:
			site_states_print(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("torpord " TORPOR_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_help(stdout);
			return EXIT_SUCCESS;
		default:
			return usage("no such option, or its value is missing: %s",
				     argument_refused(argv, LETTERS, text));
		}
	}
	request->files = argv + optind;
	return GO_ON;
}

/* Options that do not fit together are refused: passed over, they would start a daemon. */
static int check(const struct request *request)
{
	const char *file = *request->files;
	const struct {
		bool wrong;
		const char *message;
	} rules[] = {
		{request->verify && request->security, "--verify and --security exclude each other"},
		{request->json && !request->verify, "--json belongs to --verify, which is missing"},
		{request->brief && !request->security, "--brief belongs to --security, which is missing"},
		{request->verify && !file, "--verify: a file or directory is missing"},
		{request->security && !file, "--security: a file or template is missing"},
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong)
			return usage("%s", rules[i].message);
	if (file && !request->verify && !request->security)
		return usage("no such argument: %s", file);
	return GO_ON;
}

int main(int argc, char **argv)
{
	struct request request = {.options = {.lookup = {{"/etc/torpor", "/run/torpor", "/usr/lib/torpor"}},
					      .state = "/var/lib/torpor"}};
	int r = parse(&request, argc, argv);

	if (r == GO_ON)
		r = check(&request);
	if (r != GO_ON)
		return r;
	if (request.verify)
		return verify_files(&request.options.lookup, request.files, request.json);
	if (request.security)
		return security_files(&request.options.lookup, request.files, request.brief);
	log_set_prefix(getenv("JOURNAL_STREAM") != NULL);
	return daemon_run(&request.options);
}
