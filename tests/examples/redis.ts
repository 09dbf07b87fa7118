/**
 * A small Redis: strings, counters and expiry, for `redis-cli` and
 * `redis-benchmark`.
 *
 * `deno run -A tests/examples/redis.ts 6380`
 *
 * @module
 */

import {
  type FiberConnection,
  Fibers,
  type FiberServer,
  Reactor,
} from "../../mod.ts";
import {
  bytesOf,
  type Command,
  CommandReader,
  latin1,
  ProtocolError,
  Replies,
} from "./redis_protocol.ts";
import { Store } from "./redis_store.ts";

/** Milliseconds between searches for expired keys: Redis' `hz` of 10. */
const SWEEP_MS = 100;
/** Replies are sent when they have this many bytes, though commands wait. */
const REPLY_BYTES_MAX = 65_536;
const INTEGER_MAX = 2n ** 63n - 1n;
const INTEGER_MIN = -(2n ** 63n);
const NOT_AN_INTEGER = "ERR value is not an integer or out of range";
const SYNTAX_ERROR = "ERR syntax error";

/** Where to serve. */
export interface RedisOptions {
  /** From 0 to 65535; for 0 the system chooses a port. */
  readonly port: number;
  /** An address or a name; `127.0.0.1` when left out. */
  readonly hostname?: string;
  /** The reactor; this thread's shared one when left out. */
  readonly reactor?: Reactor;
}

/** Runs a server. */
export function redis(
  { port, hostname = "127.0.0.1", reactor = Reactor.shared }: RedisOptions,
): FiberServer {
  const fibers = new Fibers(reactor);
  const store = new Store();
  const server = fibers.serve(
    { hostname, port, name: "redis" },
    (connection) => serve(connection, store),
  );
  const sweeper = fibers.spawn(async (fiber) => {
    for (;;) {
      await fiber.sleep(SWEEP_MS);
      store.sweep();
    }
  }, { name: "redis/sweeper" });
  server.finished.then(() => sweeper.cancel());
  return server;
}

/** Answers a connection's commands: those of a chunk by one write. */
async function serve(connection: FiberConnection, store: Store): Promise<void> {
  const reader = new CommandReader();
  const session = new Session(store);
  const { replies } = session;
  for await (const chunk of connection) {
    reader.push(chunk);
    try {
      for (let next = reader.next(); next; next = reader.next()) {
        session.run(next);
        if (session.isOver) break;
        if (replies.byteLength < REPLY_BYTES_MAX) continue;
        await connection.write(replies.take());
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      replies.error(`ERR Protocol error: ${error.message}`);
      session.isOver = true;
    }
    if (replies.byteLength > 0) await connection.write(replies.take());
    if (session.isOver) return;
  }
}

type Run = (session: Session, command: Command) => void;

/** The commands of one connection. */
class Session {
  readonly store: Store;
  readonly replies = new Replies();
  /** Whether to close the connection when the replies are sent. */
  isOver = false;

  constructor(store: Store) {
    this.store = store;
  }

  run(command: Command): void {
    const name = latin1(command[0]!);
    const known = COMMANDS.get(name) ?? COMMANDS.get(name.toUpperCase());
    if (known === undefined) return this.#unknown(command);
    const { arity, run } = known;
    const isRight = arity < 0
      ? command.length >= -arity
      : command.length === arity;
    if (isRight) return run(this, command);
    this.replies.error(
      `ERR wrong number of arguments for '${name.toLowerCase()}' command`,
    );
  }

  #unknown([name, ...rest]: Command): void {
    const begins = rest.map((each) => `'${latin1(each).slice(0, 128)}' `);
    this.replies.error(
      `ERR unknown command '${latin1(name!).slice(0, 128)}', ` +
        `with args beginning with: ${begins.join("").slice(0, 128)}`,
    );
  }
}

/** Commands by name, with their count of words; negative: at least so many. */
const COMMANDS = new Map<string, { arity: number; run: Run }>(Object.entries({
  PING: { arity: -1, run: ping },
  ECHO: { arity: 2, run: ({ replies }, [, text]) => replies.bulk(text) },
  GET: { arity: 2, run: get },
  SET: { arity: -3, run: set },
  DEL: { arity: -2, run: del },
  EXISTS: { arity: -2, run: exists },
  INCR: { arity: 2, run: (session, [, key]) => add(session, key!, 1n) },
  DECR: { arity: 2, run: (session, [, key]) => add(session, key!, -1n) },
  INCRBY: { arity: 3, run: incrBy },
  EXPIRE: { arity: 3, run: expire },
  TTL: { arity: 2, run: (session, [, key]) => ttl(session, key!, 1000) },
  PTTL: { arity: 2, run: (session, [, key]) => ttl(session, key!, 1) },
  DBSIZE: {
    arity: 1,
    run: ({ replies, store }) => replies.integer(store.size),
  },
  COMMAND: { arity: -1, run: ({ replies }) => replies.array(0) },
  CONFIG: { arity: -2, run: config },
  SELECT: { arity: 2, run: select },
  INFO: { arity: -1, run: info },
  QUIT: { arity: -1, run: quit },
}));

function ping({ replies }: Session, [, text, more]: Command): void {
  if (more) {
    replies.error("ERR wrong number of arguments for 'ping' command");
  } else if (text) replies.bulk(text);
  else replies.status("PONG");
}

function get({ replies, store }: Session, [, key]: Command): void {
  replies.bulk(store.get(latin1(key!)));
}

interface SetOptions {
  expiresMs: number;
  ifAbsent: boolean;
  ifPresent: boolean;
  keepTtl: boolean;
}

function set({ replies, store }: Session, command: Command): void {
  const options = setOptions(command.slice(3));
  if (typeof options === "string") return replies.error(options);
  const key = latin1(command[1]!);
  // A copy: the argument is a part of a larger chunk.
  const value = command[2]!.slice();
  if (options.ifAbsent || options.ifPresent) {
    const isThere = store.get(key) !== undefined;
    if (isThere === options.ifAbsent) return replies.bulk(undefined);
  }
  if (options.keepTtl) store.replace(key, value);
  else store.set(key, value, options.expiresMs);
  replies.status("OK");
}

/** Reads the options behind `SET key value`; returns a text for an error. */
function setOptions(words: Command): SetOptions | string {
  const options: SetOptions = {
    expiresMs: Infinity,
    ifAbsent: false,
    ifPresent: false,
    keepTtl: false,
  };
  for (let index = 0; index < words.length; index++) {
    const word = latin1(words[index]!).toUpperCase();
    const isTimed = options.expiresMs !== Infinity || options.keepTtl;
    if (word === "NX" && !options.ifPresent) options.ifAbsent = true;
    else if (word === "XX" && !options.ifAbsent) options.ifPresent = true;
    else if (word === "KEEPTTL" && !isTimed) options.keepTtl = true;
    else if ((word === "EX" || word === "PX") && !isTimed) {
      const time = words[++index];
      if (time === undefined) return SYNTAX_ERROR;
      const value = integerOf(time);
      if (value === undefined) return NOT_AN_INTEGER;
      if (value <= 0n) return "ERR invalid expire time in 'set' command";
      options.expiresMs = Date.now() +
        Number(value) * (word === "EX" ? 1000 : 1);
    } else return SYNTAX_ERROR;
  }
  return options;
}

function del({ replies, store }: Session, [, ...keys]: Command): void {
  replies.integer(keys.filter((key) => store.delete(latin1(key))).length);
}

function exists({ replies, store }: Session, [, ...keys]: Command): void {
  replies.integer(keys.filter((key) => store.get(latin1(key))).length);
}

function incrBy(session: Session, [, key, by]: Command): void {
  const value = integerOf(by!);
  if (value === undefined) session.replies.error(NOT_AN_INTEGER);
  else add(session, key!, value);
}

function add({ replies, store }: Session, key: Uint8Array, by: bigint): void {
  const name = latin1(key);
  const old = store.get(name);
  const value = old === undefined ? 0n : integerOf(old);
  if (value === undefined) return replies.error(NOT_AN_INTEGER);
  const sum = value + by;
  if (sum > INTEGER_MAX || sum < INTEGER_MIN) {
    return replies.error("ERR increment or decrement would overflow");
  }
  store.replace(name, bytesOf(`${sum}`));
  replies.integer(sum);
}

function expire({ replies, store }: Session, [, key, time]: Command): void {
  const seconds = integerOf(time!);
  if (seconds === undefined) return replies.error(NOT_AN_INTEGER);
  const expiresMs = Date.now() + Number(seconds) * 1000;
  replies.integer(store.expire(latin1(key!), expiresMs) ? 1 : 0);
}

/** Returns -2 when there is no such key, -1 when it does not expire. */
function ttl({ replies, store }: Session, key: Uint8Array, unitMs: number) {
  const expiresMs = store.expiresMs(latin1(key));
  if (expiresMs === undefined) replies.integer(-2);
  else if (expiresMs === Infinity) replies.integer(-1);
  else replies.integer(Math.round((expiresMs - Date.now()) / unitMs));
}

function config({ replies }: Session, [, verb, ...names]: Command): void {
  if (latin1(verb!).toUpperCase() !== "GET" || names.length === 0) {
    return replies.error(
      `ERR unknown subcommand '${latin1(verb!)}'. Try CONFIG HELP.`,
    );
  }
  const known: Readonly<Record<string, string>> = {
    save: "",
    appendonly: "no",
  };
  const found = names.map(latin1).filter((name) => name in known);
  replies.array(found.length * 2);
  for (const name of found) {
    replies.bulk(bytesOf(name));
    replies.bulk(bytesOf(known[name]!));
  }
}

function select({ replies }: Session, [, index]: Command): void {
  const value = integerOf(index!);
  if (value === undefined) replies.error(NOT_AN_INTEGER);
  else if (value === 0n) replies.status("OK");
  else replies.error("ERR DB index is out of range");
}

function info({ replies, store }: Session): void {
  replies.bulk(bytesOf(
    "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n" +
      `# Keyspace\r\ndb0:keys=${store.size},expires=0,avg_ttl=0\r\n`,
  ));
}

function quit(session: Session): void {
  session.replies.status("OK");
  session.isOver = true;
}

/** Reads an integer of 64 bits, as strictly as Redis does. */
function integerOf(bytes: Uint8Array): bigint | undefined {
  const text = latin1(bytes);
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > INTEGER_MAX || value < INTEGER_MIN ? undefined : value;
}

if (import.meta.main) {
  const { addr } = redis({ port: Number(Deno.args[0] ?? 6379) });
  // deno-lint-ignore no-console -- this is a program
  console.log(`Ready to accept connections on port ${addr.port}`);
}
