/** Fields of a form, made from JSON schemas. Each has `element`, `focus()`, `value()` and `fault(text)`. */

import { button, el, words } from "./dom.js";
import { same, stringify, parse, whole } from "./json.js";
import { pictureButton } from "./upload.js";

/** What a field says when what is in it cannot even be sent. */
export class Unreadable extends Error {}

/** A schema without the choice of null, and whether there was one. */
function plain(schema) {
  const options = (schema.anyOf ?? [schema]).filter((option) => option.type !== "null");
  const isOptional = Boolean(schema.anyOf) && options.length < schema.anyOf.length;
  return options.length === 1 ? { ...schema, ...options[0], isOptional } : { ...schema, type: "json", isOptional };
}

let count = 0;

/** A field for a parameter. `value` is what it begins with. */
export function makeField(name, given, value) {
  const schema = plain(given);
  const id = `field-${(count += 1)}`;
  const control = controlFor(name, schema, value ?? schema.default);
  const fault = el("p", { id: `${id}-fault`, className: "fault", hidden: true });
  const hint = el("p", { id: `${id}-hint`, className: "hint" }, schema.description ?? "");
  const main = control.main ?? control.element;
  main.id = id;
  main.setAttribute("aria-describedby", `${hint.id} ${fault.id}`);
  const isGroup = control.isGroup ?? false;
  const label = el(isGroup ? "span" : "label", { className: "label", id: `${id}-label` }, words(name));
  if (isGroup) main.setAttribute("aria-labelledby", label.id);
  else label.htmlFor = id;
  const parts = control.isCheck ? [el("div", { className: "check" }, control.element, label)] : [label, control.element];
  const element = el("div", { className: `field ${control.isWide ? "wide" : ""}` }, ...parts, hint, fault);
  element.dataset.name = name;
  element.addEventListener("input", () => say(""));
  function say(text) {
    fault.textContent = text;
    fault.hidden = !text;
    if (text && !isGroup) main.setAttribute("aria-invalid", "true");
    else main.removeAttribute("aria-invalid");
  }
  return {
    name,
    element,
    take: control.take,
    isFirst: (Boolean(control.isWide) && !name.includes("negative")) || name === "seed" || isMissing(schema),
    isDefault: (value) => same(value ?? null, schema.default ?? null),
    value: control.value,
    fault: say,
    focus: () => (control.focus ?? (() => main.focus()))(),
  };
}

/** Whether the form must be given it: there is no default, and it is not optional. */
function isMissing(schema) {
  return !schema.isOptional && (schema.default === null || schema.default === undefined || schema.default === "") &&
    schema.type === "string" && schema.minLength > 0;
}

function controlFor(name, schema, value) {
  if (schema.enum) return choice(schema, value);
  if (schema.type === "boolean") return check(value);
  if (schema.type === "integer" || schema.type === "number") return number(name, schema, value);
  if (schema.type === "array" && schema.items?.type === "string") return list(name, schema, value ?? []);
  if (schema.type === "string" && schema.title === "File") return file(name, value ?? "");
  if (schema.type === "string") return text(name, schema, value ?? "");
  return json(value);
}

function choice(schema, value) {
  const options = schema.enum.map((one) => el("option", { value: stringify(one) }, String(one)));
  if (schema.isOptional) options.unshift(el("option", { value: "null" }, "as usual"));
  const element = el("select", {}, options);
  element.value = stringify(value ?? null);
  return { element, value: () => parse(element.value) };
}

function check(value) {
  const element = el("input", { type: "checkbox", checked: value === true });
  return { element, isCheck: true, value: () => element.checked };
}

function number(name, schema, value) {
  const isWhole = schema.type === "integer";
  const most = schema.maximum ?? schema.exclusiveMaximum; // beyond what a number holds, said by the server alone
  const input = el("input", {
    type: "number",
    inputMode: isWhole ? "numeric" : "decimal",
    min: schema.minimum ?? "",
    max: most !== undefined && most <= Number.MAX_SAFE_INTEGER ? most : "",
    step: schema.multipleOf ?? (isWhole ? 1 : "any"),
    placeholder: schema.isOptional ? "the model's own" : "",
    value: value === null || value === undefined ? "" : String(value),
  });
  function read() {
    const said = input.value.trim();
    if (said === "" && !input.validity.badInput) return schema.isOptional ? null : undefined;
    if (said === "") throw new Unreadable("is no number");
    return isWhole && /^-?\d+$/.test(said) ? whole(said) : Number(said);
  }
  if (name !== "seed" && !name.endsWith(".seed")) return { element: input, value: read };
  const random = button("Random", () => {
    input.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }, { "aria-label": `Random ${words(name).toLowerCase()}` });
  return { element: el("div", { className: "with-button" }, input, random), main: input, value: read };
}

function text(name, schema, value) {
  const isLong = !schema.maxLength && !schema.pattern && (schema.format === "long-text" || value.length > 60);
  const element = isLong
    ? el("textarea", { rows: name.includes("negative") ? 1 : 3, value })
    : el("input", { type: "text", value });
  element.spellcheck = isLong;
  return { element, isWide: isLong, value: () => (element.value === "" && schema.isOptional ? null : element.value) };
}

/** The path of a picture on the server, which bringing one fills in. */
function file(name, value) {
  const input = el("input", { type: "text", value, spellcheck: false, placeholder: "none yet" });
  const shown = el("canvas", { className: "thumb", width: 1, height: 1, hidden: true });
  function take(taken) {
    input.value = taken[0].file;
    show(shown, taken[0].picture);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  input.addEventListener("input", (event) => event.isTrusted && (shown.hidden = true));
  const element = el("div", { className: "with-button" }, shown, input, pictureButton(words(name), false, take));
  return { element, main: input, isWide: true, take, value: () => input.value };
}

function show(canvas, picture) {
  canvas.hidden = !picture;
  if (!picture) return;
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

/** Texts in order; where they are pictures, they can be brought. */
function list(name, schema, values) {
  const rows = el("ol", { className: "plain list" });
  const what = schema.title === "Files" ? "picture" : "line";
  function changed() {
    [...rows.children].forEach((row, index) => row.querySelector("input").setAttribute("aria-label", `${words(name)}, ${index + 1}`));
    rows.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function add(value, picture) {
    const thumb = el("canvas", { className: "thumb", width: 1, height: 1, hidden: true });
    show(thumb, picture);
    const input = el("input", { type: "text", value, spellcheck: false });
    const up = button("↑", () => (row.previousElementSibling?.before(row), changed(), up.focus()), { "aria-label": `Move this ${what} up` });
    const away = button("×", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      changed();
      (next?.querySelector("input") ?? more).focus();
    }, { "aria-label": `Remove this ${what}` });
    const row = el("li", { className: "with-button" }, thumb, input, up, away);
    rows.append(row);
    return input;
  }
  const more = button(what === "picture" ? "Add a path" : "Add a line", () => (add("").focus(), changed()));
  const take = (taken) => {
    for (const one of taken) add(one.file, one.picture);
    changed();
  };
  const isFiles = what === "picture";
  const buttons = el("div", { className: "buttons" }, isFiles ? pictureButton(words(name), true, take) : null, more);
  const element = el("div", { role: "group" }, rows, buttons);
  for (const value of values) add(value);
  [...rows.children].forEach((row, index) => row.querySelector("input").setAttribute("aria-label", `${words(name)}, ${index + 1}`));
  return {
    element,
    isWide: true,
    isGroup: true,
    take: isFiles ? take : undefined,
    value: () => [...rows.querySelectorAll("input")].map((input) => input.value).filter(Boolean),
    focus: () => (rows.querySelector("input") ?? more).focus(),
  };
}

/** Whatever else there is, as JSON. */
function json(value) {
  const said = value === null || value === undefined ? "" : stringify(value, 1);
  const element = el("textarea", { rows: 3, className: "code", spellcheck: false, value: said });
  function read() {
    if (element.value.trim() === "") return null;
    try {
      return parse(element.value);
    } catch (error) {
      throw new Unreadable(`is no JSON: ${error.message}`);
    }
  }
  return { element, isWide: true, value: read };
}
