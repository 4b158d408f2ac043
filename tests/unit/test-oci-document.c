/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "oci-document.h"

#define HEX      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX    "application/vnd.oci.image.index.v1+json"
#define LAYER    "application/vnd.oci.image.layer.v1.tar"

static struct diag diag;

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
	char copy[4096], *quote = strcpy(copy, text);
	json_t *document;

	while ((quote = strchr(quote, '\'')))
		*quote = '"';
	assert_int_equal(oci_document_parse(copy, strlen(copy), "doc", &document, &diag), 0);
	return document;
}

static void test_not_json(void **state)
{
	static const char *const wrong[] = {"", "{", "[]", "5", "{\"a\":1,\"a\":1}", "{} x"};
	json_t *document;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(oci_document_parse(wrong[i], strlen(wrong[i]), "doc", &document, &diag),
				 -EINVAL);
		assert_string_equal(diag.file, "doc");
	}
}

/* An entry of an index: 64 digits of one kind tell it from others. */
#define ENTRY(type, digit, more) "{'mediaType':'" type "','size':1,'digest':'sha256:" digit "'" more "}"
#define DIGITS(d)                d d d d d d d d d d d d d d d d
#define NAME(n)                  ",'annotations':{'org.opencontainers.image.ref.name':'" n "'}"
#define FOR(os, of)              ",'platform':{'os':'" os "','architecture':'" of "'}"
#define A                        DIGITS("aaaa")
#define B                        DIGITS("bbbb")

static void test_index(void **state)
{
	static const struct {
		const char *entries, *reference;
		char chosen; /* its digit; 0: none */
		bool nested;
	} cases[] = {
		{ENTRY(MANIFEST, A, ""), NULL, 'a', false},
		{ENTRY(INDEX, A, ""), NULL, 'a', true},
		{ENTRY(MANIFEST, A, "") "," ENTRY(MANIFEST, B, ""), NULL, 'a', false},
		{ENTRY(MANIFEST, A, NAME("one")) "," ENTRY(MANIFEST, B, NAME("two")), "two", 'b', false},
		{ENTRY(MANIFEST, A, NAME("one")) "," ENTRY(MANIFEST, B, NAME("two")), NULL, 0, false},
		{ENTRY(MANIFEST, A, NAME("one")) "," ENTRY(MANIFEST, B, ""), NULL, 0, false},
		{ENTRY(MANIFEST, A, NAME("one")) "," ENTRY(MANIFEST, B, NAME("one")), NULL, 'a', false},
		{ENTRY(MANIFEST, A, NAME("one")), "three", 0, false},
		{ENTRY(MANIFEST, A, FOR("linux", "mips")) "," ENTRY(MANIFEST, B, FOR("linux", "amd64")), NULL,
		 'b', false},
		{ENTRY(MANIFEST, A, FOR("windows", "amd64")), NULL, 0, false},
		{ENTRY(MANIFEST, A, FOR("unknown", "unknown")) "," ENTRY(MANIFEST, B, ""), NULL, 'b', false},
		{ENTRY("application/pdf", A, "") "," ENTRY(MANIFEST, B, ""), NULL, 'b', false},
		{"{'size':1}", NULL, 0, false},
		{"", NULL, 0, false},
		{ENTRY(MANIFEST, "../../../etc/passwd", ""), NULL, 0, false},
		{ENTRY(MANIFEST, DIGITS("AAAA"), ""), NULL, 0, false},
		{"{'mediaType':'" MANIFEST "','digest':'sha256:" A "'}", NULL, 0, false},
		{"{'mediaType':'" MANIFEST "','size':-1,'digest':'sha256:" A "'}", NULL, 0, false},
		{"{'mediaType':'" MANIFEST "','size':1,'digest':'sha512:" A A "'}", NULL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[2048];
		struct oci_descriptor chosen;
		bool nested;
		json_t *index;
		int r;

		snprintf(text, sizeof text, "{'manifests':[%s]}", cases[i].entries);
		index = parse(text);
		r = oci_index_choose(index, cases[i].reference, "amd64", &chosen, &nested, "index.json", &diag);
		json_decref(index);
		assert_int_equal(r, cases[i].chosen ? 0 : -EINVAL);
		if (r == 0) {
			assert_int_equal(chosen.digest[0], cases[i].chosen);
			assert_int_equal(nested, cases[i].nested);
			assert_int_equal(chosen.bytes, 1);
		}
	}
}

static int read_manifest(const char *text, struct oci_image *image)
{
	struct oci_descriptor config;
	json_t *manifest = parse(text);
	int r = oci_manifest_read(manifest, image, &config, "manifest", &diag);

	json_decref(manifest);
	if (r == 0)
		assert_string_equal(config.digest, HEX);
	return r;
}

static void test_manifest(void **state)
{
#define CONFIGURED "'config':{'size':1,'digest':'sha256:" HEX "'}"
	struct oci_image image = {0};

	(void)state;
	arena_init(&image.arena);
	assert_int_equal(read_manifest("{" CONFIGURED
				       ",'layers':[" ENTRY(LAYER, A, "") "," ENTRY(LAYER "+gzip", B, "") "]}",
				       &image),
			 0);
	assert_int_equal(image.n_layers, 2);
	assert_int_equal(image.layers[0].digest[0], 'a');
	assert_int_equal(image.layers[1].digest[0], 'b');
	assert_int_equal(read_manifest("{" CONFIGURED ",'layers':[" ENTRY(LAYER, A, "") "," ENTRY(
					       LAYER, B, "") "," ENTRY(LAYER, A, "") "]}",
				       &image),
			 0);
	assert_int_equal(image.n_layers, 2);
	assert_int_equal(image.n_listed, 3);
	assert_int_equal(image.layers[0].digest[0], 'b');
	assert_int_equal(image.layers[1].digest[0], 'a');
	assert_int_equal(read_manifest("{" CONFIGURED ",'layers':[]}", &image), -EINVAL);
	assert_int_equal(read_manifest("{" CONFIGURED "}", &image), -EINVAL);
	assert_int_equal(read_manifest("{'layers':[" ENTRY(LAYER, A, "") "]}", &image), -EINVAL);
	assert_int_equal(
		read_manifest("{" CONFIGURED ",'layers':[" ENTRY(LAYER "+encrypted", A, "") "]}", &image),
		-EINVAL);
	assert_non_null(strstr(diag.message, "encrypted"));
	arena_finish(&image.arena);
}

#define PLATFORM "'os':'linux','architecture':'amd64','rootfs':{'diff_ids':['x']}"

static int read_config(const char *text, struct oci_image *image)
{
	json_t *config = parse(text);
	int r;

	*image = (struct oci_image){.n_listed = 1};
	arena_init(&image->arena);
	r = oci_config_read(config, "amd64", image, "config", &diag);
	json_decref(config);
	return r;
}

static void test_config(void **state)
{
	static const char *const wrong[] = {
		"{" PLATFORM ",'config':[]}",
		"{" PLATFORM ",'config':{'Env':'A=b'}}",
		"{" PLATFORM ",'config':{'Env':['A']}}",
		"{" PLATFORM ",'config':{'Env':['=a']}}",
		"{" PLATFORM ",'config':{'Entrypoint':'/bin/x'}}",
		"{" PLATFORM ",'config':{'Cmd':[1]}}",
		"{" PLATFORM ",'config':{'User':1}}",
		"{" PLATFORM ",'config':{'WorkingDir':'srv'}}",
		"{'os':'linux','architecture':'arm64','rootfs':{'diff_ids':['x']}}",
		"{'os':'linux','rootfs':{'diff_ids':['x']}}",
		"{'os':'linux','architecture':'amd64','rootfs':{'diff_ids':['x','y']}}",
		"{'os':'linux','architecture':'amd64'}",
	};
	struct oci_image image;

	(void)state;
	assert_int_equal(read_config("{" PLATFORM
				     ",'config':{'Env':['A=b=c'],'Entrypoint':['/e','x'],'Cmd':['y'],"
				     "'User':'web','WorkingDir':'/srv'}}",
				     &image),
			 0);
	assert_string_equal(image.environment[0], "A=b=c");
	assert_string_equal(image.entrypoint[1], "x");
	assert_null(image.entrypoint[2]);
	assert_string_equal(image.command[0], "y");
	assert_string_equal(image.user, "web");
	assert_string_equal(image.working_directory, "/srv");
	arena_finish(&image.arena);
	/* Nothing, and nothing in many words. */
	assert_int_equal(read_config("{" PLATFORM "}", &image), 0);
	arena_finish(&image.arena);
	assert_int_equal(
		read_config("{" PLATFORM ",'config':{'Env':null,'Cmd':[],'User':'','WorkingDir':''}}", &image),
		0);
	assert_null(image.environment);
	assert_null(image.command);
	assert_null(image.user);
	assert_null(image.working_directory);
	arena_finish(&image.arena);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(read_config(wrong[i], &image), -EINVAL);
		assert_string_equal(diag.file, "config");
		arena_finish(&image.arena);
	}
}

static int read_bundle(const char *text, struct oci_image *image)
{
	json_t *config = parse(text);
	int r;

	*image = (struct oci_image){0};
	arena_init(&image->arena);
	r = oci_bundle_read(config, image, "config.json", &diag);
	json_decref(config);
	return r;
}

static void test_bundle(void **state)
{
	static const char *const wrong[] = {
		"{'root':{'path':'rootfs'}}",
		"{'ociVersion':'1.0.2'}",
		"{'ociVersion':'1.0.2','root':{}}",
		"{'ociVersion':'1.0.2','root':{'path':'/'}}",
		"{'ociVersion':'1.0.2','root':{'path':'..'}}",
		"{'ociVersion':'1.0.2','root':{'path':'a/..'}}",
		"{'ociVersion':'1.0.2','root':{'path':'a/../../b'}}",
		"{'ociVersion':'1.0.2','root':{'path':'a'},'process':{'user':{'uid':-1}}}",
		"{'ociVersion':'1.0.2','root':{'path':'a'},'process':{'user':{'uid':4294967295}}}",
		"{'ociVersion':'1.0.2','root':{'path':'a'},'process':{'user':{'gid':'1'}}}",
		"{'ociVersion':'1.0.2','root':{'path':'a'},'process':[]}",
	};
	struct oci_image image;

	(void)state;
	assert_int_equal(read_bundle("{'ociVersion':'1.0.2','root':{'path':'a..b/..c'},'process':{'args':['x'],"
				     "'user':{'uid':7,'gid':8},'cwd':'/','env':['A=b']}}",
				     &image),
			 0);
	assert_string_equal(image.root, "a..b/..c");
	assert_string_equal(image.user, "7:8");
	assert_string_equal(image.entrypoint[0], "x");
	arena_finish(&image.arena);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(read_bundle(wrong[i], &image), -EINVAL);
		arena_finish(&image.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_json), cmocka_unit_test(test_index),  cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_config),   cmocka_unit_test(test_bundle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
