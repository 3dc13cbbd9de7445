/** The jobs that this page knows: read from the server, kept up by what it tells. */

import { get } from "./api.js";

const FINAL = ["completed", "failed", "cancelled"];
const SOON_MS = 150;
const STOPPED = 5;
const PAGE = 24;
export const QUEUE_SHOWN = 50;

export const hasEnded = (job) => FINAL.includes(job.state);

export class Jobs {
  /** `changed()` when something is to be shown again, `ended(job)` when a job ends while the page looks on. */
  constructor(feed, { changed, ended }) {
    Object.assign(this, { feed, changed, ended });
    this.known = new Map(); // jobs by id, as lists show them
    this.details = new Map(); // by id, what only the job itself tells
    this.order = []; // ids of what waits, in the order in which it will run
    this.isPaused = false;
    this.hasMoreWaiting = false;
    this.next = null; // where the next page of results begins
    this.progress = new Map(); // by id of a job that runs, by node: step and total
  }

  /** Read all lists. */
  async read() {
    const page = (state, limit) => get(`/v1/jobs?state=${state}&limit=${limit}`);
    const pages = await Promise.all([
      page("in_progress", 50), page("completed", PAGE), page("failed", STOPPED), page("cancelled", STOPPED), this.readQueue()]);
    for (const id of [...this.progress.keys()]) if (!pages[0].jobs.some((job) => job.id === id)) this.progress.delete(id);
    const found = pages.slice(0, 4).flatMap(({ jobs }) => jobs);
    const kept = new Set([...this.order, ...found.map(({ id }) => id)]);
    for (const id of [...this.known.keys()]) if (!kept.has(id)) this.known.delete(id);
    for (const job of found) this.put(job);
    this.next = pages[1].next ?? null;
    for (const job of this.known.values()) this.look(job);
    this.changed();
  }

  async readQueue() {
    const [waiting, paused] = await Promise.all([get(`/v1/queue?limit=${QUEUE_SHOWN}`), get(`/v1/queue?paused=true&limit=${QUEUE_SHOWN}`)]);
    const found = [...waiting.jobs, ...paused.jobs];
    for (const job of found) this.put(job);
    this.order = found.map(({ id }) => id);
    this.isPaused = waiting.is_paused;
    this.hasMoreWaiting = Boolean(waiting.next ?? paused.next);
    this.changed();
  }

  async readMore() {
    const page = await get(`/v1/jobs?state=completed&limit=${PAGE}&after=${this.next}`);
    this.next = page.next ?? null;
    for (const job of page.jobs) this.add(job);
  }

  /** A job is there, or is not what it was. */
  add(job) {
    const before = this.known.get(job.id);
    if (!this.put(job)) return;
    if (before && before.state !== job.state) this.details.delete(job.id);
    if (hasEnded(job)) this.order = this.order.filter((id) => id !== job.id);
    if (job.state === "pending" || before?.state === "pending") this.queueSoon();
    this.look(job);
    if (before && hasEnded(job) && !hasEnded(before)) this.ended(job);
    this.changed();
  }

  /** Note a job; false for what is older than what is known, as answers that were long on their way are. */
  put(job) {
    const isNew = !(this.known.get(job.id)?.last_seq > job.last_seq);
    if (isNew) this.known.set(job.id, job);
    return isNew;
  }

  gone(id) {
    for (const kept of [this.known, this.details, this.progress]) kept.delete(id);
    this.order = this.order.filter((other) => other !== id);
    this.feed.unfollow(id);
    this.changed();
  }

  queueSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.readQueue().catch(() => {}), SOON_MS); // the next change reads it again
  }

  /** Follow what runs, and read what only the job itself tells. */
  look(job) {
    if (job.state === "in_progress") this.feed.follow(job.id, job.last_seq);
    else if (hasEnded(job)) {
      this.feed.unfollow(job.id);
      this.progress.delete(job.id);
    }
    if (!this.details.has(job.id)) this.readDetail(job);
  }

  async readDetail({ id, state }) {
    this.details.set(id, null);
    try {
      const detail = await get(`/v1/jobs/${id}`);
      const known = this.known.get(id);
      if (known && known.state !== detail.state) {
        this.details.delete(id);
        return known.last_seq > detail.last_seq ? this.look(known) : this.add(detail);
      }
      this.details.set(id, detail);
      if (state === "in_progress") for (const run of detail.nodes) this.step(id, run.node, run);
      this.changed();
    } catch {
      this.details.delete(id); // it may be gone; a list that is read again tries again
    }
  }

  /** Take a message of the feed. */
  hear(message) {
    if (message.type === "job") this.add(message.job);
    else if (message.type === "resync") this.read().catch(() => {});
    else if (message.type === "queue") this.isPaused = message.is_paused;
    else if (message.type === "gone") this.gone(message.job);
    else if (message.type === "step") this.step(message.job, message.node, { state: "running", ...message });
    else if (message.type === "event") this.happened(message);
    else return;
    this.changed();
  }

  happened({ job, kind, body }) {
    if (kind === "started") this.progress.delete(job);
    const nodes = kind === "nodes" ? body : kind === "progress" ? body.nodes ?? {} : {};
    for (const [node, run] of Object.entries(nodes)) this.step(job, node, run);
  }

  step(id, node, run) {
    if (hasEnded(this.known.get(id) ?? { state: "pending" })) return;
    if (!this.progress.has(id)) this.progress.set(id, new Map());
    const nodes = this.progress.get(id);
    const before = nodes.get(node) ?? {};
    const step = Math.max(run.step ?? 0, before.step ?? 0) || undefined;
    nodes.set(node, { ...before, ...run, step, total: run.total ?? before.total });
  }

  all(...states) {
    return [...this.known.values()].filter((job) => states.includes(job.state)).sort((one, other) => (one.id < other.id ? 1 : -1));
  }

  running() {
    return this.all("in_progress").reverse();
  }

  waiting() {
    return this.order.map((id) => this.known.get(id)).filter((job) => job?.state === "pending");
  }

  stopped() {
    const ended = this.all("failed", "cancelled").sort((one, other) => other.finished - one.finished);
    return ended.slice(0, STOPPED);
  }

  /** What a job is called: the prompt that it was given, or its graph. */
  title(job) {
    const parameters = this.details.get(job.id)?.parameters ?? {};
    const prompt = parameters.prompt ?? Object.entries(parameters).find(([name]) => name.endsWith(".prompt"))?.[1];
    return typeof prompt === "string" && prompt ? prompt : job.name.replaceAll("_", " ") || "a graph";
  }
}
