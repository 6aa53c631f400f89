/**
 * EventBridge patterns, with the operators that Lambda's filters know. A field's rules are alternatives, a pattern's fields
 * must all match; of a list in the event one element is enough.
 * Source: Lambda developer guide, "Filter rule syntax"; EventBridge user guide, "Event patterns".
 */
type Structure = Readonly<Record<string, unknown>>;

/** Whether a record matches one of the patterns (JSON texts), or there are none. What is no pattern matches nothing. */
export function matchesAny(patterns: readonly string[], record: Structure): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matches(parsed(pattern), record));
}

/** What a text stands for in a pattern: its JSON where it is JSON, so that patterns can look into it; else itself. */
export function textOrJson(text: string): unknown {
  const json = parsed(text);
  return json === undefined ? text : json;
}

function matches(pattern: unknown, event: unknown): boolean {
  if (!isStructure(pattern)) return false;
  return Object.entries(pattern).every(([name, rule]) => {
    if (name === "$or") return Array.isArray(rule) && rule.some((each) => matches(each, event));
    const value = isStructure(event) && Object.hasOwn(event, name) ? event[name] : undefined;
    if (Array.isArray(rule)) return rule.some((each) => fits(each, value));
    return Array.isArray(value) ? value.some((each) => matches(rule, each)) : matches(rule, value);
  });
}

function fits(rule: unknown, value: unknown): boolean {
  if (isStructure(rule) && "exists" in rule) return rule.exists === (value !== undefined && !isStructure(value));
  if (value === undefined) return false;
  if (Array.isArray(value)) return value.some((each) => fits(rule, each));
  if (!isStructure(rule)) return rule === value;
  const [[operator = "", operand] = []] = Object.entries(rule);
  return Object.hasOwn(OPERATORS, operator) && OPERATORS[operator]?.(operand, value) === true;
}

const OPERATORS: Readonly<Record<string, (operand: unknown, value: unknown) => boolean>> = {
  prefix: ofTexts((operand, value) => value.startsWith(operand)),
  suffix: ofTexts((operand, value) => value.endsWith(operand)),
  "equals-ignore-case": ofTexts((operand, value) => value.toLowerCase() === operand.toLowerCase()),
  "anything-but": (operand, value) => {
    if (isStructure(value)) return false;
    const excluded = (each: unknown): boolean => (isStructure(each) ? someRule(each, value) : each === value);
    return !(Array.isArray(operand) ? operand : [operand]).some(excluded);
  },
  numeric: (operand, value) => typeof value === "number" && Array.isArray(operand) && isWithin(operand, value),
};

/** `{ "prefix": "a" }` or `{ "prefix": ["a", "b"] }` inside `anything-but`. */
const someRule = (rule: Structure, value: unknown): boolean =>
  Object.entries(rule).some(([operator, operand]) =>
    (Array.isArray(operand) ? operand : [operand]).some((each) => fits({ [operator]: each }, value)),
  );

const COMPARISONS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  "=": (value, bound) => value === bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
  ">": (value, bound) => value > bound,
  ">=": (value, bound) => value >= bound,
};

/** Pairs of comparison and bound, as `[">=", 0, "<", 5]`. */
function isWithin(operand: readonly unknown[], value: number): boolean {
  for (let at = 0; at < operand.length; at += 2) {
    if (COMPARISONS[String(operand[at])]?.(value, Number(operand[at + 1])) !== true) return false;
  }
  return operand.length > 0;
}

const isStructure = (value: unknown): value is Structure =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function ofTexts(holds: (operand: string, value: string) => boolean): (operand: unknown, value: unknown) => boolean {
  return (operand, value) => typeof operand === "string" && typeof value === "string" && holds(operand, value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
