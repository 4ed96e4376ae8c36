/** A field of a form, or a file that was sent by it. */
export interface FormField {
  name: string;
  /** The text; "" for what is none. */
  value: string;
  filename?: string;
  contentType?: string;
  /** Of a file. */
  bytes?: number;
}

/** Characters of a part that are shown, and parts. */
const LONGEST_VALUE = 4096;
const MOST_PARTS = 1000;

/** The parts of a `multipart/form-data` body (RFC 7578); undefined where it is none. A last part that was cut is told as far as it came. */
export function multipartFields(contentType: string, body: Buffer): FormField[] | undefined {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return undefined;
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  // The first one stands at the start of the body, without the end of a line ahead of it.
  const bytes = Buffer.concat([Buffer.from("\r\n"), body]);
  const fields: FormField[] = [];
  for (let at = bytes.indexOf(delimiter); at >= 0 && fields.length < MOST_PARTS; ) {
    const start = at + delimiter.length;
    if (bytes.toString("latin1", start, start + 2) === "--") break;
    const next = bytes.indexOf(delimiter, start);
    const part = bytes.subarray(start, next < 0 ? bytes.length : next);
    const end = part.indexOf("\r\n\r\n");
    if (end >= 0) fields.push(fieldOf(part.toString("utf8", 0, end), part.subarray(end + 4)));
    at = next;
  }
  return fields.length > 0 ? fields : undefined;
}

function fieldOf(head: string, content: Buffer): FormField {
  const of = (name: string): string | undefined => new RegExp(`[;\\s]${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(head)?.[1];
  const filename = of("filename");
  const contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim();
  const text = content.toString("utf8");
  const isText = !text.includes("\0") && !text.includes("\ufffd");
  return {
    name: unescaped(of("name") ?? ""),
    value: isText ? text.slice(0, LONGEST_VALUE) : "",
    ...(filename !== undefined && { filename: unescaped(filename), bytes: content.length }),
    ...(contentType !== undefined && { contentType }),
  };
}

/** Browsers write `%22` (WHATWG HTML, 4.10.21.8), others a backslash. */
const unescaped = (text: string): string =>
  text
    .replace(/\\(["\\])/g, "$1")
    .replaceAll("%22", '"')
    .replaceAll("%0D%0A", "\r\n");
