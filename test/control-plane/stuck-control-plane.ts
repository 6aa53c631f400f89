/** Run as a process of its own, to be killed: a control plane that never comes back from one way into the store. */
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { Component } from "../../actors/bus/component.ts";
import { connectNats, natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { openStorage, type Storage } from "../../actors/bus/storage.ts";
import { startControlPlane } from "../../actors/control-plane/index.ts";
import { ACCOUNT } from "../support/control-plane.ts";

const { URL: url = "", NATS_USER: user = "", NATS_PASSWORD: password = "", STUCK_IN } = process.env;
const never = () => new Promise<never>(() => {});

const connection = await connectNats({ url, user, password, name: "stuck control plane" });
const storage = await openStorage(connection, { replicas: 1 });
const stuck: Storage =
  STUCK_IN === "code.get"
    ? { ...storage, code: { ...storage.code, get: never } }
    : { ...storage, functions: { ...storage.functions, delete: never } };
const component = new Component({
  name: "control-plane",
  id: "stuck",
  version: "0.0.1",
  description: "under test",
  network: natsNetwork(connection),
  clock: systemClock,
  log: pino({ level: "silent" }),
});
await startControlPlane({ component, storage: stuck, account: ACCOUNT, ids: randomUUID });
await connection.flush();
console.log("ready");
