/** How the panel lists things: a name, a value, and a bar where there is a share of something. */

import { el } from "/page/dom.js";

const percent = (share) => `${100 * Math.min(1, Math.max(0, share))}%`;

/** A share of a whole, which begins somewhere in it. What it says stands beside it as text. */
export function bar(share, begin = 0) {
  const part = el("div");
  part.style.marginInlineStart = percent(begin);
  part.style.width = percent(Math.min(share, 1 - begin));
  return el("div", { className: "bar", "aria-hidden": "true" }, part);
}

export const row = (name, value, under = null) => el("li", {}, el("span", {}, name), el("span", {}, value), under);

export const rows = (children) => el("ul", {}, children);
