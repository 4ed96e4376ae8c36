import { decodeHuffman } from "./huffman.ts";

/** RFC 7541, appendix A: `name`, or `name=value`, the first one being number 1. */
const STATIC =
  ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
    .split("|")
    .map((entry): Field => {
      const [name = "", value = ""] = entry.split("=");
      return [name, value];
    });

type Field = readonly [name: string, value: string];

/** What a table may grow to: peers agree on 4,096 bytes unless they say more. */
const LARGEST_TABLE = 1024 * 1024;

/** Reads the header blocks of one direction (RFC 7541), in the order in which they were sent. */
export interface HpackDecoder {
  /** Undefined where it can't be read: then no later one can be either. */
  decode(block: Uint8Array): Field[] | undefined;
}

export function createHpackDecoder(): HpackDecoder {
  /** Newest first. */
  const table: Field[] = [];
  let size = 0;
  let limit = 4096;

  const shrink = (): void => {
    while (size > limit) {
      const [name, value] = table.pop()!;
      size -= name.length + value.length + 32;
    }
  };
  const add = (field: Field): void => {
    table.unshift(field);
    size += field[0].length + field[1].length + 32;
    shrink();
  };
  const fieldAt = (index: number): Field | undefined =>
    index <= STATIC.length ? STATIC[index - 1] : table[index - STATIC.length - 1];

  return {
    decode(block) {
      let at = 0;
      /** RFC 7541, 5.1. */
      const integer = (prefix: number): number | undefined => {
        const most = (1 << prefix) - 1;
        let value = (block[at++] ?? 0) & most;
        if (value < most) return value;
        for (let shift = 0; shift <= 21; shift += 7) {
          const byte = block[at++];
          if (byte === undefined) return undefined;
          value += (byte & 0x7f) << shift;
          if ((byte & 0x80) === 0) return value;
        }
        return undefined;
      };
      const text = (): string | undefined => {
        const packed = ((block[at] ?? 0) & 0x80) !== 0;
        const length = integer(7);
        if (length === undefined || at + length > block.length) return undefined;
        const bytes = block.subarray(at, at + length);
        at += length;
        return packed ? decodeHuffman(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
      };
      const fields: Field[] = [];
      while (at < block.length) {
        const first = block[at]!;
        if ((first & 0x80) !== 0) {
          const field = fieldAt(integer(7) ?? 0);
          if (!field) return undefined;
          fields.push(field);
        } else if ((first & 0xe0) === 0x20) {
          const next = integer(5);
          if (next === undefined || next > LARGEST_TABLE) return undefined;
          limit = next;
          shrink();
        } else {
          const kept = (first & 0x40) !== 0;
          const index = integer(kept ? 6 : 4);
          const name = index === 0 ? text() : fieldAt(index ?? -1)?.[0];
          const value = text();
          if (name === undefined || value === undefined) return undefined;
          fields.push([name, value]);
          if (kept) add([name, value]);
        }
      }
      return fields;
    },
  };
}
