/**
 * Tests that leave nothing open.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { nativeOthers } from "../../src/native/library.ts";
import { descriptors } from "./descriptors.ts";
import { eventually } from "./waiting.ts";

/** What the process holds open. */
interface Open {
  /** Handles of the native library. */
  readonly handles: number;
  /** Sockets, pipes and event descriptors; 0 where there is no /proc. */
  readonly descriptors: number;
}

/**
 * Registers a test that fails when more is open after it than before: handles
 * of the native library, or descriptors where /proc shows them.
 */
export function cleanTest(
  name: string,
  run: () => void | Promise<void>,
  options: { ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ...options,
    async fn() {
      const before = whatIsOpen();
      await run();
      await expectNoMoreThan(before);
    },
  });
}

/** Returns how many handles of the native library are open. */
export function handleCount(): number {
  return nativeOthers().denio_source_count();
}

async function expectNoMoreThan(before: Open): Promise<void> {
  let after = whatIsOpen();
  const isClosed = () => {
    after = whatIsOpen();
    return after.handles <= before.handles &&
      after.descriptors <= before.descriptors;
  };
  try {
    await eventually("all to be closed", isClosed);
  } catch {
    throw new AssertionError(
      `Left open: ${after.handles - before.handles} handles, ` +
        `${after.descriptors - before.descriptors} descriptors`,
    );
  }
}

function whatIsOpen(): Open {
  return { handles: handleCount(), descriptors: descriptors().size };
}
