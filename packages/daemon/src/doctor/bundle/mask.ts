/** Masks what is secret in a text that is handed on. */
export type Mask = (text: string) => string;

export const MASKED = "***";

/** Shorter ones can't be replaced without garbling everything else. */
const LEAST = 4;

const SECRET_NAME =
  "pass(?:word|wd|phrase)?|secret|token|api[-_]?key|(?:private|access|signing|encryption|client)[-_]?key|credential|authorization|cookie";

/** Each with what it becomes. What is masked in vain costs less than what is missed. */
const PATTERNS: ReadonlyArray<readonly [RegExp, string]> = [
  // Keys and certificates, cut off ones too.
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, MASKED],
  [/\b(Bearer|Basic)(\s+|%20)[\w.~+/=-]+/gi, `$1$2${MASKED}`],
  // JSON Web Tokens (RFC 7519).
  [/\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?/g, MASKED],
  // The user's part of a URL.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'\\]+@/gi, `$1${MASKED}@`],
  // The data of a Secret or ConfigMap, as JSON (also inside a string) and as YAML.
  [/(\\*"(?:data|stringData|binaryData)\\*"\s*:\s*)\{[^{}]*\}/g, `$1{"${MASKED}":"${MASKED}"}`],
  [/^([ \t]*)(data|stringData|binaryData):[ \t]*\r?\n(?:\1[ \t]+[^\n]*(?:\n|$))+/gm, `$1$2: ${MASKED}\n`],
  // `password: x`, `"apiKey":"x"`, `--token=x`, `\"secret\":\"x\"`, `--token x`.
  [
    new RegExp(
      `([\\w.-]*(?:${SECRET_NAME})[\\w.-]*\\\\*["']?\\s*[:=]\\s*)(?:(\\\\*["'])[\\s\\S]*?(?<!\\\\)\\2|[^\\s,;&}\\]"'][^\\s,;&}\\]]*)`,
      "gi",
    ),
    `$1$2${MASKED}$2`,
  ],
  [new RegExp(`(--?[\\w-]*(?:${SECRET_NAME})[\\w-]*\\s+)[^\\s-]\\S*`, "gi"), `$1${MASKED}`],
];

/** Long words of letters, digits and what base64 has besides: keys, tokens, digests. A path isn't one. */
const LONG_WORD = /(?<![\w+/.-])[A-Za-z0-9+_-][A-Za-z0-9+/_-]{23,}={0,2}/g;
const isRandom = (word: string): boolean => /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word);

/** `secrets`: those that are known, masked in whatever form they stand. Of others, what looks like one is masked. */
export function createMask(secrets: Iterable<string>): Mask {
  const known = [...new Set([...secrets].flatMap(formsOf))].filter((text) => text.length >= LEAST);
  // The longest first: one may be a part of another.
  known.sort((a, b) => b.length - a.length);
  return (text) => {
    let masked = text;
    for (const secret of known) masked = masked.replaceAll(secret, MASKED);
    for (const [pattern, by] of PATTERNS) masked = masked.replace(pattern, by);
    return masked.replace(LONG_WORD, (word) => (isRandom(word) ? MASKED : word));
  };
}

/** The same for each text of plain data. */
export function maskTexts(value: unknown, mask: Mask): unknown {
  if (typeof value === "string") return mask(value);
  if (Array.isArray(value)) return value.map((item) => maskTexts(item, mask));
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskTexts(inner, mask)]));
}

/** Also whole texts whose name says that they are secret. */
export const maskData = (value: unknown, mask: Mask): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, inner) => (typeof inner === "string" ? (soundsSecret(key) ? MASKED : mask(inner)) : inner)),
  );

/** Whether a variable of this name holds a secret, as far as a name tells. */
export const soundsSecret = (name: string): boolean => new RegExp(SECRET_NAME, "i").test(name);

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  const lines = secret.split(/\r?\n/);
  return [
    ...[secret, secret.trim(), JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)],
    ...[bytes.toString("base64"), bytes.toString("base64").replace(/=+$/, ""), bytes.toString("base64url"), bytes.toString("hex")],
    // A log may have broken it into lines.
    ...(lines.length > 1 ? lines.filter((line) => line.length >= 16 && !line.startsWith("-----")) : []),
  ];
}
