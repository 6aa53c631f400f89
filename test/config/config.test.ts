/** What the machine's owner says of sandboxes and their networks, as he writes it. */
import { describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../../config/config.ts";

describe("functions' networks", () => {
  it("are given where they can be, and none of them is private, unless said otherwise", () => {
    expect(readConfig({}).egress).toEqual({ way: "auto", permitted: [] });
    expect(readConfig({ MAYFLY_EGRESS: "off", MAYFLY_EGRESS_PRIVATE: "10.1.0.0/16, 192.168.5.7" }).egress).toEqual({
      way: "off",
      permitted: ["10.1.0.0/16", "192.168.5.7"],
    });
  });

  it.each(["8.8.8.8", "10.0.0.0/7", "10.1.0.1/16", "127.0.0.1", "169.254.169.254", "database"])(
    "can't be permitted as %s",
    (MAYFLY_EGRESS_PRIVATE) => {
      expect(() => readConfig({ MAYFLY_EGRESS_PRIVATE })).toThrow(ConfigError);
      expect(() => readConfig({ MAYFLY_EGRESS_PRIVATE })).toThrow(/MAYFLY_EGRESS_PRIVATE: .*private networks/);
    },
  );
});

describe("how sandboxes are made", () => {
  it.each(["auto", "oci:runsc", "oci:/opt/bin/runtime", "process"])("may be %s", (MAYFLY_SANDBOX) => {
    expect(readConfig({ MAYFLY_SANDBOX }).sandbox).toBe(MAYFLY_SANDBOX);
  });

  it.each(["docker", "oci:kata", "oci:", "oci:bin/runtime", "/usr/bin/crun", "BUBBLEWRAP"])(
    "can't be %s",
    (MAYFLY_SANDBOX) => {
      expect(() => readConfig({ MAYFLY_SANDBOX })).toThrow(
        /MAYFLY_SANDBOX: must be one of auto, .*oci:\/usr\/bin\/crun/,
      );
    },
  );
});
