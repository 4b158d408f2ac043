/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes what the host's administrator and CNI plugins write: a network's configuration, whose plugins get
 * requests that are read again as what they were; and a plugin's answer, of which nothing but what was checked
 * reaches resolv.conf and status. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cni-config.h"
#include "cni-result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_requests(const struct cni_network *network, json_t *previous)
{
	for (size_t i = 0; i < json_array_size(network->plugins); i++) {
		json_t *request = cni_network_request(network, i, previous);

		if (!request ||
		    strcmp(json_string_value(json_object_get(request, "name")), network->name) != 0 ||
		    strcmp(json_string_value(json_object_get(request, "cniVersion")), network->version) != 0 ||
		    json_object_get(request, "capabilities") ||
		    json_object_get(request, "prevResult") != previous ||
		    strchr(cni_network_type(network, i), '/'))
			abort();
		json_decref(request);
	}
}

/* What is kept for later is the same network. */
static void check_round_trip(const struct cni_network *network)
{
	json_t *saved = cni_network_save(network);
	char *text = json_dumps(saved, 0);
	struct cni_network again;

	if (!text || cni_network_parse(text, strlen(text), "fuzz", &again, NULL) < 0 ||
	    strcmp(again.name, network->name) != 0 || strcmp(again.version, network->version) != 0 ||
	    !json_equal(again.plugins, network->plugins))
		abort();
	cni_network_finish(&again);
	free(text);
	json_decref(saved);
}

static void check_result(const json_t *result)
{
	static const char *const words[] = {"nameserver ", "domain ", "search ", "options "};
	char *text = cni_result_resolv_conf(result), *line, *rest = text;
	json_t *report = cni_result_report(result);

	if (!report)
		abort();
	json_decref(report);
	while ((line = strsep(&rest, "\n"))) {
		size_t known = 0;

		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			known += strncmp(line, words[i], strlen(words[i])) == 0;
		for (const char *at = line; *at; at++)
			if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
				abort();
		if (*line && known != 1)
			abort();
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer = json_loadb((const char *)data, size, 0, NULL);
	struct cni_network network;
	struct diag diag = {0};
	char message[128];
	int r = cni_network_parse((const char *)data, size, "fuzz", &network, &diag);

	if (r == 0) {
		check_requests(&network, answer);
		check_round_trip(&network);
		cni_network_finish(&network);
	} else if (r != -EINVAL || !*diag.message) {
		abort();
	}
	(void)cni_error_message(answer, message, sizeof message);
	r = cni_result_check(answer, message, sizeof message);
	if (r == 0)
		check_result(answer);
	else if (r != -EBADMSG || !*message)
		abort();
	json_decref(answer);
	return 0;
}
