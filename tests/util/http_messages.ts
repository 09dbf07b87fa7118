/**
 * Requests as values: what they look like on the wire, and what a handler that
 * describes them must answer.
 *
 * @module
 */

import fc from "fast-check";
import type { Handler } from "../../src/http/service.ts";
import { concat, latin1 } from "./http_bytes.ts";

/** How a body is framed. */
export type BodyModel =
  | { kind: "none" }
  | { kind: "length"; bytes: Uint8Array<ArrayBuffer> }
  | {
    kind: "chunked";
    chunks: { bytes: Uint8Array<ArrayBuffer>; extension: string }[];
    trailers: [string, string][];
  };

/** A request. */
export interface RequestModel {
  method: string;
  target: string;
  fields: [string, string][];
  body: BodyModel;
}

/** The describing handler's answer to a request. */
export interface Description {
  method: string;
  url: string;
  fields: [string, string][];
  body: number[];
}

const HOST = "example.com";

/** Returns a request as it is sent. */
export function encodeRequest(
  { method, target, fields, body }: RequestModel,
): Uint8Array<ArrayBuffer> {
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${HOST}`,
    ...fields.map(([name, value]) => `${name}: ${value}`),
    ...framingFields(body),
  ];
  return concat([latin1(`${head.join("\r\n")}\r\n\r\n`), encodeBody(body)]);
}

/** Returns the answer that the describing handler must give. */
export function describe(
  { method, target, fields, body }: RequestModel,
): Description {
  const headers = new Headers([["host", HOST], ...fields]);
  for (const line of framingFields(body)) {
    const [name = "", value = ""] = line.split(": ");
    headers.append(name, value);
  }
  return {
    method,
    url: `http://${HOST}${target}`,
    fields: [...headers],
    // As with Deno.serve, a GET has none for its handler.
    body: method === "GET" ? [] : [...bodyBytes(body)],
  };
}

/** Answers with a description, at once when there is no body to wait for. */
export const describing: Handler = (request) => {
  const { method, url } = request;
  const describe = (body: Uint8Array): Response =>
    Response.json({
      method,
      url,
      fields: [...request.headers],
      body: [...body],
    });
  if (request.body === null) return describe(new Uint8Array(0));
  return request.bytes().then(describe);
};

/** Random requests. */
export function requestModels(): fc.Arbitrary<RequestModel> {
  return fc.record({
    method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "PURGE"),
    target: fc.stringMatching(/^\/[a-z0-9/._-]{0,20}(\?[a-z0-9=&]{0,10})?$/),
    fields: fc.array(
      fc.tuple(
        fc.stringMatching(/^[Xx]-[A-Za-z0-9-]{1,12}$/),
        fc.stringMatching(/^([!-~\xa1-\xff]([ -~\xa1-\xff]{0,20}[!-~])?)?$/),
      ),
      { maxLength: 5 },
    ),
    body: bodyModels(),
  });
}

function bodyModels(): fc.Arbitrary<BodyModel> {
  const bytes = fc.uint8Array({ maxLength: 60 }).map((all) => all.slice());
  const chunk = fc.record({
    bytes: fc.uint8Array({ minLength: 1, maxLength: 20 })
      .map((all) => all.slice()),
    extension: fc.stringMatching(/^(;[a-z]{1,5}(=("[a-z \t]*"|[a-z]+))?)?$/),
  });
  const trailer = fc.tuple(
    fc.stringMatching(/^X-[A-Za-z]{1,8}$/),
    fc.stringMatching(/^[a-z ]{0,10}$/),
  );
  return fc.oneof(
    fc.constant<BodyModel>({ kind: "none" }),
    fc.record({ kind: fc.constant("length" as const), bytes }),
    fc.record({
      kind: fc.constant("chunked" as const),
      chunks: fc.array(chunk, { maxLength: 4 }),
      trailers: fc.array(trailer, { maxLength: 2 }),
    }),
  );
}

function framingFields(body: BodyModel): string[] {
  if (body.kind === "none") return [];
  return body.kind === "length"
    ? [`Content-Length: ${body.bytes.byteLength}`]
    : ["Transfer-Encoding: chunked"];
}

function bodyBytes(body: BodyModel): Uint8Array {
  if (body.kind === "none") return new Uint8Array(0);
  if (body.kind === "length") return body.bytes;
  return concat(body.chunks.map(({ bytes }) => bytes));
}

function encodeBody(body: BodyModel): Uint8Array<ArrayBuffer> {
  if (body.kind !== "chunked") return bodyBytes(body).slice();
  const parts = body.chunks.map(({ bytes, extension }) =>
    concat([
      latin1(`${bytes.byteLength.toString(16)}${extension}\r\n`),
      bytes,
      latin1("\r\n"),
    ])
  );
  const trailers = body.trailers.map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  return concat([...parts, latin1(`0\r\n${trailers}\r\n`)]);
}
