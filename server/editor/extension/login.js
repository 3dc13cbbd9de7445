/** Logging in where the server wants a token while somebody edits: what is on the canvas stays. */

import { get, onUnauthorized } from "/page/api.js";
import { el } from "/page/dom.js";
import { askForToken } from "/page/login.js";

/** The dialog that the page has too. */
function dialog() {
  const token = el("input", { id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "token-fault" });
  const fault = el("p", { id: "token-fault", className: "limner-fault", role: "alert", hidden: true });
  const label = el("label", {}, "The server asks for your token. What is on the canvas stays.", token);
  const form = el("form", { method: "dialog" }, el("h2", { id: "login-title" }, "Log in"), label, fault, el("button", { type: "submit" }, "Log in"));
  return el("dialog", { id: "login", className: "limner limner-dialog", "aria-labelledby": "login-title" }, form);
}

/** What is refused for want of a token is asked again once there is one: by us, and by the editor. */
export function logInWhereWanted(api) {
  document.body.append(dialog());
  onUnauthorized(askForToken);
  const { fetchApi } = api;
  api.fetchApi = async function (...asked) {
    const answer = await fetchApi.apply(this, asked);
    if (answer.status !== 401) return answer;
    await askForToken();
    return fetchApi.apply(this, asked);
  };
  api.addEventListener("reconnecting", () => get("/v1/session").catch(({ status }) => status === 401 && askForToken()));
}
