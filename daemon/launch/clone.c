/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clone.h"

#include <sys/syscall.h>

/* The child comes back from the kernel on a new, empty stack: it can do nothing but call. What it needs is kept
 * in registers that the kernel preserves. */
#if defined(__x86_64__)
long clone3_call(struct clone_args *args, void (*function)(void *argument), void *argument)
{
	register void (*r8)(void *) __asm__("r8") = function;
	register void *r9 __asm__("r9") = argument;
	long result;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t" /* the end of the chain of frames, for debuggers */
			 "mov %%r9, %%rdi\n\t"
			 "call *%%r8\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(result)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof *args), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
long clone3_call(struct clone_args *args, void (*function)(void *argument), void *argument)
{
	register long x8 __asm__("x8") = SYS_clone3;
	register long x0 __asm__("x0") = (long)args;
	register long x1 __asm__("x1") = sizeof *args;
	register void (*x10)(void *) __asm__("x10") = function;
	register void *x11 __asm__("x11") = argument;

	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x11\n\t"
			 "blr x10\n\t"
			 "brk #1\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x10), "r"(x11)
			 : "memory", "x30");
	return x0;
}
#else
#error "clone3_call() is written for x86-64 and arm64"
#endif
