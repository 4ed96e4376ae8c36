import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

/** draft-mbelshe-httpbis-spdy-00, section 2.6.10.1: 65 words, each behind its length, then running text. */
const WORDS = [
  ..."options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age".split(" "),
  ..."allow authorization cache-control connection content-base content-encoding content-language content-length".split(" "),
  ..."content-location content-md5 content-range content-type date etag expect expires from host if-match".split(" "),
  ..."if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma".split(" "),
  ..."proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding".split(" "),
  ..."upgrade user-agent vary via warning www-authenticate method get status".split(" "),
  "200 OK",
  ..."version HTTP/1.1 url public set-cookie keep-alive origin".split(" "),
];
const TEXT =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505" +
  "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden" +
  "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable" +
  "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT" +
  "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public" +
  "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

export const SPDY_DICTIONARY = Buffer.concat([
  ...WORDS.flatMap((word) => [uint32(word.length), Buffer.from(word)]),
  Buffer.from(TEXT),
]);

/** zlib's head (RFC 1950): deflate with a 32 KiB window, and the dictionary's Adler-32. */
const ZLIB_HEAD = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
const WINDOW = 32 * 1024;
const FLUSH = constants.Z_SYNC_FLUSH;

/**
 * A connection's header blocks are one zlib stream a direction, with a sync flush after each block. A flush leaves the stream on a
 * byte boundary between two blocks, so each can be coded by itself, synchronously, with the window's content as its dictionary.
 */
class History {
  window = SPDY_DICTIONARY;
  started = false;

  remember(block: Buffer): void {
    const all = Buffer.concat([this.window, block]);
    this.window = all.length > WINDOW ? all.subarray(all.length - WINDOW) : all;
  }
}

export type Headers = ReadonlyMap<string, string>;

export interface HeaderCodec {
  encode(headers: Iterable<readonly [string, string]>): Buffer;
  /** Throws where the block isn't one. */
  decode(block: Buffer): Headers;
}

export function createHeaderCodec(): HeaderCodec {
  const out = new History();
  const into = new History();
  return {
    encode(headers) {
      const plain = renderHeaders(headers);
      const packed = deflateRawSync(plain, { dictionary: out.window, finishFlush: FLUSH });
      out.remember(plain);
      if (out.started) return packed;
      out.started = true;
      return Buffer.concat([ZLIB_HEAD, packed]);
    },
    decode(block) {
      let packed = block;
      if (!into.started) {
        into.started = true;
        if (block.length < 2 || (block[0]! & 0x0f) !== 8 || block.readUInt16BE(0) % 31 !== 0) throw new Error("not a zlib stream");
        packed = block.subarray(block[1]! & 0x20 ? 6 : 2);
      }
      const plain = inflateRawSync(packed, { dictionary: into.window, finishFlush: FLUSH, maxOutputLength: 1 << 20 });
      into.remember(plain);
      return parseHeaders(plain);
    },
  };
}

function uint32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(value);
  return out;
}

function renderHeaders(headers: Iterable<readonly [string, string]>): Buffer {
  const parts: Buffer[] = [];
  let count = 0;
  for (const [name, value] of headers) {
    count++;
    for (const text of [Buffer.from(name.toLowerCase()), Buffer.from(value)]) parts.push(uint32(text.length), text);
  }
  return Buffer.concat([uint32(count), ...parts]);
}

function parseHeaders(plain: Buffer): Headers {
  const headers = new Map<string, string>();
  let at = 4;
  const text = (): string => {
    const length = plain.readUInt32BE(at);
    at += 4 + length;
    if (at > plain.length) throw new Error("header block cut short");
    return plain.toString("utf8", at - length, at);
  };
  for (let left = plain.readUInt32BE(0); left > 0; left--) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}
