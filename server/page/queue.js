/** What waits, and what stopped without a result. */

import { post } from "./api.js";
import { arrange, button, byId, el, guarded } from "./dom.js";
import { QUEUE_SHOWN } from "./jobs.js";

export class QueueView {
  constructor(jobs, actions, session) {
    Object.assign(this, { jobs, actions, isAdmin: session.is_admin, client: session.client });
    this.rows = new Map();
    const pause = byId("pause-queue");
    pause.hidden = !session.is_admin;
    pause.addEventListener("click", guarded(async () => {
      await post(`/v1/queue/${jobs.isPaused ? "resume" : "pause"}`);
      await jobs.readQueue();
    }));
  }

  show() {
    const waiting = this.jobs.waiting();
    byId("queue").hidden = !waiting.length && !this.jobs.isPaused;
    byId("pause-queue").textContent = this.jobs.isPaused ? "Go on" : "Pause the queue";
    byId("queue-title").textContent = this.jobs.isPaused ? "Waiting: paused" : "Waiting";
    arrange(byId("waiting"), waiting.map((job) => this.row(job, this.waitingRow)));
    const more = byId("waiting-more");
    more.hidden = !this.jobs.hasMoreWaiting;
    more.textContent = `The first ${QUEUE_SHOWN} are shown.`;
    const stopped = this.jobs.stopped();
    byId("stopped").hidden = !stopped.length;
    arrange(byId("stopped-list"), stopped.map((job) => this.row(job, this.stoppedRow)));
    const shown = new Set([...waiting, ...stopped].map(({ id }) => id));
    for (const id of [...this.rows.keys()]) if (!shown.has(id)) this.rows.delete(id);
  }

  /** The row of a job; a new one where it is not what it was. */
  row(job, make) {
    const said = JSON.stringify([make.name, job.is_paused, job.state, job.message, this.jobs.title(job), job.finished]);
    const known = this.rows.get(job.id);
    if (known?.said === said) return known.element;
    const element = make.call(this, job);
    element.dataset.job = job.id;
    const focused = known?.element.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.rows.set(job.id, { said, element });
    if (focused) queueMicrotask(() => (element.querySelector(`[data-then]`) ?? element.querySelector("button"))?.focus());
    return element;
  }

  waitingRow(job) {
    const title = this.jobs.title(job);
    const move = (by, focus) => guarded(async () => {
      await this.actions.move(job, by);
      focus?.focus();
    });
    const about = (what) => ({ "aria-label": `${what}: ${title}`, title: what });
    const up = button("↑", move(-1), about("Earlier"));
    const down = button("↓", move(1), about("Later"));
    const hold = job.is_paused
      ? button("Go on", this.actions.doing(job, "resume"), { "aria-label": `Go on: ${title}` })
      : button("Pause", this.actions.doing(job, "pause"), { "aria-label": `Pause: ${title}` });
    hold.dataset.then = "";
    const cancel = button("Cancel", this.actions.doing(job, "cancel"), { "aria-label": `Cancel: ${title}` });
    const element = el("li", {}, el("span", { className: "name" }, title, this.tags(job)),
      el("span", { className: "buttons" }, job.is_paused ? null : [up, down], hold, cancel));
    element.addEventListener("keydown", (event) => {
      const by = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by || job.is_paused) return;
      event.preventDefault();
      move(by, by < 0 ? up : down)();
    });
    return element;
  }

  stoppedRow(job) {
    const title = this.jobs.title(job);
    const said = job.state === "failed" ? el("span", { className: "fault" }, [job.message, job.hint].filter(Boolean).join(" ")) : null;
    return el("li", {}, el("span", { className: "name" }, title, el("span", { className: "tag" }, job.state), said),
      el("span", { className: "buttons" },
        button("Retry", this.actions.doing(job, "retry"), { "aria-label": `Retry: ${title}` }),
        button("Edit", guarded(() => this.actions.open(job)), { "aria-label": `Edit: ${title}` })));
  }

  tags(job) {
    const tags = [job.is_paused && "paused", this.isAdmin && job.client !== this.client && job.client, job.priority && `priority ${job.priority}`];
    return tags.filter(Boolean).map((tag) => el("span", { className: "tag" }, tag));
  }
}
