/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define LINE_MAX_BYTES 2060

/* stderr as a pipe, for as long as a test runs. */
static int read_fd, stderr_before;

static int setup(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	read_fd = fds[0];
	log_set_level(LOG_INFO);
	log_set_prefix(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	close(read_fd);
	return 0;
}

/* What has been logged since; at most one pipe full. */
static const char *logged(void)
{
	static char text[65537];
	ssize_t n;

	/* A mark, so that reading ends also where nothing was logged. */
	assert_int_equal(write(STDERR_FILENO, "\1", 1), 1);
	n = read(read_fd, text, sizeof text - 1);
	assert_true(n >= 1 && text[n - 1] == '\1');
	text[n - 1] = '\0';
	return text;
}

static void test_levels(void **state)
{
	(void)state;
	log_error("e");
	log_warning("w");
	log_notice("n");
	log_info("i");
	log_debug("d");
	assert_string_equal(logged(), "e\nw\nn\ni\n");
	log_set_level(LOG_ERR);
	log_error("e");
	log_warning("w");
	assert_string_equal(logged(), "e\n");
	log_set_level(LOG_DEBUG);
	log_debug("%s %d", "d", 1);
	assert_string_equal(logged(), "d 1\n");
}

static void test_prefix(void **state)
{
	(void)state;
	log_set_prefix(1);
	log_set_level(LOG_DEBUG);
	log_error("e");
	log_debug("d");
	assert_string_equal(logged(), "<3>e\n<7>d\n");
}

/* No message makes a second line, or the prefix of another level. */
static void test_escapes(void **state)
{
	(void)state;
	log_set_prefix(1);
	log_error("site %s: %s", "a\n<0>b", "\x1b[2J\x9b\xc2\x9b \xc3\xa9 \xe2\x80\xae");
	assert_string_equal(logged(), "<3>site a\\x0a<0>b: \\x1b[2J\\x9b\\xc2\\x9b \xc3\xa9 \\xe2\\x80\\xae\n");
	log_error("%s", "");
	assert_string_equal(logged(), "<3>\n");
}

static void test_cut(void **state)
{
	static const char *const fillings[] = {"x", "\n", "\xe2\x82\xac"};
	char message[8192];

	(void)state;
	for (int prefix = 0; prefix < 2; prefix++)
		for (size_t i = 0; i < sizeof fillings / sizeof *fillings; i++) {
			const char *line;
			size_t length;

			*message = '\0';
			for (char *at = message; at < message + sizeof message - 8;)
				at = stpcpy(at, fillings[i]);
			log_set_prefix(prefix);
			log_error("%s", message);
			line = logged();
			length = strlen(line);
			assert_in_range(length, 1024, LINE_MAX_BYTES);
			assert_ptr_equal(strchr(line, '\n'), line + length - 1);
			/* Cut at whole escapes. */
			if (*fillings[i] == '\n')
				assert_memory_equal(line + length - 5, "\\x0a\n", 5);
		}
}

static void test_stderr_gone(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	log_error("nobody hears");
	assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
}

#define THREADS 4
#define LINES   200

static void *talk(void *letter)
{
	char text[41];

	memset(text, *(const char *)letter, sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < LINES; i++)
		log_info("%s", text);
	return NULL;
}

/* Lines of several threads do not mix: each is forty times one letter. */
static void test_threads(void **state)
{
	static const char letters[THREADS + 1] = "abcd";
	pthread_t threads[THREADS];
	unsigned lines = 0;
	const char *at;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk, (void *)&letters[i]), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (at = logged(); *at; at += 41, lines++) {
		assert_int_equal(strspn(at, (char[]){*at, '\0'}), 40);
		assert_int_equal(at[40], '\n');
	}
	assert_int_equal(lines, THREADS * LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stderr_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
