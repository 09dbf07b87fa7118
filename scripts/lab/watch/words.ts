/**
 * A word on each system call, for those who see it for the first time.
 *
 * @module
 */

import { type Call, isWait } from "./calls.ts";

const MS_PER_SECOND = 1_000;
const SECONDS_PER_DAY = 86_400;

const READS = /^(recvfrom|recvmsg|recv|read|readv)$/;
const WRITES = /^(sendto|sendmsg|send|write|writev)$/;
const ACCEPTS = /^accept4?$/;
const THREADS = /^clone3?$/;

/** What a call means for the connection. */
export type Phase = "A client connects" | "A message" | "The client leaves";

/** Returns which part of a connection's life begins with a call, if one does. */
export function phaseOf({ name, result }: Call): Phase | undefined {
  if (ACCEPTS.test(name) && !isError(result)) return "A client connects";
  if (!READS.test(name)) return undefined;
  if (result === "0" || result === "-1 ECONNRESET") return "The client leaves";
  return isError(result) ? undefined : "A message";
}

/** Returns what a call does, in a few words; `""` when its name says it. */
export function wordOn(call: Call): string {
  const { name, args, result } = call;
  if (isWait(name, args)) return waitWord(call);
  if (ACCEPTS.test(name)) return acceptWord(result);
  if (READS.test(name)) return readWord(result);
  if (WRITES.test(name)) return writeWord(result);
  if (name === "epoll_ctl" || name === "kevent") return controlWord(args);
  if (THREADS.test(name)) return "a thread for this client";
  if (name === "close") return "gives the descriptor back";
  if (name === "shutdown") return "ends this half of the connection";
  if (args.includes("TCP_NODELAY")) return "small messages leave at once";
  return "";
}

/** Returns the longest time that a wait may take; -1 without a limit. */
export function timeoutMsOf({ name, args }: Call): number | undefined {
  const [, seconds, nanoseconds] =
    /\{tv_sec=(\d+), tv_nsec=(\d+)\}/.exec(args) ?? [];
  if (seconds !== undefined) {
    return Number(seconds) * MS_PER_SECOND + Number(nanoseconds) / 1e6;
  }
  // These take a time, or NULL, which is left out.
  if (/^p(poll|select)/.test(name)) return -1;
  const [, last] = /, (-?\d+|Infinity)$/.exec(args) ?? [];
  return last === undefined ? undefined : Number(last);
}

function waitWord(call: Call): string {
  if (call.name === "io_uring_enter") return ringWord(call.args);
  const timeoutMs = timeoutMsOf(call);
  const given = timeoutMs === undefined
    ? "sleeps"
    : timeoutMs === 0
    ? "looks, and does not sleep"
    : timeoutMs < 0 || timeoutMs === Infinity
    ? "sleeps without a limit"
    : `sleeps for ${durationOf(timeoutMs)} at the most`;
  const end = call.result === "0"
    ? timeoutMs === 0 ? "nothing is ready" : "the time is over"
    : isError(call.result)
    ? "interrupted"
    : `${call.result} ready`;
  return `${given}: ${end}`;
}

/** `io_uring_enter(2)`: how many to submit, and how many must be done. */
function ringWord(args: string): string {
  const [, given, done] = /^\d+, (\d+), (\d+)/.exec(args) ?? [];
  const words = [
    ...Number(given) > 0 ? [`hands ${given} operations over`] : [],
    ...Number(done) > 0 ? [`sleeps until ${done} is done`] : [],
  ];
  return words.join(", ");
}

function durationOf(ms: number): string {
  if (ms < MS_PER_SECOND) return `${Math.round(ms)} ms`;
  const seconds = ms / MS_PER_SECOND;
  if (seconds < SECONDS_PER_DAY) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / SECONDS_PER_DAY)} days`;
}

function acceptWord(result: string): string {
  if (result === "-1 EAGAIN") return "no other client waits";
  if (isError(result)) return "";
  return `takes a client from the queue, as ${result}`;
}

function readWord(result: string): string {
  if (result === "-1 EAGAIN") return "nothing more has come";
  if (result === "-1 ECONNRESET") return "the client has reset the connection";
  if (isError(result)) return "";
  if (result === "0") return "the client has ended its half";
  return `takes ${bytes(result)} out of Recv-Q`;
}

function writeWord(result: string): string {
  if (result === "-1 EAGAIN") return "Send-Q is full: the client does not read";
  if (isError(result)) return "";
  return `puts ${bytes(result)} into Send-Q; the kernel sends`;
}

function controlWord(args: string): string {
  if (/\bDEL\b/.test(args)) return "the kernel is to forget the socket";
  if (/\bMOD\b/.test(args)) return "changes what to wait for";
  const how = /\bET\b/.test(args) ? ", by edge" : "";
  return `puts the socket into the kernel's list${how}`;
}

function bytes(count: string): string {
  return `${count} byte${count === "1" ? "" : "s"}`;
}

function isError(result: string): boolean {
  return result.startsWith("-1");
}
