import { assertEquals } from "@std/assert";
import {
  ASCII,
  BEGIN,
  BINARY,
  CLOSE,
  COMPRESSED,
  COMPRESSION,
  CONTINUATION,
  END,
  FAILURE,
  failureReason,
  FIN,
  HEAD_BYTES_MAX,
  headBytes,
  KIND_MASK,
  MASKED,
  parseFrames,
  PING,
  PROGRESS_WORDS,
  ROW_CODE,
  ROW_END,
  ROW_START,
  ROW_WORDS,
  RSV1,
  STATE_CONSUMED,
  STATE_FRAGMENTS_MAX,
  STATE_MESSAGE_MAX,
  STATE_PROGRESS,
  STATE_SETTINGS,
  STATE_WORDS,
  TEXT,
  writeHead,
} from "../../src/websocket/frames.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";

const BEFORE = 3;

/** A state of a server: 16 MiB a message, 1000 fragments. */
function newState(settings = MASKED): Uint32Array<ArrayBuffer> {
  const state = new Uint32Array(STATE_WORDS);
  state[STATE_SETTINGS] = settings;
  state[STATE_MESSAGE_MAX] = 1 << 24;
  state[STATE_FRAGMENTS_MAX] = 1000;
  return state;
}

/** Rows with their bytes as text, of frames that do not begin the buffer. */
function parse(
  frames: readonly Uint8Array[],
  state = newState(),
): { kind: number; text: string; code: number }[] {
  const size = frames.reduce((sum, frame) => sum + frame.length, BEFORE);
  const bytes = new Uint8Array(size);
  frames.reduce((at, frame) => {
    bytes.set(frame, at);
    return at + frame.length;
  }, BEFORE);
  const table = new Uint32Array(16 * ROW_WORDS);
  const rows = parseFrames(bytes, BEFORE, size, state, table);
  return Array.from({ length: rows }, (_, row) => {
    const words = table.subarray(ROW_WORDS * row, ROW_WORDS * (row + 1));
    const kind = words[0]!;
    const [start, end] = [words[ROW_START]!, words[ROW_END]!];
    const text = (kind & KIND_MASK) === FAILURE
      ? failureReason(start)
      : new TextDecoder().decode(bytes.subarray(start, end));
    return { kind, text, code: words[ROW_CODE]! };
  });
}

Deno.test("parseFrames() gives a row for each frame, when many come at once", () => {
  const state = newState(MASKED | COMPRESSION);
  const rows = parse([
    maskedFrame(FIN | TEXT, "hello"),
    maskedFrame(FIN | TEXT, "é"),
    maskedFrame(BINARY, "one "),
    maskedFrame(FIN | PING, "ping"),
    maskedFrame(FIN | CONTINUATION, "two"),
    maskedFrame(FIN | RSV1 | TEXT, "squeezed"),
    maskedClose(1001, "bye"),
  ], state);
  assertEquals(rows, [
    { kind: TEXT | BEGIN | END | ASCII, text: "hello", code: 0 },
    { kind: TEXT | BEGIN | END, text: "é", code: 0 },
    { kind: BINARY | BEGIN, text: "one ", code: 0 },
    { kind: PING, text: "ping", code: 0 },
    { kind: BINARY | END, text: "two", code: 0 },
    { kind: TEXT | BEGIN | END | COMPRESSED, text: "squeezed", code: 0 },
    { kind: CLOSE, text: "bye", code: 1001 },
  ]);
});

Deno.test("parseFrames() tells each failure with its code and reason, when it was there before", () => {
  const cases: [frames: Uint8Array[], code: number, reason: string][] = [
    [[maskedFrame(FIN | RSV1 | TEXT, "a")], 1002, "Reserved bits are set"],
    [[maskedFrame(FIN | 3, "")], 1002, "Unknown opcode"],
    [[maskedFrame(PING, "")], 1002, "Fragmented control frame"],
    [
      [maskedFrame(FIN | PING, new Uint8Array(126))],
      1002,
      "Control frame too long",
    ],
    [[Uint8Array.of(FIN | TEXT, 0)], 1002, "Frame not masked"],
    [[Uint8Array.of(FIN | TEXT, 0xfe, 0, 125)], 1002, "Malformed length"],
    [[maskedFrame(FIN, "a")], 1002, "No message to continue"],
    [
      [maskedFrame(TEXT, ""), maskedFrame(TEXT, "")],
      1002,
      "Message inside another",
    ],
    [[maskedFrame(FIN | CLOSE, "a")], 1002, "Close frame of one byte"],
    [[maskedClose(1005, "")], 1002, "Close code not allowed"],
    [
      [maskedFrame(TEXT, Uint8Array.of(0xed, 0xa0))],
      1007,
      "Text is not UTF-8",
    ],
    [
      [maskedFrame(FIN | CLOSE, Uint8Array.of(3, 232, 0xff))],
      1007,
      "Close reason is not UTF-8",
    ],
    [
      Array(1001).fill(maskedFrame(TEXT, "")).map((frame, index) =>
        index === 0 ? frame : maskedFrame(CONTINUATION, "")
      ),
      1008,
      "Too many fragments",
    ],
    [
      [Uint8Array.of(FIN | BINARY, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 1, 2, 3, 4)],
      1009,
      "Message too long",
    ],
  ];
  for (const [frames, code, reason] of cases) {
    assertEquals(parse(frames), [{ kind: FAILURE, text: reason, code }]);
  }
  const masked = newState(0);
  assertEquals(parse([maskedFrame(FIN | TEXT, "")], masked), [
    { kind: FAILURE, text: "Frame masked", code: 1002 },
  ]);
});

Deno.test("parseFrames() keeps a message's progress, when its frame is not whole", () => {
  const state = newState();
  const frame = maskedFrame(FIN | TEXT, "hello");
  const consumed = (part: Uint8Array, rows: unknown) => {
    assertEquals(parse([part], state), rows);
    return state[STATE_CONSUMED];
  };
  assertEquals(consumed(frame.slice(0, 5), []), 0);
  const first = [{ kind: TEXT | BEGIN | ASCII, text: "he", code: 0 }];
  assertEquals(consumed(frame.slice(0, 8), first), 8);
  assertEquals(state[STATE_PROGRESS] === 0, false);
  const last = [{ kind: TEXT | END | ASCII, text: "llo", code: 0 }];
  assertEquals(consumed(frame.slice(8), last), 3);
  const progress = state.slice(STATE_PROGRESS, STATE_PROGRESS + PROGRESS_WORDS);
  assertEquals(progress, new Uint32Array(PROGRESS_WORDS));
});

Deno.test("parseFrames() takes what the table has rows for, when it is full", () => {
  const state = newState();
  const frame = maskedFrame(FIN | BINARY, "a");
  const table = new Uint32Array(ROW_WORDS);
  const bytes = Uint8Array.of(...frame, ...frame);
  assertEquals(parseFrames(bytes, 0, bytes.length, state, table), 1);
  assertEquals(state[STATE_CONSUMED], frame.length);
});

Deno.test("writeHead() writes the shortest head, when a payload has any length", () => {
  const state = newState(0);
  state[STATE_MESSAGE_MAX] = 0xffff_ffff;
  const table = new Uint32Array(ROW_WORDS);
  const lengths = [0, 1, 125, 126, 255, 65_535, 65_536, 16_777_217];
  for (const length of lengths) {
    const bytes = new Uint8Array(1 + HEAD_BYTES_MAX + length).fill(0xaa);
    const start = writeHead(bytes, 1, FIN | BINARY, length);
    assertEquals(start, 1 + headBytes(length));
    assertEquals(parseFrames(bytes, 1, start + length, state, table), 1);
    const row = [BINARY | BEGIN | END, start, start + length, 0];
    assertEquals([...table], row, `${length}`);
  }
  // Beyond what a parse can hold, the length alone is looked at.
  const head = new Uint8Array(HEAD_BYTES_MAX);
  writeHead(head, 0, FIN | BINARY, 2 ** 40 + 5);
  assertEquals([...head], [FIN | BINARY, 127, 0, 0, 1, 0, 0, 0, 0, 5]);
});
