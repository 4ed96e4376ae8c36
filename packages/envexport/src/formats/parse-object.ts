/** A mapping of names to scalars, as strings. Throws where it is something else; the message never tells a value. */
export function parseObject(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("it is not a mapping of names to values");
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      if (typeof each === "string") return [name, each];
      if (typeof each === "number" || typeof each === "boolean") return [name, String(each)];
      throw new Error(`the value of ${JSON.stringify(name)} is not text`);
    }),
  );
}
