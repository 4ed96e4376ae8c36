import { type Body, type HeaderList, headerOf } from "../exchange.ts";
import { decodeBody } from "./content.ts";
import { type GrpcFrame, grpcFrames } from "./grpc.ts";
import { type FormField, multipartFields } from "./multipart.ts";

/** A body as it is shown. Plain data: whoever shows it never runs it. */
export interface BodyView {
  kind: "empty" | "json" | "text" | "form" | "image" | "grpc" | "binary";
  /** On the wire. */
  bytes: number;
  contentType: string;
  /** Why it isn't whole, or isn't decoded; "" where it is. */
  note: string;
  /** The text, JSON indented; of `binary` a hex dump. "" for images, empty bodies and forms of several parts. */
  text: string;
  form?: FormField[];
  frames?: GrpcFrame[];
}

/** Characters of a view's text. */
const LONGEST_VIEW = 512 * 1024;
const DUMPED = 4096;
const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/x-icon"]);

export const mediaType = (headers: HeaderList): string =>
  (headerOf(headers, "content-type") ?? "").split(";")[0]!.trim().toLowerCase();

/** Pictures that hold no script: SVG is shown as the text that it is. */
export const isSafeImage = (type: string): boolean => IMAGES.has(type);

/** A body to show: what it is, as text of at most 512 Ki characters, decoded and indented. Never rejects for what the bytes are: what can't be read is dumped. */
export async function viewBody(headers: HeaderList, body: Body): Promise<BodyView> {
  const type = mediaType(headers);
  const base = { bytes: body.bytes, contentType: headerOf(headers, "content-type") ?? "" };
  if (body.bytes === 0) return { kind: "empty", ...base, note: "", text: "" };
  const { bytes, note = "" } = await decodeBody(headers, body);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isSafeImage(type)) return { kind: "image", ...base, note, text: "" };
  if (/^application\/grpc/.test(type)) {
    const raw = /^application\/grpc-web-text/.test(type) ? Buffer.from(buffer.toString("latin1"), "base64") : buffer;
    const frames = grpcFrames(headers, raw);
    return { kind: "grpc", ...base, note, text: frames.map(messageView).join("\n\n").slice(0, LONGEST_VIEW), frames };
  }
  const parts = type === "multipart/form-data" ? multipartFields(base.contentType, buffer) : undefined;
  if (parts) return { kind: "form", ...base, note, text: "", form: parts };
  if (!looksLikeText(buffer)) {
    const dumped = buffer.length > DUMPED ? `the first ${DUMPED} bytes are shown` : "";
    return { kind: "binary", ...base, note: [note, dumped].filter(Boolean).join("; "), text: hexDump(buffer.subarray(0, DUMPED)) };
  }
  const text = buffer.toString("utf8");
  const cut = text.length > LONGEST_VIEW ? `the first ${LONGEST_VIEW} characters are shown` : "";
  const said = [note, cut].filter(Boolean).join("; ");
  if (type === "application/x-www-form-urlencoded") {
    const form = [...new URLSearchParams(text)].slice(0, 1000).map(([name, value]) => ({ name, value }));
    return { kind: "form", ...base, note: said, text: text.slice(0, LONGEST_VIEW), form };
  }
  const json = type === "" || /json/.test(type) || /^\s*[[{]/.test(text) ? indented(text) : undefined;
  return { kind: json === undefined ? "text" : "json", ...base, note: said, text: (json ?? text).slice(0, LONGEST_VIEW) };
}

function messageView({ bytes, compressed, hex, text, trailers, whole }: GrpcFrame, at: number): string {
  if (trailers !== undefined) return `trailers\n${trailers}`;
  const facts = [`${bytes} bytes`, compressed && "compressed", !whole && "shown in part"].filter(Boolean).join(", ");
  const shown = text === undefined ? hexDump(Buffer.from(hex, "hex")) : (indented(text) ?? text);
  return `message ${at + 1} (${facts})${shown && "\n"}${shown}`;
}

function indented(text: string): string | undefined {
  // A number that JavaScript can't hold exactly would be shown as another one.
  if (text.length > LONGEST_VIEW || /\d{16}|\d\.\d{15}|\d[eE]\d/.test(text)) return undefined;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return undefined;
  }
}

/** No NUL in the first KiB, and UTF-8 but for a cut character. */
function looksLikeText(bytes: Buffer): boolean {
  const head = bytes.subarray(0, 1024);
  if (head.includes(0)) return false;
  const text = head.toString("utf8");
  const wrong = text.slice(0, -2).match(/\ufffd/g)?.length ?? 0;
  return wrong * 20 <= text.length;
}

function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}
