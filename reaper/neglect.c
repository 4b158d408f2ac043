/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "neglect.h"

void neglect_update(struct neglect *neglect, uint64_t now_ns, uint64_t waiting, uint64_t datagrams)
{
	neglect->drained |= ~waiting;
	waiting &= ~(datagrams & neglect->drained);
	neglect->listeners &= waiting;
	if (neglect->listeners == 0) {
		neglect->listeners = waiting;
		neglect->since_ns = waiting ? now_ns : 0;
	}
}
