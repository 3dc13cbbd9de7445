/** JSON with whole numbers of any size: a seed has up to 64 bits, and a number of JavaScript 53. */

export function parse(text) {
  return JSON.parse(text, (key, value, context) => {
    const isInexact = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isInexact && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
  });
}

/** Large numbers are written as texts that nobody else can have written, and their quotes taken away. */
export function stringify(value, indent) {
  const mark = `${Math.random()}:`;
  const text = JSON.stringify(value, (key, one) => (typeof one === "bigint" ? mark + one : one), indent);
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}

export const same = (one, other) => stringify(one) === stringify(other);

/** A whole number as it was written, exactly. */
export function whole(text) {
  const value = BigInt(text);
  return value === BigInt.asIntN(53, value) ? Number(value) : value;
}
