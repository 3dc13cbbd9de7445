/** Making elements. What comes from elsewhere only ever becomes text or a property, never markup. */

/** An element: properties (`on...` are listeners, names with a dash attributes), then children, texts among them. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

export function button(text, onclick, properties = {}) {
  return el("button", { type: "button", className: "quiet", onclick, ...properties }, text);
}

/** Say something to those who cannot see the page. */
export function announce(text) {
  byId("announce").textContent = text;
}

/** Show what went wrong, until it is put away or something else went wrong. */
export function complain(error) {
  const box = byId("problem");
  const text = el("p", {}, error.message, error.hint ? el("span", { className: "hint" }, ` ${error.hint}`) : null);
  box.replaceChildren(text, button("Dismiss", () => (box.hidden = true)));
  box.hidden = false;
}

/** Put away what went wrong before: something else is tried. */
export function forgive() {
  byId("problem").hidden = true;
}

/** A listener that complains about what goes wrong in it, and is deaf while it works. */
export function guarded(work) {
  let isBusy = false;
  return async (...given) => {
    if (isBusy) return;
    isBusy = true;
    forgive();
    try {
      await work(...given);
    } catch (error) {
      complain(error);
    } finally {
      isBusy = false;
    }
  };
}

/** Put elements in this order, and take others away; focus stays where it was. */
export function arrange(parent, children) {
  const focused = document.activeElement;
  const kept = new Set(children);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${count >= 99.5 || unit === 0 ? Math.round(count) : Number(count.toPrecision(2))} ${units[unit]}`;
}

export function seconds(count) {
  if (count < 90) return `${count < 9.95 ? count.toFixed(1) : Math.round(count)} s`;
  return `${Math.floor(count / 60)} min ${Math.round(count % 60)} s`;
}

/** `negative_prompt` as people write it. */
export function words(name) {
  const text = name.replaceAll("_", " ").replace(".", ": ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
