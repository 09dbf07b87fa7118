/**
 * Texts and bytes as tests write them: one character a byte, unless said
 * otherwise.
 *
 * @module
 */

/** Returns a text's characters as bytes. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Returns bytes as characters. */
export function toLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.byteLength; start += 4_096) {
    text += String.fromCharCode(...bytes.subarray(start, start + 4_096));
  }
  return text;
}

/** Returns all of the chunks in one array. */
export function concat(
  chunks: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}

/** Returns `bytes` cut at the given positions, in order, whatever they are. */
export function cut(
  bytes: Uint8Array<ArrayBuffer>,
  positions: readonly number[],
): Uint8Array<ArrayBuffer>[] {
  const inside = positions.map((position) => position % (bytes.byteLength + 1));
  const edges = [0, ...inside.sort((a, b) => a - b), bytes.byteLength];
  return edges.slice(1).map((edge, index) => bytes.slice(edges[index], edge))
    .filter((part) => part.byteLength > 0);
}
