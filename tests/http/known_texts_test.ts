/** Texts that are decoded once: always those of the bytes that are there now. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { textOf, urlTextOf } from "../../src/http/h1/known_texts.ts";
import { concat, latin1, toLatin1 } from "../util/http_bytes.ts";

/** Longer than any text that is known. */
const LONG = 200;
/** What follows a target at the least. */
const BEHIND = " HTTP/1.1\n\n";

/** Bytes of a head: all but NUL. */
const BYTES = fc.uint8Array({ min: 1, max: 255, maxLength: LONG });

Deno.test("textOf() returns the bytes as characters, when texts are alike", () => {
  fc.assert(
    fc.property(BYTES, fc.nat(LONG), (part, at) => {
      const bytes = new Uint8Array(part);
      const { byteLength } = bytes;
      for (let round = 0; round < 3; round++) {
        assertEquals(textOf(bytes, 0, byteLength), toLatin1(bytes));
      }
      // The same place, with another byte there.
      if (byteLength === 0) return;
      bytes[at % byteLength]! ^= 2;
      assertEquals(textOf(bytes, 0, byteLength), toLatin1(bytes));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("textOf() returns the bytes between its positions, anywhere in an array", () => {
  const words = Array.from({ length: 600 }, (_, index) => {
    return `${index % 300}`.padStart(7 + index % 130, "word");
  });
  const bytes = latin1(words.join(""));
  let at = 0;
  for (const word of words) {
    assertEquals(textOf(bytes, at, at + word.length), word);
    at += word.length;
  }
  assertEquals(textOf(bytes, at, at), "");
});

Deno.test("textOf() returns the new text, when the bytes of an array are overwritten", () => {
  const texts = ["Mozilla/5.0 (X11)", "Mozilla/5.0 (X12)", "Mozilla/6.0 (X12)"];
  const bytes = new Uint8Array(texts[0]!.length);
  for (const text of [...texts, ...texts, ...texts.toReversed()]) {
    bytes.set(latin1(text));
    assertEquals(textOf(bytes, 0, bytes.byteLength), text);
  }
});

Deno.test("textOf() returns each text, when bytes are no numbers", () => {
  for (const character of ["\xff", "\x80", "\x7f", "\xf0"]) {
    const bytes = latin1(character.repeat(64));
    for (let round = 0; round < 3; round++) {
      assertEquals(textOf(bytes, 0, 64), character.repeat(64));
    }
  }
});

Deno.test("urlTextOf() returns the URL, when origins and targets change", () => {
  const target = fc.string({
    unit: fc.constantFrom(..."/?ab%=\x21\x7e"),
    maxLength: 60,
  });
  const authority = fc.constantFrom("a", "localhost:8000", "b.example.com");
  const scheme = fc.constantFrom("http", "http+unix");
  fc.assert(
    fc.property(scheme, authority, target, (scheme, authority, rest) => {
      const target = `/${rest}`;
      const before = "GET ";
      const bytes = concat([latin1(before + target + BEHIND)]);
      const [start, end] = [before.length, before.length + target.length];
      const urls = [1, 2, 3].map(() =>
        urlTextOf(scheme, authority, bytes, start, end)
      );
      const url = `${scheme}://${authority}${target}`;
      assertEquals(urls, [url, url, url]);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("urlTextOf() returns the same string, when a URL is asked for again", () => {
  const bytes = latin1("/path" + BEHIND);
  const urlOf = () => urlTextOf("http", "example.com", bytes, 0, 5);
  assertStrictEquals(urlOf(), urlOf());
});

Deno.test("urlTextOf() returns nothing, when the URL is too long to be known", () => {
  const origin = "http://a".length;
  for (const length of [127, 128, 129, 10_000]) {
    const target = "/".repeat(length - origin);
    const bytes = latin1(target + BEHIND);
    const url = urlTextOf("http", "a", bytes, 0, target.length);
    assertEquals(url, length > 128 ? undefined : `http://a${target}`);
  }
  const host = "a".repeat(1_000);
  assertEquals(urlTextOf("http", host, latin1("/" + BEHIND), 0, 1), undefined);
});
