/**
 * Chromium, for tests that look into pages and act on them.
 *
 * @module
 */

import { assert } from "@std/assert";
import { lacks } from "./machine.ts";
import { Program } from "./program.ts";
import { within } from "./waiting.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** The height of all screens. */
const HEIGHT = 800;

/** What the browser needs to know of keys. */
const KEYS = {
  Enter: { windowsVirtualKeyCode: 13, text: "\r" },
  ArrowRight: { windowsVirtualKeyCode: 39 },
};

/** The name of a browser that is there. */
const browser: string | undefined = NAMES.find((name) => {
  try {
    const args = ["--version"];
    return new Deno.Command(name, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
});

/** Whether there is none. */
export const NO_BROWSER: boolean = lacks("Chromium", () => !!browser);

/** What the browser says: an answer has the number of its command. */
interface Said {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** A running Chromium, driven by its DevTools protocol. */
export class Browser implements AsyncDisposable {
  readonly #program: Program;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #count = 0;

  private constructor(program: Program, folder: string, socket: WebSocket) {
    this.#program = program;
    this.#folder = folder;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
  }

  /** Starts one, without a window. */
  static async start(): Promise<Browser> {
    const folder = await Deno.makeTempDir();
    const program = new Program([
      ...[browser!, "--headless", "--no-sandbox", "--disable-gpu"] as const,
      ...[`--user-data-dir=${folder}`, "--remote-debugging-port=0"],
      // Each page runs as if it were the one that the user looks at.
      ...["--disable-background-timer-throttling", "--hide-scrollbars"],
      ...["--disable-renderer-backgrounding", "about:blank"],
    ]);
    const [, url] = await program.complained(/DevTools listening on (\S+)/);
    const socket = new WebSocket(url!);
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    await within(opened.promise, "the browser's WebSocket");
    return new Browser(program, folder, socket);
  }

  /** Opens a page for a user of its own: it shares no storage with others. */
  async open(url: string, width = 1280): Promise<Page> {
    const { browserContextId } = await this.ask<{ browserContextId: string }>(
      "Target.createBrowserContext",
    );
    const { targetId } = await this.ask<{ targetId: string }>(
      "Target.createTarget",
      { url: "about:blank", browserContextId },
    );
    const { sessionId } = await this.ask<{ sessionId: string }>(
      "Target.attachToTarget",
      { targetId, flatten: true },
    );
    const page = new Page(this, sessionId);
    await page.ask("Emulation.setDeviceMetricsOverride", {
      ...{ width, height: HEIGHT, deviceScaleFactor: 1, mobile: false },
    });
    await page.ask("Page.navigate", { url });
    await page.until("document.readyState === 'complete'");
    return page;
  }

  /** Sends a command, to a page when its session is given. */
  async ask<T>(method: string, params = {}, sessionId?: string): Promise<T> {
    const id = ++this.#count;
    const asked = Promise.withResolvers<unknown>();
    this.#asked.set(id, asked);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    const what = `${method} ${JSON.stringify(params)}`;
    return await within(asked.promise, what) as T;
  }

  /** Ends it, with all its pages. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#socket.onclose = () => closed.resolve();
    await this.ask("Browser.close");
    await within(closed.promise, "the browser's WebSocket to close");
    await this.#program.ended();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #hear({ id, result, error }: Said): void {
    const asked = this.#asked.get(id ?? 0);
    if (asked === undefined) return;
    this.#asked.delete(id!);
    if (error === undefined) asked.resolve(result);
    else asked.reject(new Error(error.message));
  }
}

/** A page in the browser. */
export class Page {
  readonly #browser: Browser;
  readonly #session: string;

  /** Only for {@linkcode Browser.open}. */
  constructor(browser: Browser, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  /** Sends a command of the DevTools protocol. */
  ask<T>(method: string, params = {}): Promise<T> {
    return this.#browser.ask(method, params, this.#session);
  }

  /** Runs an expression in the page, and returns its value. */
  async run<T>(expression: string): Promise<T> {
    const options = { awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.ask<
      { result: { value: T }; exceptionDetails?: unknown }
    >("Runtime.evaluate", { expression, ...options });
    assert(exceptionDetails === undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    await this.run(`new Promise((resolve) => {
      const look = () => (${expression}) ? resolve() : setTimeout(look, 5);
      look();
    })`);
  }

  /** Types a text into what has the focus. */
  async type(text: string): Promise<void> {
    await this.ask("Input.insertText", { text });
  }

  /** Presses a key of this name, and lets it go. */
  async press(key: keyof typeof KEYS): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) {
      const options = { type, key, code: key, ...KEYS[key] };
      await this.ask("Input.dispatchKeyEvent", options);
    }
  }
}
