/** What a sandbox that is booted beforehand loads, so that whatever loads a function has been loaded itself. */
export const handler = () => {};
