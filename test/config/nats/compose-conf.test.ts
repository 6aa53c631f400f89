import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { composeConf, composeConfFile } from "../../../bin/build/compose-conf.ts";

test("the composed server's configuration is the embedded one's (else: node bin/build/compose-conf.ts)", async () => {
  expect(await readFile(composeConfFile, "utf8")).toBe(composeConf());
});
