/**
 * The servers that the benchmark compares answer alike, byte for byte.
 *
 * Nothing is fetched for these tests: a peer that is an npm package is tested
 * where the benchmark has installed it.
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ownLoad, prepareOwnLoad, runLoad } from "../../scripts/bench/load.ts";
import { APP_PATH, BIG_BYTES, LOGIN } from "../../scripts/bench/payloads.ts";
import {
  type Peer,
  PEER_NAMES,
  preparePeers,
  startPeer,
} from "../../scripts/bench/peers.ts";
import {
  isBare,
  loadFor,
  type Scenario,
  SCENARIOS,
  type Service,
} from "../../scripts/bench/scenarios.ts";
import { lacks } from "../util/machine.ts";

/** Few connections, and so short a time that all is answered once. */
const CONNECTIONS = 4;
const SECONDS = 0.2;

const TOOLS = { mayInstall: false, say() {} };

const isLinux = Deno.build.os === "linux";
const { peers, missing } = isLinux
  ? await preparePeers(PEER_NAMES, TOOLS)
  : { peers: [], missing: { "the load generator": "it takes Linux" } };
if (isLinux) prepareOwnLoad();

for (const [peer, reason] of Object.entries(missing)) {
  Deno.test({
    name: `${peer} answers what it is measured with`,
    ignore: lacks(`${peer}: ${reason}`, () => false),
    fn() {},
  });
}

for (const peer of peers) {
  const services = Map.groupBy(scenariosOf(peer), ({ service }) => service);
  for (const [service, scenarios] of services) {
    const name = `${peer.name} as ${service} answers what it is measured with`;
    Deno.test(name, async (t) => {
      await using running = await startPeer(peer, service);
      const { port } = running;
      for (const scenario of scenarios) {
        await t.step(scenario.name, async () => {
          const load = loadFor(scenario, peer.name);
          // The generator verifies every byte.
          await runLoad(ownLoad(port, CONNECTIONS, load, SECONDS));
        });
      }
      if (service === "http") {
        await t.step("fields", () => checkFields(peer, port));
      }
    });
  }
}

Deno.test({
  name: "preparePeers() has denio on a backend, and says which there is not",
  ignore: !isLinux,
  async fn() {
    const names = ["denio (poll)", "denio (iocp)"];
    const { peers, missing } = await preparePeers(names, TOOLS);
    const [poll] = peers;
    assertEquals(peers.map(({ name }) => name), ["denio (poll)"]);
    assertMatch(
      missing["denio (iocp)"]!,
      /^Cannot open backend "iocp": it must/,
    );
    await using _running = await startPeer(poll!, "hello");
    // The server obeys the variable: it would refuse another backend.
    const command = (service: Service) =>
      poll!.command(service).map((word) => word.replace("=poll", "=iocp"));
    await assertRejects(() => startPeer({ ...poll!, command }, "hello"));
  },
});

/** Those under load, and one each that differs in what is sent. */
function scenariosOf({ can }: Peer): Scenario[] {
  return SCENARIOS.filter(({ kind, group, needs, isByWrk }) =>
    can.includes(needs) && kind === "load" && !isByWrk &&
    group !== "scaling" && group !== "latency"
  );
}

async function checkFields({ name, can }: Peer, port: number): Promise<void> {
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    const type = response.headers.get("content-type")?.toLowerCase();
    return { response, type, bytes: await response.bytes() };
  };
  assertEquals((await ask("/")).type, "text/plain;charset=utf-8");
  // It sends the same fixed answer to whatever is asked.
  if (isBare(name)) return;
  if (can.includes("big")) {
    const { type, bytes } = await ask("/big");
    assertEquals(type, "application/octet-stream");
    assertEquals(bytes.byteLength, BIG_BYTES);
  }
  if (can.includes("app")) {
    const { response: { headers }, type } = await ask(APP_PATH);
    assertEquals(type, "application/json");
    assertEquals(headers.get("cache-control"), "no-store");
    assertEquals(headers.get("x-request-id"), "42");
    assertEquals((await ask("/none")).response.status, 404);
  }
  if (can.includes("login")) {
    const { bytes } = await ask("/login", { method: "POST", body: LOGIN.body });
    assertEquals(new TextDecoder().decode(bytes), LOGIN.answer);
  }
}
