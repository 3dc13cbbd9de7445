/** Descriptions on the cards of templates, where the editor shows none: newer ones have titles only. */

import { get } from "/page/api.js";

const text = (words) => JSON.stringify(words.replace(/\s+/g, " ")); // a string of CSS, too

const card = (name) => `[data-testid=${text(`template-workflow-${name}`)}]:not(:has(p)) > :last-child::after`;

const rule = ({ name, description }) =>
  `${card(name)} { content: ${text(description)}; display: block; margin-top: 4px; font-size: 12px; opacity: 0.75; }`;

/** Style them: the cards themselves are the editor's, and come and go. */
export async function describeCards() {
  const [{ templates }] = await get("/templates/index.json");
  const rules = templates.filter(({ description }) => description).map(rule);
  document.head.append(Object.assign(document.createElement("style"), { textContent: rules.join("\n") }));
}
