/** What was made: pictures, each with its graph and settings, to be run again, changed or saved. */

import { announce, arrange, button, byId, bytes, el, guarded, seconds, words } from "./dom.js";
import { stringify } from "./json.js";

export class Gallery {
  constructor(jobs, actions) {
    Object.assign(this, { jobs, actions });
    this.tiles = new Map();
    this.dialog = byId("result");
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    byId("more-results").addEventListener("click", guarded(() => jobs.readMore()));
  }

  show() {
    const done = this.jobs.all("completed").filter(({ id }) => this.jobs.details.get(id));
    const tiles = done.flatMap((job) => this.tilesOf(this.jobs.details.get(job.id)));
    arrange(byId("gallery"), tiles);
    byId("no-results").hidden = tiles.length > 0;
    byId("more-results").hidden = !this.jobs.next;
  }

  tilesOf(job) {
    if (!this.tiles.has(job.id)) this.tiles.set(job.id, job.artifacts.map((artifact) => this.tile(job, artifact)));
    return this.tiles.get(job.id);
  }

  tile(job, artifact) {
    const title = this.jobs.title(job);
    const content = artifact.media_type.startsWith("image/")
      ? el("img", { src: artifact.url, alt: title, loading: "lazy", decoding: "async" })
      : el("span", { className: "document" }, artifact.name.split("/").pop());
    const look = el("button", { type: "button", className: "look", "aria-label": `Look at: ${title}`, onclick: () => this.open(job, artifact) }, content);
    const tile = el("li", {}, look, el("p", { className: "caption", title }, title), el("div", { className: "buttons" }, this.deeds(job, artifact, title)));
    tile.dataset.job = job.id;
    return tile;
  }

  deeds(job, artifact, title) {
    const about = (what) => ({ "aria-label": `${what}: ${title}` });
    const leave = (work) => guarded(async () => (this.dialog.close(), work()));
    return [
      button("Run again", leave(() => this.actions.again(job)), about("Run again")),
      button("Edit", leave(() => this.actions.open(job)), about("Edit")),
      el("a", { className: "button quiet", href: artifact.url, download: artifact.name.split("/").pop(), ...about("Download") }, "Download"),
    ];
  }

  /** One result, large, with all that is known of it. */
  open(job, artifact) {
    const title = this.jobs.title(job);
    const isPicture = artifact.media_type.startsWith("image/");
    const graph = el("pre", { tabIndex: 0, "aria-label": "The graph" }, "…");
    const details = el("details", {}, el("summary", {}, "Graph"), el("div", { className: "buttons" },
      button("Copy", guarded(async () => (await navigator.clipboard.writeText(graph.textContent), announce("Copied.")))),
      el("a", { className: "button quiet", href: `/v1/jobs/${job.id}/graph`, download: `${job.name || "graph"}.json` }, "Download the graph")), graph);
    details.addEventListener("toggle", guarded(async () => {
      if (details.open) graph.textContent = stringify(await this.actions.graph(job), 2);
    }));
    this.dialog.replaceChildren(
      el("div", { className: "close" }, button("Close", () => this.dialog.close())),
      isPicture ? el("img", { src: artifact.url, alt: title }) : null,
      el("div", { className: "about" }, el("h2", { id: "result-title" }, title), el("div", { className: "buttons" }, this.deeds(job, artifact, title)),
        el("dl", { className: "facts" }, facts(job, artifact)), details));
    this.dialog.showModal();
  }
}

function facts(job, artifact) {
  const settings = Object.entries(job.parameters).map(([name, value]) => [words(name), typeof value === "string" ? value : stringify(value)]);
  const known = [
    ["Template", job.template ? words(job.template) : job.name],
    ...settings,
    ["Made", new Date(1000 * job.finished).toLocaleString()],
    ["Took", job.started ? seconds(job.finished - job.started) : ""],
    ["File", `${artifact.name.split("/").pop()}, ${bytes(artifact.size_bytes)}`],
    ["SHA-256", artifact.sha256],
  ];
  return known.filter(([, value]) => value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
}
