import { portForwardError } from "./errors.ts";

/**
 * The part of SPDY/3.1 that Kubernetes streams need (draft-mbelshe-httpbis-spdy-00, with 3.1's session window left out: the
 * server has no flow control at all). Nothing here does I/O.
 */
const SPDY_VERSION = 3;

const CONTROL = {
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
} as const;

export const RST_STATUS = { PROTOCOL_ERROR: 1, REFUSED_STREAM: 3, CANCEL: 5, INTERNAL_ERROR: 6 } as const;

const FLAG_FIN = 0x01;

/** Ids are 31 bits; a client's are odd. */
export const MAX_STREAM_ID = 0x7fff_ffff;

/** A frame's length field has 24 bits. */
const MAX_FRAME_LENGTH = 0xff_ffff;

// RFC 1950: CMF and FLG with FDICT set, then the Adler-32 of the dictionary in section 2.6.10.1 of the SPDY draft.
const ZLIB_HEADER_NAMING_DICTIONARY = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
// RFC 1951, 3.2.4: a stored block of no bytes. What zlib calls a sync flush; Go's reader hands out what it has only then.
const EMPTY_STORED_BLOCK = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);
const MAX_STORED_LENGTH = 0xffff;

const controlHeader = (frame: Buffer, type: number, flags: number): Buffer => {
  frame.writeUInt16BE(0x8000 | SPDY_VERSION, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUInt32BE((flags << 24) | (frame.length - 8), 4);
  return frame;
};

export interface SynStreamEncoder {
  /** `headers` names must be lower case. Frames must be sent in the order in which they were made: they share one zlib stream. */
  encode(streamId: number, headers: Readonly<Record<string, string>>, fin: boolean): Buffer;
}

/**
 * One encoder a connection. Header blocks are stored, not compressed: they are a few dozen bytes, and a compressor's state would
 * be one more thing that can go out of step.
 */
export function createSynStreamEncoder(): SynStreamEncoder {
  let first = true;
  return {
    encode(streamId, headers, fin) {
      const entries = Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
      const blockLength = entries.reduce((sum, [name, value]) => sum + 8 + name.length + value.length, 4);
      if (blockLength > MAX_STORED_LENGTH)
        throw new RangeError(`a header block of ${blockLength} bytes is over ${MAX_STORED_LENGTH}`);
      const prefix = first ? ZLIB_HEADER_NAMING_DICTIONARY.length : 0;
      const frame = Buffer.allocUnsafe(8 + 10 + prefix + 5 + blockLength + EMPTY_STORED_BLOCK.length);
      controlHeader(frame, CONTROL.SYN_STREAM, fin ? FLAG_FIN : 0);
      let at = frame.writeUInt32BE(streamId, 8);
      at = frame.writeUInt32BE(0, at);
      at = frame.writeUInt16BE(0, at);
      if (first) at += ZLIB_HEADER_NAMING_DICTIONARY.copy(frame, at);
      first = false;
      at = frame.writeUInt8(0, at);
      at = frame.writeUInt16LE(blockLength, at);
      at = frame.writeUInt16LE(blockLength ^ 0xffff, at);
      at = frame.writeUInt32BE(entries.length, at);
      for (const [name, value] of entries) {
        at = frame.writeUInt32BE(name.length, at);
        at += name.copy(frame, at);
        at = frame.writeUInt32BE(value.length, at);
        at += value.copy(frame, at);
      }
      EMPTY_STORED_BLOCK.copy(frame, at);
      return frame;
    },
  };
}

/** The header of a data frame, to be followed by `length` bytes. */
export function encodeDataHeader(streamId: number, length: number, fin: boolean): Buffer {
  const header = Buffer.allocUnsafe(8);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt32BE(length, 4);
  header[4] = fin ? FLAG_FIN : 0;
  return header;
}

export function encodeReset(streamId: number, status: number): Buffer {
  const frame = controlHeader(Buffer.allocUnsafe(16), CONTROL.RST_STREAM, 0);
  frame.writeUInt32BE(streamId, 8);
  frame.writeUInt32BE(status, 12);
  return frame;
}

export function encodePing(id: number): Buffer {
  const frame = controlHeader(Buffer.allocUnsafe(12), CONTROL.PING, 0);
  frame.writeUInt32BE(id, 8);
  return frame;
}

export function encodeGoAway(lastGoodStreamId: number, status: number): Buffer {
  const frame = controlHeader(Buffer.allocUnsafe(16), CONTROL.GOAWAY, 0);
  frame.writeUInt32BE(lastGoodStreamId, 8);
  frame.writeUInt32BE(status, 12);
  return frame;
}

/** What a decoder tells, in the order of the bytes. A chunk is a slice of what was pushed: copy it to keep it. */
export interface FrameHandler {
  data(streamId: number, chunk: Buffer): void;
  /** The far side sends no more on that stream: FIN on a data frame, a SYN_REPLY or HEADERS. */
  end(streamId: number): void;
  reply(streamId: number): void;
  reset(streamId: number, status: number): void;
  ping(id: number): void;
  goAway(lastGoodStreamId: number, status: number): void;
  /** The far side opens a stream; its headers are not decoded. */
  synStream(streamId: number): void;
}

export interface FrameDecoderOptions {
  /** Longest control frame taken, in bytes. Default 65,536. Nothing of it is stored but the first eight bytes. */
  maxControlLength?: number;
}

export interface FrameDecoder {
  /** Throws PORTFORWARD_PROTOCOL; then the decoder is of no more use. */
  push(chunk: Buffer): void;
}

const MIN_CONTROL_LENGTH: Readonly<Record<number, number>> = {
  [CONTROL.SYN_STREAM]: 10,
  [CONTROL.SYN_REPLY]: 4,
  [CONTROL.RST_STREAM]: 8,
  [CONTROL.PING]: 4,
  [CONTROL.GOAWAY]: 8,
  [CONTROL.HEADERS]: 4,
};

/**
 * Takes bytes in any cut and tells what they say at once: the payload of a data frame is passed on as it arrives, never assembled.
 * Header blocks are skipped (nothing in them is needed), so no compression state exists that could go out of step. Keeps at most
 * sixteen bytes between calls. Types it doesn't know are skipped, as the draft asks.
 */
export function createFrameDecoder(handler: FrameHandler, options: FrameDecoderOptions = {}): FrameDecoder {
  const maxControlLength = options.maxControlLength ?? 65_536;
  const header = Buffer.allocUnsafe(8);
  let headerFill = 0;
  let isData = false;
  let streamId = 0;
  let type = 0;
  let flags = 0;
  /** Bytes of the current frame that are still to come. */
  let remaining = 0;
  const fields = Buffer.allocUnsafe(8);
  let fieldsFill = 0;

  const startFrame = (bytes: Buffer, at: number): void => {
    const word = bytes.readUInt32BE(at);
    const second = bytes.readUInt32BE(at + 4);
    flags = second >>> 24;
    remaining = second & MAX_FRAME_LENGTH;
    isData = word < 0x8000_0000;
    if (isData) {
      streamId = word;
      if (remaining === 0 && flags & FLAG_FIN) handler.end(streamId);
      return;
    }
    const version = (word >>> 16) & 0x7fff;
    if (version !== SPDY_VERSION) {
      throw portForwardError("PORTFORWARD_PROTOCOL", `a control frame of SPDY version ${version} where version 3 was agreed on`);
    }
    type = word & 0xffff;
    fieldsFill = 0;
    if (remaining > maxControlLength || remaining < (MIN_CONTROL_LENGTH[type] ?? 0)) {
      throw portForwardError(
        "PORTFORWARD_PROTOCOL",
        `a control frame of type ${type} has an impossible length of ${remaining} bytes`,
      );
    }
  };

  const finishControl = (): void => {
    const id = fieldsFill >= 4 ? fields.readUInt32BE(0) : 0;
    const stream = (id & MAX_STREAM_ID) >>> 0;
    switch (type) {
      case CONTROL.SYN_STREAM:
        handler.synStream(stream);
        break;
      case CONTROL.SYN_REPLY:
        handler.reply(stream);
        if (flags & FLAG_FIN) handler.end(stream);
        break;
      case CONTROL.HEADERS:
        if (flags & FLAG_FIN) handler.end(stream);
        break;
      case CONTROL.RST_STREAM:
        handler.reset(stream, fields.readUInt32BE(4));
        break;
      case CONTROL.PING:
        handler.ping(id);
        break;
      case CONTROL.GOAWAY:
        handler.goAway(stream, fields.readUInt32BE(4));
        break;
    }
  };

  const takePayload = (chunk: Buffer, at: number): number => {
    const take = Math.min(remaining, chunk.length - at);
    remaining -= take;
    if (isData) {
      handler.data(streamId, take === chunk.length ? chunk : chunk.subarray(at, at + take));
      if (remaining === 0 && flags & FLAG_FIN) handler.end(streamId);
      return take;
    }
    if (fieldsFill < 8) fieldsFill += chunk.copy(fields, fieldsFill, at, at + Math.min(take, 8 - fieldsFill));
    if (remaining === 0) finishControl();
    return take;
  };

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (remaining > 0) {
          at += takePayload(chunk, at);
        } else if (headerFill === 0 && chunk.length - at >= 8) {
          startFrame(chunk, at);
          at += 8;
        } else {
          const take = Math.min(8 - headerFill, chunk.length - at);
          chunk.copy(header, headerFill, at, at + take);
          headerFill += take;
          at += take;
          if (headerFill === 8) {
            headerFill = 0;
            startFrame(header, 0);
          }
        }
      }
    },
  };
}
