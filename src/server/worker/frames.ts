/**
 * Frames on a stream between a group of Workers and a member: a length of four
 * bytes, the kind, and the payload. A topic's frame begins with the topic.
 *
 * Both ends are denio's own, so nothing here is checked as a peer's bytes are.
 *
 * @module
 */

import { ByteQueue } from "../../bytes/byte_queue.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The kinds of frames. */
export const FrameKind = {
  /** A message of the group or the member, in JSON. */
  MESSAGE: 0,
  /** The member has subscribers of a topic. */
  SUBSCRIBED: 1,
  /** The member has no subscriber of a topic any more. */
  UNSUBSCRIBED: 2,
  /** A text for a topic. */
  TEXT: 3,
  /** A binary message for a topic. */
  BINARY: 4,
  /** The member reaches other machines. */
  FORWARDS: 5,
  /** A text for a topic on other machines. */
  FORWARD_TEXT: 6,
  /** A binary message for a topic on other machines. */
  FORWARD_BINARY: 7,
} as const;

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;
const TOPIC_LENGTH_BYTES = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A whole frame: `bytes` from `start` to before `end`. */
export interface Frame {
  /** One of {@linkcode FrameKind}. */
  readonly kind: number;
  /** The array; valid until the receiver returns. */
  readonly bytes: Bytes;
  /** Where the frame starts, with its length. */
  readonly start: number;
  /** Where the frame ends. */
  readonly end: number;
}

/** Returns a frame with a message in JSON. */
export function messageFrame(message: unknown): Bytes {
  const text = encoder.encode(JSON.stringify(message));
  const frame = newFrame(FrameKind.MESSAGE, text.byteLength);
  frame.set(text, HEAD_BYTES);
  return frame;
}

/** Returns a frame of a topic. */
export function topicFrame(
  kind: number,
  topic: string,
  payload: Bytes = new Uint8Array(0),
): Bytes {
  const name = encoder.encode(topic);
  const size = TOPIC_LENGTH_BYTES + name.byteLength;
  const frame = newFrame(kind, size + payload.byteLength);
  frame[HEAD_BYTES] = name.byteLength >>> 8;
  frame[HEAD_BYTES + 1] = name.byteLength;
  frame.set(name, HEAD_BYTES + TOPIC_LENGTH_BYTES);
  frame.set(payload, HEAD_BYTES + size);
  return frame;
}

/** Returns the message of a frame in JSON. */
export function messageOf({ bytes, start, end }: Frame): unknown {
  const text = decoder.decode(bytes.subarray(start + HEAD_BYTES, end));
  return JSON.parse(text);
}

/** Returns the topic of a frame, and where the payload starts. */
export function topicOf(
  { bytes, start }: Frame,
): { topic: string; payload: number } {
  const at = start + HEAD_BYTES;
  const from = at + TOPIC_LENGTH_BYTES;
  const payload = from + (bytes[at]! << 8 | bytes[at + 1]!);
  return { topic: decoder.decode(bytes.subarray(from, payload)), payload };
}

/** Returns a function for the bytes of a stream, which receives its frames. */
export function frameReader(
  receive: (frame: Frame) => void,
): (bytes: Bytes, start: number, end: number) => void {
  const rest = new ByteQueue();
  return (bytes, start, end) => {
    if (rest.byteLength === 0) {
      const at = readFrames(bytes, { start, end, receive });
      rest.push(bytes, at, end);
      return;
    }
    rest.push(bytes, start, end);
    const joined = rest.joined();
    const range = { start: 0, end: joined.byteLength, receive };
    rest.shift(readFrames(joined, range));
  };
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly receive: (frame: Frame) => void;
}

/** Receives the whole frames in a range; returns where the rest starts. */
function readFrames(bytes: Bytes, { start, end, receive }: Range): number {
  while (end - start >= HEAD_BYTES) {
    const stop = start + HEAD_BYTES + lengthAt(bytes, start);
    if (stop > end) break;
    receive({ kind: bytes[start + LENGTH_BYTES]!, bytes, start, end: stop });
    start = stop;
  }
  return start;
}

function lengthAt({ buffer, byteOffset }: Bytes, at: number): number {
  return new DataView(buffer, byteOffset + at, LENGTH_BYTES).getUint32(0);
}

/** Returns a frame with room for so many bytes of payload. */
function newFrame(kind: number, length: number): Bytes {
  const frame = new Uint8Array(HEAD_BYTES + length);
  new DataView(frame.buffer).setUint32(0, length);
  frame[LENGTH_BYTES] = kind;
  return frame;
}
