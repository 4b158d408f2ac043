/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci-document.h"

#include <errno.h>
#include <string.h>

#include "str.h"

#define REFERENCE "org.opencontainers.image.ref.name"

/* By media type. Docker's are those that became the OCI's. */
enum content { CONTENT_OTHER, CONTENT_INDEX, CONTENT_MANIFEST, CONTENT_LAYER };

static const struct {
	const char *type;
	enum content content;
} contents[] = {
	{"application/vnd.oci.image.index.v1+json", CONTENT_INDEX},
	{"application/vnd.docker.distribution.manifest.list.v2+json", CONTENT_INDEX},
	{"application/vnd.oci.image.manifest.v1+json", CONTENT_MANIFEST},
	{"application/vnd.docker.distribution.manifest.v2+json", CONTENT_MANIFEST},
	{"application/vnd.oci.image.layer.v1.tar", CONTENT_LAYER},
	{"application/vnd.oci.image.layer.v1.tar+gzip", CONTENT_LAYER},
	{"application/vnd.oci.image.layer.v1.tar+zstd", CONTENT_LAYER},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", CONTENT_LAYER},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", CONTENT_LAYER},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", CONTENT_LAYER},
};

static enum content content_of(const json_t *descriptor)
{
	const char *type = json_string_value(json_object_get(descriptor, "mediaType"));

	for (size_t i = 0; type && i < sizeof contents / sizeof *contents; i++)
		if (str_equal(contents[i].type, type))
			return contents[i].content;
	return CONTENT_OTHER;
}

const char *oci_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__riscv)
	return "riscv64";
#elif defined(__powerpc64__)
	return "ppc64le";
#elif defined(__s390x__)
	return "s390x";
#elif defined(__arm__)
	return "arm";
#else
	return "386";
#endif
}

static int refuse(struct diag *diag, const char *file, const char *message)
{
	return diag_set(diag, -EINVAL, file, 0, "%s", message);
}

int oci_document_parse(const char *text, size_t bytes, const char *file, json_t **ret, struct diag *diag)
{
	json_error_t error;
	json_t *document = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);

	if (!document)
		return diag_set(diag, -EINVAL, file, error.line > 0 ? (unsigned)error.line : 0,
				"expected JSON: %s", error.text);
	if (!json_is_object(document)) {
		json_decref(document);
		return refuse(diag, file, "expected a JSON object");
	}
	*ret = document;
	return 0;
}

int oci_layout_check(const json_t *layout, const char *file, struct diag *diag)
{
	const char *version = json_string_value(json_object_get(layout, "imageLayoutVersion"));

	if (!version || strncmp(version, "1.", 2) != 0)
		return refuse(diag, file, "expected \"imageLayoutVersion\": \"1.0.0\"");
	return 0;
}

static int read_descriptor(const json_t *descriptor, struct oci_descriptor *ret, const char *what,
			   const char *file, struct diag *diag)
{
	static const char prefix[] = "sha256:";
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));
	const json_t *size = json_object_get(descriptor, "size");

	if (!digest || strncmp(digest, prefix, sizeof prefix - 1) != 0 ||
	    strlen(digest + sizeof prefix - 1) != OCI_DIGEST_BYTES - 1 ||
	    strspn(digest + sizeof prefix - 1, "0123456789abcdef") != OCI_DIGEST_BYTES - 1)
		return diag_set(diag, -EINVAL, file, 0,
				"%s: expected \"digest\": \"sha256:\" and 64 digits 0-9a-f", what);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return diag_set(diag, -EINVAL, file, 0, "%s: expected \"size\", a number of bytes", what);
	memcpy(ret->digest, digest + sizeof prefix - 1, OCI_DIGEST_BYTES);
	ret->bytes = (uint64_t)json_integer_value(size);
	return 0;
}

static const char *reference_of(const json_t *entry)
{
	return json_string_value(json_object_get(json_object_get(entry, "annotations"), REFERENCE));
}

static bool fits_platform(const json_t *entry, const char *architecture)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *os = json_string_value(json_object_get(platform, "os")),
		   *of = json_string_value(json_object_get(platform, "architecture"));

	return !platform || (os && of && str_equal(os, "linux") && str_equal(of, architecture));
}

static bool is_ambiguous(const char *reference, const json_t *chosen, const json_t *other)
{
	const char *a = reference_of(chosen), *b = reference_of(other);

	return !reference && (a || b) && !(a && b && str_equal(a, b));
}

/* What is there instead: the names, and the platforms. */
static int refuse_index(const json_t *manifests, const char *reference, const char *architecture,
			const char *problem, const char *file, struct diag *diag)
{
	char found[240] = "";
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(manifests) && n < sizeof found; i++) {
		const json_t *entry = json_array_get(manifests, i),
			     *platform = json_object_get(entry, "platform");
		const char *name = reference_of(entry),
			   *os = json_string_value(json_object_get(platform, "os")),
			   *of = json_string_value(json_object_get(platform, "architecture"));

		n += (size_t)snprintf(found + n, sizeof found - n, "%s%.64s%s%.16s%s%.16s", i > 0 ? ", " : "",
				      name ? name : "(no name)", os && of ? " for " : "", os && of ? os : "",
				      os && of ? "/" : "", os && of ? of : "");
	}
	return diag_set(diag, -EINVAL, file, 0, "%s%s%.64s for linux/%s; it holds %s", problem,
			reference ? " " : "", reference ? reference : "", architecture,
			*found ? found : "nothing");
}

int oci_index_choose(const json_t *index, const char *reference, const char *architecture,
		     struct oci_descriptor *ret, bool *nested, const char *file, struct diag *diag)
{
	const json_t *manifests = json_object_get(index, "manifests"), *chosen = NULL;

	if (!json_is_array(manifests))
		return refuse(diag, file, "expected \"manifests\", a list");
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *entry = json_array_get(manifests, i);
		enum content content = content_of(entry);
		const char *name = reference_of(entry);

		if ((content != CONTENT_INDEX && content != CONTENT_MANIFEST) ||
		    !fits_platform(entry, architecture) || (reference && !(name && str_equal(name, reference))))
			continue;
		if (chosen && is_ambiguous(reference, chosen, entry))
			return refuse_index(manifests, reference, architecture,
					    "expected FOLDER:NAME, as there are several images", file, diag);
		chosen = chosen ? chosen : entry;
	}
	if (!chosen)
		return refuse_index(manifests, reference, architecture, "there is no image", file, diag);
	*nested = content_of(chosen) == CONTENT_INDEX;
	return read_descriptor(chosen, ret, "the image's entry", file, diag);
}

/* A layer that is there already: what it was below shows nowhere, as all of it is above now. */
static unsigned drop_layer(struct oci_layer *layers, unsigned n, const char *digest)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (!str_equal(layers[i].digest, digest))
			layers[kept++] = layers[i];
	return kept;
}

int oci_manifest_read(const json_t *manifest, struct oci_image *image, struct oci_descriptor *config,
		      const char *file, struct diag *diag)
{
	const json_t *layers = json_object_get(manifest, "layers");
	size_t n = json_array_size(layers);
	struct oci_layer *list;
	unsigned kept = 0;
	int r = read_descriptor(json_object_get(manifest, "config"), config, "\"config\"", file, diag);

	if (r < 0)
		return r;
	if (n == 0 || n > OCI_LAYERS_MAX)
		return diag_set(diag, -EINVAL, file, 0, "expected \"layers\", a list of 1 to %d",
				OCI_LAYERS_MAX);
	list = arena_alloc(&image->arena, n * sizeof *list);
	if (!list)
		return diag_set(diag, -ENOMEM, file, 0, "out of memory");
	for (size_t i = 0; i < n; i++) {
		const json_t *layer = json_array_get(layers, i);
		const char *type = json_string_value(json_object_get(layer, "mediaType"));
		struct oci_descriptor descriptor;

		if (content_of(layer) != CONTENT_LAYER)
			return diag_set(diag, -EINVAL, file, 0,
					"layer %zu is of the type %.80s; expected a tar archive, plain or "
					"compressed by gzip or zstd",
					i + 1, type ? type : "(none)");
		r = read_descriptor(layer, &descriptor, "a layer", file, diag);
		if (r < 0)
			return r;
		kept = drop_layer(list, kept, descriptor.digest);
		memcpy(list[kept].digest, descriptor.digest, sizeof list[kept].digest);
		list[kept++].bytes = descriptor.bytes;
	}
	image->layers = list;
	image->n_layers = kept;
	image->n_listed = (unsigned)n;
	return 0;
}
