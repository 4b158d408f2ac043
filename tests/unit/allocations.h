/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Allocations that fail on demand, and a count of those that are not freed. For one test that is linked with
 * -Wl,--wrap for each function that is defined here; what libc allocates for itself (opendir) is not reached.
 */

static size_t calls, fail_at; /* allocation number fail_at fails; 0: none */
static long live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
int __real_vasprintf(char **ret, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
int __wrap_vasprintf(char **ret, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_free(void *block);

static bool fails(void)
{
	calls++;
	if (calls != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	live += block != NULL;
	return block;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	return old ? __real_realloc(old, size) : counted(__real_realloc(old, size));
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	if (fails())
		return NULL;
	return old ? __real_reallocarray(old, count, size) : counted(__real_reallocarray(old, count, size));
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t length)
{
	return fails() ? NULL : counted(__real_strndup(text, length));
}

int __wrap_vasprintf(char **ret, const char *format, va_list args)
{
	int length;

	if (fails()) {
		/* What glibc leaves behind is not to be used. */
		*ret = (char *)0x5a5a5a5a;
		return -1;
	}
	length = __real_vasprintf(ret, format, args);
	live += length >= 0;
	return length;
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = __wrap_vasprintf(ret, format, args);
	va_end(args);
	return length;
}

void __wrap_free(void *block)
{
	live -= block != NULL;
	__real_free(block);
}
