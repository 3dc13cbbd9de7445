/** What each node of the latest job of this tab did, and when. The server's events of the job say it, as it happens. */

import { get } from "/page/api.js";
import { el, seconds } from "/page/dom.js";
import { nodeOf, ownIds } from "./places.js";
import { bar, row, rows } from "./rows.js";

const KEPT = "limner.job"; // over a reload of the tab
const NOTHING = "Nothing ran from this tab yet.";
const AGAIN_MS = 5000;
const KINDS = ["started", "nodes", "progress", "step", "finished"];

/** What was kept of a step, which is heard after a restart, comes without how many there are. */
const progress = ({ step, total }) => (total ? `${step} of ${total}` : `step ${step}`);

export class Timeline {
  title = "Timeline";
  status = el("p", { role: "status" }, NOTHING);
  details = el("div");
  body = el("div", {}, this.status, this.details);
  job = sessionStorage.getItem(KEPT);

  constructor(app) {
    this.app = app;
  }

  /** Another job begins. */
  follow(promptId) {
    this.job = promptId.replaceAll("-", "");
    sessionStorage.setItem(KEPT, this.job);
    if (this.isShown) this.listen();
  }

  /** Follow the latest job from its first event on. */
  listen() {
    this.rest();
    this.isShown = true;
    if (!this.job) return;
    this.begin();
    this.source = new EventSource(`/v1/jobs/${this.job}/events`);
    for (const kind of KINDS) this.source.addEventListener(kind, ({ data }) => this.hear(kind, JSON.parse(data)));
    this.source.addEventListener("error", ({ target }) => this.lost(target));
  }

  /** What the server refused does not begin again by itself: a token is wanted, or the job is gone, or too many follow. */
  async lost(source) {
    const isOver = () => source !== this.source || !this.isShown;
    if (source.readyState !== EventSource.CLOSED || isOver()) return;
    const status = await get(`/v1/jobs/${this.job}`).then(() => 200, (error) => error.status);
    if (isOver()) return;
    if (status === 404) this.forget();
    else setTimeout(() => isOver() || this.listen(), AGAIN_MS);
  }

  forget() {
    sessionStorage.removeItem(KEPT);
    this.job = null;
    this.say(NOTHING);
    this.details.replaceChildren();
  }

  rest() {
    this.isShown = false;
    this.source?.close();
  }

  begin() {
    this.nodes = new Map();
    this.say("waiting");
  }

  hear(kind, said) {
    this.now = said.time ?? this.now;
    if (kind === "started") {
      this.begin();
      this.say("running");
    } else if (kind === "nodes") this.merge(said.body);
    else if (kind === "progress") this.merge(said.body.nodes ?? {});
    else if (kind === "step") this.merge({ [said.node]: said });
    else {
      this.say(said.body.message ? `${said.body.status}: ${ownIds(said.body.message)}` : said.body.status);
      this.source.close();
    }
    this.soon();
  }

  merge(changes) {
    for (const [node, change] of Object.entries(changes)) this.nodes.set(node, { ...this.nodes.get(node), ...change });
  }

  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** Many events are shown once. */
  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.show();
    });
  }

  show() {
    const nodes = [...this.nodes].sort(([, one], [, other]) => (one.started ?? 0) - (other.started ?? 0));
    const begin = Math.min(...nodes.map(([, { started }]) => started ?? Infinity));
    this.details.replaceChildren(rows(nodes.map(([node, did]) => this.row(node, did, begin))));
  }

  row(name, did, begin) {
    const node = ownIds(name);
    const took = did.state === "finished" && did.seconds !== undefined;
    const said = took ? seconds(did.seconds) : did.state === "running" && did.step ? progress(did) : did.state;
    const type = did.type ?? nodeOf(this.app, node)?.type; // what was cached comes without it
    const whole = Math.max(0.001, this.now - begin);
    return row(type ? `${type} ${node}` : node, said, took ? bar(did.seconds / whole, (did.started - begin) / whole) : null);
  }
}
