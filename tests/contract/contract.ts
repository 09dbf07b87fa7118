/**
 * Tests of what a poll must do, each run on every backend of this machine.
 *
 * The numbers are those of the README beside this file.
 *
 * @module
 */

import { type Backend, type Feature, Poll } from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";

/** What runs once with each backend. */
export type BackendTest = (backend: Backend) => void | Promise<void>;

/** What a test cannot do without. */
export interface Needs {
  /** A feature of the backend: without it the test is shown as ignored. */
  readonly feature?: Feature;
  /** The machine lacks something that the test needs; the caller prints its name. */
  readonly ignore?: boolean;
  /** The only backend whose details the test knows. */
  readonly backend?: Backend;
}

/** Every backend there is, on whichever system. */
export const BACKENDS_ANYWHERE: readonly Backend[] = [
  "epoll",
  "kqueue",
  "poll",
  "select",
  "io_uring",
];

/**
 * Registers the test of an item of the contract, once for each backend, as one
 * that must leave nothing open.
 *
 * @param items The numbers of what it shows, as `"41"` or `"15, 34"`.
 */
export function contractTest(
  items: string,
  title: string,
  run: BackendTest,
  needs: Needs = {},
): void {
  backendTest(`${items}. ${title}`, run, needs);
}

/** Registers a test that is no item, of what backends have in common too. */
export function backendTest(
  title: string,
  run: BackendTest,
  { feature, ignore = false, backend: only }: Needs = {},
): void {
  for (const backend of Poll.backends()) {
    if (only !== undefined && only !== backend) continue;
    const isMissing = feature !== undefined && !supports(backend, feature);
    const why = isMissing ? `, which has no ${feature}` : "";
    cleanTest(`${title}, on ${backend}${why}`, () => run(backend), {
      ignore: ignore || isMissing,
    });
  }
}

function supports(backend: Backend, feature: Feature): boolean {
  using poll = new Poll({ backend });
  return poll.supports(feature);
}
