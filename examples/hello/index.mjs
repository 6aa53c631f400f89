/** The first function a newcomer deploys: `mayfly deploy examples/hello`, then `mayfly invoke hello '{"name":"Ada"}'`. */

// What stands here runs once for each sandbox; the handler runs once for each call.
let calls = 0;

export async function handler(event, context) {
  calls += 1;
  const name = event?.name ?? "world";
  console.log(`greeting ${name}`);
  return {
    message: `${process.env.GREETING ?? "Hello"}, ${name}!`,
    version: context.functionVersion,
    callsOfThisSandbox: calls,
  };
}
