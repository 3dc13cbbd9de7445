/** The form of what is to be made: a template, or the graph of a picture or of an earlier job. */

import { freshKey, get, post } from "./api.js";
import { announce, button, byId, el, forgive, words } from "./dom.js";
import { makeField, Unreadable } from "./fields.js";
import { parse, stringify } from "./json.js";

const DRAFT = "limner-draft";
const DRAFT_MS = 300;

export class Form {
  /** `changed()` is called after every change, `submitted(job)` with what was handed in. */
  constructor({ changed, submitted }) {
    Object.assign(this, { changed, submitted });
    this.fields = [];
    this.element = byId("form");
    this.select = byId("template");
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.run()));
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.element.requestSubmit();
    });
    this.select.addEventListener("change", () => this.openTemplate(this.select.value));
    byId("fields").addEventListener("input", () => this.touched());
    addEventListener("pagehide", () => this.source && this.saveDraft()); // what was typed a moment ago is not lost
  }

  /** Fill the list, and open what was open in this tab, or the first choice. */
  async begin() {
    const { templates } = await get("/v1/templates");
    this.select.replaceChildren(...templates.map(({ name, faults }) =>
      el("option", { value: name, disabled: faults.length > 0 }, words(name) + (faults.length ? " (cannot run)" : ""))));
    const draft = readDraft();
    try {
      if (draft) return await this.open(draft, draft.values);
    } catch {
      // what was open is not there any more
    }
    const first = templates.find(({ name }) => name === "text_to_image") ?? templates.find(({ faults }) => !faults.length);
    if (first) await this.openTemplate(first.name);
  }

  openTemplate(template, values = {}) {
    return this.open({ template }, values);
  }

  /** Open `{template}`, or `{graph, name}`; `values` are what its fields begin with. */
  async open(source, values = {}) {
    const { template, graph } = source;
    const form = template ? await get(`/v1/templates/${encodeURIComponent(template)}`) : await post("/v1/form", { graph });
    this.source = template ? { template } : { graph, name: source.name ?? words(form.name) };
    this.targets = form.graph.parameters ?? {};
    this.graph = form.graph;
    this.edits = source.edits ?? [];
    this.showSource(form.description);
    this.showFields(form.parameters, values);
    this.showEdits();
    this.showFaults([]);
    this.touched();
  }

  showSource(description) {
    this.select.querySelector("[data-graph]")?.remove();
    if (this.source.graph) {
      const option = el("option", { value: "" }, this.source.name);
      option.dataset.graph = "";
      this.select.prepend(option);
    }
    this.select.value = this.source.template ?? "";
    byId("template-text").textContent = description;
  }

  showFields(parameters, values) {
    this.fields = Object.entries(parameters).map(([name, schema]) => makeField(name, schema, values[name]));
    const first = this.fields.filter((field) => field.isFirst).map((field) => field.element);
    const rest = this.fields.filter((field) => !field.isFirst).map((field) => field.element);
    this.more = el("details", { className: "more" }, el("summary", {}, "More settings"), el("div", { className: "fields" }, rest));
    this.more.open = first.length === 0 || this.fields.some((field) => !field.isFirst && field.name in values);
    byId("fields").replaceChildren(...first, ...(rest.length ? [this.more] : []));
  }

  /** Values that are not the defaults, and always what a picture is known by. Raises Unreadable faults by field. */
  values({ isStrict = true } = {}) {
    const values = {}, faults = [];
    for (const field of this.fields) {
      try {
        const value = field.value();
        const isKnownBy = field.name === "prompt" || field.name === "seed";
        if (value !== undefined && (isKnownBy || !field.isDefault(value))) values[field.name] = value;
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        faults.push({ path: ["parameters", field.name], message: error.message });
      }
    }
    if (isStrict && faults.length) throw Object.assign(new Unreadable("There is something wrong."), { faults });
    return values;
  }

  /** What is asked of the server. */
  request(options) {
    const parameters = this.values(options);
    const { template } = this.source;
    return template && !this.edits.length ? { template, parameters } : { graph: this.edited(), parameters };
  }

  edited() {
    const graph = parse(stringify(this.graph));
    for (const { path, value } of this.edits) {
      const place = path.slice(0, -1).reduce((at, part) => (at[part] ??= {}), graph);
      place[path.at(-1)] = value;
    }
    return graph;
  }

  /** Whether edits of a plan are of nodes that are in the graph as it was written. */
  canEdit(edits) {
    const added = edits.filter(({ path }) => path.length === 2).map(({ path }) => path[1]);
    return edits.every(({ path }) => path[0] === "nodes" && (path[1] in this.graph.nodes || added.includes(path[1])));
  }

  edit(edits) {
    this.edits = edits;
    this.showEdits();
    this.touched();
    announce("Applied.");
  }

  showEdits() {
    const box = byId("changes");
    box.hidden = !this.edits.length;
    box.replaceChildren(el("p", {}, "Changed so that it fits: ", el("code", {}, this.edits.map(asText).join("; "))),
      button("Take back", () => this.edit([])));
  }

  async run() {
    forgive();
    this.showFaults([]);
    const send = this.element.querySelector("[type=submit]");
    if (send.getAttribute("aria-disabled") === "true") return;
    send.setAttribute("aria-disabled", "true");
    try {
      this.submitted(await post("/v1/jobs", this.request(), { "Idempotency-Key": freshKey() }));
      announce("Handed in.");
    } catch (error) {
      this.showFaults(error.faults?.length ? error.faults : [{ path: [], message: error.message, hint: error.hint }]);
    } finally {
      send.removeAttribute("aria-disabled");
    }
  }

  /** Say each fault at its field; what belongs to none above them all. */
  showFaults(faults) {
    for (const field of this.fields) field.fault("");
    const others = [], at = new Map();
    for (const fault of faults) {
      const field = this.fieldOf(fault.path);
      if (!field) others.push(fault);
      else at.set(field, [...(at.get(field) ?? []), fault]);
    }
    for (const [field, own] of at) field.fault(own.map(sentence).join(" "));
    const box = byId("form-faults");
    box.replaceChildren(...others.map((fault) => el("p", {}, place(fault.path), sentence(fault))));
    box.hidden = !others.length;
    const first = this.fields.find((field) => at.has(field));
    if (!first) return;
    if (!first.isFirst) this.more.open = true;
    first.focus();
  }

  /** The field of a parameter, or of the setting that it stands for. */
  fieldOf(path) {
    const [kind, name, part, setting] = path;
    const target = kind === "nodes" && (part === "settings" || part === "wires") ? `${name}.${setting}` : null;
    return this.fields.find((field) => (kind === "parameters" && field.name === name) ||
      (target && [this.targets[field.name] ?? field.name].flat().includes(target)));
  }

  touched() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.saveDraft(), DRAFT_MS);
    this.changed();
  }

  saveDraft() {
    const draft = { ...this.source, edits: this.edits, values: this.values({ isStrict: false }) };
    try {
      sessionStorage.setItem(DRAFT, stringify(draft));
    } catch {
      // too large, or not allowed: a reload then begins anew
    }
  }
}

function readDraft() {
  try {
    return parse(sessionStorage.getItem(DRAFT) ?? "null");
  } catch {
    return null;
  }
}

function sentence({ message, hint }) {
  return hint ? `${message}: ${hint}` : message;
}

const place = (path) => (path.length > 1 && path[0] === "nodes" ? el("code", {}, path.join(".")) : "");

/** An edit in a few words. */
export function asText({ path, value }) {
  const [, node, ...rest] = path;
  if (!rest.length) return `${node}: ${value.type} ${Object.values(value.settings ?? {}).join(" ")}`.trim();
  const said = value && typeof value === "object" ? Object.values(value).join(" ") : String(value);
  return `${node}.${rest.join(".")} = ${said}`;
}
