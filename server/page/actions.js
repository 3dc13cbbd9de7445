/** What can be done with a job: asked of the server, which tells every page what came of it. */

import { get, post } from "./api.js";
import { announce, guarded } from "./dom.js";

export class Actions {
  constructor(jobs, form) {
    Object.assign(this, { jobs, form });
  }

  /** A listener that has the server do something with a job. */
  doing(job, what, body = {}) {
    return guarded(async () => this.jobs.add(await post(`/v1/jobs/${job.id}/${what}`, body)));
  }

  /** Another place in the queue: `by` places later, among the jobs of the same client and priority. */
  async move(job, by) {
    const own = this.jobs.waiting().filter((other) => other.client === job.client && other.priority === job.priority && !other.is_paused);
    const index = own.findIndex((other) => other.id === job.id) + by;
    if (index < 0 || index >= own.length) return;
    await post(`/v1/jobs/${job.id}/move`, { index });
    await this.jobs.readQueue();
    announce(`Now ${index + 1} of ${own.length}.`);
  }

  graph(job) {
    return get(`/v1/jobs/${job.id}/graph`);
  }

  /** Open the form that a job was made with. */
  async open(job) {
    const detail = await get(`/v1/jobs/${job.id}`);
    const source = detail.template ? { template: detail.template } : { graph: await this.graph(job), name: this.jobs.title(job) };
    await this.form.open(source, detail.template ? detail.parameters : {});
    document.getElementById("form").scrollIntoView({ block: "start" });
    document.getElementById("form").focus({ preventScroll: true });
    announce("Its form is open.");
  }

  /** Run the very graph of a job once more. */
  async again(job) {
    const { template, parameters } = await get(`/v1/jobs/${job.id}`);
    const request = template ? { template, parameters } : { graph: await this.graph(job) };
    this.form.submitted(await post("/v1/jobs", request));
    announce("Handed in again.");
  }
}
