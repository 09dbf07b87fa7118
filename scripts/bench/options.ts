/**
 * The command line of `deno task bench`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import {
  chosenFrom,
  countOf,
  listOf,
  readOptions,
  secondsOf,
} from "../command_line.ts";
import { named } from "../table.ts";
import { PEER_NAMES } from "./peers.ts";
import { backendOf, BASELINE, LIMIT, SCENARIOS, SUBJECT } from "./scenarios.ts";

/** The options of a command line. */
export type BenchOptions = ReturnType<typeof parseBenchOptions>;

/** The file in which the report looks for the results. */
const OUTPUT = "native/target/bench.json";
/** Enough rounds for a median, each long enough for an even load. */
const USUAL = { rounds: 5, seconds: 3, peers: PEER_NAMES };
/** Enough for a first look, not for a decision. */
const QUICK = {
  rounds: 1,
  seconds: 0.25,
  peers: [LIMIT, SUBJECT, BASELINE],
};

const NAMES = SCENARIOS.map(({ name }) => name);

/** The text of `--help`. */
export const HELP = `Measure denio beside the bare loop and other servers.

Usage: deno task bench [OPTIONS]

Each server runs on one core and, where the machine allows it, with half of
that, so that the server is what is measured; the load comes from another core,
and verifies every byte. Processor times are exact, as the scheduler counts
them. A server's own part is its time for a request less that of the bare loop,
which sends fixed bytes and runs no handler. Rounds are interleaved: quote
ratios of one run, never figures of two. Prints a table for each scenario, and
what is wanted of denio beside what was measured. A whole run takes an hour.

Options:
  --only NAME[,NAME]   Only these scenarios, see below
  --peers NAME[,NAME]  Only these servers: ${PEER_NAMES.slice(0, 3).join(", ")},
                       ${PEER_NAMES.slice(3).join(", ")};
                       or denio on a backend, as "denio (epoll)"
  --rounds N           How often each server is measured [${USUAL.rounds}]
  --seconds S          How long each time, as 0.5 [${USUAL.seconds}]
  --quick              A first look, in about five minutes: one round of
                       ${QUICK.seconds} s, of ${QUICK.peers.join(", ")}
  --output FILE        Where the results go [${OUTPUT}]
  --json               Print them as they are in the file
  -h, --help           Print this

Scenarios:
${named(SCENARIOS.map(({ name, title }) => [name, title])).join("\n")}

The results are written whenever a scenario is complete; "deno task
bench:report" makes a page of them.

Examples:
  deno task bench --quick
  deno task bench --only pipeline,echo64 --rounds 9
  deno task bench --only get --peers denio,nginx,"bare loop"
  deno task bench --json > bench.json

Exit codes: 0 measured, 1 denio failed or answered wrongly, 2 bad usage.`;

/**
 * Returns the options of a command line.
 *
 * @throws {UsageError} when it is wrong.
 */
export function parseBenchOptions(args: string[]) {
  const { options } = readOptions(args, {
    only: "",
    peers: "",
    rounds: "",
    seconds: "",
    output: fileURLToPath(new URL(`../../${OUTPUT}`, import.meta.url)),
    quick: false,
    json: false,
  }, { wordsMax: 0 });
  const { only, peers, rounds, seconds, output, quick, json } = options;
  const usual = quick ? QUICK : USUAL;
  const names = chosenFrom(NAMES, listOf(only), "run");
  return {
    ...{ output, quick, json },
    rounds: rounds === "" ? usual.rounds : countOf("--rounds", rounds),
    seconds: seconds === "" ? usual.seconds : secondsOf("--seconds", seconds),
    scenarios: SCENARIOS.filter(({ name }) => names.includes(name)),
    peers: peers === "" ? usual.peers : peersOf(listOf(peers)),
  };
}

/** Names a backend that there is not, too: its peer is missing, with a reason. */
function peersOf(names: string[]): string[] {
  const backends = names.filter((name) => backendOf(name) !== undefined);
  const others = names.filter((name) => !backends.includes(name));
  const known = chosenFrom(PEER_NAMES, others, "measure");
  return [...others.length > 0 ? known : [], ...backends];
}
