/** Our part of the Python runtime reads and writes JSON without the module of that name, and like it. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const ours = join(import.meta.dirname, "../../../actors/sandbox/runtimes/python");

/** The value that a program leaves in `said`. */
async function python(program: string): Promise<unknown> {
  const text = `import sys\nsys.path.insert(0, ${JSON.stringify(ours)})\n${program}\nimport json\nprint(json.dumps(said))\n`;
  const { stdout } = await run(process.env.MAYFLY_TEST_PYTHON ?? "/usr/bin/python3", [
    "-I",
    "-S",
    "-B",
    "-X",
    "utf8",
    "-c",
    text,
  ]);
  return JSON.parse(stdout);
}

test("what starts a function doesn't import the json module, nor regular expressions", async () => {
  const said = await python(
    "import mayfly_runtime.function\nsaid = sorted({'json', 're', 'logging'} & set(sys.modules))",
  );
  expect(said).toEqual([]);
});

test.each([
  ["reads", "values.parse", "json.loads"],
  ["writes", "values.write", "json.dumps"],
  ["writes other alphabets", "values.write_unescaped", "lambda each: json.dumps(each, ensure_ascii=False)"],
])("%s what the json module does, and refuses what that refuses in the same words", async (_what, mine, theirs) => {
  const said = await python(`
import json
from mayfly_runtime import values

texts = ['{}', ' {"a": [1, -2.5e3, true, false, null, "\\\\u00e9\\\\n"]} ', '"x"', '12', '1' * 40, 'NaN', '-Infinity',
  '{"a": 1, "a": 2}', '\\ufeff{}', '\\ufeff"x"', '{oops', '', ' ', '[1] 2', '[1,]', '"a\\nb"', '{"a" 1}', 'nul', '[' * 100000]
loop = []
loop.append(loop)
class Text(str): pass
class Number(int): pass
things = [None, True, 1, -0.0, 2.5, float('nan'), float('inf'), 10 ** 40, 'é\\n"\\ud800', [], {}, (1, [2]), {'a': {'b': []}},
  {1: 2, None: 3, True: 4, 1.5: 5}, Text('t'), Number(7), {Text('k'): 1}, loop, object(), {(1,): 2}, b'x', {1, 2}]

def outcome(does, with_):
    try:
        return repr(does(with_))
    except Exception as error:
        return [type(error).__name__, str(error)]

mine, theirs = ${mine}, ${theirs}
given = things if 'dumps' in ${JSON.stringify(theirs)} else texts + [text.encode('utf-8', 'surrogatepass') for text in texts] + ['{"a": 1}'.encode('utf-16'), b'"\\xed\\xa0\\x80"', b'"\\xff"']
said = [[repr(each)[:40], outcome(mine, each), outcome(theirs, each)] for each in given]
`);
  for (const [what, ours, theirs] of said as unknown[][]) expect([what, ours]).toEqual([what, theirs]);
});
