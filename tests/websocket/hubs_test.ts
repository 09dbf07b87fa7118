import { assert, assertEquals } from "@std/assert";
import { hubOf, HubSet } from "../../src/websocket/hubs.ts";

Deno.test("hubOf() returns one hub for each server", () => {
  const server = {};
  assert(hubOf(server) === hubOf(server));
  assert(hubOf(server) !== hubOf({}));
});

Deno.test("HubSet has all hubs until one is added, and none when that is gone", () => {
  const servers = [{}, {}];
  const [own, other] = servers.map(hubOf);
  const set = new HubSet();
  assert([...set].includes(own!) && [...set].includes(other!));
  set.add(own!);
  set.add(own!);
  assertEquals([...set], [own]);
  // As the garbage collector does it, which no test can call.
  const { deref } = WeakRef.prototype;
  WeakRef.prototype.deref = () => undefined;
  try {
    assertEquals([...set], []);
  } finally {
    WeakRef.prototype.deref = deref;
  }
  assertEquals([...set], []);
});
