// SPDX-License-Identifier: LGPL-2.1-or-later
// Counts its visitors, in memory.
const http = require('http');

let visitors = 0;
const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end(`Node.js ${process.version}, visitor ${++visitors}\n`);
});

server.listen(process.env.LISTEN_FDS ? { fd: 3, backlog: 4096 } : { port: 3000 });
process.on('SIGTERM', () => server.close());
