/** The plan of the graph on the canvas: why it cannot run, whether it fits, and what would make it fit. */

import { post } from "/page/api.js";
import { bytes, el } from "/page/dom.js";
import { apply, inWords } from "./changes.js";
import { canvas } from "./files.js";
import { leadTo, nodeOf } from "./places.js";
import { bar, row, rows } from "./rows.js";

export class Plan {
  title = "Plan";
  verdict = el("p", { role: "status" });
  details = el("div");
  body = el("div", {}, this.verdict, this.details);

  /** `complain(error)` is told what cannot be done. */
  constructor(app, complain) {
    Object.assign(this, { app, complain });
  }

  /** Asked again only where the graph changed; what is answered after that is passed over. */
  async read() {
    const asked = await canvas(this.app);
    const text = JSON.stringify(asked.prompt);
    if (text === this.planned) return;
    this.planned = text;
    try {
      const plan = await post("/v1/editor/plan", asked);
      if (text === this.planned) this.show(plan);
    } catch (error) {
      if (text === this.planned) throw error;
    }
  }

  clear() {
    this.planned = null;
    this.verdict.textContent = "";
    this.details.replaceChildren();
  }

  show({ faults, memory, remedies }) {
    const said = faults.length ? "It cannot run yet." : !memory ? "What it takes is not known before it runs." : memory.fits ? "It fits." : "It does not fit.";
    if (this.verdict.textContent !== said) this.verdict.textContent = said;
    this.details.replaceChildren(...(faults.length ? [rows(faults.map((one) => this.fault(one)))] : memory ? this.memory(memory, remedies) : []));
  }

  fault({ node, message, hint }) {
    const text = hint ? `${message} (${hint})` : message;
    return el("li", {}, node ? [this.place(node), el("span", {}, text)] : text);
  }

  /** The name of a node, which leads to it. */
  place(id) {
    const node = nodeOf(this.app, id);
    const go = () => leadTo(this.app, node).catch(this.complain);
    return node ? el("button", { type: "button", className: "link", onclick: go }, node.title) : el("span", {}, id);
  }

  memory({ fits, overflows, peak_bytes, usable_bytes, load_s }, remedies) {
    const over = overflows.map((one) =>
      el("li", {}, this.place(one.node), el("span", {}, `needs ${bytes(one.needed_bytes)} on ${one.device}, which has ${bytes(one.usable_bytes)}`)));
    const peaks = Object.entries(peak_bytes).filter(([, peak]) => peak > 0).map(([device, peak]) => {
      const usable = usable_bytes[device];
      return row(device, usable ? `${bytes(peak)} of ${bytes(usable)}` : bytes(peak), usable ? bar(peak / usable) : null);
    });
    const loading = load_s >= 0.1 ? [row("loading", `about ${load_s.toFixed(1)} s`)] : [];
    return [over.length ? rows(over) : "", rows([...peaks, ...loading]), ...(fits ? [] : this.remedies(remedies))];
  }

  remedies(found) {
    if (!found.length) return [el("p", {}, "A smaller model or picture, or another device, may.")];
    const ways = found.map(({ changes }) => {
      const said = inWords(this.app, changes);
      const make = () => apply(this.app, changes).catch(this.complain);
      return el("li", {}, el("span", {}, said), el("button", { type: "button", onclick: make, "aria-label": `Apply: ${said}` }, "Apply"));
    });
    return [el("p", {}, "This would fit:"), rows(ways)];
  }
}
