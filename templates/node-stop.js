// SPDX-License-Identifier: LGPL-2.1-or-later
// Loaded before the program in sites of the template "node". Node.js answers SIGTERM by sending it to itself again
// with its default action, which the kernel does not carry out on the first process of a container.
'use strict';

process.on('SIGTERM', () => {
  if (process.listenerCount('SIGTERM') === 1) process.exit(0);
});
