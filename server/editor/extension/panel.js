/** The panel: memory of each device, the plan of the graph, and what the latest job of this tab did.
 *
 * Each part looks again when something happened that it shows; where it cannot, nothing old is left. While the panel is
 * closed nothing is asked.
 */

import { el } from "/page/dom.js";
import { Memory } from "./memory.js";
import { Plan } from "./plan.js";
import { Timeline } from "./timeline.js";

const REST_MS = 300;

export class Panel {
  constructor(app, api, complain) {
    this.timeline = new Timeline(app);
    const parts = [new Memory(), new Plan(app, complain), this.timeline];
    const problems = parts.map(() => el("p", { className: "limner-fault", hidden: true }));
    this.root = el("div", { className: "limner limner-panel" }, parts.map(({ title, body }, index) =>
      el("section", { "aria-label": title }, el("h3", {}, title), problems[index], body)));
    const [ofMemory, ofPlan] = [0, 1].map((index) => this.looking(parts[index], problems[index]));
    this.looks = [ofMemory, ofPlan];
    api.addEventListener("status", ofMemory); // a job began, or ended
    api.addEventListener("reconnected", ofMemory);
    api.addEventListener("graphChanged", ofPlan);
    api.addEventListener("execution_start", ({ detail }) => this.timeline.follow(detail.prompt_id));
  }

  show(place) {
    place.replaceChildren(this.root);
    this.isShown = true;
    this.timeline.listen();
    this.looks.forEach((look) => look());
  }

  hide() {
    this.isShown = false;
    this.timeline.rest();
  }

  /** Another graph is on the canvas. */
  opened() {
    this.looks[1]();
  }

  /** Have a part look once nothing happened for a moment. */
  looking(part, problem) {
    let timer;
    let latest = 0;
    const look = async () => {
      const number = (latest += 1);
      try {
        await part.read();
        if (number === latest) problem.hidden = true;
      } catch (error) {
        part.clear();
        problem.textContent = error.message;
        problem.hidden = false;
      }
    };
    return () => {
      clearTimeout(timer);
      if (this.isShown) timer = setTimeout(look, REST_MS);
    };
  }
}
