/** How large packages may be, in bytes. Source: Lambda quotas. */
export const MAX_ZIPPED_BYTES = 52_428_800;
/** Of a function's code and its layers together. */
export const MAX_UNZIPPED_BYTES = 262_144_000;
