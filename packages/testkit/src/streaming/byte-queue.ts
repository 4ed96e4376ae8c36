/** Bytes that arrived and were not looked at yet. Hands out slices; copies only what lies across two chunks and must be whole. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #at = 0;
  length = 0;

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }

  /** Between 1 and `max` bytes that lie together. Only to be called where `length` and `max` are above 0. */
  some(max: number): Buffer {
    const first = this.#chunks[0]!;
    const left = first.length - this.#at;
    if (left <= max) {
      const out = this.#at === 0 ? first : first.subarray(this.#at);
      this.#chunks.shift();
      this.#at = 0;
      this.length -= left;
      return out;
    }
    const out = first.subarray(this.#at, this.#at + max);
    this.#at += max;
    this.length -= max;
    return out;
  }

  /** Exactly `count` bytes, or undefined where there are fewer. */
  exactly(count: number): Buffer | undefined {
    if (this.length < count) return undefined;
    if (count === 0) return Buffer.alloc(0);
    const first = this.some(count);
    if (first.length === count) return first;
    const parts = [first];
    for (let missing = count - first.length; missing > 0; ) {
      const part = this.some(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts, count);
  }

  /** Puts bytes back in front. */
  unshift(chunk: Buffer): void {
    if (this.#at > 0) this.#chunks[0] = this.#chunks[0]!.subarray(this.#at);
    this.#at = 0;
    this.#chunks.unshift(chunk);
    this.length += chunk.length;
  }

  clear(): void {
    this.#chunks = [];
    this.#at = 0;
    this.length = 0;
  }
}
