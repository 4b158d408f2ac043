/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of io.torpor.varlink, for GetInterfaceDescription. */
extern const char interface_description[];
