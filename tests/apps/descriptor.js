// SPDX-License-Identifier: LGPL-2.1-or-later
// Node's own web server on the listener that it is given, descriptor 3: nobody needs to know who gave it.
const http = require('http');
const server = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Length': 6 });
  response.end('hello\n');
});
server.listen({ fd: 3 });
process.on('SIGTERM', () => process.exit()); // its own handler is no end for the first process of a container
