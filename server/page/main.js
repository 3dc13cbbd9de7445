/** Puts the page together. */

import { get, onUnauthorized } from "./api.js";
import { Actions } from "./actions.js";
import { announce, byId, complain, guarded } from "./dom.js";
import { listenForDrops } from "./drop.js";
import { Feed } from "./feed.js";
import { Form } from "./form.js";
import { Gallery } from "./gallery.js";
import { Jobs } from "./jobs.js";
import { askForToken, logOut, whoAmI } from "./login.js";
import { Memory } from "./memory.js";
import { Plan } from "./plan.js";
import { QueueView } from "./queue.js";
import { Running } from "./running.js";

const LOOK_MS = 20_000;

function connection(text) {
  const shown = byId("connection");
  if (shown.textContent !== text) shown.textContent = text;
}

/** Show again what changed, at most once a frame; in a tab that nobody sees, once in a while. */
function onceAFrame(work) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    setTimeout(() => ((isAsked = false), work()), 16);
  };
}

async function begin() {
  onUnauthorized(askForToken);
  const session = await whoAmI((error) => connection(`${error.message} Trying again.`));
  connection("");
  if (session.has_editor && new URLSearchParams(location.search).get("then") === "editor") return location.replace("/");
  byId("to-editor").hidden = !session.has_editor;
  byId("no-editor").hidden = session.has_editor;
  byId("log-out").hidden = !session.has_token;
  byId("log-out").addEventListener("click", guarded(logOut));

  const views = [];
  const show = onceAFrame(() => views.forEach((view) => view.show()));
  const memory = new Memory();
  const feed = new Feed({
    hear: (message) => jobs.hear(message),
    see: (message, blob) => views[0].see(message, blob).catch(() => {}), // one preview less
    opened: () => {
      connection("");
      Promise.all([jobs.read(), memory.read()]).catch(complain);
    },
    lost,
  });
  const jobs = new Jobs(feed, {
    changed: show,
    ended: (job) => {
      announce({ completed: "Finished.", failed: `Failed: ${job.message}`, cancelled: "Cancelled." }[job.state]);
      memory.read().catch(() => {}); // read again after the next job
    },
  });
  const form = new Form({
    changed: () => plan.soon(),
    submitted: (job) => {
      feed.follow(job.id);
      jobs.add(job);
    },
  });
  const plan = new Plan(form, (usable) => memory.known(usable));
  const actions = new Actions(jobs, form);
  views.push(new Running(jobs, actions), new QueueView(jobs, actions, session), new Gallery(jobs, actions));

  function lost(at) {
    const wait = Math.max(1, Math.round((at - Date.now()) / 1000));
    connection(`Connection lost. Trying again in ${wait} s.`);
    if (session.has_token) get("/v1/session").catch(tokenIsGone);
  }

  function tokenIsGone(error) {
    if (error.status === 401) askForToken().then(() => feed.retry());
  }

  feed.connect();
  listenForDrops(form);
  setInterval(() => document.visibilityState === "visible" && !feed.timer && jobs.readQueue().catch(() => {}), LOOK_MS);
  await form.begin();
}

begin().catch(complain);
