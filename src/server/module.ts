/**
 * Loads the module that is to be served.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Observer, observerOf } from "../http/observer.ts";
import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";

/** A scheme and not a Windows drive. */
const URL_START = /^[a-z][a-z0-9+.-]+:/i;
/** Where an error was thrown, as stack traces say it: spaces and all. */
const PLACE = /file:\/\/.+?:\d+:\d+/g;

/** What a module serves with. */
export interface Served {
  /** The `fetch` of its default export. */
  readonly handler: Handler<ServeAddress>;
  /** The `observer` of its default export, if there is one. */
  readonly observer: Observer | undefined;
}

/**
 * Imports a module and returns what its default export has.
 *
 * @param specifier A URL, or a path from `folder`.
 * @throws {Error} when it is missing, throws, or has no such export.
 * @throws {TypeError} when its `observer` is none.
 */
export async function loadServed(
  specifier: string,
  folder: string,
): Promise<Served> {
  const url = URL_START.test(specifier)
    ? specifier
    : pathToFileURL(resolve(folder, specifier)).href;
  const { default: served } = await load(url, specifier);
  if (!hasFetch(served)) {
    throw new Error(
      `Cannot serve "${specifier}": it has no "export default { fetch }"`,
    );
  }
  return {
    // Called as a method: it may use `this`.
    handler: (request, info) => served.fetch(request, info),
    observer: observerOf(served.observer),
  };
}

async function load(
  url: string,
  specifier: string,
): Promise<{ default?: unknown }> {
  try {
    return await import(url);
  } catch (error) {
    throw new Error(`Cannot load "${specifier}": ${describe(error)}`, {
      cause: error,
    });
  }
}

/** The message and where it came from, since no stack trace is printed. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return `it threw "${String(error)}"`;
  const [message] = error.message.split("\n");
  const here = new URL(".", import.meta.url).href;
  const place = `${error.message}\n${error.stack}`.match(PLACE)
    ?.find((place) => !place.startsWith(here));
  return place === undefined || message!.includes(place)
    ? message!
    : `${message} (${place})`;
}

function hasFetch(
  value: unknown,
): value is { fetch: Handler<ServeAddress>; observer?: unknown } {
  return typeof (value as { fetch?: unknown } | null | undefined)?.fetch ===
    "function";
}
