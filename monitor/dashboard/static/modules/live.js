// Asks for the snapshot every two seconds while somebody looks, and knows how old what it knows is.

export const EVERY_MS = 2000;
const LATE_SECONDS = 6;

export class Live {
  /** `tell(snapshot)` is called with each new snapshot, `moved()` after every attempt. */
  constructor(api, tell, moved) {
    this.api = api;
    this.tell = tell;
    this.moved = moved;
    this.etag = null;
    this.failure = null;
    this.heard = null; // performance.now() of the last answer
    this.ahead = null; // the store's clock minus performance.now(), in seconds
    this.timer = null;
    this.asking = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.wake()));
    addEventListener("online", () => this.wake());
    addEventListener("pageshow", (event) => event.persisted && this.wake());
  }

  /** The store's clock, in epoch seconds. */
  now() {
    return this.ahead === null ? Date.now() / 1000 : this.ahead + performance.now() / 1000;
  }

  /** Seconds since the server last answered; infinite before it ever has. */
  get silence() {
    return this.heard === null ? Infinity : (performance.now() - this.heard) / 1000;
  }

  /** starting, live, late (a missed answer or two), gone, refused or paused. */
  get state() {
    if (this.failure?.kind === "refused") return "refused";
    if (document.hidden) return "paused";
    if (this.heard === null) return this.failure ? "gone" : "starting";
    if (this.silence > LATE_SECONDS) return "gone";
    return this.failure ? "late" : "live";
  }

  wake() {
    if (document.hidden) return;
    clearTimeout(this.timer);
    if (!this.asking) this.poll();
  }

  pause() {
    clearTimeout(this.timer);
    this.moved();
  }

  async poll() {
    const began = performance.now();
    this.asking = this.attempt();
    await this.asking;
    this.asking = null;
    this.moved();
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), Math.max(250, EVERY_MS - (performance.now() - began)));
  }

  async attempt() {
    try {
      const answer = await this.api.get("snapshot/", {}, { etag: this.etag, timeout: 5000 });
      this.heard = performance.now();
      this.failure = null;
      if (answer.now !== null) this.ahead = answer.now - performance.now() / 1000;
      if (answer.body !== null) {
        this.etag = answer.etag;
        this.tell(answer.body);
      }
    } catch (failure) {
      if (!failure.kind) throw failure; // ours, not the network's
      this.failure = failure;
    }
  }
}
