import { promisify } from "node:util";
import {
  brotliDecompress,
  brotliDecompressSync,
  constants,
  inflate,
  inflateSync,
  unzip,
  unzipSync,
  zstdDecompress,
  zstdDecompressSync,
} from "node:zlib";
import { type Body, type HeaderList, headerOf } from "../exchange.ts";

/** What a body may grow to when it is decoded, in bytes: a small one can stand for gigabytes. */
const LONGEST_DECODED = 4 * 1024 * 1024;

export interface Decoded {
  bytes: Uint8Array;
  /** Why these aren't all the bytes, or not the decoded ones. */
  note?: string;
}

// Sync flush: of what was cut, as much as can be had.
const zlibOptions = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: LONGEST_DECODED };
const brotliOptions = { finishFlush: constants.BROTLI_OPERATION_FLUSH, maxOutputLength: LONGEST_DECODED };
const zstdOptions = { finishFlush: constants.ZSTD_e_flush, maxOutputLength: LONGEST_DECODED };

const CODINGS: Readonly<Record<string, { now(bytes: Uint8Array): Buffer; later(bytes: Uint8Array): Promise<Buffer> }>> = {
  gzip: {
    now: (bytes) => unzipSync(bytes, zlibOptions),
    later: (bytes) => promisify(unzip)(bytes, zlibOptions) as Promise<Buffer>,
  },
  deflate: {
    now: (bytes) => inflateSync(bytes, zlibOptions),
    later: (bytes) => promisify(inflate)(bytes, zlibOptions) as Promise<Buffer>,
  },
  br: {
    now: (bytes) => brotliDecompressSync(bytes, brotliOptions),
    later: (bytes) => promisify(brotliDecompress)(bytes, brotliOptions) as Promise<Buffer>,
  },
  zstd: {
    now: (bytes) => zstdDecompressSync(bytes, zstdOptions),
    later: (bytes) => promisify(zstdDecompress)(bytes, zstdOptions) as Promise<Buffer>,
  },
};

/** The codings in the order in which they are undone. */
function codingsOf(headers: HeaderList): string[] {
  const text = headerOf(headers, "content-encoding") ?? "";
  return text
    .split(",")
    .map((each) => each.trim().toLowerCase().replace(/^x-/, ""))
    .filter((each) => each !== "" && each !== "identity")
    .reverse();
}

const cutNote = ({ bytes, kept }: Body): string | undefined =>
  kept.length < bytes ? `the first ${kept.length} of ${bytes} bytes were kept` : undefined;
const failedNote = (coding: string, error: unknown): string =>
  `shown as it was sent: it can't be decoded as ${coding} (${(error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE" ? `more than ${LONGEST_DECODED} bytes` : String((error as Error).message)})`;

/** A body as its reader has it (RFC 9110, 8.4: gzip, deflate, br, zstd). Never rejects: what can't be decoded is given as it was sent, and said. */
export async function decodeBody(headers: HeaderList, body: Body): Promise<Decoded> {
  let bytes: Uint8Array = body.kept;
  let note = cutNote(body);
  for (const coding of bytes.length > 0 ? codingsOf(headers) : []) {
    const decoder = Object.hasOwn(CODINGS, coding) ? CODINGS[coding] : undefined;
    if (!decoder) return { bytes, note: `shown as it was sent: its coding ${JSON.stringify(coding)} isn't known` };
    try {
      bytes = await decoder.later(bytes);
    } catch (error) {
      note = failedNote(coding, error);
      break;
    }
  }
  return { bytes, ...(note !== undefined && { note }) };
}

/** Bytes of one coding, at once; undefined where it isn't known or doesn't fit them. */
export function unpacked(coding: string, bytes: Uint8Array): Buffer | undefined {
  try {
    return Object.hasOwn(CODINGS, coding) ? CODINGS[coding]!.now(bytes) : undefined;
  } catch {
    return undefined;
  }
}

/** The same for a whole body, for a search that looks at one body after the other; undecoded where that fails. */
export function bodyText(headers: HeaderList, body: Body): string {
  let bytes: Uint8Array = body.kept;
  try {
    for (const coding of bytes.length > 0 ? codingsOf(headers) : [])
      if (Object.hasOwn(CODINGS, coding)) bytes = CODINGS[coding]!.now(bytes);
  } catch {
    // Searched as it was sent.
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
