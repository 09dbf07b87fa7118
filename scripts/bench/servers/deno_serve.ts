/**
 * The benchmark's server on `Deno.serve`, with the same handler.
 *
 * @module
 */

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen({ port }) {
    // deno-lint-ignore no-console -- the benchmark reads it
    console.log(`listening on 127.0.0.1:${port}`);
  },
}, () => new Response("Hello, World!"));
