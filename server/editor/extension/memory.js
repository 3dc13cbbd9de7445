/** What is in the memory of each device: the models that the next job need not load. */

import { get } from "/page/api.js";
import { bytes, el } from "/page/dom.js";
import { bar, row, rows } from "./rows.js";

export class Memory {
  title = "Memory";
  body = el("div", {}, "No model is loaded.");

  async read() {
    const { models } = await get("/v1/models");
    const devices = [...new Set(models.map(({ device }) => device))].sort();
    this.body.replaceChildren(...(models.length ? devices.map((device) => this.device(device, models)) : ["No model is loaded."]));
  }

  clear() {
    this.body.replaceChildren();
  }

  device(device, models) {
    const own = models.filter((model) => model.device === device);
    const taken = own.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const most = own.find(({ budget_bytes }) => budget_bytes)?.budget_bytes;
    const whole = row(device, most ? `${bytes(taken)} of ${bytes(most)}` : bytes(taken), most ? bar(taken / most) : null);
    return rows([whole, ...own.map(({ model, size_bytes }) => row(model, bytes(size_bytes)))]);
  }
}
