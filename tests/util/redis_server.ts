/**
 * A real Redis on a Unix socket, which tests kill and start again.
 *
 * @module
 */

import { lacks } from "./machine.ts";
import { Program } from "./program.ts";
import { SocketFolder } from "./unix_paths.ts";

/** Whether `redis-server` is not installed. */
export const NO_REDIS: boolean = lacks("redis-server", () => {
  try {
    const command = new Deno.Command("redis-server", { args: ["--version"] });
    return command.outputSync().success;
  } catch {
    return false;
  }
});

/** A running `redis-server`, with nothing stored. */
export class RedisServer implements AsyncDisposable {
  /** The path of its socket. */
  readonly path: string;
  readonly #folder = new SocketFolder();
  #program: Program | undefined;

  constructor() {
    this.path = this.#folder.path("redis.sock");
  }

  /** Starts a server, and waits until it accepts connections. */
  static async start(): Promise<RedisServer> {
    const server = new RedisServer();
    await server.start();
    return server;
  }

  /** Starts it, the first time or again. */
  async start(): Promise<void> {
    const options = ["--port", "0", "--unixsocket", this.path, "--save", ""];
    this.#program = new Program(["redis-server", ...options]);
    await this.#program.printed(/eady to accept connections/);
  }

  /** Kills it: its connections break. */
  async kill(): Promise<void> {
    this.#program?.kill("SIGKILL");
    await this.#program?.ended();
    this.#program = undefined;
  }

  /** Stops it without ending its connections, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#program?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#folder[Symbol.dispose]();
  }
}
