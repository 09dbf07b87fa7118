/**
 * Loads the module that a Worker serves.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Observer, observerOf } from "../http/observer.ts";
import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import { adapterOf, type TopicAdapter } from "../websocket/adapter.ts";
import { upgradeRequired, type WebSockets } from "./web_sockets.ts";

/** A URL's scheme, and no Windows drive. */
const URL_START = /^[a-z][a-z0-9+.-]+:/i;
/** A position in a stack trace, which may contain spaces. */
const POSITION = /file:\/\/.+?:\d+:\d+/g;

/** The handler and the observer of a module. */
export interface Served {
  /** The `fetch` of its default export; 426 when it has WebSockets only. */
  readonly handler: Handler<ServeAddress>;
  /** The `observer` of its default export, if there is one. */
  readonly observer: Observer | undefined;
  /** The `websocket` of its default export, if there is one. */
  readonly websocket: WebSockets | undefined;
  /** The `topics` of its default export, if there are any. */
  readonly topics: TopicAdapter | undefined;
}

/**
 * Imports a module, and returns the handlers and the observer of its default
 * export.
 *
 * @param specifier A URL, or a path from `folder`.
 * @throws {Error} when the module is missing, throws, or exports neither `fetch`
 * nor `websocket`.
 * @throws {TypeError} when its `observer` is no observer, or its `topics` are
 * no adapter.
 */
export async function loadServed(
  specifier: string,
  folder: string,
): Promise<Served> {
  const url = URL_START.test(specifier)
    ? specifier
    : pathToFileURL(resolve(folder, specifier)).href;
  const { default: served } = await load(url, specifier);
  if (!hasHandlers(served)) {
    throw new Error(
      `Cannot serve "${specifier}": it has no "export default { fetch }", and ` +
        "no websocket either",
    );
  }
  return {
    // A method call, since `fetch` may use `this`.
    handler: served.fetch === undefined
      ? upgradeRequired
      : (request, info) => served.fetch!(request, info),
    observer: observerOf(served.observer),
    websocket: served.websocket,
    topics: adapterOf(served.topics),
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

/** Returns the message with the position: no stack trace is printed. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return `it threw "${String(error)}"`;
  const [message] = error.message.split("\n");
  const here = new URL(".", import.meta.url).href;
  const position = `${error.message}\n${error.stack}`.match(POSITION)
    ?.find((position) => !position.startsWith(here));
  return position === undefined || message!.includes(position)
    ? message!
    : `${message} (${position})`;
}

/** What a module may export, as far as it was checked. */
interface Exported {
  readonly fetch?: Handler<ServeAddress>;
  readonly observer?: unknown;
  readonly websocket?: WebSockets;
  readonly topics?: unknown;
}

function hasHandlers(value: unknown): value is Exported {
  const { fetch, websocket } = (value ?? {}) as Record<string, unknown>;
  return fetch === undefined
    ? websocket !== undefined && websocket !== null
    : typeof fetch === "function";
}
