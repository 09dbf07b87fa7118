/**
 * Tables of what a standard demands: bytes in, and what must become of them.
 *
 * A row is a test. A second request follows the bytes of each, so that a row
 * that is refused shows that nothing after it is taken for a request, and one
 * that is served that the connection goes on where the request ended.
 *
 * @module
 */

import { assertEquals, assertObjectMatch } from "@std/assert";
import type { ServeOptions } from "../../src/server/http_server.ts";
import { cleanTest } from "./clean_tests.ts";
import type { RawClient } from "./http_client.ts";
import { TestServer } from "./http_server.ts";
import { head, HOST } from "./requests.ts";

/** Where the request that follows each row goes. */
const PROBE_PATH = "/after-the-row";
const PROBE = head(`GET ${PROBE_PATH} HTTP/1.1`, HOST);

/** The parts of a request as a handler read them. */
export interface Seen {
  /** The method. */
  readonly method: string;
  /** The URL. */
  readonly url: string;
  /** The fields, as `Headers` gives them out. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as text, or the name of the error that reading it threw. */
  readonly body: string;
}

/** The expected result of a row's bytes. */
export interface Outcome {
  /** The statuses of the answers, in order. */
  readonly statuses: readonly number[];
  /** Whether the connection may be used again. */
  readonly stays: boolean;
  /** The requests that the handler saw, as far as they matter. */
  readonly saw: readonly Partial<Seen>[];
}

/** The rule's place, what the bytes are, the bytes, and what must become of them. */
export type Row = readonly [
  rule: string,
  name: string,
  bytes: string,
  outcome: Outcome,
];

/** One answer with `status`, and the connection is closed. */
export function refused(status: number): Outcome {
  return { statuses: [status], stays: false, saw: [] };
}

/** An answer for each request, and the connection goes on. */
export function served(...saw: Partial<Seen>[]): Outcome {
  const requests = saw.length === 0 ? [{}] : saw;
  return { statuses: requests.map(() => 200), stays: true, saw: requests };
}

/** An answer for each request, and the connection is closed. */
export function servedLast(...saw: Partial<Seen>[]): Outcome {
  return { ...served(...saw), stays: false };
}

/** Registers a test for each row. */
export function wireTests(
  rows: readonly Row[],
  options: ServeOptions = {},
): void {
  for (const [rule, name, bytes, outcome] of rows) {
    cleanTest(
      `server ${described(outcome)}, when it gets ${name} (${rule})`,
      () => runRow(bytes, outcome, options),
    );
  }
}

function described({ statuses, stays }: Outcome): string {
  return `answers ${statuses.join(" and ")} and ${
    stays ? "goes on" : "closes"
  }`;
}

async function runRow(
  bytes: string,
  outcome: Outcome,
  options: ServeOptions,
): Promise<void> {
  const saw: Seen[] = [];
  await using test = new TestServer(async (request) => {
    saw.push(await seen(request));
    return new Response("served");
  }, options);
  const client = await test.connect();
  await client.send(bytes + PROBE);
  const method = /^[A-Z]+/.exec(bytes)?.[0] ?? "GET";
  assertEquals(await statusesOf(client, outcome, method), [
    ...outcome.statuses,
    ...outcome.stays ? [200] : [],
  ]);
  if (outcome.stays) {
    const probe = saw.pop();
    assertEquals(probe && new URL(probe.url).pathname, PROBE_PATH);
  }
  assertEquals(saw.length, outcome.saw.length);
  outcome.saw.forEach((wanted, index) =>
    assertObjectMatch({ ...saw[index] }, { ...wanted })
  );
}

/** Reads the expected answers, and the end where there must be one. */
async function statusesOf(
  client: RawClient,
  { statuses, stays }: Outcome,
  method: string,
): Promise<number[]> {
  if (!stays) {
    const answers = await client.rest(method);
    assertEquals(answers.at(-1)?.get("connection"), "close");
    return answers.map(({ status }) => status);
  }
  const found: number[] = [];
  while (found.length < statuses.length + 1) {
    const { status } = await client.answer(
      found.length === 0 ? method : "GET",
    );
    found.push(status);
  }
  return found;
}

async function seen(request: Request): Promise<Seen> {
  const { method, url } = request;
  const headers = Object.fromEntries(request.headers);
  try {
    return { method, url, headers, body: await request.text() };
  } catch (error) {
    return { method, url, headers, body: (error as Error).name };
  }
}
