/**
 * Which way dependencies point: subjects ← wiring → machine → policy; effects → config. `npm test` checks it, and
 * `npx depcruise actors subjects config bin` shows it.
 */
const NATS_CLIENTS = "^node_modules/(@nats-io/|nats/)";
const ACTOR = "^actors/([^/]+)/";
const PURE = ["machine", "policy"].flatMap((role) => [
  `${ACTOR}${role}\\.ts$`,
  `${ACTOR}(leases|backlog|stem-cells)/${role}\\.ts$`,
]);

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-cycles",
      comment: "two files that need each other are one file, or have a third one in common",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "subjects-know-nobody",
      comment: "the contract is what everybody depends on",
      severity: "error",
      from: { path: "^subjects/" },
      to: { path: "^(actors|bin|config|test)/" },
    },
    {
      name: "config-knows-only-subjects",
      severity: "error",
      from: { path: "^config/" },
      to: { path: "^(actors|bin|test)/" },
    },
    {
      name: "machines-and-policies-are-pure",
      comment:
        "the same machine runs on real NATS and in a simulator: it imports xstate, subjects and its own decisions",
      severity: "error",
      from: { path: PURE },
      to: { pathNot: ["^subjects/", "^actors/$1/", "^node_modules/xstate/"] },
    },
    {
      name: "machines-and-policies-do-nothing",
      comment: "what touches the world or the network is given to them",
      severity: "error",
      from: { path: PURE },
      to: { path: "^actors/.+/(effects|wiring|index)\\.ts$" },
    },
    {
      name: "an-actor-never-imports-another",
      comment: "actors meet on subjects only",
      severity: "error",
      from: { path: ACTOR, pathNot: "^actors/bus/" },
      to: { path: "^actors/", pathNot: ["^actors/$1/", "^actors/bus/"] },
    },
    {
      name: "the-bus-knows-no-actor",
      severity: "error",
      from: { path: "^actors/bus/" },
      to: { path: "^(actors|bin|config)/", pathNot: "^actors/bus/" },
    },
    {
      name: "actors-know-no-command",
      comment: "bin/ puts actors together; nothing knows bin/",
      severity: "error",
      from: { path: "^actors/" },
      to: { path: "^(bin|test)/" },
    },
    {
      name: "one-place-knows-nats",
      severity: "error",
      from: { path: "^(actors|subjects|config)/", pathNot: "^actors/bus/(nats|storage|streams|queues|sources)\\.ts$" },
      to: { path: NATS_CLIENTS },
    },
    {
      name: "schemas-are-in-the-contract",
      comment: "what an actor hears has been validated before it comes",
      severity: "error",
      from: { path: "^actors/" },
      to: { path: "^node_modules/zod/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "nothing-missing",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "no-development-parts-in-the-product",
      severity: "error",
      from: { path: "^(actors|subjects|config|bin)/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(examples|console)/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
