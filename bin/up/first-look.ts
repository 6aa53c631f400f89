/** What a newcomer sees once the system is up: the hello example deployed, invoked cold and warm, and what to type next. */
import { join } from "node:path";
import { natsNetwork } from "../../actors/bus/nats.ts";
import type { Network } from "../../actors/bus/port.ts";
import { refusalOf } from "../../actors/bus/replies.ts";
import { RECEIPT, START } from "../../subjects/headers.ts";
import { UserInvoke } from "../../subjects/invoke.ts";
import { deployPackage } from "../package/deploy.ts";
import { packageRoot } from "../package-root.ts";
import type { System } from "./system.ts";

const ANSWER_MS = 30_000;
const HELLO = "hello";
const PAYLOAD = '{"name":"Ada"}';
const decoder = new TextDecoder();
