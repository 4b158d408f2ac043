/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* ThreadSanitizer keeps one table of descriptors for all threads, and takes equal numbers of two tables for
 * one: what a thread with a table of its own does with it is not for it to see. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OWN_DESCRIPTORS 1
#endif
#endif
#ifdef OWN_DESCRIPTORS
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define BEGIN_OWN_DESCRIPTORS()                                                                                \
	(AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define END_OWN_DESCRIPTORS()                                                                                  \
	(AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define BEGIN_OWN_DESCRIPTORS() ((void)0)
#define END_OWN_DESCRIPTORS()   ((void)0)
#endif
