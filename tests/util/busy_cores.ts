/**
 * Programs that keep the machine busy beside a test.
 *
 * @module
 */

/** One program that computes without end for each core. */
export class BusyCores implements AsyncDisposable {
  readonly #children = Array.from(
    { length: navigator.hardwareConcurrency },
    () =>
      new Deno.Command(Deno.execPath(), {
        args: ["eval", "for (;;);"],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn(),
  );

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map(({ status }) => status));
  }
}
