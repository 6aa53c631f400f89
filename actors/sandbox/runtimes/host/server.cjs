/** The one server of a sandbox, for all of its APIs. */
"use strict";

const { createServer } = require("node:http");
const { refuseUnread, truncated } = require("./http.cjs");

/** Serves the APIs; gives the address, `host:port`. */
function listen(address, apis) {
  // A runtime may wait in `next` for hours, and sends traces in headers.
  const patient = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: 256 * 1024 };
  const server = createServer(patient, (request, response) => {
    const path = request.url.split("?", 1)[0].replace(/(.)\/$/, "$1");
    if (request.method === "GET" && path === "/2018-06-01/ping") return response.end("pong");
    if (apis.some((api) => api?.route(request, response, path))) return;
    refuseUnread(request, response, 404, "NotFound", `${request.method} ${path} is not served here`);
  });
  // Who ends a request in its midst may still read; what isn't HTTP is answered as Node.js does by itself.
  server.on("clientError", ({ code }, socket) => {
    if (!socket.writable) return socket.destroy();
    if (code !== "HPE_INVALID_EOF_STATE") {
      const status = code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
      return socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    }
    const body = JSON.stringify(truncated);
    const head = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close`;
    socket.end(`HTTP/1.1 400 Bad Request\r\n${head}\r\n\r\n${body}`);
  });
  const colon = address.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
      const { address: host, port } = server.address();
      resolve(`${host}:${port}`);
    });
  });
}

module.exports = { listen };
