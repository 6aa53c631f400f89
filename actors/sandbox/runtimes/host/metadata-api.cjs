/** Where a sandbox runs, for whoever in it has its token. Source: Lambda developer guide, "Metadata endpoint". */
"use strict";

const { randomBytes, timingSafeEqual } = require("node:crypto");
const { refuseUnread, reply } = require("./http.cjs");

const path = "/2026-01-15/metadata/execution-environment";
/** It holds as long as the sandbox lives. */
const kept = { "Cache-Control": "private, max-age=43200, immutable" };

class MetadataApi {
  #zone;
  #token = randomBytes(32).toString("base64url");

  constructor(zone) {
    this.#zone = zone;
  }

  /** What programs find it by, which is served at `address`. */
  environment(address) {
    return { AWS_LAMBDA_METADATA_API: address, AWS_LAMBDA_METADATA_TOKEN: this.#token };
  }

  /** Answers a request that is this API's; gives false for others. */
  route(request, response, asked) {
    if (asked !== path) return false;
    const { method, headers } = request;
    if (method !== "GET") refuseUnread(request, response, 405, "MethodNotAllowed", `${method} is not GET`);
    else if (!this.#isToken(headers.authorization))
      refuseUnread(request, response, 401, "Unauthorized", "Authorization must be Bearer and the token");
    else reply(response, 200, { AvailabilityZoneID: this.#zone }, kept);
    return true;
  }

  #isToken(authorization = "") {
    const [given, own] = [Buffer.from(authorization), Buffer.from(`Bearer ${this.#token}`)];
    return given.length === own.length && timingSafeEqual(given, own);
  }
}

module.exports = { MetadataApi };
