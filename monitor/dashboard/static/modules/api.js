// Asking the API. An answer that says that nothing changed costs no parsing.

/** Why there is no answer. `kind`: gone (nobody answers), refused (log in), unavailable (not now), absent, wrong. */
export class Failure extends Error {
  constructor(kind, detail = "", status = 0) {
    super(detail || kind);
    this.kind = kind;
    this.status = status;
  }
}

const ATTEMPTS = 5;
const KINDS = { 401: "refused", 403: "refused", 404: "absent", 410: "absent", 400: "wrong", 422: "wrong" };

export class Api {
  /** `base` is where the API is, with a slash at the end. */
  constructor(base) {
    this.base = base;
    this.last = Promise.resolve();
  }

  /** The address of an answer, for links. */
  url(path, parameters = {}) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined));
    return `${this.base}${path}${query.size ? `?${query}` : ""}`;
  }

  /**
   * `{body, etag, now}`; the body is null when nothing changed since `etag`. `now` is the store's clock, if it was told.
   * Throws Failure.
   */
  async get(path, parameters = {}, options = {}) {
    if (path === "snapshot/") return this.send(path, parameters, options);
    // The past is read from the store, by few at a time: this page is one of them, and comes again when it is told to.
    const before = this.last;
    let done;
    this.last = new Promise((resolve) => (done = resolve));
    try {
      await before;
      return await this.patiently(path, parameters, options);
    } finally {
      done();
    }
  }

  async patiently(path, parameters, options) {
    for (let attempt = 1; ; attempt += 1) {
      if (options.signal?.aborted) throw new Failure("aborted");
      try {
        return await this.send(path, parameters, options);
      } catch (failure) {
        if (failure.message !== "busy" || attempt === ATTEMPTS) throw failure;
        await new Promise((resolve) => setTimeout(resolve, 600 + 800 * Math.random()));
      }
    }
  }

  async send(path, parameters, { etag = null, timeout = 8000, signal = null }) {
    const limits = [AbortSignal.timeout(timeout), ...(signal ? [signal] : [])];
    const headers = { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}) };
    let response, body = null;
    try {
      const url = this.url(path, parameters), early = globalThis.earlyAnswers?.get(url);
      globalThis.earlyAnswers?.delete(url);
      response = await (early ?? fetch(url, { headers, cache: "no-store", signal: AbortSignal.any(limits) }));
      if (response.status !== 304) body = await response.json();
    } catch (error) {
      if (signal?.aborted) throw new Failure("aborted");
      if (response && response.status !== 200) throw failure(response, null);
      throw new Failure("gone", String(error));
    }
    if (response.status !== 304 && !response.ok) throw failure(response, body);
    const now = Number.parseFloat(response.headers.get("X-Monitor-Now"));
    return { body, etag: response.headers.get("ETag"), now: Number.isFinite(now) ? now : null };
  }
}

function failure(response, body) {
  const kind = KINDS[response.status] ?? (response.status === 503 ? "unavailable" : "gone");
  const problems = body?.problems?.map((problem) => problem.hint).join("; ");
  return new Failure(kind, problems || body?.hint || body?.error || `HTTP ${response.status}`, response.status);
}

/** Something that is asked for now and then, the newest question winning. Keeps the last answer while nothing changes. */
export class Question {
  constructor(api, path) {
    this.api = api;
    this.path = path;
    this.asked = "";
    this.etag = null;
    this.body = null;
    this.abort = null;
    this.pending = null;
  }

  /** The answer's body, or null when it is the one of last time. Throws Failure; "aborted" when a newer one was asked. */
  async ask(parameters = {}) {
    const asked = JSON.stringify(parameters);
    if (this.pending?.asked === asked) return this.pending.answer;
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const pending = (this.pending = { asked, answer: this.send(parameters, asked, abort) });
    try {
      return await pending.answer;
    } finally {
      if (this.pending === pending) this.pending = null;
    }
  }

  async send(parameters, asked, abort) {
    const etag = asked === this.asked ? this.etag : null;
    const answer = await this.api.get(this.path, parameters, { etag, signal: abort.signal });
    if (abort.signal.aborted) throw new Failure("aborted");
    if (answer.body === null) return null;
    [this.asked, this.etag, this.body] = [asked, answer.etag, answer.body];
    return answer.body;
  }

  close() {
    this.abort?.abort();
    this.pending = null;
  }
}
