// Request for the snapshot, sent every two seconds while the page is visible, and the state of the connection.

export const EVERY_MS = 2000;
const LATE_SECONDS = 6;

export class Live {
  /** `onSnapshot(snapshot)` is called with each new snapshot, `onAttempt()` after each attempt. */
  constructor(api, onSnapshot, onAttempt) {
    this.api = api;
    this.onSnapshot = onSnapshot;
    this.onAttempt = onAttempt;
    this.etag = null;
    this.failure = null;
    this.respondedAt = null; // performance.now() of the last response
    this.clockOffset = null; // the store's clock minus performance.now(), in seconds
    this.timer = null;
    this.pending = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.wake()));
    addEventListener("online", () => this.wake());
    addEventListener("pageshow", (event) => event.persisted && this.wake());
  }

  /** Return the time of the store's clock in epoch seconds; before the first response, of the browser's clock. */
  now() {
    return this.clockOffset === null ? Date.now() / 1000 : this.clockOffset + performance.now() / 1000;
  }

  /** Seconds since the last response of the server; infinite before the first response. */
  get silence() {
    return this.respondedAt === null ? Infinity : (performance.now() - this.respondedAt) / 1000;
  }

  /**
   * State of the connection: starting, live, late (the last attempt failed), unreachable, refused, foreign (the responses are not
   * from the API), or paused (the page is hidden).
   */
  get state() {
    if (["refused", "foreign"].includes(this.failure?.kind)) return this.failure.kind;
    if (document.hidden) return "paused";
    if (this.respondedAt === null) return this.failure ? "unreachable" : "starting";
    if (this.silence > LATE_SECONDS) return "unreachable";
    return this.failure ? "late" : "live";
  }

  /** Whether the present state cannot be read now. */
  get isBlind() {
    return ["unreachable", "refused", "foreign"].includes(this.state);
  }

  wake() {
    if (document.hidden) return;
    clearTimeout(this.timer);
    if (!this.pending) this.poll();
  }

  pause() {
    clearTimeout(this.timer);
    this.onAttempt();
  }

  async poll() {
    const began = performance.now();
    this.pending = this.attempt();
    await this.pending;
    this.pending = null;
    this.onAttempt();
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), Math.max(250, EVERY_MS - (performance.now() - began)));
  }

  async attempt() {
    try {
      const response = await this.api.get("snapshot/", {}, { etag: this.etag, timeout: 5000 });
      this.respondedAt = performance.now();
      this.failure = null;
      if (response.now !== null) this.clockOffset = response.now - performance.now() / 1000;
      if (response.body !== null) {
        this.etag = response.etag;
        this.onSnapshot(response.body);
      }
    } catch (failure) {
      if (!failure.kind) throw failure; // not a Failure, but an error in this code
      this.failure = failure;
    }
  }
}
