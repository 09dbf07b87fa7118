/** Scopes: fibers wait for their children, and end together. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { Fiber } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { onReactor } from "../util/fibers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

const NEVER_MS = 60_000;

cleanTest(
  "a scope waits for the fibers that it has spawned",
  () =>
    onReactor(async ({ fibers }) => {
      const log: string[] = [];
      await fibers.spawn(async (fiber) => {
        const value = await fiber.scope((scope) => {
          scope.spawn(async (child) => {
            await child.sleep(1);
            log.push("child");
          });
          log.push("body");
          return 3;
        });
        log.push(`scope ${value}`);
      }).finished;
      assertEquals(log, ["body", "child", "scope 3"]);
    }),
);

cleanTest(
  "a fiber waits for its own children, as a scope does",
  () =>
    onReactor(async ({ fibers }) => {
      let isOver = false;
      const fiber = fibers.spawn((fiber) => {
        fiber.spawn(async (child) => {
          await child.sleep(1);
          isOver = true;
        });
      });
      await fiber.finished;
      assert(isOver);
      assertThrows(() => fiber.spawn(() => {}), Deno.errors.BadResource);
    }),
);

cleanTest(
  "a scope cancels the others and rejects, when a child throws",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const first = new RangeError("first");
      const caught: unknown[] = [];
      await fibers.spawn(async (fiber) => {
        const rejected = await assertRejects(() =>
          fiber.scope(async (scope) => {
            const note = (error: unknown) => {
              caught.push(error);
              throw error;
            };
            scope.spawn((child) => child.sleep(NEVER_MS).catch(note));
            scope.spawn((child) => child.listen(LOOPBACK).accept().catch(note));
            scope.spawn(async (child) => {
              await child.sleep(1);
              throw first;
            });
            await scope.sleep(NEVER_MS).catch(note);
          })
        );
        assertStrictEquals(rejected, first);
        assertEquals(fiber.isCancelled, false);
        assertEquals(reactor.size, 0);
      }).finished;
      assertEquals(caught, [first, first, first]);
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "a scope cancels its children, when its body throws",
  () =>
    onReactor(async ({ fibers }) => {
      const child = await fibers.spawn(async (fiber) => {
        let child: Fiber | undefined;
        await assertRejects(
          () =>
            fiber.scope((scope) => {
              child = scope.spawn((child) => child.sleep(NEVER_MS));
              throw new RangeError("body");
            }),
          RangeError,
        );
        return child!;
      }).finished;
      assert(child.isEnded);
      assert(child.isCancelled);
    }),
);

cleanTest(
  "a scope ends what its children own before it resolves",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      await fibers.spawn(async (fiber) => {
        await fiber.scope((scope) => {
          scope.spawn((child) => void child.listen(LOOPBACK));
        });
        assertEquals(reactor.size, 0);
      }).finished;
    }),
);

cleanTest(
  "children's names are paths, and errors have the innermost",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const names: string[] = [];
      fibers.spawn(async (fiber) => {
        names.push(fiber.name);
        await fiber.scope((scope) => {
          names.push(scope.name);
          scope.spawn((child) => {
            names.push(child.name);
            child.spawn(() => {
              throw new Error("deep");
            }, { name: "leaf" });
          }, { name: "branch" });
          scope.spawn((child) => void names.push(child.name));
        }, { name: "scope" });
      }, { name: "root" });
      await within(fibers.sleep(1), "the end");
      assertEquals(names, [
        "root",
        "root/scope",
        "root/scope/branch",
        "root/scope/fiber-1",
      ]);
      assertEquals(reactor.reported.map(({ message }) => message), [
        'Fiber "root/scope/branch/leaf" failed: deep',
      ]);
    }),
);

cleanTest(
  "a scope waits for a body that ignores the cancel",
  () =>
    onReactor(async ({ fibers }) => {
      const log: string[] = [];
      await fibers.spawn(async (fiber) => {
        await fiber.scope(async (scope) => {
          scope.spawn(() => Promise.reject(new Error("child")));
          await new Promise((resolve) => setTimeout(resolve, 2));
          log.push("body");
        }).catch(() => log.push("scope"));
      }).finished;
      assertEquals(log, ["body", "scope"]);
    }),
);

cleanTest(
  "a connection outlives the fiber that gave it away",
  () =>
    onReactor(async ({ fibers }) => {
      await using server = fibers.serve(LOOPBACK, async (conn) => {
        for await (const chunk of conn) await conn.write(chunk);
      });
      await fibers.spawn(async (fiber) => {
        const conn = await fiber.spawn(async (child) =>
          fiber.own(await child.connect(server.addr))
        ).finished;
        await conn.write(new Uint8Array(3));
        assertEquals(await conn.read(new Uint8Array(3)), 3);
      }).finished;
    }),
);
