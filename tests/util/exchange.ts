/**
 * Rows of bytes and of what must come back, each a test on a socket.
 *
 * A request follows every row, so that a row shows whether the connection goes
 * on behind it, at the right byte, or whether nothing behind it is acted on.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import type { ServeOptions } from "../../src/server/http_server.ts";
import { cleanTest } from "./clean_tests.ts";
import type { Answer } from "./http_answers.ts";
import { latin1 } from "./http_bytes.ts";
import { TestServer } from "./http_server.ts";
import { Peer } from "./http_transport.ts";
import { get } from "./requests.ts";

/** One demand, and bytes that show whether it is met. */
export interface Row {
  /** Where the demand stands. */
  readonly rule: string;
  /** What the server does, when. */
  readonly demand: string;
  /** The bytes, one character each. */
  readonly sent: string;
  /** The statuses of the answers to them. */
  readonly statuses: readonly number[];
  /** Whether the connection goes on. */
  readonly goesOn: boolean;
  /** What the handler saw, as {@linkcode telling} writes it. */
  readonly saw?: readonly string[];
}

/** Follows each row. */
export const NEXT: string = get("/next");
const SAW_NEXT = "GET /next ";

/** Returns a handler that reads the body and writes down what it got. */
export function telling(saw: string[]): Handler {
  return async (request) => {
    const { pathname } = new URL(request.url);
    const line = `${request.method} ${pathname} ${await request.text()}`;
    saw.push(line);
    return new Response(line);
  };
}

/** Registers a test for each row. */
export function exchangeTests(
  rows: readonly Row[],
  options: ServeOptions = {},
): void {
  for (const row of rows) {
    cleanTest(`server ${row.demand} (${row.rule})`, async () => {
      const saw: string[] = [];
      await using test = new TestServer(telling(saw), options);
      const client = await test.connect();
      await client.send(row.sent + NEXT);
      if (!row.goesOn) {
        return check(row, await client.rest(...methodsOf(row)), saw);
      }
      const answers: Answer[] = [];
      const methods = [...methodsOf(row), "GET"];
      for (const method of methods) answers.push(await client.answer(method));
      check(row, answers, saw);
    });
  }
}

/** Registers a test for each row that has it come in any two parts. */
export function splitTests(rows: readonly Row[]): void {
  for (const row of rows) {
    const name = `connection ${row.demand}, wherever that is split`;
    Deno.test(`${name} (${row.rule})`, async () => {
      const bytes = latin1(row.sent + NEXT);
      const single = [...bytes].map((byte) => Uint8Array.of(byte));
      await checkParts(row, single);
      for (let at = 1; at < row.sent.length; at++) {
        await checkParts(row, [bytes.slice(0, at), bytes.slice(at)]);
      }
    });
  }
}

async function checkParts(
  row: Row,
  parts: Uint8Array<ArrayBuffer>[],
): Promise<void> {
  const saw: string[] = [];
  const peer = new Peer(telling(saw)).send(...parts);
  check(row, await peer.answers(...methodsOf(row)), saw);
  const closing = row.goesOn ? undefined : "closeLingering";
  assertEquals(peer.transport.closing, closing);
  assertEquals(peer.work, 0);
}

function check(row: Row, answers: Answer[], saw: string[]): void {
  const next = row.goesOn ? [200] : [];
  assertEquals(answers.map(({ status }) => status), [...row.statuses, ...next]);
  if (row.goesOn) assertEquals(saw.pop(), SAW_NEXT);
  else assertEquals(answers.at(-1)?.get("connection"), "close");
  assertEquals(saw, row.saw ?? []);
}

/** The methods that were answered: a refused one is known by its row. */
function methodsOf({ sent, statuses, saw = [] }: Row): string[] {
  const first = sent.slice(0, sent.indexOf(" "));
  return statuses.map((_, index) =>
    saw[index]?.slice(0, saw[index].indexOf(" ")) ??
      (index === 0 ? first : "GET")
  );
}
