/**
 * Listens where Lambda's APIs are promised, for as long as the function initialises, and answers nobody: that something
 * connects is told, so that a host can be started that does.
 *
 * Of `net` only what is beneath it is used: a server of its own costs milliseconds to make, most of them for clusters.
 */
"use strict";

const backlog = 16;

/** `rung` is called at most once. Gives where it listens, and how it ends; null where nothing can be listened to. */
function listen(address, rung) {
  const colon = address.lastIndexOf(":");
  let handle;
  try {
    const { TCP, constants } = process.binding("tcp_wrap");
    handle = new TCP(constants.SERVER);
  } catch {
    return null;
  }
  // Whoever connects waits, as for a server that is slow.
  const waiting = [];
  handle.onconnection = (_, client) => {
    waiting.push(client);
    if (waiting.length === 1) rung();
  };
  handle.unref();
  const close = () => handle.close();
  const name = {};
  const failed =
    handle.bind(address.slice(0, colon), Number(address.slice(colon + 1))) ||
    handle.listen(backlog) ||
    handle.getsockname(name);
  if (!failed) return { address: `${name.address}:${name.port}`, close };
  close();
  return null;
}

module.exports = { listen };
