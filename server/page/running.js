/** What runs now: steps as they are made, and pictures of them. */

import { announce, arrange, button, byId, el, seconds } from "./dom.js";

const SAID_PARTS = 4;

export class Running {
  constructor(jobs, actions) {
    Object.assign(this, { jobs, actions });
    this.cards = new Map();
    setInterval(() => this.tick(), 1000);
  }

  show() {
    const running = this.jobs.running();
    const ids = new Set(running.map(({ id }) => id));
    for (const id of [...this.cards.keys()]) if (!ids.has(id)) this.cards.delete(id);
    arrange(byId("running"), running.map((job) => this.card(job).element));
    byId("nothing-runs").hidden = running.length > 0;
  }

  card(job) {
    if (!this.cards.has(job.id)) this.cards.set(job.id, makeCard(job, this.actions));
    const card = this.cards.get(job.id);
    card.job = job;
    card.title.textContent = this.jobs.title(job);
    card.update(this.jobs.progress.get(job.id) ?? new Map());
    return card;
  }

  /** A preview came. */
  async see({ job }, blob) {
    const card = this.cards.get(job);
    if (!card) return;
    const number = (card.asked = (card.asked ?? 0) + 1);
    const picture = await createImageBitmap(blob);
    if (number < (card.drawn ?? 0)) return;
    card.drawn = number;
    [card.canvas.width, card.canvas.height] = [picture.width, picture.height];
    card.canvas.getContext("2d").drawImage(picture, 0, 0);
    card.canvas.dataset.previews = String(number);
    card.canvas.classList.add("drawn");
    picture.close();
  }

  tick() {
    for (const card of this.cards.values()) card.tick();
  }
}

function makeCard(job, actions) {
  const canvas = el("canvas", { className: "preview", width: 1, height: 1, role: "img", "aria-label": "The picture so far" });
  const title = el("h3");
  const bar = el("progress", { "aria-label": "Progress" });
  const text = el("p", { className: "quiet-text step" });
  const time = el("p", { className: "quiet-text" });
  const buttons = el("div", { className: "buttons" },
    button("Pause", actions.doing(job, "pause")), button("Cancel", actions.doing(job, "cancel")));
  const element = el("li", { className: "card" }, canvas, el("div", { className: "about" }, title, bar, el("div", { className: "row" }, text, time), buttons));
  element.dataset.job = job.id;
  const card = { element, canvas, title, job, said: 0 };
  card.tick = () => (time.textContent = card.job.started ? seconds(Math.max(0, Date.now() / 1000 - card.job.started)) : "");
  card.update = (nodes) => {
    const asked = card.job.wish && { cancel: "Stops after this step.", pause: "Pauses after this step." }[card.job.wish];
    const shown = current(nodes);
    if (shown?.total) {
      [bar.max, bar.value] = [shown.total, shown.step ?? 0];
      const part = Math.floor((SAID_PARTS * bar.value) / bar.max);
      if (part !== card.said) announce(`Step ${bar.value} of ${bar.max}.`);
      card.said = part;
    } else bar.removeAttribute("value");
    text.textContent = asked ?? describe(shown);
    buttons.hidden = card.job.wish === "cancel";
  };
  card.tick();
  return card;
}

/** The node to show: that which runs and counts its steps, otherwise any that runs. */
function current(nodes) {
  const running = [...nodes].map(([node, run]) => ({ ...run, node })).filter(({ state }) => state === "running" || state === undefined);
  return running.find(({ total }) => total) ?? running.at(-1);
}

function describe(run) {
  if (!run) return "Getting ready";
  return run.total ? `${run.node}: step ${run.step ?? 0} of ${run.total}` : run.node;
}
