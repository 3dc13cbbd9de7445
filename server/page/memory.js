/** What is in the memory of each device: the models that the next job need not load. */

import { get } from "./api.js";
import { byId, bytes, el } from "./dom.js";

export class Memory {
  constructor() {
    this.usable = {};
    this.models = [];
  }

  /** How much there is, as a plan told. */
  known(usable) {
    this.usable = usable;
    this.show();
  }

  async read() {
    this.models = (await get("/v1/models")).models;
    this.show();
  }

  show() {
    const devices = [...new Set([...Object.keys(this.usable), ...this.models.map(({ device }) => device)])];
    byId("memory-body").replaceChildren(...devices.map((device) => this.device(device)));
    byId("memory").hidden = !devices.length;
  }

  device(device) {
    const own = this.models.filter((model) => model.device === device);
    const taken = own.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const most = own.find(({ budget_bytes }) => budget_bytes)?.budget_bytes ?? this.usable[device];
    const said = `${bytes(taken)}${most ? ` of ${bytes(most)}` : ""} taken by models`;
    const bar = el("div", { className: "bar", role: "img", "aria-label": `${device}: ${said}` }, own.map((model) => {
      const part = el("span");
      part.style.width = `${(100 * model.size_bytes) / (most || taken)}%`;
      return part;
    }));
    const models = own.map(({ model, size_bytes }) => el("li", {}, el("span", { className: "name" }, model), el("span", {}, bytes(size_bytes))));
    return el("div", { className: "device" }, el("p", { className: "row" }, el("strong", {}, device), el("span", { className: "quiet-text" }, said)),
      bar, own.length ? el("ul", { className: "plain models" }, models) : null);
  }
}
