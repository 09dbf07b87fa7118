/**
 * Measures denio beside the bare loop and Deno.serve:
 * `deno task bench --help`.
 *
 * Permissions of the task: run without names, since programs are started
 * through whatever pins them; a shell reaches the cgroups, which Deno does not.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { runProgram } from "../command_line.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { type IdleFigures, measureIdle } from "./idle.ts";
import { chooseLoadGenerator, type LoadGenerator } from "./load_generators.ts";
import { type Machine, prepareMachine } from "./machine.ts";
import { type BenchOptions, HELP, parseBenchOptions } from "./options.ts";
import { type Peer, preparePeers, startPeer } from "./peers.ts";
import { type Report, reportJson, reportLines } from "./report.ts";
import { measureRounds } from "./rounds.ts";
import { type LoadScenario, type Scenario, SCENARIOS } from "./scenarios.ts";

const CLEAR_LINE = "\r\x1b[K";

async function bench(options: BenchOptions): Promise<Report> {
  const peers = preparePeers();
  const machine = prepareMachine();
  // Removed last, when no server is in it any more.
  using _quota = machine.quota;
  const { note, run: load } = chooseLoadGenerator(machine);
  const { rounds, seconds } = options;
  const scenarios = Object.entries(SCENARIOS)
    .filter(([name]) => options.only === undefined || options.only === name)
    .map(([, scenario]) => scenario);
  return {
    notes: [
      `medians over ${rounds} rounds of ${seconds} s each`,
      note,
      ...machine.notes,
    ],
    load: await benchLoad(
      scenarios.filter(isLoad),
      { peers, machine, load, options },
    ),
    idle: await benchIdle(scenarios, { peers, machine, load, options }),
  };
}

interface Setting {
  readonly peers: readonly Peer[];
  readonly machine: Machine;
  readonly load: LoadGenerator;
  readonly options: BenchOptions;
}

async function benchLoad(
  scenarios: readonly LoadScenario[],
  { peers, machine, load, options }: Setting,
): Promise<Map<string, Map<string, Figures>>> {
  const report = new Map<string, Map<string, Figures>>();
  if (scenarios.length === 0) return report;
  await using running = new AsyncDisposableStack();
  const servers = [];
  for (const peer of peers) {
    const server = running.use(await startPeer(peer, machine));
    machine.quota?.add(server.server.pid);
    servers.push(server);
  }
  for (const scenario of scenarios) {
    const samples = await measureRounds(servers, scenario, {
      ...options,
      load,
      progress,
    });
    report.set(
      scenario.title,
      new Map([...samples].map(([name, all]) => [name, figuresOf(all)])),
    );
  }
  return report;
}

async function benchIdle(
  scenarios: readonly Scenario[],
  { peers, machine, load }: Setting,
): Promise<Map<string, IdleFigures>> {
  const report = new Map<string, IdleFigures>();
  for (const scenario of scenarios) {
    if (isLoad(scenario)) continue;
    for (const peer of peers) {
      progress(`${scenario.title}: ${peer.name}`);
      report.set(
        peer.name,
        await measureIdle(peer, scenario, { machine, load }),
      );
    }
  }
  return report;
}

function isLoad(scenario: Scenario): scenario is LoadScenario {
  return "connections" in scenario;
}

/** One line that changes on a terminal, else one below the other. */
function progress(line: string): void {
  const text = Deno.stderr.isTerminal() ? `${CLEAR_LINE}${line}` : `${line}\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

if (import.meta.main) {
  await runProgram(async () => {
    const options = parseBenchOptions(Deno.args);
    if (options.help) {
      console.log(HELP);
      return 0;
    }
    const report = await bench(options);
    if (Deno.stderr.isTerminal()) progress("");
    if (options.json) console.log(JSON.stringify(reportJson(report)));
    else for (const line of reportLines(report)) console.log(line);
    return 0;
  });
}
