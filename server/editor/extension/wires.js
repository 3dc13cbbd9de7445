/** Sockets and wires of each type in its colour, whichever theme there is: a theme brings colours of its own. */

import { get } from "/page/api.js";

export class Wires {
  colors = get("/v1/editor/colors").then(({ colors }) => Object.entries(colors));
  page = document.documentElement;

  constructor(app) {
    this.app = app;
  }

  /** Paint those that are not. */
  async paint() {
    const lost = (await this.colors).filter((one) => !this.isPainted(one));
    lost.forEach((one) => this.set(one));
    if (lost.length) this.app.canvas.setDirty(true, true);
  }

  /** Paint again when the page has another theme. */
  watch() {
    const again = () => this.paint().catch(() => {}); // the first painting said what is wrong
    new MutationObserver(again).observe(this.page, { attributes: true, attributeFilter: ["style"] });
  }

  isPainted([type, color]) {
    return this.page.style.getPropertyValue(`--color-datatype-${type}`) === color && this.maps().every((map) => map[type] === color);
  }

  set([type, color]) {
    this.page.style.setProperty(`--color-datatype-${type}`, color);
    for (const map of this.maps()) map[type] = color;
  }

  maps() {
    const { canvas } = this.app;
    return [canvas.default_connection_color_byType, canvas.constructor.link_type_colors];
  }
}
