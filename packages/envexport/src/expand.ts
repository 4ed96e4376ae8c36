/**
 * `$(NAME)` replaced by `lookup(NAME)`, `$$` by `$`; a name without a value stays as written, and so does every other `$`.
 * Rule: API reference of `EnvVar.value`; as the kubelet does it, a name is everything up to the next `)`.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (written, name: string | undefined) =>
    name === undefined ? "$" : (lookup(name) ?? written),
  );
}
