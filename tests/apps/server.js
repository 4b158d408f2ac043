// SPDX-License-Identifier: LGPL-2.1-or-later
const http = require('http');
let count = 0;
const server = http.createServer((request, response) => {
  const body = `version=${process.version}\ncount=${++count}\n`;
  response.writeHead(200, { 'Content-Length': body.length });
  response.write(body.slice(0, 1));
  setTimeout(() => response.end(body.slice(1)), request.url === '/slow' ? 1000 : 0);
});
server.listen(process.env.PORT || 3000);
