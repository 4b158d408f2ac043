/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "security.h"
#include "state.h"
#include "str.h"
#include "verify.h"

#define EXIT_USAGE 2

enum {
	OPTION_ETC = 256,
	OPTION_RUN,
	OPTION_LIB,
	OPTION_STATE,
	OPTION_CGROUP,
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
	{"verify", no_argument, NULL, OPTION_VERIFY},
	{"security", no_argument, NULL, OPTION_SECURITY},
	{"brief", no_argument, NULL, OPTION_BRIEF},
	{"json", no_argument, NULL, OPTION_JSON},
	{"states", no_argument, NULL, OPTION_STATES},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
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
	      "  --verify       check units and torpor.conf, and exit: 1 when one has an error\n"
	      "  --security     print as JSON what containers of such units may do, and exit\n"
	      "  --brief        with --security: the exposure alone\n"
	      "  --json         with --verify: errors as JSON\n"
	      "  --states       print the state machine and exit\n"
	      "  --version, --help\n\n"
	      "torporctl(1) shows and commands; torpor.site(5) describes units.\n",
	      out);
}

static int refuse(const char *what, const char *argument)
{
	char text[512];

	str_escape(argument, text, sizeof text);
	fprintf(stderr, "torpord: no such %s, or its value is missing: %s\nTry torpord --help.\n", what, text);
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

int main(int argc, char **argv)
{
	struct options options = {.lookup = {{"/etc/torpor", "/run/torpor", "/usr/lib/torpor"}},
				  .state = "/var/lib/torpor"};
	bool verify = false, security = false, brief = false, json = false;
	int c;

	opterr = 0; /* getopt would print arguments as they are */
	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case OPTION_ETC:
			options.lookup.dirs[0] = folder(optarg);
			break;
		case OPTION_RUN:
			options.lookup.dirs[1] = folder(optarg);
			break;
		case OPTION_LIB:
			options.lookup.dirs[2] = folder(optarg);
			break;
		case OPTION_CGROUP:
			options.cgroup = folder(optarg);
			break;
		case OPTION_STATE:
			options.state = folder(optarg);
			break;
		case OPTION_VERIFY:
			verify = true;
			break;
		case OPTION_SECURITY:
			security = true;
			break;
		case OPTION_BRIEF:
			brief = true;
			break;
		case OPTION_JSON:
			json = true;
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
			return refuse("option", argv[optind - 1]);
		}
	}
	if (verify)
		return optind < argc ? verify_files(&options.lookup, argv + optind, json) : EXIT_USAGE;
	if (security)
		return optind < argc ? security_files(&options.lookup, argv + optind, brief) : EXIT_USAGE;
	if (optind < argc) {
		return refuse("argument", argv[optind]);
	}
	log_set_prefix(getenv("JOURNAL_STREAM") != NULL);
	return daemon_run(&options);
}
