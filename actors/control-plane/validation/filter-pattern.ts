/**
 * Whether a text is a filter an event source mapping can have: an EventBridge pattern, with the operators that Lambda's
 * filters know. Source: Lambda developer guide, "Filter rule syntax".
 */
const OR = "$or";

export function isFilterPattern(text: string): boolean {
  try {
    return isPattern(JSON.parse(text));
  } catch {
    return false;
  }
}

function isPattern(value: unknown): boolean {
  if (!isStructure(value)) return false;
  const fields = Object.entries(value);
  return fields.length > 0 && fields.every(([name, rule]) => (name === OR ? isChoice(rule) : isRule(rule)));
}

const isChoice = (rule: unknown): boolean => Array.isArray(rule) && rule.length > 0 && rule.every(isPattern);

const isRule = (rule: unknown): boolean =>
  Array.isArray(rule) ? rule.length > 0 && rule.every((each) => isScalar(each) || isComparison(each)) : isPattern(rule);

function isComparison(value: unknown): boolean {
  if (!isStructure(value)) return false;
  const [[operator = "", operand] = [], another] = Object.entries(value);
  return another === undefined && Object.hasOwn(OPERATORS, operator) && OPERATORS[operator]?.(operand) === true;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isScalar = (value: unknown): boolean => value === null || ["string", "number", "boolean"].includes(typeof value);
const isOneOrSome = (value: unknown, fits: (each: unknown) => boolean): boolean =>
  Array.isArray(value) ? value.length > 0 && value.every(fits) : fits(value);

const OPERATORS: Readonly<Record<string, (operand: unknown) => boolean>> = {
  prefix: isText,
  suffix: isText,
  "equals-ignore-case": isText,
  "anything-but": (operand) =>
    isOneOrSome(operand, (each) => isScalar(each) && each !== null && typeof each !== "boolean") ||
    (isStructure(operand) &&
      Object.keys(operand).length === 1 &&
      isOneOrSome(operand.prefix ?? operand.suffix, isText)),
  exists: (operand) => typeof operand === "boolean",
  numeric: isRange,
};

/** `["=", 5]`, `[">", 0]` or `[">=", 0, "<", 5]`. */
function isRange(operand: unknown): boolean {
  if (!Array.isArray(operand)) return false;
  const [one, low, other, high] = operand;
  if (typeof low !== "number") return false;
  if (operand.length === 2) return ["=", "<", "<=", ">", ">="].includes(one);
  const isUpwards = [">", ">="].includes(one) && ["<", "<="].includes(other);
  return operand.length === 4 && isUpwards && typeof high === "number" && low < high;
}

const isStructure = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
