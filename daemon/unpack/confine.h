/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Leaves the calling process nothing but the folder, its working directory and root from then on, descriptors 0
 * to 2, the calls that files in it need, and the capabilities to give them to any owner. -errno. */
int confine(int folder_fd);
