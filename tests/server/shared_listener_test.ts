/** One socket, several members that accept from it: their turns and ends. */

import { assert, assertEquals } from "@std/assert";
import { type Connection, Reactor } from "../../mod.ts";
import {
  type Backend,
  Events,
  Interest,
  Poll,
  UnixListener,
  UnixStream,
} from "../../src/poll.ts";
import { AcceptTable } from "../../src/server/worker/accept_table.ts";
import {
  SharedListener,
  type SharedSocket,
} from "../../src/server/worker/shared_listener.ts";
import { NATIVE } from "../../src/system/readiness.ts";
import type { AcceptedBatch, StreamSocket } from "../../src/system/system.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { eventually } from "../util/waiting.ts";

const TOKEN = 7;
/** The most connections that a member may have more than another. */
const LEAD_MAX = 2;

/** A Unix socket, where connecting takes no time, and its members. */
class Group implements Disposable {
  readonly table: AcceptTable;
  readonly members: Member[] = [];
  readonly #folder = new SocketFolder();
  readonly #listener: UnixListener;
  readonly #clients: UnixStream[] = [];

  constructor(count: number) {
    this.table = AcceptTable.of(count);
    this.#listener = UnixListener.bind({ path: this.#folder.path() });
  }

  /** Opens a group with a member on each poll. */
  static onPolls(count: number, backend: Backend): Group {
    const group = new Group(count);
    for (let index = 0; index < count; index++) {
      group.members.push(new Member(group, index, backend));
    }
    return group;
  }

  get socket(): SharedSocket {
    return { handle: this.#listener.handle, transport: "unix" };
  }

  connect(count: number): void {
    const { path } = this.#listener.localAddress;
    for (; count > 0; count--) {
      this.#clients.push(UnixStream.connect({ path }));
    }
  }

  [Symbol.dispose](): void {
    for (const member of this.members) member.close();
    for (const client of this.#clients) client.close();
    this.#listener.close();
    this.#folder[Symbol.dispose]();
  }
}

/** The work of a reactor for its listener, step by step. */
class Member {
  readonly listener: SharedListener;
  readonly streams: StreamSocket[] = [];
  readonly #poll: Poll;
  readonly #events = new Events();
  readonly #batch: AcceptedBatch;
  readonly #table: AcceptTable;
  readonly #index: number;
  #isClosed = false;

  constructor({ socket, table }: Group, index: number, backend: Backend) {
    this.#table = table;
    this.#index = index;
    this.#poll = new Poll({ backend });
    this.listener = new SharedListener(socket, table, index);
    this.#batch = this.listener.batch();
    const { registry } = this.#poll;
    registry.register(this.listener, TOKEN, Interest.READABLE);
  }

  /** Whether the system notifies it of a waiting connection. */
  get isNotified(): boolean {
    return this.#poll.poll(this.#events, 0) > 0;
  }

  get isAway(): boolean {
    return this.listener.restMs !== undefined;
  }

  /** Accepts once; returns the number of connections. */
  accept(): number {
    const count = this.listener.acceptBatch(this.#batch);
    for (let index = 0; index < count; index++) {
      this.streams.push(this.#batch.stream(index));
      this.#table.countAccepted(this.#index);
      this.listener.opened();
    }
    return count;
  }

  /** Closes a connection. */
  end(): void {
    this.streams.pop()!.close();
    this.listener.closed();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.streams) stream.close();
    this.listener.close();
    this.#poll.close();
  }
}

/** Registers a test for each backend, with a group of two or more. */
function groupTest(
  name: string,
  run: (group: Group, ...members: [Member, Member, ...Member[]]) => void,
  count = 2,
): void {
  for (const backend of Poll.backends()) {
    cleanTest(`${name} (${backend})`, () => {
      using group = Group.onPolls(count, backend);
      run(group, ...group.members as [Member, Member]);
    });
  }
}

for (const count of [2, 5]) {
  groupTest(
    `${count} members differ by two connections at the most, whichever is notified`,
    (group, ...members) => {
      group.connect(100);
      let accepted = 0;
      while (accepted < 100) {
        // As often as it is notified, before the next member.
        const notified = members.filter((member) => member.isNotified);
        assert(notified.length > 0, `no member is notified after ${accepted}`);
        for (const member of notified) {
          do accepted += member.accept(); while (member.isNotified);
        }
      }
      const counts = members.map(({ streams }) => streams.length);
      const most = Math.max(...counts);
      assert(most - Math.min(...counts) <= LEAD_MAX, `${counts}`);
    },
    count,
  );
}

groupTest(
  "a member that is two ahead leaves the next to the other, which calls it",
  (group, first, second) => {
    group.connect(5);
    assert(first.isNotified);
    assertEquals(first.accept(), LEAD_MAX);
    assertEquals([first.isAway, first.isNotified], [true, false]);
    assert(second.isNotified);
    assertEquals(second.accept(), 3);
    group.connect(2);
    assert(second.isNotified);
    assertEquals(second.accept(), 1);
    assertEquals([second.isAway, second.isNotified], [true, false]);
    assert(first.isNotified);
    assertEquals(first.accept(), 1);
    assertEquals(first.isAway, false);
  },
);

groupTest(
  "a member that has waited for the others in vain accepts all, and waits no more",
  (group, first, second) => {
    group.connect(9);
    assert(first.isNotified);
    assertEquals(first.accept(), LEAD_MAX);
    assert(first.isAway);
    // The reactor does this after `restMs`.
    assertEquals(first.accept(), 7);
    assertEquals(first.isAway, false);
    group.connect(3);
    assert(first.isNotified);
    assertEquals(first.accept(), 3);
    assertEquals(first.isAway, false);

    group.connect(1);
    assert(second.isNotified);
    assertEquals(second.accept(), 1);
    // It has accepted: from now on the others leave connections to it again.
    group.connect(3);
    assert(first.isNotified);
    assertEquals(first.accept(), 1);
    assert(first.isAway);
  },
);

groupTest(
  "a member that is away comes back, when its connections end",
  (group, first) => {
    group.connect(2);
    assert(first.isNotified);
    assertEquals(first.accept(), 2);
    first.end();
    group.connect(1);
    assert(first.isNotified);
    assertEquals(first.isAway, false);
  },
);

groupTest(
  "a member that cannot accept has another notified once more",
  (group, first, second) => {
    group.connect(1);
    assert(first.isNotified && second.isNotified);
    assertEquals(second.isNotified, false);
    first.listener.passOn();
    assert(second.isNotified);
    assertEquals(second.accept(), 1);
    group.connect(1);
    assertEquals(first.isNotified, false);
    assert(second.isNotified);
    // The member can accept again.
    assertEquals(first.accept(), 1);
    assertEquals(first.isAway, false);
  },
);

groupTest(
  "a member that has ended is not waited for, and others are notified instead",
  (group, first, second) => {
    group.connect(5);
    assert(first.isNotified && second.isNotified);
    assertEquals(first.isNotified, false);
    second.close();
    group.table.recall(0);
    assert(first.isNotified);
    assertEquals(first.accept(), 5);
    assertEquals(first.isAway, false);
    first.listener.passOn();
    group.connect(1);
    assert(first.isNotified, "there is no member to pass it on to");
  },
);

cleanTest("one member alone accepts as any listener does", () => {
  using group = Group.onPolls(1, Poll.backends()[0]!);
  const [member] = group.members as [Member];
  group.connect(70);
  assert(member.isNotified);
  assertEquals(member.accept(), 64);
  assertEquals(member.accept(), 6);
  assertEquals(member.isAway, false);
});

/** A listener that knows whether it has passed connections on. */
class TellingListener extends SharedListener {
  passed = 0;

  override passOn(): void {
    this.passed++;
    super.passOn();
  }
}

/** A reactor that accepts from a group's socket. */
class Accepting implements Disposable {
  readonly connections: Connection[] = [];
  readonly listener: TellingListener;
  readonly #reactor: Reactor;

  constructor(group: Group, index: number, memoryBytesMax = 1_000_000) {
    const listener = new TellingListener(group.socket, group.table, index);
    this.listener = listener;
    const system = { ...NATIVE, listen: () => listener };
    this.#reactor = new Reactor({ system, memoryBytesMax });
    this.#reactor.listen({ path: "ignored" }, {
      open: (connection) => {
        this.connections.push(connection);
        group.table.countAccepted(index);
        listener.opened();
      },
      data() {},
      close: () => listener.closed(),
    });
  }

  [Symbol.dispose](): void {
    this.#reactor.close();
  }
}

cleanTest("a reactor accepts all, when the other is held up", async () => {
  using group = new Group(2);
  // The member of this poll does not run.
  group.members.push(new Member(group, 1, Poll.backends()[0]!));
  using reactor = new Accepting(group, 0);
  for (const count of [20, 40]) {
    group.connect(20);
    const isDone = () => reactor.connections.length === count;
    await eventually("all to be accepted", isDone);
  }
});

cleanTest(
  "a reactor that is short of memory leaves connections to another, until it is not",
  async () => {
    using group = new Group(2);
    using full = new Accepting(group, 0, 1_000);
    group.connect(1);
    await eventually("the first", () => full.connections.length === 1);
    full.connections[0]!.heldBytes = 800;
    using free = new Accepting(group, 1);
    group.connect(20);
    await eventually("all others", () => free.connections.length === 20);
    assert(full.listener.passed > 0);
    full.connections[0]!.heldBytes = 0;
    group.connect(20);
    const sum = () => full.connections.length + free.connections.length;
    await eventually("all", () => sum() === 41);
    assert(full.connections.length > 1);
  },
);
