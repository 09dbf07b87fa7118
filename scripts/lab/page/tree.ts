/**
 * The decision tree: which model for which server, with the figures of this
 * machine at each branch.
 *
 * @module
 */

import { type Html, markup, type Part } from "../../html.ts";
import type { Run } from "./figures.ts";
import { listOf } from "./questions.ts";

const FEW = 100;

/** Returns the tree as a list in a list. */
export function tree(run: Run): Html {
  const few = run.results.connections.toSorted((a, b) => b - a)
    .find((count) => count <= FEW) ?? run.most;
  const cost = (model: string, connections: number): Part =>
    markup`${run.data(model, connections, "cpuUs")} µs`;
  const each = (model: string): Part =>
    markup`${cost(model, run.most)} and ${
      run.data(model, run.most, "connectionBytes")
    } a connection`;
  const at = (count: number) => count.toLocaleString("en");
  const list = listOf(run);
  return branch("Fewer than about 100 clients at once?", [
    yes(
      "A thread for each: the code is plain, and nothing is lost.",
      markup`At ${at(few)} connections a message takes ${cost("threads", few)}
with threads, ${cost(list, few)} with ${list}.`,
    ),
    no(branch("Does each message keep a processor busy for long?", [
      yes(
        "A pool of threads, one or two for each core; in JavaScript, Workers.",
        markup`The waiting is not your cost then: ${list} takes
${cost(list, run.most)} a message. A job of a millisecond takes 1,000 µs, and
would stop every other client of a loop.`,
      ),
      no(branch("Many clients, mostly silent?", [
        yes(
          "A loop over epoll or kqueue, by async code: fibers, Deno, tokio.",
          markup`At ${at(run.most)} connections a message takes
${each("fibers")} with fibers, ${each("deno-listen")} with Deno.listen,
${each("tokio")} with tokio in Rust.`,
        ),
        no(branch("Does every microsecond count?", [
          yes(
            "Callbacks on a reactor, or a loop of your own over a Poll.",
            markup`${each("reactor")} with callbacks; ${each(list)} with a loop
by hand on ${list}.`,
          ),
          no(
            markup`<p>Then poll is enough: it is on every Unix, and good for a few hundred clients:
${cost("poll", few)} at ${at(few)} connections, ${cost("poll", run.most)} at
${at(run.most)}. A busy loop and select are never the answer.</p>
`,
          ),
        ])),
      ])),
    ])),
  ]);
}

function branch(question: string, ways: readonly Html[]): Html {
  return markup`<p><b>${question}</b></p>
<ul class="tree">
${ways}</ul>
`;
}

function yes(answer: string, figures: Html): Html {
  return markup`<li><b class="met">Yes:</b> ${answer}
<span class="faint">${figures}</span></li>
`;
}

function no(more: Html): Html {
  return markup`<li><b class="unmet">No:</b>
${more}</li>
`;
}
