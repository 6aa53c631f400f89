/** Subjects that only components publish; who holds a person's credential may listen to them. */
export const PLATFORM_SUBJECTS: readonly string[] = [
  "mayfly.counting.>",
  "mayfly.frontend.>",
  "mayfly.history.>",
  "mayfly.placement.>",
  "mayfly.recount",
  "mayfly.sandbox.>",
  "mayfly.state.>",
  "mayfly.worker.>",
  "mayfly.worker-manager.>",
];
