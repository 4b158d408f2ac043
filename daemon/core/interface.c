/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interface.h"

/* INTERFACE_FILE comes from the build. */
__asm__(".section .rodata\n"
	".global interface_description\n"
	".type interface_description, %object\n"
	"interface_description:\n"
	".incbin \"" INTERFACE_FILE "\"\n"
	".byte 0\n"
	".previous\n");
