/**
 * What `deno task test` runs, in this order: what is quick and often wrong
 * first.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** What was locked is what is used: `deno task lock` writes it anew. */
const LOCK = ["--lock=deno.lock", "--frozen"];
const CRATE = ["--manifest-path", "native/Cargo.toml"];

/** One thing to run. */
export interface Step {
  /** What it is called on the command line and in the output. */
  readonly name: string;
  /** The command, from the project's top; `deno` is the one that runs this. */
  readonly command: readonly [string, ...string[]];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What must be installed beside Deno and cargo. */
  readonly needs?: CargoPart;
  /** Whether it is a test runner, whose tests are counted. */
  readonly counts?: "deno" | "cargo";
}

/** A part of Rust's tools that a distribution may leave out. */
export interface CargoPart {
  /** The cargo command that it brings. */
  readonly command: string;
  /** How to get it. */
  readonly install: string;
}

const RUSTFMT: CargoPart = {
  command: "fmt",
  install: "rustup component add rustfmt",
};
const CLIPPY: CargoPart = {
  command: "clippy",
  install: "rustup component add clippy",
};

/** What waits on this system beside its best, which plain steps use. */
const OTHER_BACKENDS = Deno.build.os === "linux" ? ["poll", "select"] : [];

/** Rust's suites that ask the environment for their backend. */
const CARGO_SUITES = [
  "mode",
  "poll",
  "registry",
  "waker",
  "tcp_listener",
  "tcp_stream",
  "unix",
  "udp",
  "pipe",
  "vectored",
];

/**
 * What is built on a poll, of which no test names a backend. The contract is
 * not among it: its tests run on every backend each time.
 */
const DENO_SUITES = [
  "tests/reactor/connection_test.ts",
  "tests/reactor/reactor_test.ts",
  "tests/server/requests_test.ts",
];

/** Every step. */
export const STEPS: readonly Step[] = [
  {
    name: "build",
    command: ["deno", "run", "-A", "scripts/build.ts", "--if-stale"],
  },
  { name: "fmt", command: ["deno", "fmt", "--check"] },
  { name: "lint", command: ["deno", "lint"] },
  { name: "types", command: ["deno", "check", ...LOCK] },
  {
    name: "doc-lint",
    command: ["deno", "doc", "--lint", ...Object.values(config.exports)],
  },
  {
    name: "rules",
    command: ["deno", "run", "-A", ...LOCK, "scripts/check.ts"],
  },
  {
    name: "rustfmt",
    command: ["cargo", "fmt", ...CRATE, "--check"],
    needs: RUSTFMT,
  },
  {
    name: "clippy",
    command: [
      "cargo",
      "clippy",
      ...CRATE,
      "--locked",
      "--all-targets",
      "--",
      "-D",
      "warnings",
    ],
    needs: CLIPPY,
  },
  {
    name: "cargo-test",
    command: ["cargo", "test", ...CRATE, "--locked"],
    counts: "cargo",
  },
  ...OTHER_BACKENDS.map((backend): Step => ({
    name: `cargo-test-${backend}`,
    command: [
      "cargo",
      "test",
      ...CRATE,
      "--locked",
      ...CARGO_SUITES.flatMap((suite) => ["--test", suite]),
    ],
    env: { DENIO_BACKEND: backend },
    counts: "cargo",
  })),
  {
    // In a folder of its own, or every other step would build all anew.
    name: "loom",
    command: ["cargo", "test", ...CRATE, "--locked", "--lib", "model::"],
    env: { RUSTFLAGS: "--cfg loom", CARGO_TARGET_DIR: "native/target/loom" },
    counts: "cargo",
  },
  {
    name: "doc-test",
    command: [
      "deno",
      "test",
      "-A",
      ...LOCK,
      "--doc",
      "src",
      "mod.ts",
      "README.md",
    ],
    counts: "deno",
  },
  {
    name: "deno-test",
    command: ["deno", "test", "-A", ...LOCK, "tests"],
    counts: "deno",
  },
  ...OTHER_BACKENDS.map((backend): Step => ({
    name: `deno-test-${backend}`,
    command: ["deno", "test", "-A", ...LOCK, ...DENO_SUITES],
    env: { DENIO_BACKEND: backend },
    counts: "deno",
  })),
];
