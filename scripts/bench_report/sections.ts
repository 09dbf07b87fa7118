/**
 * The page's sections, in their order.
 *
 * @module
 */

import type { Results } from "../bench/results.ts";
import type { Markup } from "../plot/markup.ts";
import { PLOTS } from "./plot_sections.ts";
import { BUDGETS, TEXTS } from "./text_sections.ts";

/** A part of the page with a heading. */
export interface Section {
  /** What links name it by. */
  readonly id: string;
  /** Its heading. */
  readonly title: string;
  /** What stands below that. */
  readonly content: (results: Results) => readonly Markup[];
}

/** Every section. */
export const SECTIONS: readonly Section[] = [BUDGETS, ...PLOTS, ...TEXTS];
