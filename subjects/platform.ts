/** Subjects that only components publish; who holds a person's credential may listen to them. */
export const PLATFORM_SUBJECTS: readonly string[] = [
  "mayfly.*.dead.*",
  "mayfly.*.retry.>",
  "mayfly.*.schedule.>",
  "mayfly.*.tick.>",
  "mayfly.*.wait.>",
  "mayfly.counting.>",
  "mayfly.followed.>",
  "mayfly.frontend.>",
  "mayfly.history.>",
  "mayfly.placement.>",
  "mayfly.recount",
  "mayfly.sandbox.>",
  "mayfly.state.>",
  "mayfly.worker.>",
  "mayfly.worker-manager.>",
];

/** Whether a subject is none that a function's owner may have the platform publish: ours, the server's, or a reply's. */
export const isPlatformSubject = (subject: string): boolean => /^(mayfly\.|\$|_)/.test(subject);
