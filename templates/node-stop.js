// SPDX-License-Identifier: LGPL-2.1-or-later
// Loaded before the program in sites of the template "node", for those that do not say what SIGTERM means. Node.js
// answers it by sending it to itself again with its default action, which the kernel does not carry out on the first
// process of a container; and would drop the requests under way.
'use strict';

const net = require('net');

const servers = new Set();
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...options) {
  servers.add(this);
  this.once('close', () => servers.delete(this));
  return listen.apply(this, options);
};

process.on('SIGTERM', () => {
  if (process.listenerCount('SIGTERM') > 1) return;
  const closed = [...servers].map((server) => new Promise((done) => server.close(done)));
  servers.forEach((server) => server.closeIdleConnections?.());
  Promise.all(closed).then(() => process.exit(0));
});
