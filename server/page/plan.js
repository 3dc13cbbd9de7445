/** What the form would take here, before anything is loaded, and what would make it fit. */

import { post } from "./api.js";
import { button, byId, bytes, el, seconds } from "./dom.js";
import { asText } from "./form.js";

const REST_MS = 600;

export class Plan {
  /** `planned(devices)` is told what each device has. */
  constructor(form, planned) {
    Object.assign(this, { form, planned });
    this.body = byId("plan-body");
    this.number = 0;
  }

  /** Plan again, once nothing was typed for a moment. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.make(), REST_MS);
  }

  async make() {
    const number = (this.number += 1);
    let shown;
    try {
      const plan = await post("/v1/plan", this.form.request());
      shown = this.view(plan);
      if (plan.memory && number === this.number) this.planned(plan.memory.usable_bytes);
    } catch (error) {
      const why = error.faults?.length ? "once the form is complete" : error.message;
      shown = [el("p", { className: "quiet-text" }, error.faults?.length ? `Planned ${why}.` : why)];
    }
    if (number === this.number && this.body.textContent !== el("div", {}, shown).textContent) {
      this.body.replaceChildren(...shown);
    }
  }

  view({ memory, steps }) {
    if (!memory) return [el("p", { className: "quiet-text" }, `${steps.length} nodes. What they take is not known before they run.`)];
    const verdict = el("p", { className: memory.fits ? "verdict fits" : "verdict" }, memory.fits ? "It fits." : "It does not fit.");
    const over = memory.overflows.map((one) =>
      el("p", { className: "fault" }, `${one.node} needs ${bytes(one.needed_bytes)} on ${one.device}, which has ${bytes(one.usable_bytes)}.`));
    const peaks = Object.entries(memory.peak_bytes).filter(([, peak]) => peak > 0);
    const needs = el("dl", { className: "facts" }, peaks.map(([device, peak]) =>
      [el("dt", {}, device), el("dd", {}, `${bytes(peak)}${device in memory.usable_bytes ? ` of ${bytes(memory.usable_bytes[device])}` : ""}`)]),
      memory.load_s >= 0.1 ? [el("dt", {}, "loading"), el("dd", {}, `about ${seconds(memory.load_s)}`)] : []);
    return [verdict, ...over, needs, ...this.remedies(memory)];
  }

  remedies({ fits, remedies: found }) {
    if (fits) return [];
    const remedies = found.filter(({ edits }) => !edits.some(({ value }) => value?.disk)); // which the server does not take
    if (!remedies.length) return [el("p", { className: "hint" }, "A smaller model or picture, or another device, may.")];
    const ways = remedies.map((remedy) => {
      const said = remedy.edits.map(asText).join("; ");
      const apply = button("Apply", () => this.form.edit([...this.form.edits, ...remedy.edits]), { "aria-label": `Apply: ${said}` });
      return el("li", {}, el("span", {}, el("code", {}, said), el("span", { className: "hint" }, ` loads in ${seconds(remedy.load_s)}`)),
        this.form.canEdit(remedy.edits) ? apply : null);
    });
    return [el("p", {}, "This would:"), el("ul", { className: "plain rows" }, ways)];
  }
}
