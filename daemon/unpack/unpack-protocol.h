/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between torpord and torpor-unpack, which reads the blob from descriptor 0 as far as it has use for it,
 * unpacks it into the folder UNPACK_FOLDER_FD and says on descriptor 1 what it could not do: records of a byte,
 * a text and a NUL. It exits with 0 whatever it found, unless it cannot say so. */

#define UNPACK_FOLDER_FD 3

#define UNPACK_ERROR  'E' /* the layer is refused: why */
#define UNPACK_OPAQUE 'O' /* the folder of this path hides what lower layers have in it */

#define UNPACK_PATH_MAX     3072 /* bytes of a path in a layer */
#define UNPACK_RECORD_BYTES (UNPACK_PATH_MAX + 512)
