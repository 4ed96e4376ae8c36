/**
 * `${NAME}` and `${NAME:-otherwise}` become the variable's value (`otherwise` also where it is empty, as in a shell); `$${` stands for
 * `${`. Any other `$` is itself.
 */
export function substitute(text: string, env: NodeJS.ProcessEnv): { text: string } | { missing: string } {
  let missing: string | undefined;
  const result = text.replace(
    /\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g,
    (whole, name: string | undefined, otherwise: string | undefined) => {
      if (name === undefined) return "${";
      const value = env[name];
      if (value !== undefined && (value !== "" || otherwise === undefined)) return value;
      if (otherwise === undefined) missing ??= name;
      return otherwise ?? whole;
    },
  );
  return missing === undefined ? { text: result } : { missing };
}
