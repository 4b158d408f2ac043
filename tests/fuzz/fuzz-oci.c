/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzes what makers of images write: an index, a manifest, a configuration, a bundle's config.json. What is
 * taken has to be what a plan can use without looking at it again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci-document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_digest(const char *digest)
{
	if (strspn(digest, "0123456789abcdef") != OCI_DIGEST_BYTES - 1 || digest[OCI_DIGEST_BYTES - 1])
		abort();
}

static void check_strings(const char *const *list, const char *has)
{
	for (; list && *list; list++)
		if (!strstr(*list, has))
			abort();
}

static void check_process(const struct oci_image *image)
{
	check_strings(image->entrypoint, "");
	check_strings(image->command, "");
	check_strings(image->environment, "=");
	if (image->working_directory && *image->working_directory != '/')
		abort();
}

/* Refused with a reason, or right. */
static bool taken(int r, const struct diag *diag)
{
	if (r < 0 && !*diag->message)
		abort();
	return r == 0;
}

static void read_index(const json_t *document)
{
	static const char *const references[] = {NULL, "one"};
	struct oci_descriptor descriptor;
	struct diag diag = {0};
	bool nested;

	for (size_t i = 0; i < sizeof references / sizeof *references; i++)
		if (taken(oci_index_choose(document, references[i], "amd64", &descriptor, &nested, "fuzz",
					   &diag),
			  &diag))
			check_digest(descriptor.digest);
	(void)taken(oci_layout_check(document, "fuzz", &diag), &diag);
}

static void read_manifest(const json_t *document)
{
	struct oci_image image = {0};
	struct oci_descriptor config;
	struct diag diag = {0};

	arena_init(&image.arena);
	if (taken(oci_manifest_read(document, &image, &config, "fuzz", &diag), &diag)) {
		check_digest(config.digest);
		if (image.n_layers == 0 || image.n_layers > OCI_LAYERS_MAX)
			abort();
		for (unsigned i = 0; i < image.n_layers; i++)
			check_digest(image.layers[i].digest);
	}
	arena_finish(&image.arena);
}

static void read_configs(const json_t *document)
{
	struct oci_image image = {.n_listed = 1}, bundle = {0};
	struct diag diag = {0};

	arena_init(&image.arena);
	arena_init(&bundle.arena);
	if (taken(oci_config_read(document, "amd64", &image, "fuzz", &diag), &diag))
		check_process(&image);
	if (taken(oci_bundle_read(document, &bundle, "fuzz", &diag), &diag)) {
		check_process(&bundle);
		if (*bundle.root == '/' || strcmp(bundle.root, "..") == 0 ||
		    strncmp(bundle.root, "../", 3) == 0 || strstr(bundle.root, "/../"))
			abort();
	}
	arena_finish(&image.arena);
	arena_finish(&bundle.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag diag = {0};
	json_t *document;

	if (!taken(oci_document_parse((const char *)data, size, "fuzz", &document, &diag), &diag))
		return 0;
	read_index(document);
	read_manifest(document);
	read_configs(document);
	json_decref(document);
	return 0;
}
