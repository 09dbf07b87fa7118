import { assertEquals } from "@std/assert";
import {
  BINARY,
  CONTINUATION,
  FIN,
  PING,
  RSV1,
  TEXT,
} from "../../src/websocket/frames.ts";
import {
  SMALL_PAYLOAD_MAX,
  smallFrameBytes,
  smallMessage,
} from "../../src/websocket/small_read.ts";
import { maskedFrame } from "../util/websocket_frames.ts";

Deno.test("smallMessage() takes whole messages of any small length, at any place", () => {
  for (let length = 0; length <= SMALL_PAYLOAD_MAX; length++) {
    const payload = Uint8Array.from({ length }, (_, index) => 3 * index + 1);
    const text = "~ aZ".repeat(32).slice(0, length);
    for (
      const [first, sent, message] of [
        [FIN | BINARY, payload, payload],
        [FIN | TEXT, text, text],
      ] as const
    ) {
      const isLent = length % 2 === 0;
      const frame = maskedFrame(first, sent);
      const bytes = new Uint8Array(200).fill(0x82);
      const start = length % 9;
      const end = start + frame.byteLength;
      bytes.set(frame, start);
      assertEquals(smallMessage(bytes, start, bytes.length, isLent), message);
      assertEquals(start + smallFrameBytes(bytes, start), end);
      assertEquals(bytes.subarray(start, end), frame, "the bytes stay");
      for (let cut = start; cut < end; cut++) {
        assertEquals(smallMessage(bytes, start, cut, isLent), undefined);
      }
    }
  }
});

Deno.test("smallMessage() leaves all else to native code", () => {
  const unmasked = Uint8Array.of(FIN | BINARY, 3, 1, 2, 3, 4, 5, 6, 7);
  for (
    const frame of [
      maskedFrame(TEXT, "begins"),
      maskedFrame(FIN | CONTINUATION, "ends"),
      maskedFrame(FIN | RSV1 | TEXT, "compressed"),
      maskedFrame(FIN | PING, "ping"),
      maskedFrame(FIN | TEXT, "naïve"),
      maskedFrame(FIN | TEXT, "a".repeat(64) + "é"),
      maskedFrame(FIN | BINARY, new Uint8Array(SMALL_PAYLOAD_MAX + 1)),
      unmasked,
    ]
  ) assertEquals(smallMessage(frame, 0, frame.length, false), undefined);
});

Deno.test("smallMessage() gives a message bytes of its own, unless it is lent", () => {
  for (const isLent of [false, true]) {
    const [one, two] = [Uint8Array.of(1, 2), Uint8Array.of(3, 4)]
      .map((bytes) => maskedFrame(FIN | BINARY, bytes))
      .map((frame) => smallMessage(frame, 0, frame.length, isLent));
    assertEquals(two, Uint8Array.of(3, 4));
    assertEquals(one, isLent ? Uint8Array.of(3, 4) : Uint8Array.of(1, 2));
    if (!isLent) assertEquals((one as Uint8Array).buffer.byteLength, 2);
  }
});
