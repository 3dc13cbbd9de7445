/** What happens to jobs, as it happens: a WebSocket that comes back by itself, and goes on where it was. */

const LONGEST_MS = 30_000;

export class Feed {
  /** `hear(message)`, `see(message, blob)` for previews, `opened()`, and `lost(at)`: when it is tried again. */
  constructor({ hear, see, opened, lost }) {
    Object.assign(this, { hear, see, opened, lost });
    this.followed = new Map(); // by job, the number of its last event that came
    this.failures = 0;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.retry());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    const socket = new WebSocket("/v1/events");
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.failures = 0;
      this.say({ do: "lists" });
      for (const [job, after] of this.followed) this.say({ do: "follow", job, after });
      this.opened();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.take(JSON.parse(data)) : this.look(data));
    socket.onclose = () => {
      if (this.socket === socket) this.wait();
    };
  }

  /** Try again after a while, which is longer each time, and not the same for all who wait. */
  wait() {
    const most = Math.min(LONGEST_MS, 500 * 2 ** this.failures);
    const delay = most * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), delay);
    this.lost(Date.now() + delay);
  }

  /** Do not wait any longer. */
  retry() {
    if (this.timer) this.connect();
  }

  follow(job, after = 0) {
    if (this.followed.has(job)) return;
    this.followed.set(job, after);
    this.say({ do: "follow", job, after });
  }

  unfollow(job) {
    if (this.followed.delete(job)) this.say({ do: "unfollow", job });
  }

  say(command) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
  }

  take(message) {
    const isFollowed = this.followed.has(message.job); // what was on its way when it was unfollowed still comes
    if (message.type === "event" && isFollowed) this.followed.set(message.job, message.seq);
    this.hear(message);
  }

  /** A preview: the length of a JSON text, that text, and the picture. */
  look(frame) {
    const length = new DataView(frame).getUint32(0);
    const message = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
    this.see(message, new Blob([new Uint8Array(frame, 4 + length)], { type: message.media_type }));
  }
}
