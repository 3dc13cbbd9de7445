/** The panel: memory of each device, the plan of the graph, and what the latest job did. */

import { ask } from "./ask.js";
import { canvas } from "./files.js";

const REST_MS = 2000;

/** An element; what comes from elsewhere only becomes text. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") Object.assign(node.style, value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${count >= 99.5 || unit === 0 ? Math.round(count) : Number(count.toPrecision(2))} ${units[unit]}`;
}

function row(name, value, share = null) {
  const line = el("div", { style: { display: "flex", justifyContent: "space-between", gap: "1rem" } },
    el("span", { style: { overflowWrap: "anywhere" } }, name), el("span", { style: { whiteSpace: "nowrap" } }, value));
  if (share === null) return el("li", {}, line);
  const part = el("div", { style: { background: "var(--p-primary-color, #0b8ce9)", height: "4px", width: `${Math.min(100, 100 * share)}%` } });
  return el("li", {}, line, el("div", { "aria-hidden": "true", style: { background: "var(--border-color, #8885)", height: "4px" } }, part));
}

const list = (rows) => el("ul", { style: { listStyle: "none", margin: "0", padding: "0", display: "grid", gap: ".4rem" } }, rows);

export class Panel {
  constructor(app) {
    this.app = app;
    this.parts = ["Memory", "Plan", "Timeline"].map((title) => {
      const body = el("div", { style: { display: "grid", gap: ".5rem" } });
      const section = el("section", { "aria-label": title, style: { display: "grid", gap: ".5rem" } },
        el("h3", { style: { margin: "0", fontSize: "1rem" } }, title), body);
      return { section, body, shown: "" };
    });
    const style = { display: "grid", gap: "1.5rem", padding: "1rem", overflow: "auto", color: "var(--input-text, inherit)", fontSize: ".875rem" };
    this.root = el("div", { className: "limner-panel", style }, this.parts.map(({ section }) => section));
  }

  show(place) {
    place.replaceChildren(this.root);
    this.hide();
    this.look();
  }

  hide() {
    clearTimeout(this.timer);
    this.number = (this.number ?? 0) + 1;
  }

  /** Look, and again after a while, as long as the panel is shown. */
  async look() {
    const number = this.number;
    const works = [() => this.memory(), () => this.plan(), () => this.timeline()];
    await Promise.all(works.map(async (work, index) => {
      let found;
      try {
        found = await work();
      } catch (error) {
        found = [el("p", { style: { margin: "0", whiteSpace: "pre-line" } }, error.message)];
      }
      if (found === null || number !== this.number) return;
      const whole = el("div", {}, found);
      if (whole.innerHTML === this.parts[index].shown) return; // so that focus stays where it is
      this.parts[index].shown = whole.innerHTML;
      this.parts[index].body.replaceChildren(...whole.childNodes);
    }));
    if (number === this.number) this.timer = setTimeout(() => this.look(), REST_MS);
  }

  async memory() {
    const { models } = await ask("/v1/models");
    if (!models.length) return ["No model is loaded."];
    return [list(models.map((one) =>
      row(`${one.device}: ${one.model}`, bytes(one.size_bytes), one.budget_bytes ? one.size_bytes / one.budget_bytes : null)))];
  }

  /** Asked again only where the graph changed. */
  async plan() {
    const asked = await canvas(this.app);
    const text = JSON.stringify(asked);
    if (text === this.planned) return null;
    this.planned = text;
    const { memory, remedies } = await ask("/v1/editor/plan", asked);
    if (!memory) return ["What it takes is not known before it runs."];
    const peaks = Object.entries(memory.peak_bytes).filter(([, peak]) => peak > 0).map(([device, peak]) => {
      const usable = memory.usable_bytes[device];
      return row(device, usable ? `${bytes(peak)} of ${bytes(usable)}` : bytes(peak), usable ? peak / usable : null);
    });
    const over = memory.overflows.map((one) => row(one.node, `needs ${bytes(one.needed_bytes)} on ${one.device}`));
    return [el("strong", { role: "status" }, memory.fits ? "It fits." : "It does not fit."), list([...over, ...peaks]), ...(memory.fits ? [] : remedies.map((one) => this.remedy(one)))];
  }

  remedy({ said, workflow }) {
    const apply = () => this.app.loadGraphData(workflow);
    return el("div", { style: { display: "grid", gap: ".25rem" } }, el("code", { style: { overflowWrap: "anywhere" } }, said),
      el("button", { type: "button", className: "p-button p-component", onclick: apply, "aria-label": `Apply: ${said}` }, "Apply"));
  }

  async timeline() {
    const { jobs } = await ask("/v1/jobs?limit=1");
    if (!jobs.length) return ["Nothing ran yet."];
    const { nodes, state, message } = await ask(`/v1/jobs/${jobs[0].id}`);
    const most = Math.max(...nodes.map(({ seconds }) => seconds ?? 0), 0.001);
    const rows = nodes.map(({ node, type, state: reached, seconds, step, total }) => {
      const said = seconds !== undefined && reached === "finished" ? `${seconds.toFixed(2)} s` : step ? `${step} of ${total}` : reached;
      return row(`${type ?? ""} ${node}`.trim(), said, seconds === undefined ? null : seconds / most);
    });
    return [el("strong", {}, message ? `${state}: ${message}` : state), list(rows)];
  }
}
