/**
 * nginx as a peer: the routes that it can answer by itself, in one process.
 *
 * nginx cannot choose its port, and does not print it. So the benchmark chooses
 * a port that was free a moment ago, and a shell prints the line and then
 * becomes nginx: the process is nginx's own.
 *
 * @module
 */

import { join } from "node:path";
import { BIG_BYTES, BIG_PERIOD } from "../payloads.ts";
import { need, outputOf, placeOf, type Prepared } from "./tools.ts";

/** More than any scenario opens. nginx makes a record for each at its start. */
const CONNECTIONS_MAX = 32_768;
/** Without a limit: 1000, its default, would close connections under load. */
const KEEPALIVE_REQUESTS = 1_000_000_000;

/** Prints the line, and becomes the rest of its arguments. */
const BECOME = 'echo "listening on 127.0.0.1:$1"; shift; exec "$@"';

/**
 * Returns nginx, if it is installed and takes the configuration.
 *
 * @throws {Failure} with the reason.
 */
export async function nginx(): Promise<Prepared> {
  need("nginx");
  const folder = placeOf("nginx");
  Deno.mkdirSync(join(folder, "files"), { recursive: true });
  const big = Uint8Array.from({ length: BIG_BYTES }, (_, i) => i % BIG_PERIOD);
  Deno.writeFileSync(join(folder, "files", "big"), big);
  const said = await outputOf(["nginx", "-v"]);
  await outputOf([...nginxCommand(folder, freePort()), "-t", "-q"]);
  return {
    version: /nginx\/([\d.]+)/.exec(said)?.[1] ?? said,
    can: ["hello", "big"],
    command() {
      const port = freePort();
      const command = nginxCommand(folder, port);
      return ["sh", "-c", BECOME, "sh", `${port}`, ...command];
    },
  };
}

function nginxCommand(folder: string, port: number): string[] {
  const file = join(folder, "nginx.conf");
  Deno.writeTextFileSync(file, configuration(port));
  return ["nginx", "-e", "stderr", "-p", folder, "-c", file];
}

/**
 * Its defaults, but for what one process on a port of its own needs, no log,
 * connections that last, and the file cache that its guide to tuning names.
 * Paths are relative to its folder: it need not run as root.
 */
function configuration(port: number): string {
  return `daemon off;
master_process off;
pid ${port}.pid;
error_log stderr crit;
events {
  worker_connections ${CONNECTIONS_MAX};
}
http {
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  keepalive_requests ${KEEPALIVE_REQUESTS};
  client_body_temp_path client_body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    root files;
    location = / {
      default_type "text/plain;charset=UTF-8";
      return 200 "Hello, World!";
    }
  }
}
`;
}

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
